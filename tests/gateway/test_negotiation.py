"""The server's side of the set-up: every kind of question, and the answer that XEP-0322 wants."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import exi
from hub.errors import PeerConfused
from hub.gateway.negotiation import Bounds, Negotiator
from hub.gateway.store import Store
from hub.session import exi_setup
from hub.session.exi_setup import Response, SchemaFile, Settings, Setup, Upload
from hub.session.exi_stream import ExiStream
from tests.gateway.samples import HOUSE, HOUSE_FILE, NO_TYPE, NO_TYPE_FILE, ROOM, ROOM_FILE

BOTH = (HOUSE_FILE, ROOM_FILE)


@dataclass
class Client:
    """One connection's questions."""

    negotiator: Negotiator

    async def ask(self, setup: Setup) -> Response:
        answer = await self.negotiator.answer(exi_setup.setup_element(setup))
        assert answer is not None and answer.tag == exi_setup.SETUP_RESPONSE
        return exi_setup.read_response(answer)

    async def upload(self, *files: bytes) -> None:
        for data in files:
            assert await self.negotiator.answer(exi_setup.upload_element(Upload(data))) is None

    async def compress(self, method: str = "exi") -> Element:
        request = exi_setup.compress_element()
        request[0].text = method
        answer = await self.negotiator.answer(request)
        assert answer is not None
        return answer


@pytest.fixture
def client(store: Store) -> Client:
    return Client(Negotiator(store, store.bounds))


def failure_of(element: Element) -> list[str]:
    assert element.tag == exi_setup.COMPRESS_FAILURE
    return [child.tag for child in element]


def condition(name: str) -> list[str]:
    return [f"{{{exi_setup.COMPRESS}}}{name}"]


# ---------------------------------------------------------------------------------------------- the way it goes


async def test_missing_schemas_are_uploaded_and_then_there_is_an_agreement(client: Client) -> None:
    setup = Setup(Settings(exi.Options(strict=True, block_size=1024)), BOTH)
    assert await client.ask(setup) == Response(False, setup.settings, (), BOTH)
    await client.upload(HOUSE)
    assert await client.ask(setup) == Response(False, setup.settings, (HOUSE_FILE,), (ROOM_FILE,))
    await client.upload(ROOM)
    answer = await client.ask(setup)
    assert (answer.agreement, answer.schemas, answer.missing) == (True, BOTH, ())
    assert (await client.compress()).tag == exi_setup.COMPRESSED
    agreement = client.negotiator.agreement
    assert agreement is not None and agreement.configuration_id == answer.configuration_id
    stream = ExiStream(agreement.grammars, agreement.settings)
    house = fromstring(
        "<house xmlns='urn:example:house'><room xmlns='urn:example:room' name='hall' floor='1'/></house>"
    )
    [back] = stream.feed(stream.encode(house))
    assert [(room.tag, room.attrib) for room in back] == [("{urn:example:room}room", {"name": "hall", "floor": "1"})]


async def test_the_next_connection_names_the_agreement_alone(client: Client, store: Store) -> None:
    await client.upload(ROOM)
    first = await client.ask(Setup(schemas=(ROOM_FILE,)))
    other = Client(Negotiator(store, store.bounds))
    quick = await other.ask(Setup(configuration_id=first.configuration_id))
    assert quick == Response(True, configuration_id=first.configuration_id)
    await other.compress()
    assert other.negotiator.agreement is client.negotiator.agreed


async def test_an_agreement_that_nobody_made_is_not_remembered(client: Client) -> None:
    for identifier in ("c76ab4ec-4993-4285-8c7a-098060581bb8", "0" * 32, "../../etc/passwd"):
        assert await client.ask(Setup(configuration_id=identifier)) == Response(False, configuration_id=identifier)
    assert failure_of(await client.compress()) == condition("setup-failed")


# ---------------------------------------------------------------------------------------------- what is lowered


