"""What every store promises; the same suite on each engine."""

from __future__ import annotations

import asyncio
import datetime as dt
from dataclasses import replace
from decimal import Decimal

import pytest

from hub.errors import BadRequest, Overload, StoreError
from hub.provisioning.model import KEY, Found, Hours, Ownership, Registered, Rule, RuleBook, Tags, ThingId
from hub.provisioning.sqlstore import MAX_FOUND, SqlStore
from hub.provisioning.store import SHOWN, Store, TokenRecord
from hub.stanzas.provisioning import SearchQuery, SearchTerm
from hub.things.model import FieldTypes, NodeRef
from hub.things.questions import Right

from .content import HUB, fill
from .engines import Engine

PLC = ThingId("thing@x")
RACK = ThingId("rack@x", NodeRef("imc1", "MeteringTopology"))
OWNER, OTHER = "owner@x", "other@x"
NOW = dt.datetime.now(dt.UTC)
TAGS: Tags = {"SN": "394872", "MAN": "www.ktc.se", "MODEL": "IMC", "V": Decimal("1.20"), KEY: "4857402340298342"}


async def claimed(store: SqlStore, thing: ThingId = PLC, tags: Tags = TAGS, public: bool = True) -> Registered:
    await store.register(thing, tags, self_owned=False)
    claim = await store.claim(tags, OWNER, public=public)
    assert claim is not None
    return claim


def test_the_store_is_one(store: SqlStore) -> None:
    kept: Store = store
    assert kept is store


# --------------------------------------------------------------------------- registering


async def test_what_is_registered_is_kept_as_it_was(store: SqlStore) -> None:
    made = await store.register(PLC, TAGS, self_owned=False)
    assert made == Registered(PLC, TAGS) == await store.thing(PLC)
    assert str(made.tags["V"]) == "1.20"  # with its decimals
    assert await store.thing(RACK) is None


async def test_registering_again_replaces_the_tags(store: SqlStore) -> None:
    await store.register(PLC, TAGS, self_owned=False)
    await store.register(PLC, {"sn": "1"}, self_owned=False)
    assert await store.thing(PLC) == Registered(PLC, {"SN": "1"})


async def test_registering_what_is_claimed_changes_nothing(store: SqlStore) -> None:
    before = await claimed(store)
    assert await store.register(PLC, {"SN": "1"}, self_owned=False) == before
    assert await store.register(PLC, {"SN": "1"}, self_owned=True) == before
    assert await store.thing(PLC) == before


async def test_a_self_owned_thing_is_its_own_owner_and_nobody_claims_it(store: SqlStore) -> None:
    made = await store.register(PLC, TAGS, self_owned=True)
    assert (made.ownership, made.owner) == (Ownership.SELF_OWNED, "thing@x")
    assert await store.claim(TAGS, OWNER, public=True) is None
    assert (await store.register(PLC, {"SN": "2"}, self_owned=True)).tags == {"SN": "2"}
    assert await store.things_of("thing@x") == (await store.thing(PLC),)


async def test_a_thing_with_too_many_tags_is_refused_and_nothing_kept(store: SqlStore) -> None:
    with pytest.raises(Overload, match="at most 8 tags"):
        await store.register(PLC, {f"T{n}": "x" for n in range(9)}, self_owned=False)
    assert await store.thing(PLC) is None
    await claimed(store, tags={f"T{n}": "x" for n in range(8)})
    with pytest.raises(Overload, match="at most 8 tags"):
        await store.update(PLC, {"MORE": "x"})
    assert len((await store.update(PLC, {"T0": "", "MORE": "x"}) or Registered(PLC, {})).tags) == 8


async def test_an_address_with_too_many_things_is_refused(store: SqlStore) -> None:
    for number in range(5):
        await store.register(ThingId("rack@x", NodeRef(f"n{number}")), TAGS, self_owned=False)
    with pytest.raises(Overload, match="5 things"):
        await store.register(RACK, TAGS, self_owned=False)
    assert await store.thing(RACK) is None
    await store.register(ThingId("rack@x", NodeRef("n0")), TAGS, self_owned=False)  # it is there already


