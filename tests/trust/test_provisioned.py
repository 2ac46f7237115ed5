"""The judge that asks: what it asks about, what it makes of answers, and what it does without one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.base import FieldSpec, ParameterSpec, ValueType
from hub.errors import BadRequest, Forbidden, PeerSilent
from hub.stanzas import bounded
from hub.things.model import Assignment, Command, FieldTypes, NodeRef, ReadoutRequest, Tokens
from hub.things.questions import REFUSED, Question, Right, Verdict, narrowed_to
from hub.things.thing import Description, Thing
from hub.trust.access import FormScope
from hub.trust.cache import VerdictCache
from hub.trust.provisioned import (
    CACHE,
    ITSELF,
    MAX_ASKED,
    OFFLINE,
    SERVER,
    UNCLAIMED,
    Provisioned,
    Trust,
    most_forgiving,
)

HOME, OTHER = "provisioning.example.org", "other.example.org"
OWNER, READER = "owner@example.org", "reader@example.org"
AIR, PUMP, LAMP = NodeRef("air"), NodeRef("pump"), NodeRef("lamp")
NODES, FIELDS = (AIR, PUMP, LAMP), ("temperature", "humidity", "output", "level")
WHOLE = Verdict(True)


def thing(name: str, fields: Sequence[str], parameters: Sequence[str] = ()) -> Thing:
    return Thing(Description(
        name, fields=tuple(FieldSpec(field, ValueType.NUMERIC) for field in fields),
        parameters=tuple(ParameterSpec(parameter, ValueType.BOOLEAN) for parameter in parameters),
    ))  # fmt: skip


THINGS = {
    "air": thing("air", ["temperature", "humidity"]),
    "pump": thing("pump", ["output"], ["output"]),
    "lamp": thing("lamp", ["output", "level"], ["output", "level"]),
}


class Scripted:
    """Servers that answer as the test says: a verdict, or None for silence."""

    def __init__(self, **answers: Verdict | None) -> None:
        self.answers: dict[str, Verdict | None] = {}
        self.asked: list[tuple[str, Question]] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def ask(self, question: Question, servers: Sequence[str]) -> Mapping[str, Verdict]:
        self.asked += [(server, question) for server in servers]
        self.meanwhile()
        answers = {server: self.answers.get(server) for server in servers}
        return {server: verdict for server, verdict in answers.items() if verdict is not None}

    @property
    def questions(self) -> list[Question]:
        return [question for _, question in self.asked]


class Site:
    """A judge with everything around it."""

    def __init__(self, answer: Verdict | None = WHOLE, *, owner: str = OWNER, servers: tuple[str, ...] = (HOME,),
                 lenient: tuple[str, ...] = ()) -> None:  # fmt: skip
        self.servers = Scripted()
        self.servers.answers = dict.fromkeys(servers, answer)
        self.trust = Trust(servers, "registry.example.org", owner)
        self.cache = VerdictCache(None, 100)
        self.noted: list[tuple[Question, Verdict, str]] = []
        self.judge = Provisioned(THINGS, self.trust, self.cache, self.servers.ask, lambda name: name in lenient,
                                 lambda *said: self.noted.append(said))  # fmt: skip

    @property
    def sources(self) -> list[str]:
        return [source for _, _, source in self.noted]


def reading(
    nodes: tuple[NodeRef, ...] | None = None, names: tuple[str, ...] = (), types: FieldTypes = FieldTypes.MOMENTARY
) -> ReadoutRequest:
    return ReadoutRequest("1", nodes, names, types)


def setting(nodes: tuple[NodeRef, ...] | None, *names: str) -> Command:
    return Command(nodes, tuple(Assignment(name, "true", None) for name in names))


# --------------------------------------------------------------------------- what it asks


async def test_an_open_readout_is_asked_about_by_name() -> None:
    site = Site()
    request = reading(types=FieldTypes.ALL)
    assert await site.judge.may_read("Reader@example.org/phone", request) is request
    assert site.servers.questions == [Question(Right.READ, READER, NODES, FIELDS, FieldTypes.ALL)]


async def test_named_nodes_bring_their_own_fields_only() -> None:
    site = Site()
    await site.judge.may_read(READER, reading((PUMP, AIR, PUMP)))
    assert site.servers.questions[0].nodes == (PUMP, AIR)
    assert site.servers.questions[0].names == ("output", "temperature", "humidity")


async def test_tokens_go_along() -> None:
    site = Site()
    shown = Tokens("service", "device", "user")
    await site.judge.may_read(READER, replace(reading(), tokens=shown))
    await site.judge.may_control(READER, replace(setting((PUMP,), "output"), tokens=shown))
    await site.judge.may_see_form(READER, (LAMP,), shown)
    assert [question.tokens for question in site.servers.questions] == [shown] * 3


async def test_a_node_cannot_be_disguised_as_another() -> None:
    """A rule about `pump` must reach `pump` whatever source a caller says it is from."""
    site = Site(Verdict(True, (AIR,)))
    disguised = NodeRef("pump", "elsewhere", "x")
    left = await site.judge.may_read(READER, reading((disguised, AIR)))
    assert site.servers.questions[0].nodes == (PUMP, AIR)
    assert left.nodes == (AIR,)
    with pytest.raises(Forbidden):
        await site.judge.may_control(READER, setting((disguised,), "output"))


async def test_a_command_without_a_node_is_about_what_can_be_controlled() -> None:
    site = Site()
    with pytest.raises(BadRequest, match="say which node: pump, lamp"):
        await site.judge.may_control(READER, setting(None, "output"))
    assert site.servers.questions == [Question(Right.CONTROL, READER, (PUMP, LAMP), ("output",))]


async def test_what_is_left_of_several_is_not_the_one_that_was_meant() -> None:
    site = Site(Verdict(True, (LAMP,)))
    with pytest.raises(BadRequest, match=r"^say which node: lamp$"):
        await site.judge.may_control(READER, setting(None, "output"))
    with pytest.raises(BadRequest, match=r"^say which node: lamp$"):
        await site.judge.may_see_form(READER, None, Tokens())


async def test_the_only_one_needs_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    site.judge = Provisioned({"pump": THINGS["pump"]}, site.trust, site.cache, site.servers.ask)
    command = setting(None, "output")
    assert await site.judge.may_control(READER, command) is command
    assert await site.judge.may_see_form(READER, None, Tokens()) == FormScope(None)


async def test_friends_are_asked_for_by_bare_address() -> None:
    site = Site()
    assert await site.judge.may_follow("Reader@Example.org/x")
    assert await site.judge.may_know(READER)
    assert site.servers.questions == [Question(Right.FRIEND, READER)]
    assert site.sources == [SERVER, CACHE]


# --------------------------------------------------------------------------- what it makes of answers


@pytest.mark.parametrize(("verdict", "nodes", "names"), [
    (Verdict(True, (AIR, PUMP)), (AIR, PUMP), ()),
    (Verdict(True, None, ("output",)), None, ("output",)),
    (Verdict(True, (AIR,), ("temperature", "output")), (AIR,), ("temperature",)),
    (Verdict(True, (AIR, NodeRef("secret"))), (AIR,), ()),
])  # fmt: skip
async def test_an_open_readout_is_narrowed(
    verdict: Verdict, nodes: tuple[NodeRef, ...], names: tuple[str, ...]
) -> None:
    left = await Site(verdict).judge.may_read(READER, reading())
    assert (left.nodes, left.names) == (nodes, names)


async def test_a_readout_that_names_fields_is_narrowed_to_those_that_are_left_and_there() -> None:
    site = Site(Verdict(True, (AIR,)))
    left = await site.judge.may_read(READER, reading(None, ("temperature", "output")))
    assert (left.nodes, left.names) == ((AIR,), ("temperature",))
    with pytest.raises(Forbidden):
        await site.judge.may_read(READER, reading(None, ("output",)))


async def test_field_types_are_narrowed() -> None:
    left = await Site(Verdict(True, types=FieldTypes.MOMENTARY)).judge.may_read(READER, reading(types=FieldTypes.ALL))
    assert (left.types, left.nodes, left.names) == (FieldTypes.MOMENTARY, None, ())


async def test_a_command_is_narrowed_in_nodes_and_parameters() -> None:
    site = Site(Verdict(True, (LAMP,), ("level",)))
    left = await site.judge.may_control(READER, setting((PUMP, LAMP), "output", "level"))
    assert left.nodes == (LAMP,)
    assert [assignment.name for assignment in left.assignments] == ["level"]


async def test_a_form_shows_what_may_be_set() -> None:
    site = Site(Verdict(True, (LAMP,), ("level",)))
    assert await site.judge.may_see_form(READER, (PUMP, LAMP), Tokens()) == FormScope((LAMP,), ("level",))


async def test_who_may_have_only_a_part_may_not_watch() -> None:
    site = Site()
    assert await site.judge.may_watch(READER, "air")
    assert not await site.judge.may_watch(READER, "nothing")
    assert site.servers.questions == [
        Question(Right.READ, READER, (AIR,), ("temperature", "humidity"), FieldTypes.MOMENTARY)
    ]
    site = Site(Verdict(True, None, ("temperature",)))
    assert not await site.judge.may_watch(READER, "air")
    assert not await site.judge.may_stay(READER, "air")


@pytest.mark.parametrize("verdict", [
    REFUSED, Verdict(True, (NodeRef("secret"),)), Verdict(True, None, ("secret",)), Verdict(True, ()),
    Verdict(True, types=FieldTypes.HISTORICAL),
])  # fmt: skip
async def test_nothing_left_is_a_refusal(verdict: Verdict) -> None:
    with pytest.raises(Forbidden, match="Access denied"):
        await Site(verdict).judge.may_read(READER, reading())
    if not verdict.types:
        with pytest.raises(Forbidden, match="Access denied"):
            await Site(verdict).judge.may_control(READER, setting((PUMP,), "output"))


some_nodes = st.none() | st.lists(st.sampled_from([*NODES, NodeRef("x"), NodeRef("air", "s")]), max_size=4).map(tuple)
some_names = st.lists(st.sampled_from([*FIELDS, "x"]), max_size=4, unique=True).map(tuple)
some_types = st.sampled_from([FieldTypes.MOMENTARY, FieldTypes.PRESENT, FieldTypes.ALL])
verdicts = st.builds(Verdict, st.booleans(), some_nodes, some_names, some_types)


def pairs(nodes: tuple[NodeRef, ...] | None, names: tuple[str, ...]) -> set[tuple[str, str]]:
    chosen = THINGS if nodes is None else {node.node_id for node in nodes}
    return {(name, field) for name in chosen if name in THINGS for field in THINGS[name].specs
            if not names or field in names}  # fmt: skip


@given(some_nodes, some_names, some_types, verdicts)
async def test_a_readout_never_grows(
    nodes: tuple[NodeRef, ...] | None, names: tuple[str, ...], types: FieldTypes, verdict: Verdict
) -> None:
    """What may be read is what was asked and what was allowed, pair by pair, and all of it."""
    request = reading(nodes, names, types=types)
    try:
        left = await Site(verdict).judge.may_read(READER, request)
    except Forbidden:
        found = set()
    else:
        found = pairs(left.nodes, left.names)
        assert left.types == types & verdict.types
    asked = pairs(nodes, names) if nodes != () else set()
    said = verdict.nodes and tuple(node for node in verdict.nodes if not node.source_id)  # others are not ours
    allowed = asked & pairs(said, verdict.names) if verdict.allowed and types & verdict.types else set()
    assert found == allowed


# --------------------------------------------------------------------------- several servers


MOST = [
    ([REFUSED, WHOLE], WHOLE),
    ([Verdict(True, (AIR,)), Verdict(True, (AIR, PUMP)), REFUSED], Verdict(True, (AIR, PUMP))),
    ([Verdict(True, (NodeRef("x"), NodeRef("y"), NodeRef("z"))), Verdict(True, (AIR,))], Verdict(True, (AIR,))),
    ([Verdict(True, (AIR,), ("output",)), Verdict(True, None, ("output",))], Verdict(True, None, ("output",))),
    ([], REFUSED),
]


@pytest.mark.parametrize(("verdicts", "best"), MOST)
def test_the_most_forgiving_counts(verdicts: list[Verdict], best: Verdict) -> None:
    question = Question(Right.READ, READER, NODES, FIELDS, FieldTypes.PRESENT)
    assert most_forgiving(question, verdicts) == narrowed_to(question, best)
    assert most_forgiving(question, reversed(verdicts)) == narrowed_to(question, best)


async def test_several_servers_are_asked_and_each_is_remembered() -> None:
    site = Site(None, servers=(HOME, OTHER))
    site.servers.answers = {HOME: REFUSED, OTHER: WHOLE}
    assert await site.judge.may_follow(READER)
    assert [server for server, _ in site.servers.asked] == [HOME, OTHER]
    assert await site.judge.may_follow(READER)
    assert len(site.servers.asked) == 2


async def test_one_that_was_silent_is_asked_again_while_the_others_only_refuse() -> None:
    site = Site(None, servers=(HOME, OTHER))
    site.servers.answers = {HOME: REFUSED, OTHER: None}
    assert not await site.judge.may_follow(READER)
    site.servers.answers[OTHER] = WHOLE
    assert await site.judge.may_follow(READER)
    assert [server for server, _ in site.servers.asked] == [HOME, OTHER, OTHER]


async def test_who_is_allowed_everything_by_one_needs_no_other() -> None:
    site = Site(None, servers=(HOME, OTHER))
    site.cache.put(HOME, Question(Right.FRIEND, READER), WHOLE)
    assert await site.judge.may_follow(READER)
    assert site.servers.asked == []


# --------------------------------------------------------------------------- the cache


async def test_what_is_known_is_not_asked() -> None:
    site = Site(Verdict(True, (AIR,)))
    first = await site.judge.may_read(READER, reading())
    site.servers.answers[HOME] = None
    assert await site.judge.may_read(READER, reading()) == first
    assert len(site.servers.asked) == 1
    site.cache.clear()
    with pytest.raises(Forbidden):
        await site.judge.may_read(READER, reading())


async def test_an_answer_that_is_overtaken_counts_for_the_one_who_waits_and_is_not_remembered() -> None:
    """An owner who allows once: the answer, and right behind it the word to forget it."""
    site = Site()
    site.servers.meanwhile = site.cache.clear
    assert await site.judge.may_follow(READER)
    assert len(site.cache) == 0
    site.servers.answers[HOME] = REFUSED
    assert not await site.judge.may_follow(READER)


async def test_what_was_remembered_does_not_outlive_the_word_to_forget_it() -> None:
    site = Site(None, servers=(HOME, OTHER))
    site.cache.put(HOME, Question(Right.READ, READER, NODES, FIELDS, FieldTypes.MOMENTARY), Verdict(True, (AIR,)))
    site.servers.answers[OTHER] = REFUSED
    site.servers.meanwhile = site.cache.clear
    with pytest.raises(Forbidden):
        await site.judge.may_read(READER, reading())


async def test_an_answer_to_a_hub_that_was_disowned_meanwhile_does_not_count() -> None:
    site = Site()

    def disowned() -> None:
        site.trust.owner = ""

    site.servers.meanwhile = disowned
    assert not await site.judge.may_follow(READER)
    assert len(site.cache) == 0


async def test_an_answer_of_a_server_that_is_trusted_no_more_does_not_count() -> None:
    site = Site()

    def replaced() -> None:
        site.trust.servers = (OTHER,)

    site.servers.meanwhile = replaced
    assert not await site.judge.may_follow(READER)


async def test_without_servers_nobody_is_allowed() -> None:
    assert not await Site(servers=()).judge.may_follow(READER)


# --------------------------------------------------------------------------- no owner, no answer


async def test_a_hub_without_an_owner_refuses_everybody_and_asks_nobody() -> None:
    site = Site(owner="", lenient=tuple(THINGS))
    site.cache.put(HOME, Question(Right.FRIEND, READER), WHOLE)
    for caller in (READER, OWNER, "", "a@b/c"):
        with pytest.raises(Forbidden):
            await site.judge.may_read(caller, reading())
        with pytest.raises(Forbidden):
            await site.judge.may_control(caller, setting((PUMP,), "output"))
        with pytest.raises(Forbidden):
            await site.judge.may_see_form(caller, (PUMP,), Tokens())
        assert not await site.judge.may_follow(caller)
        assert not await site.judge.may_know(caller)
        assert not await site.judge.may_watch(caller, "air")
        assert not await site.judge.may_stay(caller)
    assert site.servers.asked == []
    assert set(site.sources) == {UNCLAIMED}


@pytest.mark.parametrize("owner", ["", OWNER])
@pytest.mark.parametrize("server", [HOME, "registry.example.org", HOME + "/x"])
async def test_its_servers_may_know_it_and_nothing_else(owner: str, server: str) -> None:
    site = Site(REFUSED, owner=owner)
    assert await site.judge.may_follow(server)
    assert await site.judge.may_stay(server)
    assert set(site.sources) == {ITSELF}
    with pytest.raises(Forbidden):
        await site.judge.may_read(server, reading())


async def test_without_a_sender_nothing_is_allowed() -> None:
    site = Site()
    assert not await site.judge.may_follow("")
    assert not await site.judge.may_follow("/resource")
    assert site.servers.asked == []


async def test_without_an_answer_everybody_is_refused() -> None:
    site = Site(None)
    for caller in (OWNER, READER):
        with pytest.raises(Forbidden):
            await site.judge.may_read(caller, reading())
        assert not await site.judge.may_follow(caller)
    assert len(site.cache) == 0, "silence is no verdict"
    assert set(site.sources) == {OFFLINE}


async def test_without_an_answer_the_owner_has_what_a_lenient_thing_gives() -> None:
    site = Site(None, lenient=("pump",))
    left = await site.judge.may_read(OWNER + "/phone", reading())
    assert (left.nodes, left.names) == ((PUMP,), ())
    command = setting((PUMP,), "output")
    assert await site.judge.may_control(OWNER, command) is command
    with pytest.raises(Forbidden):
        await site.judge.may_control(OWNER, setting((LAMP,), "output"))
    assert await site.judge.may_follow(OWNER)
    assert not await site.judge.may_follow(READER)
    with pytest.raises(Forbidden):
        await site.judge.may_read(READER, reading())
    site.servers.answers[HOME] = REFUSED
    with pytest.raises(Forbidden):
        await site.judge.may_control(OWNER, command)
    assert len(site.cache) == 1


async def test_silence_takes_nothing_away_from_those_who_follow() -> None:
    site = Site(None)
    with pytest.raises(PeerSilent, match=READER):
        await site.judge.may_stay(READER)
    with pytest.raises(PeerSilent, match=READER):
        await site.judge.may_stay(READER, "air")
    assert not await site.judge.may_stay(READER, "nothing")
    site.servers.answers[HOME] = REFUSED
    assert not await site.judge.may_stay(READER)
    site.servers.answers[HOME] = WHOLE
    assert await site.judge.may_stay("other@example.org")


async def test_every_decision_is_told_with_what_is_left() -> None:
    site = Site(Verdict(True, (AIR,)))
    await site.judge.may_read(READER, reading())
    ((question, left, source),) = site.noted
    assert (question.nodes, left.nodes, source) == (NODES, (AIR,), SERVER)


# --------------------------------------------------------------------------- after a power cut


async def test_two_hundred_hubs_that_start_at_once_ask_their_caches_and_not_the_server(tmp_path: Path) -> None:
    """None of them has closed its cache."""
    servers = Scripted()
    servers.answers[HOME] = Verdict(True, nodes=(AIR,))
    trust = Trust((HOME,), owner=OWNER)

    async def asked_of_all() -> list[ReadoutRequest]:
        judges = [Provisioned(THINGS, trust, VerdictCache(tmp_path / f"{number}.verdicts", 100, HOME), servers.ask)
                  for number in range(200)]  # fmt: skip
        return await asyncio.gather(*(judge.may_read(READER, reading()) for judge in judges))

    first = await asked_of_all()
    assert len(servers.asked) == 200
    assert await asked_of_all() == first
    assert len(servers.asked) == 200, "nobody asked again"


# --------------------------------------------------------------------------- more than fits into a question


@pytest.mark.parametrize(("answers", "left"), [
    ([WHOLE, WHOLE, WHOLE], (2500, ("level", "output"))),
    ([WHOLE, REFUSED, WHOLE], (1500, ("level", "output"))),
    ([WHOLE, Verdict(True, names=("output",)), WHOLE], (2500, ("output",))),
    ([Verdict(True, names=("level",)), Verdict(True, names=("output",)), WHOLE], None),
    ([REFUSED, REFUSED, REFUSED], None),
    ([WHOLE, None, WHOLE], (1500, ("level", "output"))),
])  # fmt: skip
async def test_a_hub_with_more_things_asks_in_parts_and_never_reads_more_than_each_allows(
    answers: list[Verdict | None], left: tuple[int, tuple[str, ...]] | None
) -> None:
    assert MAX_ASKED == bounded.MAX_NODES
    things = {f"t{n}": thing(f"t{n}", ["level", "output"]) for n in range(2500)}
    asked: list[Question] = []

    async def ask(question: Question, servers: Sequence[str]) -> Mapping[str, Verdict]:
        asked.append(question)
        answer = answers[int((question.nodes or ())[0].node_id[1:]) // 1000]
        return {} if answer is None else {servers[0]: answer}

    judge = Provisioned(things, Trust((HOME,), "", OWNER), VerdictCache(None, 100), ask)
    for _ in range(2):
        if left is None:
            with pytest.raises(Forbidden):
                await judge.may_read(READER, reading())
        else:
            request = await judge.may_read(READER, reading())
            nodes, names = request.nodes or tuple(NodeRef(name) for name in things), request.names or left[1]
            assert (len(nodes), names) == left
    assert [len(question.nodes or ()) for question in asked[:3]] == [1000, 1000, 500]
    assert len(asked) == (3 if None not in answers else 4), "each part is remembered by itself"


# --------------------------------------------------------------------------- what is at hand

VERDICTS = [WHOLE, REFUSED, Verdict(True, (AIR,)), Verdict(True, names=("output",)),
            Verdict(True, (AIR, PUMP), ("temperature",), FieldTypes.MOMENTARY)]  # fmt: skip
REQUESTS = [reading(), reading((AIR,)), reading(names=("output",)), reading((AIR, LAMP), ("temperature",)),
            reading((PUMP, AIR, PUMP)), reading(()), reading(types=FieldTypes.ALL)]  # fmt: skip


@given(st.lists(st.one_of(
    st.tuples(st.just("ask"), st.integers(0, 6), st.sampled_from([READER, OWNER])),
    st.tuples(st.just("answer"), st.integers(0, 4), st.sampled_from([HOME, OTHER])),
    st.tuples(st.just("clear"), st.just(0), st.just("")),
    st.tuples(st.just("owner"), st.integers(0, 1), st.just("")),
    st.tuples(st.just("servers"), st.integers(0, 1), st.just("")),
    st.tuples(st.just("things"), st.integers(0, 2), st.just("")),
), max_size=40))  # fmt: skip
async def test_what_is_at_hand_is_what_would_be_decided_anew(steps: list[tuple[str, int, str]]) -> None:
    site = Site(servers=(HOME, OTHER))
    things = dict(THINGS)
    site.judge = Provisioned(things, site.trust, site.cache, site.servers.ask)

    async def outcome(judge: Provisioned, number: int, who: str) -> object:
        try:
            return await judge.may_read(who, REQUESTS[number])
        except Forbidden as refusal:
            return type(refusal)

    for step, number, of in steps:
        match step:
            case "ask":
                for _ in range(2):
                    found = await outcome(site.judge, number, of)
                    anew = Provisioned(things, site.trust, site.cache, site.servers.ask)
                    assert found == await outcome(anew, number, of)
            case "answer":
                site.servers.answers[of] = VERDICTS[number]
            case "clear":
                site.cache.clear()
            case "owner":
                site.trust.owner = ("", OWNER)[number]
            case "servers":
                site.trust.servers = ((HOME,), (HOME, OTHER))[number]
            case "things":
                name = ("air", "pump", "lamp")[number]
                if things.pop(name, None) is None:
                    things[name] = thing(name, ["temperature", "output"])


async def test_what_is_at_hand_is_noted_and_its_tokens_too() -> None:
    site, shown = Site(), list[Tokens]()
    site.judge = Provisioned(THINGS, site.trust, site.cache, site.servers.ask,
                             note=lambda *said: site.noted.append(said), shown=lambda tokens, _: shown.append(tokens))
    request = replace(reading(), tokens=Tokens(device="T"))
    for _ in range(4):
        await site.judge.may_read(READER, request)
    assert site.sources == [SERVER, CACHE, CACHE, CACHE] and shown == [Tokens(device="T")] * 4
    assert len({question for question, *_ in site.noted}) == 1


def _another_answer(site: Site, _: dict[str, Thing]) -> None:
    site.servers.answers = dict.fromkeys((HOME, OTHER), REFUSED)
    site.cache.clear()


def _no_owner(site: Site, _: dict[str, Thing]) -> None:
    site.trust.owner = ""


def _another_server(site: Site, _: dict[str, Thing]) -> None:
    site.servers.answers[OTHER] = REFUSED
    site.trust.servers = (OTHER,)


def _less_things(_: Site, things: dict[str, Thing]) -> None:
    del things["air"]


def _other_fields(_: Site, things: dict[str, Thing]) -> None:
    things["air"].describe(Description("air", fields=(FieldSpec("pressure", ValueType.NUMERIC),)))


@pytest.mark.parametrize("count", [3, MAX_ASKED + 1])
@pytest.mark.parametrize("change", [_another_answer, _no_owner, _another_server, _less_things, _other_fields])
async def test_what_is_at_hand_ends_with_what_it_came_from(
    change: Callable[[Site, dict[str, Thing]], None], count: int
) -> None:
    site = Site(Verdict(True, (AIR,), ("temperature",)))
    things = {"air": thing("air", ["temperature", "humidity"])}
    things |= {f"t{n}": thing(f"t{n}", ["level"]) for n in range(1, count)}
    site.judge = Provisioned(things, site.trust, site.cache, site.servers.ask)
    for _ in range(4):
        left = await site.judge.may_read(READER, reading())
        assert (left.nodes, left.names) == ((AIR,), ("temperature",))
    change(site, things)
    with pytest.raises(Forbidden):
        await site.judge.may_read(READER, reading())