async def test_what_is_beyond_the_bounds_is_lowered_and_then_agreed_on(client: Client) -> None:
    await client.upload(ROOM)
    options = exi.Options(value_max_length=4000, value_partition_capacity=None, preserve=frozenset({"comments"}))
    answer = await client.ask(Setup(Settings(options, session_wide=True), (ROOM_FILE,)))
    assert answer.settings is not None and not answer.agreement and not answer.configuration_id
    assert (answer.schemas, answer.missing) == ((ROOM_FILE,), ())
    lowered = answer.settings.options
    assert (lowered.value_max_length, lowered.value_partition_capacity, lowered.preserve) == (128, 512, frozenset())
    assert answer.settings.session_wide
    assert failure_of(await client.compress()) == condition("setup-failed")
    again = await client.ask(Setup(answer.settings, (ROOM_FILE,)))
    assert again.agreement and again.settings == answer.settings


SETTINGS = st.builds(
    Settings,
    st.builds(
        exi.Options,
        alignment=st.sampled_from(["bit-packed", "byte-packed", "pre-compression", "compression"]),
        strict=st.just(False),
        preserve=st.frozensets(st.sampled_from(["comments", "pis", "dtd", "prefixes", "lexical"])),
        block_size=st.integers(1, 2**32 - 1),
        value_max_length=st.none() | st.integers(1, 2**32 - 1),
        value_partition_capacity=st.none() | st.integers(1, 2**32 - 1),
    ),
    st.booleans(),
) | st.builds(lambda: Settings(exi.Options(strict=True, preserve=frozenset({"lexical"})), True))
BOUNDS = st.builds(
    Bounds,
    value_max_length=st.integers(1, 1000),
    value_partition_capacity=st.integers(1, 1000),
    block_size=st.integers(1, 2**32 - 1),
    session_wide=st.booleans(),
    strict=st.booleans(),
    alignments=st.frozensets(st.sampled_from(["byte-packed", "pre-compression", "compression"])),
    preserve=st.frozensets(st.sampled_from(["comments", "pis", "dtd", "prefixes", "lexical"])),
)


@given(SETTINGS, BOUNDS)
def test_settings_are_only_ever_lowered_and_once_is_enough(proposed: Settings, bounds: Bounds) -> None:
    lowered = bounds.lowered(proposed)
    assert bounds.lowered(lowered) == lowered
    assert lowered.lowered_to(proposed) == lowered
    assert lowered.options.strict <= proposed.options.strict
    assert lowered.options.alignment in {proposed.options.alignment, "bit-packed"}
    if lowered.session_wide:
        assert (lowered.options.value_max_length or 10**10) <= bounds.value_max_length
        assert (lowered.options.value_partition_capacity or 10**10) <= bounds.value_partition_capacity


async def test_without_session_wide_tables_the_clients_bounds_stand(client: Client) -> None:
    await client.upload(ROOM)
    answer = await client.ask(Setup(Settings(exi.Options(value_max_length=90_000)), (ROOM_FILE,)))
    assert answer.agreement and answer.settings == Settings(exi.Options(value_max_length=90_000))


# ---------------------------------------------------------------------------------------------- what is wrong


async def test_compression_needs_a_set_up_and_this_method(client: Client) -> None:
    assert failure_of(await client.compress()) == condition("setup-failed")
    assert failure_of(await client.compress("zlib")) == condition("unsupported-method")
    assert failure_of(await client.compress("")) == condition("unsupported-method")
    assert client.negotiator.agreement is None


async def test_the_last_set_up_counts(client: Client) -> None:
    await client.upload(ROOM)
    assert (await client.ask(Setup(schemas=(ROOM_FILE,)))).agreement
    assert not (await client.ask(Setup(schemas=BOTH))).agreement
    assert failure_of(await client.compress()) == condition("setup-failed")
    assert (await client.ask(Setup(schemas=(ROOM_FILE,)))).agreement
    assert (await client.compress()).tag == exi_setup.COMPRESSED