@pytest.mark.parametrize("tags", [
    {"A" * 33: "x"}, {"A": "x" * 129}, {"a": "1", "A": "2"}, {"": "x"}, {"A": "\0"}, {"A": "\ud800"},
    {"A": Decimal("NaN")}, {"A": Decimal("Infinity")},
], ids=["name", "value", "twice", "empty", "nul", "surrogate", "nan", "infinite"])  # fmt: skip
async def test_tags_that_cannot_be_kept_are_refused(store: SqlStore, tags: Tags) -> None:
    with pytest.raises(BadRequest):
        await store.register(PLC, tags, self_owned=False)
    assert await store.thing(PLC) is None


async def test_names_that_sql_or_a_pattern_would_read_are_just_names(store: SqlStore) -> None:
    odd = ThingId("o'brien\"; DROP TABLE things; --@x", NodeRef("%_?*", "%s", "{}"))
    await store.register(odd, {"SN'": "a'b%s?"}, self_owned=False)
    assert await store.thing(odd) == Registered(odd, {"SN'": "a'b%s?"})


# --------------------------------------------------------------------------- claiming


async def test_exactly_the_same_tags_claim(store: SqlStore) -> None:
    await store.register(PLC, TAGS, self_owned=False)
    claim = await store.claim({name.lower(): value for name, value in TAGS.items()}, OWNER, public=False)
    assert claim == Registered(PLC, TAGS, Ownership.CLAIMED, OWNER, public=False) == await store.thing(PLC)


async def test_numbers_are_compared_by_value(store: SqlStore) -> None:
    await store.register(PLC, {"V": Decimal("1.20"), "N": Decimal("100"), "Z": Decimal("-0")}, self_owned=False)
    same: Tags = {"V": Decimal("1.2"), "N": Decimal("1E+2"), "Z": Decimal("0.00")}
    assert await store.claim(same, OWNER, public=True) is not None


WRONG: dict[str, Tags] = {
    "half a key": {**TAGS, KEY: "48574023"}, "no key": {name: TAGS[name] for name in TAGS if name != KEY},
    "another key": {**TAGS, KEY: "4857402340298343"}, "one less": {name: TAGS[name] for name in TAGS if name != "SN"},
    "one more": {**TAGS, "ROOM": "1"}, "another value": {**TAGS, "MODEL": "imc"},
    "another type": {**TAGS, "SN": Decimal("394872")}, "nothing": {}, "only the key": {KEY: TAGS[KEY]},
    "a numeric key": {**TAGS, KEY: Decimal("4857402340298342")},
}  # fmt: skip


@pytest.mark.parametrize("tags", WRONG.values(), ids=WRONG)
async def test_anything_else_claims_nothing(store: SqlStore, tags: Tags) -> None:
    before = await store.register(PLC, TAGS, self_owned=False)
    assert await store.claim(tags, OTHER, public=True) is None
    assert await store.thing(PLC) == before


async def test_a_claim_of_nothing_does_not_get_a_thing_without_tags(store: SqlStore) -> None:
    await store.register(PLC, {}, self_owned=False)
    assert await store.claim({}, OWNER, public=True) is None


async def test_the_key_tells_two_alike_apart(store: SqlStore) -> None:
    for number in range(3):
        thing = ThingId(f"thing{number}@x")
        await store.register(thing, {**TAGS, KEY: f"secret {number}"}, self_owned=False)
    claim = await store.claim({**TAGS, KEY: "secret 1"}, OWNER, public=True)
    assert claim is not None and claim.id.jid == "thing1@x"


async def test_no_index_knows_anything_of_the_key(store: SqlStore, engine: Engine) -> None:
    for number in range(2):
        await store.register(ThingId(f"t{number}@x"), {**TAGS, KEY: f"secret {number}"}, self_owned=False)
    assert len(engine.execute("SELECT DISTINCT marks FROM things")) == 1


async def test_a_claim_can_be_repeated_by_its_owner_only_and_after_the_key_is_gone(store: SqlStore) -> None:
    await claimed(store)
    after = await store.update(PLC, {KEY: "", "ROOM": "cellar"})
    before = await store.revision()
    assert await store.claim(TAGS, OWNER, public=True) == after
    assert await store.claim(TAGS, OTHER, public=True) is None
    assert await store.claim({**TAGS, KEY: "x"}, OWNER, public=True) is None
    assert await store.revision() == before


async def test_of_two_claims_at_once_one_wins(store: SqlStore) -> None:
    await store.register(PLC, TAGS, self_owned=False)
    claims = await asyncio.gather(*(store.claim(TAGS, f"o{n}@x", public=True) for n in range(10)))
    (winner,) = [claim.owner for claim in claims if claim is not None]
    thing = await store.thing(PLC)
    assert thing is not None and thing.owner == winner


