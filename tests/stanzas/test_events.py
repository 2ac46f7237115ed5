"""Event subscriptions in every dialect: each example of the texts, random ones, and what no decoder may fall over."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import xml.etree.ElementTree as ET
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.base import FieldSpec, ValueType
from hub.errors import BadRequest, PeerRefused, RequestError
from hub.stanzas.dialects import EVENTS, SENSOR_DATA
from hub.stanzas.errors import decode_error, encode_error
from hub.stanzas.events_xmpp import Events
from hub.things.events import Key, Subscriptions
from hub.things.model import ReadoutRequest
from hub.things.subscription import Condition, Subscription, check
from hub.things.thing import Description, Thing
from tests.stanzas import strategies as some
from tests.stanzas import vectors_events as table
from tests.stanzas.mischief import grow, nested, spoil, words
from tests.stanzas.test_published_examples import SPECS, mended, published
from tests.stanzas.vector import Vector, canonical, cases, parse, stanzas
from tests.stanzas.vectors_events import NewVector

OLD = EVENTS["urn:xmpp:iot:events"]
CASES = list(cases({"iot-events": table}))
NEW_CASES = [
    pytest.param(vector, family, id=f"{family}-{vector.name}") for vector in table.NEW_VECTORS for family in table.NEW
]
THING = Thing(Description("air", fields=tuple(FieldSpec(t.value, t) for t in ValueType)))


def read(codec: Events, kind: str, payload: ET.Element) -> Any:
    match kind:
        case "subscribe":
            return codec.decode_subscribe(payload)
        case "unsubscribe":
            return codec.decode_unsubscribe(payload)
        case _:
            assert kind == "accepted" and SENSOR_DATA[codec.sensor_data].decode_answer(payload) is None
            return payload.get("seqnr", payload.get("id"))


def write(codec: Events, kind: str, meaning: Any) -> ET.Element:
    match kind:
        case "subscribe":
            return codec.encode_subscribe(meaning)
        case "unsubscribe":
            return codec.encode_unsubscribe(meaning)
        case "accepted":
            return SENSOR_DATA[codec.sensor_data].encode_accepted(meaning, queued=False)
        case _:
            assert kind == "error"
            return encode_error(meaning[0])


@pytest.mark.parametrize(("vector", "stanza"), CASES)
def test_each_published_stanza_is_read_to_exactly_its_meaning(vector: Vector, stanza: str) -> None:
    element = parse(stanza)
    if vector.kind == "feature":
        assert [feature.get("var") for feature in element[0]] == [vector.meaning] and vector.meaning in EVENTS
    elif vector.kind == "error":
        refused = decode_error(element)
        assert isinstance(refused, PeerRefused)
        kind, found = element[0].get("type"), refused.condition
        assert (refused.text, kind, found) == (vector.meaning[0].text, *vector.meaning[1:])
    elif vector.kind == "empty":
        assert len(element) == 0
    elif vector.kind != "discovery":
        assert read(OLD, vector.kind, element[0]) == vector.meaning


@pytest.mark.parametrize(("vector", "stanza"), CASES)
def test_each_published_stanza_is_written_as_it_is(vector: Vector, stanza: str) -> None:
    assert bool(vector.because) == (vector.kind in ("discovery", "feature"))
    if vector.kind not in ("empty", "discovery", "feature"):
        assert canonical(write(OLD, vector.kind, vector.meaning)) == canonical(parse(stanza)[0])


def test_every_stanza_of_the_data_has_its_vector() -> None:
    counted = {number: len(found) for number, found in stanzas(table.FILE).items()}
    assert counted == {n: sum(1 for v in table.VECTORS if v.example == n) for n in counted}


@pytest.mark.skipif(not SPECS.is_dir(), reason="the texts of the extensions are not beside this checkout")
def test_no_example_of_the_text_is_missing() -> None:
    ours = stanzas(table.FILE)
    examples = published("iot-events")
    assert examples and sorted(ours) == list(range(1, len(examples) + 1))
    for number, text in enumerate(examples, 1):
        wanted = ET.fromstring(f"<example>{mended(number, text, table.MENDS)}</example>")
        assert [canonical(ET.fromstring(stanza)) for stanza in ours[number]] == [canonical(s) for s in wanted], number


def test_two_names_that_an_example_spells_otherwise_are_read_as_they_are_meant() -> None:
    as_printed = stanzas(table.FILE)[8][0]
    for mend in table.MENDS[:2]:
        assert mend.right in as_printed
        as_printed = as_printed.replace(mend.right, mend.wrong)
    (meaning,) = [vector.meaning for vector in table.VECTORS if vector.example == 8]
    assert OLD.decode_subscribe(ET.fromstring(as_printed)[0]) == meaning


def in_words_of(family: str, xml: str) -> ET.Element:
    return ET.fromstring(xml.replace("NS", f"urn:{family}:iot:events:1.0").replace("SD", f"urn:{family}:iot:sd:1.0"))


@pytest.mark.parametrize(("vector", "family"), NEW_CASES)
def test_the_new_dialect_is_read_and_written(vector: NewVector, family: str) -> None:
    codec = EVENTS[f"urn:{family}:iot:events:1.0"]
    assert read(codec, vector.kind, in_words_of(family, vector.xml)) == vector.meaning
    produced = write(codec, vector.kind, vector.meaning)
    assert canonical(produced) == canonical(in_words_of(family, vector.written or vector.xml))


def test_the_dialects_under_their_names() -> None:
    assert set(EVENTS) == {"urn:xmpp:iot:events", *(f"urn:{family}:iot:events:1.0" for family in table.NEW)}
    for namespace, codec in EVENTS.items():
        assert codec.namespace == namespace and codec.sensor_data in SENSOR_DATA
        assert codec.sensor_data.split(":")[1] == namespace.split(":")[1]


# --------------------------------------------------------------------------- random ones

limits = st.none() | st.decimals("0.001", 10_000, places=3)
spans = st.none() | st.timedeltas(dt.timedelta(0), dt.timedelta(days=366))


@st.composite
def subscriptions(draw: st.DrawFn, zero_nodes: bool) -> Subscription:
    request = draw(some.requests(zero_nodes))
    request = ReadoutRequest(request.id, request.nodes, request.names, request.types, tokens=request.tokens)
    currents = st.none() | (some.texts if zero_nodes else some.decimals.map(lambda number: format(number, "f")))
    conditions = [Condition(name, draw(limits), draw(limits), draw(currents)) for name in request.names]
    return Subscription(
        request, tuple(c for c in conditions if (c.up, c.down, c.current) != (None, None, None)),
        draw(spans), draw(spans), draw(spans), draw(st.booleans()),
    )  # fmt: skip


@pytest.mark.parametrize("codec", EVENTS.values(), ids=lambda codec: str(codec.namespace))
@some.quick
@given(st.data())
def test_what_is_written_is_read_again(codec: Events, data: st.DataObject) -> None:
    meaning = data.draw(subscriptions(codec is not OLD))
    element = ET.fromstring(ET.tostring(codec.encode_subscribe(meaning), encoding="unicode"))
    types = SENSOR_DATA[codec.sensor_data].decode_request(element).types  # one historical type in the new dialect
    found = codec.decode_subscribe(element)
    assert (found.conditions, found.request.nodes, found.request.names, found.request.tokens) == (
        meaning.conditions, meaning.request.nodes, meaning.request.names, meaning.request.tokens
    )  # fmt: skip
    assert (found.min_interval, found.max_interval, found.max_age, found.at_once) == (
        meaning.min_interval, meaning.max_interval, meaning.max_age, meaning.at_once
    )  # fmt: skip
    assert found.request.types == (meaning.request.types if codec is OLD else types)
    assert codec.decode_unsubscribe(codec.encode_unsubscribe(meaning.request.id)) == meaning.request.id


# --------------------------------------------------------------------------- what is wrong

SEEDS = [stanza for found in stanzas(table.FILE).values() for stanza in found]
SEEDS += [ET.tostring(in_words_of("nf", vector.xml), encoding="unicode") for vector in table.NEW_VECTORS]
TAGS, ATTRIBUTES = words(SEEDS)


def use(codec: Events, element: ET.Element) -> None:
    """As the service does, as far as it needs no stream."""
    with contextlib.suppress(RequestError):
        codec.decode_unsubscribe(element)
    with contextlib.suppress(RequestError):
        subscription = codec.decode_subscribe(element)
        ET.tostring(codec.encode_subscribe(subscription))
        check(subscription)
        engine, key = Subscriptions(), Key("a@b/c", codec.namespace, subscription.request.id)
        standing = engine.subscribe(key, subscription, subscription.request, [THING], 0.0)
        THING.measured_at({"boolean": True, "numeric": 1, "string": "x"}, dt.datetime.now(dt.UTC))
        engine.look(standing.watches.values(), 1.0)


@pytest.mark.parametrize("codec", EVENTS.values(), ids=lambda codec: str(codec.namespace))
@some.thorough
@given(st.integers(0, 2**32), st.sampled_from(SEEDS))
def test_a_spoilt_vector_has_a_meaning_or_is_refused(codec: Events, seed: int, xml: str) -> None:
    chance = random.Random(seed)
    element = ET.fromstring(xml)
    for _ in range(chance.randrange(6)):
        spoil(element, chance)
    for each in (element, *element):
        if chance.random() < 0.5:
            for one in each.iter():
                one.tag = f"{{{codec.namespace}}}" + one.tag.rpartition("}")[2]
        use(codec, each)


@pytest.mark.parametrize("codec", EVENTS.values(), ids=lambda codec: str(codec.namespace))
@some.quick
@given(st.integers(0, 2**32))
def test_any_tree_has_a_meaning_or_is_refused(codec: Events, seed: int) -> None:
    use(codec, grow(random.Random(seed), TAGS, ATTRIBUTES))


@pytest.mark.parametrize("codec", EVENTS.values(), ids=lambda codec: str(codec.namespace))
def test_depth_and_breadth_do_not_matter(codec: Events) -> None:
    for name in ("subscribe", "field", "f", "node", "nd"):
        tag = f"{{{codec.namespace}}}{name}"
        wide = ET.Element(tag, {"seqnr": "1", "id": "1"})
        wide.extend([ET.Element(tag) for _ in range(3000)])
        use(codec, wide)
        with contextlib.suppress(RequestError):
            codec.decode_subscribe(nested(tag, 5000))


FIELD, ALL = "<field name='a' {}/>", "maxInterval='PT1M' {}"


@pytest.mark.parametrize(
    ("attributes", "inner", "says"),
    [
        (ALL, FIELD.format("changedBy='0'"), "more than 0"),
        (ALL, FIELD.format("changedUp='-1'"), "more than 0"),
        (ALL, FIELD.format("changedDown='NaN'"), "is not a number"),
        (ALL, FIELD.format("changedBy='INF'"), "is not a number"),
        (ALL, FIELD.format("changedBy='1e999999'"), "is not a number"),
        (ALL, FIELD.format("changedBy=''"), "is not a number"),
        (ALL, FIELD.format("currentValue='on'"), "is not a number"),
        (ALL, FIELD.format("currentValue='" + "1" * 1001 + "'"), "at most 1000"),
        (ALL, "<field changedBy='1'/>", "lacks the attribute 'name'"),
        (ALL, FIELD.format("changedBy='1'") * 2, "conditions twice"),
        (ALL, "".join(f"<field name='{n}'/>" for n in range(201)), "at most 200 fields"),
        (ALL, "<node/>", "lacks the attribute 'nodeId'"),
        ("maxInterval='PT1M' serviceToken='" + "x" * 16_385 + "'", "", "at most 16384 characters"),
        (ALL, "<node nodeId='a' sourceId='" + "x" * 9000 + "' cacheType='" + "x" * 9000 + "'/>", "16384"),
        ("maxInterval='P1M'", "", "without years and months"),
        ("maxInterval='P1Y'", "", "without years and months"),
        ("maxInterval='PT0.9S'", "", "between 1 s and 366 days"),
        ("maxInterval='P367D'", "", "between 1 s and 366 days"),
        ("maxInterval='-PT1M'", "", "between 1 s and 366 days"),
        ("maxInterval='P99999999999D'", "", "is not a duration"),
        ("maxInterval='1'", "", "is not a duration"),
        ("maxInterval='PT1M' minInterval='-PT1S'", "", "the minimum interval lies between"),
        ("maxInterval='PT1M' minInterval='PT61S'", "", "shorter than the minimum"),
        ("maxInterval='PT1M' maxAge='-PT1S'", "", "the maximum age lies between"),
        ("maxInterval='PT1M' maxAge='P4000D'", "", "the maximum age lies between"),
        ("maxInterval='PT1M' req='maybe'", "", "is not true or false"),
        ("minInterval='PT1S'", "", "nothing would ever be sent"),
        ("", "<field name='a'/>", "nothing would ever be sent"),
        ("", FIELD.format("currentValue='1'"), "nothing would ever be sent"),
    ],
)
def test_what_makes_no_sense_is_refused_with_words(attributes: str, inner: str, says: str) -> None:
    xml = f"<subscribe xmlns='urn:xmpp:iot:events' seqnr='1' {attributes.replace('{}', '')}>{inner}</subscribe>"
    with pytest.raises(BadRequest, match=says):
        check(OLD.decode_subscribe(ET.fromstring(xml)))


def test_a_subscription_without_nodes_names_none_in_the_new_dialect() -> None:
    xml = "<subscribe xmlns='urn:nf:iot:events:1.0' id='1' maxInt='PT1M'/>"
    with pytest.raises(BadRequest, match="name those"):
        check(EVENTS["urn:nf:iot:events:1.0"].decode_subscribe(ET.fromstring(xml)))


def test_the_smallest_things_are_right() -> None:
    xml = "<subscribe xmlns='urn:xmpp:iot:events' seqnr='1'><field name='a' changedDown='0.001'/></subscribe>"
    check(found := OLD.decode_subscribe(ET.fromstring(xml)))
    assert found.conditions == (Condition("a", None, Decimal("0.001")),)