@pytest.mark.parametrize(
    "setup",
    [
        f"<setup xmlns='{exi_setup.EXI}' configurationId='a' strict='true'/>",
        f"<setup xmlns='{exi_setup.EXI}' configurationId='a' configurationLocation='b'/>",
        f"<setup xmlns='{exi_setup.EXI}' configurationId='a'><schema ns='x' bytes='1' md5Hash='{'0' * 32}'/></setup>",
        f"<setup xmlns='{exi_setup.EXI}' version='2'/>",
        f"<setup xmlns='{exi_setup.EXI}' strict='perhaps'/>",
        f"<setup xmlns='{exi_setup.EXI}' strict='true' preserveComments='true'/>",
        f"<setup xmlns='{exi_setup.EXI}' selfContained='true'/>",
        f"<setup xmlns='{exi_setup.EXI}' blockSize='0'/>",
        f"<setup xmlns='{exi_setup.EXI}'><schema ns='x' bytes='1' md5Hash='{'A' * 32}'/></setup>",
        f"<setup xmlns='{exi_setup.EXI}'><schema ns='x'/></setup>",
        f"<setup xmlns='{exi_setup.EXI}'>"
        + "".join(f"<schema ns='n{number}' bytes='1' md5Hash='{'0' * 32}'/>" for number in range(101))
        + "</setup>",
    ],
)
async def test_a_set_up_without_sense_is_no_agreement_and_the_session_goes_on(client: Client, setup: str) -> None:
    answer = await client.negotiator.answer(fromstring(setup))
    assert answer is not None
    assert exi_setup.read_response(answer) == Response(False)
    await client.upload(ROOM)
    assert (await client.ask(Setup(schemas=(ROOM_FILE,)))).agreement


async def test_a_place_for_configurations_is_not_known(client: Client) -> None:
    assert await client.ask(Setup(configuration_location="file:///etc/passwd")) == Response(False)


async def test_the_same_schema_twice_is_one_and_two_for_one_namespace_are_none(client: Client) -> None:
    other = ROOM.replace(b"value='9'", b"value='8'")
    other_file = SchemaFile.of(ROOM_FILE.namespace, other)
    await client.upload(ROOM, other)
    twice = await client.ask(Setup(schemas=(ROOM_FILE, ROOM_FILE)))
    assert twice.agreement and twice.schemas == (ROOM_FILE, ROOM_FILE)
    once = await client.ask(Setup(schemas=(ROOM_FILE,)))
    assert once.configuration_id == twice.configuration_id
    clash = await client.ask(Setup(schemas=(ROOM_FILE, other_file)))
    assert (clash.agreement, clash.schemas, clash.missing) == (False, (ROOM_FILE, other_file), ())


async def test_what_imports_something_outside_the_set_is_missing_and_the_rest_works(client: Client) -> None:
    await client.upload(HOUSE)
    assert await client.ask(Setup(schemas=(HOUSE_FILE,))) == Response(False, Settings(), (), (HOUSE_FILE,))
    assert (await client.ask(Setup())).agreement


async def test_a_set_without_the_schemas_of_xmpp_carries_stanzas_all_the_same(client: Client) -> None:
    await client.upload(ROOM)
    for strict in (False, True):
        assert (await client.ask(Setup(Settings(exi.Options(strict=strict)), (ROOM_FILE,)))).agreement
        agreement = client.negotiator.agreed
        assert agreement is not None
        stream = ExiStream(agreement.grammars, agreement.settings)
        sent = fromstring("<iq xmlns='jabber:client' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")
        [back] = stream.feed(stream.encode(sent))
        assert (back.tag, back.attrib, back[0].tag) == ("{jabber:client}iq", {"id": "1"}, "{urn:xmpp:ping}ping")