# --------------------------------------------------------------------------- a claimed thing's life


async def test_update_overwrites_adds_and_removes(store: SqlStore) -> None:
    await claimed(store)
    updated = await store.update(PLC, {KEY: "", "class": "PLC", "V": Decimal("2"), "MAN": "other", "NONE": ""})
    assert updated is not None and updated == await store.thing(PLC)
    assert updated.tags == {"SN": "394872", "MAN": "other", "MODEL": "IMC", "V": Decimal(2), "CLASS": "PLC"}
    assert await store.update(RACK, {"A": "1"}) is None


async def test_removed_is_still_owned_and_comes_back_by_a_claim_only(store: SqlStore) -> None:
    await claimed(store)
    await store.set_removed(PLC)
    thing = await store.thing(PLC)
    assert thing is not None and thing.removed and not thing.searchable and thing.owner == OWNER
    assert await store.register(PLC, {"SN": "1"}, self_owned=False) == thing
    assert await store.things_of(OWNER) == (thing,)


async def test_disowned_is_unclaimed_with_a_new_key_only(store: SqlStore) -> None:
    await claimed(store, public=False)
    await store.disown(PLC, "new secret")
    assert await store.thing(PLC) == Registered(PLC, {KEY: "new secret"})
    assert await store.claim(TAGS, OWNER, public=True) is None
    with pytest.raises(BadRequest):
        await store.disown(PLC, "")
    await store.register(PLC, TAGS, self_owned=False)
    assert await store.claim(TAGS, OTHER, public=True) is not None


async def test_unregistered_is_gone(store: SqlStore) -> None:
    await claimed(store)
    await store.unregister(PLC)
    await store.unregister(PLC)
    await store.disown(PLC, "key")
    await store.set_removed(PLC)
    assert await store.thing(PLC) is None and await store.things_of(OWNER) == ()
    await store.register(PLC, {"SN": "1"}, self_owned=False)
    assert await store.thing(PLC) == Registered(PLC, {"SN": "1"})


async def test_things_behind_a_concentrator_are_things(store: SqlStore) -> None:
    await claimed(store, RACK)
    await store.register(ThingId("rack@x"), {"SN": "rack"}, self_owned=False)
    await store.register(ThingId("rack@x", NodeRef("imc1")), {"SN": "other source"}, self_owned=False)
    assert [thing.id for thing in await store.things_of(OWNER)] == [RACK]
    assert await store.things_of("") == ()


# --------------------------------------------------------------------------- searching


async def found(store: SqlStore, *terms: SearchTerm, offset: int = 0, count: int | None = None) -> Found:
    return await store.search(SearchQuery(terms, offset, count))


async def many(store: SqlStore, count: int) -> list[str]:
    """Public things by the dozen, registered in no order; returns their addresses in that of their ids."""
    names = [f"t{number * 101 % count:03}@x" for number in range(count)]
    for name in names:
        await store.register(ThingId(name), {"SN": name, "A": "a", "N": Decimal(int(name[1:4]))}, self_owned=True)
    return sorted(names)


async def test_only_claimed_public_and_not_removed_things_are_found_and_never_a_key(store: SqlStore) -> None:
    await claimed(store)
    await claimed(store, ThingId("private@x"), {**TAGS, "SN": "2"}, public=False)
    await claimed(store, ThingId("removed@x"), {**TAGS, "SN": "3"})
    await store.set_removed(ThingId("removed@x"))
    await store.register(ThingId("unclaimed@x"), TAGS, self_owned=False)
    await store.register(ThingId("own@x"), TAGS, self_owned=True)
    things = (await found(store, SearchTerm("strEq", "man", "www.ktc.se"))).things
    assert [(thing.id.jid, thing.owner) for thing in things] == [("own@x", "own@x"), ("thing@x", OWNER)]
    assert all(set(thing.tags) == {"SN", "MAN", "MODEL", "V"} for thing in things)


@pytest.mark.parametrize("term", [
    SearchTerm("strEq", "KEY", "4857402340298342"), SearchTerm("strNEq", "key", "x"), SearchTerm("strMask", "Key", "*"),
])  # fmt: skip
async def test_a_search_that_names_the_key_finds_nothing(store: SqlStore, term: SearchTerm) -> None:
    await claimed(store)
    assert await found(store, SearchTerm("strEq", "SN", "394872"), term) == Found(())
    assert (await found(store, SearchTerm("strEq", "SN", "394872"))).things


