"""The service's parts together, without a stream: clocks, limits, restarts, things that are away."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from hub.errors import BadRequest, Forbidden, NotAllowed, NotFound, Overload
from hub.provisioning.model import ITSELF, KEY, Hours, Rule, ThingId
from hub.provisioning.notices import FIRST_WAIT_S, LAST_WAIT_S, MAX_AGE
from hub.provisioning.owner import HELP, OwnerLimits
from hub.provisioning.registry import RegistryLimits
from hub.stanzas.provisioning import SearchQuery, SearchTerm
from hub.things.model import NodeRef, Tokens
from hub.things.questions import Right

from .desk import SERVICE, TAGS, desk

FULL = "thing@x/hub"


def heard(desk_: object) -> None:
    desk_.notices.link_changed(True)  # type: ignore[attr-defined]  # a Desk
    desk_.notices.heard(FULL, "provisioning", "urn:xmpp:iot:provisioning")  # type: ignore[attr-defined]


# --------------------------------------------------------------------------- notices


async def test_what_is_not_acknowledged_is_sent_again_more_and_more_slowly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk(tmp_path) as made:
        monkeypatch.setattr("hub.provisioning.sqlstore._now", lambda: made.now)
        heard(made)
        await made.notices.add([ThingId("thing@x")], "clearCache")
        assert await made.turn() == ["clearCache"] and await made.turn() == []
        gap, gaps = 0.0, []
        for _ in range(10):
            while await made.turn() == []:
                made.pass_time(seconds=10)
                gap += 10
            gaps.append(gap)
            gap = 0.0
        assert gaps[:3] == [FIRST_WAIT_S, 2 * FIRST_WAIT_S, 4 * FIRST_WAIT_S] and gaps[-1] == LAST_WAIT_S


async def test_a_change_while_a_cache_is_being_cleared_clears_it_again(tmp_path: Path) -> None:
    """What the thing has asked since it cleared its cache may be wrong already."""
    async with desk(tmp_path) as made:
        heard(made)
        for _ in range(3):
            await made.notices.add([ThingId("thing@x")], "clearCache")
        assert await made.turn() == ["clearCache"] and await made.kinds() == ["clearCache"]
        first = made.sent[0].get("id", "")
        for _ in range(3):
            await made.notices.add([ThingId("thing@x")], "clearCache")
        assert await made.turn() == ["clearCache"]
        second = made.sent[0].get("id", "")
        await made.notices.answered(FULL, first, None)
        assert await made.kinds() == ["clearCache"]
        await made.notices.answered(FULL, second, None)
        assert await made.kinds() == []


async def test_an_acknowledgement_counts_from_the_thing_itself_and_from_nobody_else(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        heard(made)
        await made.notices.add([ThingId("thing@x")], "clearCache")
        await made.turn()
        id_ = made.sent[0].get("id", "")
        for sender, wrong in (("other@x/hub", id_), ("x", id_), (FULL, "notice-99"), (FULL, "notice-" + "9" * 40)):
            await made.notices.answered(sender, wrong, None)
        assert await made.kinds() == ["clearCache"]
        await made.notices.answered("thing@x/elsewhere", id_, None)
        assert await made.kinds() == []


async def test_who_is_away_is_asked_for_his_presence_once_and_told_when_it_comes(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        heard(made)
        await made.notices.add([ThingId("thing@x")], "clearCache")
        await made.turn()
        id_ = made.sent[0].get("id", "")
        made.sent.clear()
        await made.notices.answered(FULL, id_, "service-unavailable")
        assert [s.get("type") for s in made.sent] == ["probe", "subscribe"] and made.sent[0].get("to") == "thing@x"
        assert await made.kinds() == ["clearCache"]
        made.notices.came("thing@x/new")
        await made.notices.turn()
        assert [s.get("to") for s in made.sent if len(s)] == ["thing@x/new"]


async def test_what_a_thing_refuses_is_not_repeated_for_ever(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        heard(made)
        await made.notices.add([ThingId("thing@x")], "removed")
        await made.turn()
        await made.notices.answered(FULL, made.sent[0].get("id", ""), "feature-not-implemented")
        assert await made.kinds() == []


async def test_messages_wait_until_a_thing_is_there(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        made.notices.link_changed(True)
        await made.notices.add([ThingId("thing@x")], "friend", {"jid": "ann@x"})
        assert await made.turn() == ["probe", "subscribe"], "nothing is known of it"
        heard(made)
        assert await made.turn() == ["friend", "clearCache"]
        id_ = made.sent[1].get("id", "")
        await made.notices.answered(FULL, id_, "service-unavailable")
        assert await made.kinds() == ["friend"] and await made.turn() == [], "it was not there"
        made.notices.came("thing@x/new")
        assert await made.turn() == ["friend", "clearCache"] and made.sent[0].get("to") == "thing@x/new"
        await made.notices.answered("thing@x/new", id_, None)
        assert await made.kinds() == []


async def test_what_nobody_fetched_for_months_is_given_up(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        heard(made)
        await made.notices.add([ThingId("thing@x")], "clearCache")
        made.now = dt.datetime.now(dt.UTC) + MAX_AGE + dt.timedelta(days=1)
        assert await made.turn() == [] and await made.kinds() == []


async def test_where_a_thing_was_outlives_a_restart(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        heard(made)
        await made.turn()
        await made.notices.add([ThingId("thing@x")], "clearCache")
    async with desk(tmp_path) as made:
        made.notices.link_changed(True)
        assert "clearCache" in await made.turn()
        assert made.sent[-1].get("to") == FULL


async def test_two_instances_send_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as one, desk(tmp_path) as other:
        heard(one)
        heard(other)
        await one.notices.add([ThingId("thing@x")], "clearCache")
        other.pass_time(seconds=20)  # it looks for what others have added
        sent = [await one.turn(), await other.turn()]
        assert sorted(map(len, sent)) == [0, 1]


# --------------------------------------------------------------------------- registry


async def test_who_may_register_and_how_many_new_things_at_once(tmp_path: Path) -> None:
    limits = RegistryLimits(register=("*@x",), new_things=3, new_things_per_hour=1)
    async with desk(tmp_path, limits) as made:
        with pytest.raises(Forbidden):
            await made.registry.register("thing@elsewhere", ITSELF, TAGS, self_owned=False)
        for number in range(3):
            await made.registry.register(f"{number}@x", ITSELF, TAGS, self_owned=False)
        with pytest.raises(Overload):
            await made.registry.register("3@x", ITSELF, TAGS, self_owned=False)
        await made.registry.register("2@x", ITSELF, TAGS, self_owned=False)  # it is no new one
        made.pass_time(hours=1)
        await made.registry.register("3@x", ITSELF, TAGS, self_owned=False)


async def test_a_claim_that_has_to_wait_is_not_even_looked_at(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        await made.registry.register("thing@x", ITSELF, TAGS, self_owned=False)
        for _ in range(4):
            with pytest.raises(NotFound):
                await made.registry.claim("ann@x", {"SN": "1", KEY: "wrong"}, public=True)
        with pytest.raises(Overload, match="2 s"):
            await made.registry.claim("ann@x", TAGS, public=True)
        made.pass_time(seconds=2)
        assert (await made.registry.claim("ann@x", TAGS, public=True)).owner == "ann@x"
        assert [answer for _, what, _, answer in made.recorded if what == "claim"] == ["refused"] * 4


async def test_a_search_has_at_most_one_page(tmp_path: Path) -> None:
    async with desk(tmp_path, RegistryLimits(search_results=2)) as made:
        for number in range(3):
            await made.registry.register("rack@x", NodeRef(str(number)), {"A": "1"}, self_owned=True)
        for count in (None, 1000):
            found = await made.registry.search(SearchQuery((SearchTerm("strEq", "A", "1"),), 0, count))
            assert (len(found.things), found.more) == (2, True)


async def test_disowning_is_done_when_the_thing_knows_and_not_before(tmp_path: Path) -> None:
    async with desk(tmp_path, RegistryLimits(disown_wait=5)) as made:
        await made.claimed()
        with pytest.raises(NotAllowed):
            await made.registry.disown("owner@x", "thing@x", ITSELF)
        heard(made)
        asked = asyncio.create_task(made.registry.disown("owner@x", "thing@x", ITSELF))
        while await made.turn() != ["disowned"]:
            await asyncio.sleep(0)
        thing = await made.store.thing(ThingId("thing@x"))
        assert thing is not None and thing.owner == "owner@x"
        await made.notices.answered(FULL, made.sent[0].get("id", ""), None)
        await asked
        thing = await made.store.thing(ThingId("thing@x"))
        assert thing is not None and (thing.owner, list(thing.tags)) == ("", [KEY])
        assert len(str(thing.tags[KEY])) >= 32


# --------------------------------------------------------------------------- decisions and owners


async def test_each_owner_of_things_behind_a_concentrator_is_asked_about_his(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        await made.claimed("rack@x", "ann@x", NodeRef("a"))
        await made.claimed("rack@x", "bob@x", NodeRef("b"))
        made.sent.clear()
        nodes = (NodeRef("a"), NodeRef("b"), NodeRef("nobody's"))
        assert not (await made.may(Right.READ, "eve@x", "rack@x", nodes=nodes)).allowed
        assert ["(a)" in body for body in made.bodies("ann@x")] == [True]
        assert ["(b)" in body for body in made.bodies("bob@x")] == [True]
        verdict = await made.may(Right.READ, "ann@x", "rack@x", nodes=nodes)
        assert verdict.allowed and verdict.nodes == (NodeRef("a"),)


async def test_questions_are_bounded_and_end_after_a_day(tmp_path: Path) -> None:
    async with desk(tmp_path, owners=OwnerLimits(open_questions=3)) as made:
        await made.claimed()
        made.sent.clear()
        for number in range(6):
            for _ in range(2):
                await made.may(Right.READ, f"s{number}@x")
        assert len(made.bodies("owner@x")) == 3
        assert "Which one?" in await made.says("owner@x", "always")
        made.pass_time(days=1, seconds=1)
        await made.owners.sweep()
        assert await made.says("owner@x", "questions") == "There is no open question."
        await made.may(Right.READ, "s5@x")
        assert len(made.bodies("owner@x")) == 2  # that answer, and a new question


async def test_a_leave_ends_after_five_minutes(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        await made.claimed()
        await made.may(Right.READ, "ann@x")
        made.pass_time(minutes=1)
        assert "Allowed once" in await made.says("owner@x", "once")
        made.pass_time(minutes=5, seconds=1)
        assert not (await made.may(Right.READ, "ann@x")).allowed


async def test_a_leave_never_overrules_a_rule(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        await made.claimed()
        await made.may(Right.READ, "ann@x", names=("a", "b"))
        made.pass_time(minutes=1)
        await made.says("owner@x", "once")
        await made.store.add_rule(Rule(Right.READ, False, names=("b",)))
        await made.knowledge.look()
        verdict = await made.may(Right.READ, "ann@x", names=("a", "b"))
        assert verdict.allowed and verdict.names == ("a",)


async def test_who_changed_which_rule_is_recorded_wherever_it_was_done(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        rule = await made.store.add_rule(Rule(Right.READ, True, who=("ann@x",), owner="owner@x"))
        await made.store.set_group("family", ("ann@x", "bob@x"))
        await made.knowledge.look()
        await made.store.remove_rule(rule.id)
        await made.store.set_group("family", ())
        await made.knowledge.look()
        line = "ann@x may read all that is yours"
        assert made.recorded == [
            ("owner@x", "rule 1", line, "added"), ("operator", "group family", "ann@x, bob@x", "set"),
            ("owner@x", "rule 1", line, "removed"), ("operator", "group family", "", "removed"),
        ]  # fmt: skip


async def test_a_leave_is_for_what_was_asked_and_another_question_does_not_use_it_up(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        await made.claimed()
        await made.may(Right.READ, "ann@x", names=("a",))
        made.pass_time(minutes=1)
        await made.says("owner@x", "once")
        for other in ({"names": ("a", "b")}, {"names": ("a",), "nodes": (NodeRef("n"),)}, {}):
            assert not (await made.may(Right.READ, "ann@x", **other)).allowed
        assert (await made.may(Right.READ, "ann@x", names=("a",), tokens=Tokens(device="T"))).allowed
        assert not (await made.may(Right.READ, "ann@x", names=("a",))).allowed


async def test_the_word_to_forget_goes_ahead_of_what_is_allowed_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        await made.claimed()
        heard(made)
        await made.may(Right.READ, "ann@x")
        made.pass_time(minutes=1)
        await made.says("owner@x", "once")
        await made.turn()
        await made.notices.answered(FULL, made.sent[0].get("id", ""), None)
        made.sent.clear()
        assert (await made.may(Right.READ, "ann@x")).allowed
        assert [s[0].tag.rpartition("}")[2] for s in made.sent] == ["clearCache"], "before the answer"
        assert await made.turn() == []
        made.pass_time(seconds=2)
        assert await made.turn() == ["clearCache"], "and again for who remembers it all the same"


async def test_an_answer_of_who_is_no_owner_any_more_changes_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        await made.claimed("other@x")  # so that he is heard
        await made.claimed()
        await made.may(Right.READ, "ann@x")
        await made.registry.disowned(ThingId("thing@x"))
        assert "not yours any more" in await made.says("owner@x", "1 always")
        assert (await made.store.rule_book()).rules == ()


async def test_who_owns_nothing_is_not_answered_and_who_writes_too_much_neither(tmp_path: Path) -> None:
    async with desk(tmp_path, owners=OwnerLimits(replies_per_minute=3)) as made:
        await made.claimed()
        assert await made.says("eve@x", "help") == ""
        assert await made.says("admin@x", "help") == HELP
        assert [bool(await made.says("owner@x", "help")) for _ in range(5)] == [True] * 3 + [False] * 2


async def test_owners_see_and_forget_their_rules_and_operators_all(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        await made.claimed()
        for owner in ("", "owner@x", "other@x"):
            await made.store.add_rule(Rule(Right.READ, True, owner=owner, who=("ann@x",)))
        await made.knowledge.look()
        assert (await made.says("owner@x", "rules")).count("\n") == 0
        assert (await made.says("admin@x", "rules")).count("\n") == 2
        assert "no such rule of yours" in await made.says("owner@x", "forget 1")
        assert "no such rule of yours" in await made.says("owner@x", "forget everything")
        assert (await made.says("owner@x", "forget 2")).startswith("Forgotten")
        assert (await made.says("admin@x", "forget #3")).startswith("Forgotten")
        assert [rule.id for rule in (await made.store.rule_book()).rules] == [1]


async def test_who_is_named_like_a_pattern_never_gets_into_a_rule(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        await made.claimed()
        for jid in ("*@x", "*", "", "a*@x"):
            with pytest.raises(BadRequest):
                await made.may(Right.READ, jid)


async def test_the_server_itself_is_a_friend_of_every_thing(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        assert (await made.may(Right.FRIEND, SERVICE, "new@x")).allowed
        assert not (await made.may(Right.READ, SERVICE, "new@x")).allowed


# --------------------------------------------------------------------------- what follows changes


async def test_only_devices_that_a_change_can_reach_are_told(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        await made.claimed("one@x", "ann@x")
        await made.claimed("two@x", "bob@x")
        for device in ("one@x", "two@x", "three@x"):
            await made.may(Right.FRIEND, "friend@x", device)

        async def told_of(rule: Rule) -> list[str]:
            added = await made.store.add_rule(rule)
            await made.knowledge.look()
            told = sorted({notice.to.jid for notice in await made.store.notices()})
            for notice in await made.store.notices():
                await made.store.notice_done(notice.id)
            await made.store.remove_rule(added.id)
            await made.knowledge.look()
            for notice in await made.store.notices():
                await made.store.notice_done(notice.id)
            return told

        assert await told_of(Rule(Right.READ, True, owner="ann@x")) == ["one@x"]
        assert await told_of(Rule(Right.READ, True, things=("two@x",))) == ["two@x"]
        assert await told_of(Rule(Right.READ, True)) == ["one@x", "three@x", "two@x"]
        assert await told_of(Rule(Right.READ, True, owner="nobody@x")) == []


async def test_a_claim_concerns_nobody_but_the_thing(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        await made.may(Right.FRIEND, "friend@x", "other@x")
        await made.registry.register("thing@x", ITSELF, TAGS, self_owned=False)
        await made.registry.claim("ann@x", TAGS, public=True)
        await made.knowledge.look()
        assert {notice.to.jid for notice in await made.store.notices()} == {"thing@x"}


async def test_friends_are_taken_apart_by_rules_groups_and_hours(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        await made.claimed()
        by_day = Rule(Right.FRIEND, True, groups=("family",), hours=Hours(dt.time(8), dt.time(18)))
        await made.store.add_rule(by_day)
        await made.store.set_group("family", ["ann@x", "bob@x"])
        await made.knowledge.look()
        for jid in ("ann@x", "bob@x"):
            assert (await made.may(Right.FRIEND, jid)).allowed
        assert not (await made.may(Right.FRIEND, "eve@x")).allowed
        await made.changes.look_at_clock()

        async def unfriended() -> list[str]:
            found = await made.store.notices("thing@x")
            for notice in found:
                await made.store.notice_done(notice.id)
            return sorted(notice.detail["jid"] for notice in found if notice.kind == "unfriend")

        await unfriended()
        await made.store.set_group("family", ["ann@x"])
        await made.knowledge.look()
        assert await unfriended() == ["bob@x"]
        made.pass_time(hours=7)
        await made.changes.look_at_clock()
        assert await made.kinds() == ["clearCache", "unfriend"]
        assert await unfriended() == ["ann@x"]
        made.pass_time(hours=14)
        await made.changes.look_at_clock()
        assert await made.kinds() == ["clearCache"]


async def test_a_restart_tells_nobody_unless_something_has_changed(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        await made.claimed()
        await made.store.add_rule(Rule(Right.READ, True, who=("ann@x",)))
        await made.knowledge.look()
        await made.may(Right.READ, "ann@x")
    async with desk(tmp_path) as made:
        assert await made.kinds() == []
        (rule,) = made.knowledge.book.rules
    other = desk(tmp_path)
    async with other as made:
        await made.store.remove_rule(rule.id)  # and the service dies before it has looked
    async with desk(tmp_path) as made:
        assert await made.kinds() == ["clearCache"]


async def test_whom_it_asked_about_is_kept_within_a_moment_and_that_it_asked_at_once(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        for number in range(5):
            await made.may(Right.READ, f"s{number}@x")
        assert await made.store.asked_by("thing@x") == ("s0@x",)
        await made.decisions.save()
        assert len(await made.store.asked_by("thing@x")) == 5