async def test_a_set_that_does_not_compile_is_refused_and_nothing_is_missing(client: Client) -> None:
    await client.upload(NO_TYPE)
    setup = Setup(schemas=(NO_TYPE_FILE,))
    assert await client.ask(setup) == Response(False, Settings(), (NO_TYPE_FILE,), ())
    assert await client.ask(setup) == Response(False, Settings(), (NO_TYPE_FILE,), ())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no XML",
        b"<schema/>",
        b"<xs:schema xmlns:xs='http://www.w3.org/2001/XMLSchema'",
        b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>" + ROOM.partition(b"\n")[2],
        ROOM.replace(b"UTF-8", b"no-such-encoding"),
        ROOM.replace(b"<xs:element ", b"<xs:include schemaLocation='/etc/passwd'/><xs:element ", 1),
        ROOM.replace(b"<xs:element ", b"<xs:redefine schemaLocation='http://192.0.2.1/x.xsd'/><xs:element ", 1),
        ROOM.replace(b"urn:example:room", b"http://www.w3.org/2001/XMLSchema"),
        ROOM.replace(b"urn:example:room", b"urn:xmpp:exi:cs"),
        ROOM.replace(b"urn:example:room", b"u" * 1001),
        ROOM.replace(b"</xs:schema>", b"<xs:annotation>" * 101 + b"</xs:annotation>" * 101 + b"</xs:schema>"),
        ROOM.replace(b"<xs:element ", b"<xs:element " + b"".join(b"xmlns:p%d='a' " % n for n in range(100)), 1),
        ROOM + b"<!-- " + b" " * (256 * 1024) + b"-->",
    ],
)
async def test_what_is_no_schema_is_not_stored_and_says_so_at_the_next_set_up(client: Client, data: bytes) -> None:
    await client.upload(data)
    namespace = "urn:example:room"
    wanted = SchemaFile(namespace, max(1, len(data)), SchemaFile.of(namespace, data).md5)
    assert await client.ask(Setup(schemas=(wanted,))) == Response(False, Settings(), (), (wanted,))


@pytest.mark.parametrize("attributes", [{"contentType": "Zip"}, {"bytes": "x"}, {"md5Hash": "0"}])
async def test_an_upload_without_sense_is_not_stored(client: Client, attributes: dict[str, str]) -> None:
    element = exi_setup.upload_element(Upload(ROOM))
    element.attrib.update(attributes)
    assert await client.negotiator.answer(element) is None
    assert (await client.ask(Setup(schemas=(ROOM_FILE,)))).missing == (ROOM_FILE,)


async def test_what_is_no_base64_is_not_stored(client: Client) -> None:
    element = exi_setup.upload_element(Upload(ROOM))
    element.text = "%%%"
    assert await client.negotiator.answer(element) is None
    assert (await client.ask(Setup(schemas=(ROOM_FILE,)))).missing == (ROOM_FILE,)


async def test_a_text_is_known_by_what_it_is_and_not_by_what_the_client_calls_it(client: Client) -> None:
    element = exi_setup.upload_element(Upload(ROOM, size=HOUSE_FILE.size, md5=HOUSE_FILE.md5))
    assert await client.negotiator.answer(element) is None
    answer = await client.ask(Setup(schemas=BOTH))
    assert (answer.schemas, answer.missing) == ((ROOM_FILE,), (HOUSE_FILE,))


async def test_uploads_can_be_switched_off(store: Store) -> None:
    client = Client(Negotiator(store, replace(store.bounds, uploads=False)))
    await client.upload(ROOM)
    assert (await client.ask(Setup(schemas=(ROOM_FILE,)))).missing == (ROOM_FILE,)


async def test_what_would_never_end_ends_the_stream(store: Store) -> None:
    bounds = replace(store.bounds, setups_per_connection=2, uploads_per_connection=2)
    client = Client(Negotiator(store, bounds))
    await client.upload(ROOM, HOUSE)
    with pytest.raises(PeerConfused, match="more than 2 schemas"):
        await client.upload(ROOM)
    await client.ask(Setup(configuration_id="a"))
    await client.ask(Setup(configuration_id="a"))
    with pytest.raises(PeerConfused, match="more than 2 set-ups"):
        await client.ask(Setup(configuration_id="a"))


