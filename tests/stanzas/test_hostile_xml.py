"""Whatever a peer sends, a decoder gives a meaning or says BadRequest: nothing else comes out of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.base import DeviceError, ParameterSpec, ValueType
from hub.errors import BadRequest, RequestError
from hub.stanzas import forms
from hub.stanzas.control_xmpp import Control
from hub.stanzas.dialects import CONTROL, SENSOR_DATA, SensorDataCodec
from hub.stanzas.errors import decode_error, encode_error
from hub.things.control import plan
from hub.things.model import Answer, Assignment, Reading, ReadoutRequest
from hub.things.readout import addressed, check, collect, parts
from hub.things.thing import Description, Thing
from hub.things.values import parse_text, to_text
from tests.stanzas import strategies as some
from tests.stanzas import vectors_new_dialect, vectors_xep0323, vectors_xep0325
from tests.stanzas.mischief import grow, nested, spoil, words
from tests.stanzas.vector import parse, stanzas

THING = Thing(Description("air", parameters=(
    ParameterSpec("Output", ValueType.NUMERIC, minimum=0, maximum=100),
    ParameterSpec("P", ValueType.STRING, options=("auto",)),
)))  # fmt: skip
THINGS = {"air": THING, "DigitalOutput1": THING}


class Nothing:
    """No past at all."""

    async def read(self, *_: Any) -> AsyncIterator[Sequence[Reading]]:
        return
        yield ()


async def answered(request: ReadoutRequest) -> list[Answer]:
    found = [item async for some in collect(request, addressed(request, THINGS), Nothing()) for item in some]
    return list(parts(request.id, found))


def use_sensor_data(codec: SensorDataCodec, element: ET.Element) -> None:
    with contextlib.suppress(RequestError):
        request = codec.decode_request(element)
        ET.tostring(codec.encode_request(request))
        check(request)
        assert asyncio.run(answered(request))[-1].done
    with contextlib.suppress(RequestError):
        ET.tostring(codec.encode_accepted(codec.decode_cancel(element), queued=True))
    with contextlib.suppress(RequestError):
        answer = codec.decode_answer(element)
        if answer is not None:
            [ET.tostring(part) for part in codec.encode_answer(answer)]


def use_control(codec: Control, element: ET.Element) -> None:
    with contextlib.suppress(RequestError):
        codec.decode_form_request(element)
    with contextlib.suppress(RequestError):
        command = codec.decode_command(element)
        said = [to_text(assignment.value) for assignment in command.assignments]
        assert all(len(text) <= 70_000 for text in said)
        with contextlib.suppress(DeviceError):
            plan(command, THINGS, parse_text)
    codec.decode_parameter_errors(element)
    decode_error(element, codec)


def use_forms(_: Any, element: ET.Element) -> None:
    forms.decode_form(element)
    with contextlib.suppress(RequestError):
        forms.decode_submit(element)


Use = Callable[[Any, ET.Element], None]
DECODERS: list[tuple[Use, Any]] = [
    *((use_sensor_data, codec) for codec in SENSOR_DATA.values()),
    *((use_control, codec) for codec in CONTROL.values()),
    (use_forms, None),
]


def payloads() -> Iterator[ET.Element]:
    """All vectors there are, as material for mischief."""
    for table in (vectors_xep0323, vectors_xep0325):
        for found in stanzas(table.FILE).values():
            for stanza in found:
                yield from parse(stanza)
    for vector in vectors_new_dialect.SENSOR_DATA_VECTORS:
        yield ET.fromstring(vector.xml.replace("NS", vectors_new_dialect.SENSOR_DATA[0]))
    for vector in vectors_new_dialect.CONTROL_VECTORS:
        yield ET.fromstring(vector.xml.replace("NS", vectors_new_dialect.CONTROL[0]))


SEEDS = [ET.tostring(payload, encoding="unicode") for payload in payloads()]

@pytest.mark.parametrize(("use", "codec"), DECODERS, ids=lambda x: getattr(x, "namespace", getattr(x, "__name__", "")))
@some.thorough
@given(st.integers(0, 2**32), st.sampled_from(SEEDS))
def test_a_spoilt_vector_has_a_meaning_or_is_refused(use: Use, codec: Any, seed: int, xml: str) -> None:
    chance = random.Random(seed)
    element = ET.fromstring(xml)
    for _ in range(chance.randrange(6)):
        spoil(element, chance)
    if codec is not None and chance.random() < 0.5:  # in the words of another dialect, but under this name
        prefix = f"{{{codec.namespace}}}"
        for each in element.iter():
            each.tag = prefix + each.tag.rpartition("}")[2]
    use(codec, element)


TAGS, ATTRIBUTES = words(SEEDS)


@pytest.mark.parametrize(("use", "codec"), DECODERS, ids=lambda x: getattr(x, "namespace", getattr(x, "__name__", "")))
@some.quick
@given(st.integers(0, 2**32))
def test_any_tree_has_a_meaning_or_is_refused(use: Use, codec: Any, seed: int) -> None:
    use(codec, grow(random.Random(seed), TAGS, ATTRIBUTES))


@pytest.mark.parametrize(("use", "codec"), DECODERS, ids=lambda x: getattr(x, "namespace", getattr(x, "__name__", "")))
def test_depth_and_breadth_do_not_matter(use: Use, codec: Any) -> None:
    for name in ("fields", "resp", "set", "req", "node", "nd", "timestamp", "x"):
        tag = f"{{{codec.namespace}}}{name}" if codec is not None else forms._x(name)
        wide = ET.Element(tag, {"seqnr": "1", "id": "1"})
        wide.extend([ET.Element(tag) for _ in range(3000)])
        use(codec, wide)
        # Not written out again below this: a server cuts off such depth, and Python's writer is recursive.
        deep = nested(tag, 5000)
        with contextlib.suppress(RequestError):
            if codec is None:
                forms.decode_form(deep)
            elif hasattr(codec, "decode_answer"):
                codec.decode_answer(deep)
            else:
                codec.decode_command(deep)


MISSING = [
    ("sd", "decode_request", "<req xmlns='NS' momentary='true' m='true'/>"),
    ("sd", "decode_request", "<req xmlns='NS' seqnr='1' id='1'><node/><nd/></req>"),
    ("sd", "decode_request", "<req xmlns='NS' seqnr='1' id='1'><field/><f/></req>"),
    ("sd", "decode_request", "<req xmlns='NS' seqnr='1' id='1' all='maybe'/>"),
    ("sd", "decode_request", "<req xmlns='NS' seqnr='1' id='1' from='yesterday'/>"),
    ("sd", "decode_request", "<req xmlns='NS' seqnr='1' id='1' to='2026-02-30T00:00:00Z'/>"),
    ("sd", "decode_request", "<req xmlns='NS' seqnr='1' id='1' when=''/>"),
    ("sd", "decode_cancel", "<cancel xmlns='NS'/>"),
    ("sd", "decode_answer", "<fields xmlns='NS' seqnr='1'><node nodeId='a'><timestamp/></node></fields>"),
    ("sd", "decode_answer", "<fields xmlns='NS' seqnr='1'><node/></fields>"),
    ("sd", "decode_answer", "<failure xmlns='NS' seqnr='1'><error nodeId='a'/></failure>"),
    ("sd", "decode_answer", "<fields xmlns='NS' seqnr='1' done='perhaps'/>"),
    ("sd", "decode_answer", "<done xmlns='NS'/>"),
    ("sd", "decode_answer", "<resp xmlns='NS' id='1'><nd id='a'><ts/></nd></resp>"),
    ("sd", "decode_answer", "<resp xmlns='NS' id='1'><nd/></resp>"),
    ("sd", "decode_answer", "<resp xmlns='NS' id='1' more='perhaps'/>"),
    ("ctr", "decode_command", "<set xmlns='NS'><boolean value='true'/><b v='true'/></set>"),
    ("ctr", "decode_command", "<set xmlns='NS'><boolean name='x'/><b n='x'/></set>"),
    ("ctr", "decode_command", "<set xmlns='NS'><node/><nd/></set>"),
    ("ctr", "decode_command", "<set xmlns='NS'><volume name='x' value='1' n='x' v='1'/></set>"),
    ("ctr", "decode_command", "<set xmlns='NS'><boolean name='x' value='on'/><b n='x' v='on'/></set>"),
    ("ctr", "decode_command", "<set xmlns='NS'><x xmlns='jabber:x:data' type='form'/></set>"),
    ("ctr", "decode_command",
     "<set xmlns='NS'><x xmlns='jabber:x:data' type='submit'><field><value>1</value></field></x></set>"),
    ("ctr", "decode_command",
     "<set xmlns='NS'><x xmlns='jabber:x:data' type='submit'><field var='a'><value/><value/></field></x></set>"),
    ("ctr", "decode_command", "<set xmlns='NS'><x xmlns='jabber:x:data' type='submit'>"
     + "<field var='a'><value>1</value></field>" * 201 + "</x></set>"),
    ("ctr", "decode_form_request", "<getForm xmlns='NS'><node/><nd/></getForm>"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "method", "xml"), MISSING)
def test_what_is_malformed_is_a_bad_request_in_each_dialect(kind: str, method: str, xml: str) -> None:
    codecs: dict[str, Any] = dict(SENSOR_DATA) if kind == "sd" else dict(CONTROL)
    refused = 0
    for namespace, codec in codecs.items():
        try:
            meaning = getattr(codec, method)(ET.fromstring(xml.replace("NS", namespace)))
        except BadRequest as error:
            assert str(error)
            assert ET.tostring(encode_error(error, codec if kind == "ctr" else None))
            refused += 1
        else:
            assert meaning is None, "in this dialect these words mean nothing, so there is no meaning either"
    assert refused >= 1


@pytest.mark.parametrize("seqnr", ["", "x", "1.0", "2147483648", "-2147483649", "9" * 400, "١", "1 2"])
def test_a_sequence_number_has_32_bits(seqnr: str) -> None:
    element = ET.Element("{urn:xmpp:iot:sensordata}cancel", seqnr=seqnr)
    with pytest.raises(BadRequest, match="32 bits"):
        SENSOR_DATA["urn:xmpp:iot:sensordata"].decode_cancel(element)


@pytest.mark.parametrize("namespace", vectors_new_dialect.SENSOR_DATA)
def test_an_id_is_bounded(namespace: str) -> None:
    codec = SENSOR_DATA[namespace]
    assert codec.decode_cancel(ET.Element("cancel", id="x" * 200)) == "x" * 200
    with pytest.raises(BadRequest, match="at most 200"):
        codec.decode_cancel(ET.Element("cancel", id="x" * 201))


def test_hidden_and_fixed_fields_set_nothing() -> None:
    form = ET.fromstring(
        "<x xmlns='jabber:x:data' type='submit'><field var='xdd session'><value>s</value></field>"
        "<field var='FORM_TYPE'><value>t</value></field><field var='h' type='hidden'/><field var='f' type='fixed'/>"
        "<field var='a'><value>1</value></field><title>foreign</title><y xmlns='urn:z'/></x>"
    )
    assert forms.decode_submit(form) == [Assignment("a", "1", None)]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Stockholm", "America/St_Johns", "Pacific/Kiritimati"])
def test_a_moment_without_a_zone_is_in_that_of_the_machine(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        element = ET.fromstring("<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' when='2026-07-01T12:00:00'/>")
        when = SENSOR_DATA["urn:xmpp:iot:sensordata"].decode_request(element).when
        assert when is not None and when.timestamp() == time.mktime((2026, 7, 1, 12, 0, 0, 0, 0, -1))
    finally:
        monkeypatch.undo()
        time.tzset()