async def test_pages_are_cut_from_the_things_in_the_order_of_their_ids(store: SqlStore) -> None:
    names = await many(store, 23)
    term = SearchTerm("strEq", "A", "a")
    pages = [await found(store, term, offset=offset, count=10) for offset in (0, 10, 20, 30)]
    assert [thing.id.jid for page in pages for thing in page.things] == names
    assert [page.more for page in pages] == [True, True, False, False]
    assert (await found(store, term, count=0)) == Found((), more=True)
    assert (await found(store, term, count=23)).more is False


async def test_more_than_one_round_and_never_more_than_the_limit(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = await many(store, MAX_FOUND + 5)
    monkeypatch.setattr("hub.provisioning.sql_things.CANDIDATES", 7)
    page = await found(store, SearchTerm("numGt", "N", Decimal(2)), count=MAX_FOUND + 3)
    assert [thing.id.jid for thing in page.things] == names[3:][:MAX_FOUND] and page.more
    rest = await found(store, SearchTerm("numGt", "N", Decimal(2)), offset=MAX_FOUND)
    assert [thing.id.jid for thing in rest.things] == names[3 + MAX_FOUND :] and not rest.more


async def test_order_is_by_code_points_on_every_engine(store: SqlStore) -> None:
    names = ["a-b@x", "aa@x", "a@x", "Z@x", "ä@x", "z@x", "ab@x", "a_@x"]
    for name in names:
        await store.register(ThingId(name), {"A": "a"}, self_owned=True)
    things = (await found(store, SearchTerm("strEq", "A", "a"))).things
    assert [thing.id.jid for thing in things] == sorted(names)


async def test_a_search_that_is_none_is_refused(store: SqlStore) -> None:
    right = SearchQuery((SearchTerm("strEq", "A", "a"),))
    like = (SearchTerm("strLike", "A", "a"),)
    for search in (replace(right, terms=()), replace(right, terms=like), replace(right, offset=-1),
                   replace(right, count=-1)):  # fmt: skip
        with pytest.raises(BadRequest):
            await store.search(search)


# --------------------------------------------------------------------------- rules

RULE = Rule(
    Right.READ, True, owner=OWNER, who=("ann@x", "*@y"), groups=("family",), tokens=("T1",), things=("thing@x",),
    nodes=(NodeRef("air"), NodeRef("imc1", "MeteringTopology", "c")), names=("temperature",),
    types=FieldTypes.MOMENTARY | FieldTypes.HISTORICAL, note="from 8 to 5",
    hours=Hours(dt.time(8), dt.time(17, 30, 15), frozenset({1, 2, 3}), "Europe/Stockholm"),
)  # fmt: skip


async def test_a_rule_is_kept_as_it_is_and_can_be_removed(store: SqlStore) -> None:
    first = await store.add_rule(RULE)
    assert first == replace(RULE, id=first.id, order=10) and first.id > 0
    assert (await store.rule_book()).rules == (first,)
    assert await store.remove_rule(first.id) == first
    assert await store.remove_rule(first.id) is None
    second = await store.add_rule(RULE)
    assert second.id > first.id  # an id is never given twice: the audit names it


async def test_without_an_order_a_rule_goes_behind_all_of_its_owner(store: SqlStore) -> None:
    deny = Rule(Right.READ, False)
    await store.add_rule(replace(deny, order=70))
    await store.add_rule(replace(deny, owner=OWNER, order=25))
    assert (await store.add_rule(deny)).order == 80
    assert (await store.add_rule(replace(deny, owner=OWNER))).order == 35
    assert (await store.add_rule(replace(deny, owner=OTHER))).order == 10
    assert [rule.order for rule in (await store.rule_book()).rules] == [10, 25, 35, 70, 80]


async def test_an_owner_has_a_limited_number_of_rules(store: SqlStore) -> None:
    for _ in range(4):
        await store.add_rule(RULE)
    with pytest.raises(Overload, match="owner@x has 4 rules"):
        await store.add_rule(RULE)
    await store.add_rule(replace(RULE, owner=OTHER))


@pytest.mark.parametrize("rule", [
    replace(RULE, who=("a b",)), replace(RULE, order=-1), replace(RULE, types=FieldTypes(0)),
    replace(RULE, hours=Hours(dt.time(1), dt.time(2), frozenset())), replace(RULE, names=("",)),
    replace(RULE, hours=Hours(dt.time(1), dt.time(2), zone="Mars/Olympus")), Rule(Right.FRIEND, True, names=("a",)),
])  # fmt: skip
async def test_a_rule_that_means_nothing_is_refused(store: SqlStore, rule: Rule) -> None:
    with pytest.raises(BadRequest):
        await store.add_rule(rule)
    assert (await store.rule_book()).rules == ()


async def test_groups_are_set_changed_and_removed(store: SqlStore) -> None:
    await store.set_group("family", ("Ann@x", "*@y"))
    await store.set_group("staff", ("bob@x",))
    await store.set_group("family", ("ann@x",))
    assert (await store.rule_book()).groups == {"family": ("ann@x",), "staff": ("bob@x",)}
    await store.set_group("family", ())
    assert (await store.rule_book()).groups == {"staff": ("bob@x",)}


async def test_replacing_takes_all_or_nothing(store: SqlStore) -> None:
    old = await store.add_rule(RULE)
    await store.set_group("old", ("ann@x",))
    first, second = Rule(Right.READ, False, order=5), Rule(Right.READ, True, order=5)
    await store.replace_rules(RuleBook((first, second, replace(RULE, order=0)), {"new": ("bob@x",)}))
    book = await store.rule_book()
    assert [replace(rule, id=0) for rule in book.rules] == [first, second, replace(RULE, order=10)]
    assert old.id not in {rule.id for rule in book.rules} and book.groups == {"new": ("bob@x",)}
    with pytest.raises(Overload):
        await store.replace_rules(RuleBook((RULE,) * 5))
    assert await store.rule_book() == book


async def test_the_revision_grows_with_rules_groups_ownership_and_ended_tokens_only(store: SqlStore) -> None:
    seen = [await store.revision()]

    async def grew() -> bool:
        seen.append(await store.revision())
        assert seen[-1] >= seen[-2]
        return seen[-1] > seen[-2]

    rule = await store.add_rule(RULE)
    assert await grew() and (await store.rule_book()).revision == seen[-1]
    await store.remove_rule(rule.id)
    assert await grew()
    await store.remove_rule(rule.id)
    assert not await grew()
    await store.set_group("g", ("a@x",))
    assert await grew()
    await store.replace_rules(RuleBook())
    assert await grew()
    await claimed(store)
    assert await grew()
    await store.update(PLC, {"ROOM": "1"})
    await store.set_removed(PLC)
    await store.note_asker("thing@x", "ann@x")
    assert not await grew()
    await store.disown(PLC, "key")
    assert await grew()
    await store.register(PLC, TAGS, self_owned=True)
    assert await grew()
    await store.register(PLC, {}, self_owned=True)
    assert not await grew()
    await store.unregister(PLC)
    assert await grew()


# --------------------------------------------------------------------------- notices, askers, tokens, small things


async def test_notices_wait_in_order_until_they_are_done(store: SqlStore) -> None:
    await store.add_notices([PLC, RACK], "clearCache", {})
    await store.add_notices([PLC], "friend", {"jid": "ann@x", "ä": ["\0", 1, None]})
    await store.add_notices([PLC, RACK], "clearCache", {})
    await store.add_notices([], "friend", {})
    waiting = await store.notices()
    assert [(each.to, each.kind) for each in waiting] == [(PLC, "clearCache"), (RACK, "clearCache"), (PLC, "friend")]
    assert waiting[2].detail == {"jid": "ann@x", "ä": ["\0", 1, None]}
    assert abs(dt.datetime.now(dt.UTC) - waiting[0].created) < dt.timedelta(minutes=1)
    assert [each.kind for each in await store.notices("thing@x")] == ["clearCache", "friend"]
    await store.notice_done(waiting[0].id)
    await store.notice_done(waiting[0].id)
    assert [each.kind for each in await store.notices("thing@x")] == ["friend"]
    await store.add_notices([PLC], "clearCache", {})
    assert [each.kind for each in await store.notices("thing@x")] == ["friend", "clearCache"]


async def test_friend_and_unfriend_are_all_kept(store: SqlStore) -> None:
    for kind in ("friend", "unfriend", "friend"):
        await store.add_notices([PLC], kind, {"jid": "ann@x"})
    assert [each.kind for each in await store.notices("thing@x")] == ["friend", "unfriend", "friend"]


async def test_who_asked_about_whom(store: SqlStore) -> None:
    for device, jid in (("b@x", "ann@x"), ("a@x", "ann@x"), ("a@x", "bob@x"), ("a@x", "ann@x")):
        await store.note_asker(device, jid)
    assert await store.devices() == ("a@x", "b@x")
    assert await store.askers("ann@x") == ("a@x", "b@x")
    assert await store.askers("eve@x") == ()


async def test_of_too_many_asked_about_the_first_is_forgotten(store: SqlStore) -> None:
    for number in range(5):
        await store.note_asker("a@x", f"p{number}@x")
    assert [await store.askers(f"p{number}@x") for number in range(5)] == [(), (), ("a@x",), ("a@x",), ("a@x",)]


async def test_tokens(store: SqlStore) -> None:
    now = dt.datetime(2026, 11, 20, 12, 0, 0, 123456, dt.UTC)
    zone = dt.timezone(dt.timedelta(hours=2))
    record = TokenRecord("T1", b"\0DER\xff", "ann@x", now, (now + dt.timedelta(days=36500)).astimezone(zone))
    assert await store.give_token(record, "f1", 2) == record
    assert await store.token("T1") == record
    assert await store.token("t1") is None
    with pytest.raises(StoreError):
        await store.give_token(replace(record, subject="eve@x"), "f1", 2)
    renewed = replace(record, token="T2", created=now + dt.timedelta(days=1))
    assert await store.give_token(renewed, "f1", 2) == replace(renewed, token="T1"), "the same for the same certificate"
    await store.give_token(replace(record, token="T3"), "f3", 2)
    with pytest.raises(Overload):
        await store.give_token(replace(record, token="T4"), "f4", 2)
    assert [record.token for record in await store.tokens()] == ["T3", "T1"]


async def test_expired_tokens_go_after_a_day_and_make_room_at_once(store: SqlStore) -> None:
    now = dt.datetime.now(dt.UTC)
    for name, hours in (("long", -25), ("short", -23), ("new", 1)):
        await store.give_token(TokenRecord(name, b"", "ann@x", now, now + dt.timedelta(hours=hours)), name, 2)
    await store.give_token(TokenRecord("last", b"", "ann@x", now, now + dt.timedelta(hours=1)), "last", 2)
    known = [await store.token(name) is not None for name in ("long", "short", "new", "last")]
    assert known == [False, True, True, True]


async def shown(store: SqlStore, name: str, hours: int = 1) -> TokenRecord:
    """A token that has counted at two devices."""
    now = dt.datetime.now(dt.UTC)
    made = await store.give_token(TokenRecord(name, b"", "ann@x", now, now + dt.timedelta(hours=hours)), name, 9)
    for device in ("thing@x", "rack@x"):
        await store.put(SHOWN + name, device, {})
    return made


async def test_a_revoked_token_is_gone_for_good_and_those_who_were_shown_it_have_to_forget(store: SqlStore) -> None:
    first, _ = await shown(store, "T1"), await shown(store, "T2")
    before = await store.revision()
    assert await store.revoke_token("T1") == first
    assert await store.token("T1") is None and await store.token("T2") is not None
    waiting = sorted((notice.to.jid, notice.kind) for notice in await store.notices())
    assert waiting == [("rack@x", "clearCache"), ("thing@x", "clearCache")]
    assert await store.revision() > before
    assert await store.revoke_token("T1") is None
    again = replace(first, token="T3")
    assert await store.give_token(again, "T1", 9) == again, "its certificate brings another"


async def test_those_who_were_shown_a_token_have_to_forget_when_it_expires(store: SqlStore) -> None:
    await shown(store, "T2")
    await shown(store, "T1", hours=-1)
    assert await store.lapse_tokens() == ("T1",)
    assert {notice.to.jid for notice in await store.notices()} == {"rack@x", "thing@x"}
    assert await store.lapse_tokens() == ()
    await shown(store, "T1", hours=-1)
    await store.give_token(TokenRecord("T4", b"", "bob@x", NOW, NOW), "T4", 9)
    assert await store.lapse_tokens() == (), "said when another was given"


async def test_small_things(store: SqlStore) -> None:
    await store.put("questions", "b", {"n": 1, "text": "ä\0\ud83d"})
    await store.put("questions", "a", {"n": 2})
    await store.put("users", "a", {"n": 3})
    await store.put("questions", "a", {"n": 4})
    assert await store.get("questions", "a") == {"n": 4}
    assert await store.items("questions") == {"a": {"n": 4}, "b": {"n": 1, "text": "ä\0\ud83d"}}
    await store.put("questions", "a", None)
    await store.put("questions", "a", None)
    assert await store.get("questions", "a") is None and await store.items("none") == {}


# --------------------------------------------------------------------------- as a whole


async def test_a_request_that_fails_changes_nothing_and_harms_no_other(store: SqlStore) -> None:
    before = await claimed(store)
    with pytest.raises(Overload):
        await store.update(PLC, {f"T{n}": "x" for n in range(8)})
    assert await store.thing(PLC) == before
    assert await store.update(PLC, {"ROOM": "1"}) is not None


async def test_many_at_once(store: SqlStore) -> None:
    await asyncio.gather(*(
        store.register(ThingId(f"t{number}@x"), {"SN": str(number)}, self_owned=True) for number in range(40)
    ), *(store.add_rule(replace(RULE, owner=f"o{number}@x")) for number in range(20)),
        *(store.rule_book() for _ in range(20)))  # fmt: skip
    rules = (await store.rule_book()).rules
    assert len({rule.id for rule in rules}) == 20
    assert len((await found(store, SearchTerm("strGtEq", "SN", "0"))).things) == 40


@pytest.mark.parametrize("change", [
    "UPDATE small_things SET value = '{'", "UPDATE tags SET value = 'x' WHERE kind = 'num'",
    "UPDATE rules SET body = '{}'", "UPDATE rules SET body = 'x'", "UPDATE tokens SET expires = 'tomorrow'",
    "UPDATE notices SET detail = ''",
])  # fmt: skip
async def test_what_somebody_else_wrote_is_said_to_be_unreadable(store: SqlStore, engine: Engine, change: str) -> None:
    await fill(store)
    engine.execute(change)
    with pytest.raises(StoreError, match="backup"):
        await store.items("questions")
        await store.thing(HUB)
        await store.rule_book()
        await store.token("T1")
        await store.notices()
    assert await store.revision() > 0


async def test_a_closed_store_says_so(store: SqlStore) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="not open"):
        await store.revision()
    await store.open()
    assert await store.revision() == 0