async def test_what_is_no_part_of_the_set_up_is_not_answered(client: Client) -> None:
    for tag in ("{jabber:client}iq", exi_setup.SETUP_RESPONSE):
        assert not client.negotiator.handles(Element(tag))
        with pytest.raises(PeerConfused):
            await client.negotiator.answer(Element(tag))


async def test_what_a_peer_calls_things_never_breaks_a_line_of_the_log(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    name = "a\x1b[31m&#10;b"
    await client.upload(NO_TYPE.replace(b"Nowhere", name.replace("\x1b", "").encode()))
    await client.upload(ROOM.replace(b"urn:example:room", b"a&#10;b"), b"<a\n/>", b"\x1b")
    file = SchemaFile.of("urn:example:broken", NO_TYPE.replace(b"Nowhere", name.replace("\x1b", "").encode()))
    assert not (await client.ask(Setup(schemas=(file,)))).agreement
    assert len(caplog.messages) == 5
    assert [message for message in caplog.messages if not message.isprintable()] == []


# ---------------------------------------------------------------------------------------------- the alternative binding


async def test_what_a_set_up_does_not_mention_has_the_default_of_the_alternative_binding(store: Store) -> None:
    negotiator = Negotiator(store, store.bounds, alternative=True)
    answer = await negotiator.answer(Element(exi_setup.SETUP))
    assert answer is not None and negotiator.agreed is not None
    identifier = negotiator.agreed.configuration_id
    assert answer.attrib == {
        "version": "1", "strict": "true", "valueMaxLength": "64", "valuePartitionCapacity": "64", "agreement": "true",
        "configurationId": identifier,
    }  # fmt: skip
    options = negotiator.agreed.settings.options
    assert (options.strict, options.value_max_length, options.value_partition_capacity) == (True, 64, 64)
    assert (options.local_value_partitions, options.has_profile, options.max_builtin_productions) == (False, True, 0)
    quick = await negotiator.answer(Element(exi_setup.SETUP, configurationId=identifier))
    assert quick is not None and quick.get("agreement") == "true"
    assert negotiator.agreed.settings.options == options


async def test_what_it_mentions_stands(store: Store) -> None:
    negotiator = Negotiator(store, store.bounds, alternative=True)
    asked = {"strict": "false", "valueMaxLength": "7", "sessionWideBuffers": "true"}
    answer = await negotiator.answer(Element(exi_setup.SETUP, asked))
    assert answer is not None and negotiator.agreed is not None
    assert answer.attrib.items() >= asked.items()
    settings = negotiator.agreed.settings
    assert (settings.session_wide, settings.options.strict, settings.options.value_max_length) == (True, False, 7)


@pytest.mark.parametrize(
    "wrong",
    [
        {"block_size": 0},
        {"compile_time": -1.0},
        {"alignments": frozenset({"byte"})},
        {"preserve": frozenset("x")},
    ],
)
def test_bounds_that_make_no_sense_are_the_operators_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Bounds(**wrong)


@pytest.mark.parametrize("content_type", ["ExiBody", "ExiDocument"])
async def test_a_schema_without_its_schema_is_not_taken_and_never_stands_for_a_text(
    client: Client, content_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for data in (exi.from_xml(HOUSE), ROOM):
        upload = Upload(data, content_type, ROOM_FILE.size, ROOM_FILE.md5)
        assert await client.negotiator.answer(exi_setup.upload_element(upload)) is None
    assert caplog.text.count("it is no EXI of a schema") == 2
    assert (await client.ask(Setup(schemas=(ROOM_FILE,)))).missing == (ROOM_FILE,)
    await client.upload(ROOM)
    assert (await client.ask(Setup(schemas=(ROOM_FILE,)))).agreement
