"""XEP-0324 and the owner's hand, in raw XML, on both servers."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hub.provisioning.model import Rule, ThingId
from hub.things.questions import Right
from hub.trust.auditfiles import entries, verify
from tests.e2e.raw import CLIENT, RawClient
from tests.helpers import until

from .house import OLD, SERVICE, House, Server, body_of, claimed, hears, may, serving, told, writes

NF = "urn:nf:iot:prov:d:1.0"
TEMPERATURE = "<field name='temperature'/>"


def allowed(answer_: object) -> bool:
    return answer_.get("result") == "true"  # type: ignore[attr-defined,no-any-return]  # an Element


@pytest.mark.parametrize("namespace", [OLD, NF])
async def test_everybody_is_refused_until_a_thing_is_claimed_and_then_its_owner_is_not(
    house: House, namespace: str
) -> None:
    async with house.client("thing") as thing, house.client("owner") as owner:
        assert not allowed(await may(thing, "isFriend", "owner@localhost", namespace=namespace))
        assert not allowed(await may(thing, "canRead", "thing@localhost", namespace=namespace))
        assert allowed(await may(thing, "isFriend", SERVICE, namespace=namespace)), "but its own server"
        await claimed(thing, owner)
        for what in ("isFriend", "canRead", "canControl"):
            assert allowed(await may(thing, what, "Owner@localhost/phone", namespace=namespace)), what
            assert not allowed(await may(thing, what, "stranger@localhost", namespace=namespace)), what


async def test_what_a_rule_allows_is_narrowed_and_taken_back_with_it(house: House) -> None:
    async with house.client("thing") as thing, house.client("owner") as owner:
        await claimed(thing, owner)
        await may(thing, "isFriend", "reader@localhost")
        store = house.running.store
        read = await store.add_rule(Rule(Right.READ, True, who=("reader@localhost",), names=("temperature",)))
        know = await store.add_rule(Rule(Right.FRIEND, True, who=("*@localhost",)))
        await told(thing, "clearCache", answer=f"<clearCacheResponse xmlns='{OLD}'/>")
        question = "<node nodeId='air'/><field name='temperature'/><field name='humidity'/>"
        answer = await may(thing, "canRead", "reader@localhost", question)
        assert allowed(answer) and [c.get("name") for c in answer if c.tag.endswith("field")] == ["temperature"]
        assert allowed(await may(thing, "isFriend", "reader@localhost"))

        for rule in (read, know):
            await store.remove_rule(rule.id)
        await told(thing, "clearCache")
        message = await thing.take(lambda s: s.find(f"{{{OLD}}}unfriend") is not None, "to unfriend")
        assert message.find(f"{{{OLD}}}unfriend").get("jid") == "reader@localhost"  # type: ignore[union-attr]
        assert not allowed(await may(thing, "canRead", "reader@localhost", question))


async def test_a_change_that_was_made_while_the_service_was_away_is_told(server: Server, tmp_path: Path) -> None:
    async with server.client("thing") as thing, server.client("owner") as owner:
        async with serving(server, tmp_path) as first:
            await claimed(thing, owner)
            await may(thing, "isFriend", "reader@localhost")
            store = first.store
        await store.open()
        await store.add_rule(Rule(Right.FRIEND, True, who=("reader@localhost",)))
        await store.close()
        async with serving(server, tmp_path):
            await told(thing, "clearCache")
            assert allowed(await may(thing, "isFriend", "reader@localhost"))


async def test_the_owner_is_asked_and_his_word_becomes_a_rule(house: House) -> None:
    async with house.client("thing") as thing, house.client("owner") as owner:
        owner.write("<presence/>")
        await claimed(thing, owner)
        assert not allowed(await may(thing, "canRead", "reader@localhost", "<node nodeId='air'/>" + TEMPERATURE))
        question = await hears(owner, "reader@localhost wants to read temperature of thing@localhost (air)")
        assert question.get("type") == "chat" and question.find("{jabber:x:data}x") is not None
        assert not allowed(await may(thing, "canRead", "reader@localhost", TEMPERATURE)), "he is asked once"
        writes(owner, "Always", question.findtext(f"{CLIENT}thread") or "")
        assert "Rule 1:" in body_of(await hears(owner, "reader@localhost may read"))
        await told(thing, "clearCache")
        assert allowed(await may(thing, "canRead", "reader@localhost", "<node nodeId='air'/>" + TEMPERATURE))
        assert len(house.running.knowledge.book.rules) == 1

        writes(owner, "rules")
        await hears(owner, "1: reader@localhost may read thing@localhost (air)")
        writes(owner, "things")
        assert "4857402340298342" not in body_of(await hears(owner, "thing@localhost (public): MAN www.example.org"))
        writes(owner, "forget 1")
        await hears(owner, "Forgotten: reader@localhost may read")
        await told(thing, "clearCache")
        assert not allowed(await may(thing, "canRead", "reader@localhost", "<node nodeId='air'/>" + TEMPERATURE))


def submitted(question: str, answer: str) -> str:
    fields = {"FORM_TYPE": "urn:xmpp-iot-hub:owner", "question": question, "answer": answer}
    inside = "".join(f"<field var='{var}'><value>{value}</value></field>" for var, value in fields.items())
    return f"<message to='{SERVICE}'><x xmlns='jabber:x:data' type='submit'>{inside}</x></message>"


async def asked(owner: RawClient, part: str) -> str:
    """The number of the question."""
    form = (await hears(owner, part)).find("{jabber:x:data}x")
    assert form is not None
    field = next(field for field in form if field.get("var") == "question")
    return field[0].text or ""


async def test_the_owner_answers_by_form_for_one_field_only(house: House) -> None:
    async with house.client("thing") as thing, house.client("owner") as owner:
        owner.write("<presence/>")
        await claimed(thing, owner)
        await may(thing, "canControl", "reader@localhost", "<node nodeId='pump'/><parameter name='output'/>")
        owner.write(submitted(await asked(owner, "reader@localhost wants to set output of thing@localhost"), "field"))
        await hears(owner, "Rule 1: reader@localhost may set output of thing@localhost (pump)")
        await told(thing, "clearCache")
        both = "<node nodeId='pump'/><parameter name='output'/><parameter name='speed'/>"
        answer = await may(thing, "canControl", "reader@localhost", both)
        assert [child.get("name") for child in answer if child.tag.endswith("parameter")] == ["output"]


async def test_once_is_once(house: House) -> None:
    async with house.client("thing") as thing, house.client("owner") as owner:
        owner.write("<presence/>")
        await claimed(thing, owner)
        await may(thing, "canRead", "reader@localhost", TEMPERATURE)
        writes(owner, await asked(owner, "wants to read") + " once")
        await hears(owner, "Allowed once")
        await told(thing, "clearCache")
        assert allowed(await may(thing, "canRead", "reader@localhost", TEMPERATURE))
        assert not allowed(await may(thing, "canRead", "reader@localhost", TEMPERATURE))
        await told(thing, "clearCache")  # the thing must not remember what was allowed once
        assert await asked(owner, "wants to read") == "2"


async def test_two_things_that_may_know_each_other_are_introduced(house: House) -> None:
    async with house.client("thing") as thing, house.client("rack") as rack, house.client("owner") as owner:
        owner.write("<presence/>")
        await claimed(thing, owner)
        await may(rack, "isFriend", "somebody@localhost")  # so it trusts this service
        await may(thing, "isFriend", "rack@localhost")
        writes(owner, await asked(owner, "rack@localhost wants to know thing@localhost") + " always")
        for client, other in ((thing, "rack@localhost"), (rack, "thing@localhost")):
            message = await client.take(lambda s: s.find(f"{{{OLD}}}friend") is not None, "a recommendation")
            assert message.find(f"{{{OLD}}}friend").get("jid") == other  # type: ignore[union-attr]


async def test_nobody_answers_for_the_owner(house: House) -> None:
    async with house.client("thing") as thing, house.client("owner") as owner, house.client("reader") as reader:
        owner.write("<presence/>")
        reader.write("<presence/>")
        await claimed(thing, owner)
        await may(thing, "canRead", "reader@localhost", TEMPERATURE)
        number = await asked(owner, "wants to read")
        for text in ("always", f"{number} always", "rules", "help"):
            writes(reader, text)
        reader.write(submitted(number, "always"))
        await may(thing, "canRead", "reader@localhost", TEMPERATURE)  # behind them, in order
        assert house.running.knowledge.book.rules == ()
        assert [s for s in reader.pending if s.tag == f"{CLIENT}message" and s.get("from") == SERVICE] == []


async def test_who_is_named_like_a_pattern_is_nobody(house: House) -> None:
    async with house.client("thing") as thing, house.client("owner") as owner:
        await claimed(thing, owner)
        for jid in ("*@localhost", "*"):
            iq = await thing.ask(SERVICE, "get", f"<canRead xmlns='{OLD}' jid='{jid}'/>")
            assert iq.get("type") == "error"
        assert await house.running.store.items("questions owner@localhost") == {}


async def test_every_decision_is_in_a_log_that_can_be_checked(server: Server, tmp_path: Path) -> None:
    async with server.client("thing") as thing, server.client("owner") as owner, serving(server, tmp_path):
        await claimed(thing, owner)
        await may(thing, "canRead", "owner@localhost", TEMPERATURE)
        await may(thing, "canRead", "reader@localhost", TEMPERATURE)
    log = tmp_path / "audit.jsonl"
    found = [(entry.who, entry.what, entry.answer) for entry in entries(log)]
    assert ("owner@localhost", "claim thing@localhost", "public") in found
    assert ("owner@localhost", "read thing@localhost: temperature", "allowed") in found
    assert ("reader@localhost", "read thing@localhost: temperature", "refused") in found
    assert not verify(log).broken


async def test_a_notice_is_sent_by_one_of_two_instances(house: House) -> None:
    """Both have the store; ejabberd would even let both be the component."""
    store = house.running.store
    await store.add_notices([ThingId("away@localhost")], "clearCache", {})
    (notice,) = await store.notices("away@localhost")
    leases = await asyncio.gather(*(store.lease_notice(notice.id, 10) for _ in range(3)))
    assert sorted(leases) == [False, False, True]
    assert await store.lease_notice(notice.id, 0) and await store.lease_notice(notice.id, 10)
    await store.notice_done(notice.id)
    assert not await store.lease_notice(notice.id, 10)


async def test_a_rule_from_elsewhere_counts_soon(house: House) -> None:
    """What another instance or the command line adds."""
    async with house.client("thing") as thing, house.client("owner") as owner:
        await claimed(thing, owner)
        await may(thing, "canRead", "reader@localhost")
        await house.running.store.add_rule(Rule(Right.READ, True, who=("reader@localhost",)))
        await until(lambda: len(house.running.knowledge.book.rules) == 1, "it was noticed", timeout=5)
        assert allowed(await may(thing, "canRead", "reader@localhost"))