# --------------------------------------------------------------------------- several instances


async def test_a_lease_has_one_holder_until_it_is_over_or_given_back(store: SqlStore) -> None:
    await store.add_notices([PLC], "removed", {})
    (notice,) = await store.notices("thing@x")
    assert sorted(await asyncio.gather(*(store.lease_notice(notice.id, 60) for _ in range(4)))) == [False] * 3 + [True]
    assert await store.lease_notice(notice.id, 0)
    assert await store.lease_notice(notice.id, -1)  # over as soon as it began
    assert await store.lease_notice(notice.id, 60)
    assert not await store.lease_notice(notice.id, 60)
    await store.notice_done(notice.id)
    assert not await store.lease_notice(notice.id, 60)


async def test_of_several_who_put_or_take_one_succeeds(store: SqlStore) -> None:
    kept = await asyncio.gather(*(store.put_new("area", "key", {"n": number}) for number in range(4)))
    assert kept.count(True) == 1
    assert await store.get("area", "key") == {"n": kept.index(True)}
    taken = await asyncio.gather(*(store.take("area", "key") for _ in range(4)))
    assert [value for value in taken if value is not None] == [{"n": kept.index(True)}]
    assert await store.take("area", "key") is None and await store.put_new("area", "key", {})


async def test_what_is_at_an_address_and_whom_it_asked_about(store: SqlStore) -> None:
    behind = [ThingId("rack@x", NodeRef(name)) for name in ("b", "a")]
    for thing in (*behind, ThingId("rack@x"), PLC):
        await store.register(thing, TAGS, self_owned=False)
    assert [found.id for found in await store.things_at("rack@x")] == [ThingId("rack@x"), behind[1], behind[0]]
    assert await store.things_at("nobody@x") == ()
    for jid in ("c@x", "b@x", "c@x"):
        await store.note_asker("rack@x", jid)
    assert await store.asked_by("rack@x") == ("b@x", "c@x") and await store.asked_by("c@x") == ()
