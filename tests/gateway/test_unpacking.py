"""Schemas uploaded as EXI (XEP-0322, "Uploading compressed schema files"): they make the set that their text makes, for
the client that brought them."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import exi
from hub.exi import schemas
from hub.exi.grammarfile import dumps
from hub.gateway.bounds import Bounds
from hub.gateway.negotiation import Negotiator
from hub.gateway.store import Store
from hub.gateway.unpacking import HEADER, text_of, unpacked
from hub.gateway.xsdfile import SchemaRefused
from hub.session import exi_setup
from hub.session.exi_setup import SchemaFile, Setup, Upload
from tests.gateway.client import BinaryClient, ExiClient
from tests.gateway.conftest import Running
from tests.gateway.samples import HOUSE, HOUSE_FILE, ROOM, ROOM_FILE, XS
from tests.gateway.test_negotiation import Client

OPTIONS = exi.Options(preserve=frozenset({"prefixes"}))
SIZE, DEPTH = Bounds().schema_size, Bounds().schema_depth
FORMS = pytest.mark.parametrize("content_type", ["ExiBody", "ExiDocument"])

# Bodies that EXIficient 1.0.7 made, with the grammars that it has of XMLSchema.xsd
ROOM_BODY = bytes.fromhex(
    "82b2013c39eb0083ab9371d32bc30b6b836329d3937b7b680041893ab9371d32bc30b6b836329d3937b7b6d3033937b7b6b5"
    "2033730b6b290b78733a737472696e6713080eccd8dedee441d19b1bdbdca360806a0063c399d34b73a32b3b2b9150216994"
    "680ce6c400"
)
HOUSE_BODY = bytes.fromhex(
    "82b2013c39eb0083ab9371d32bc30b6b836329d3937b7b680b904189bab9371d32bc30b6b836329d3437bab9b2991275726e"
    "3a6578616d706c653a726f6f6d036d0e8e8e0745e5e6272645c605c645c625ee4dededa5cf0e6c94303b437bab9b2b4a942d"
    "d5b989bdd5b9919590000821c8e9c9bdbdb62b70"
)


def body(xsd: bytes) -> bytes:
    stream = exi.from_xml(xsd, schemas.schema_of_schemas(), OPTIONS)
    assert stream.startswith(HEADER)
    return stream.removeprefix(HEADER)


def document(xsd: bytes, **options: object) -> bytes:
    given = {"cookie": True, "header_options": True, "schema_id": schemas.SCHEMA_OF_SCHEMAS, **options}
    return exi.from_xml(xsd, schemas.schema_of_schemas(), OPTIONS.with_(**given))


def upload(xsd: bytes, content_type: str, name: SchemaFile) -> Upload:
    data = body(xsd) if content_type == "ExiBody" else document(xsd)
    return Upload(data, content_type, name.size, name.md5)


async def bring(client: Client, *uploads: Upload) -> None:
    for each in uploads:
        assert await client.negotiator.answer(exi_setup.upload_element(each)) is None


@pytest.fixture
def client(store: Store) -> Client:
    return Client(Negotiator(store, store.bounds))


@pytest.fixture
def other(store: Store) -> Client:
    """Another connection."""
    return Client(Negotiator(store, store.bounds))


BOTH = Setup(schemas=(HOUSE_FILE, ROOM_FILE))
ALONE = Setup(schemas=(ROOM_FILE,))

# ---------------------------------------------------------------------------------------------- the way it goes


@pytest.mark.parametrize(("theirs", "xsd"), [(ROOM_BODY, ROOM), (HOUSE_BODY, HOUSE)], ids=["room", "house"])
def test_another_codec_says_the_same(theirs: bytes, xsd: bytes) -> None:
    assert body(xsd) == theirs
    assert b"targetNamespace" in text_of(HEADER + theirs, SIZE, DEPTH)


@FORMS
async def test_it_makes_the_grammars_of_its_text(client: Client, other: Client, content_type: str) -> None:
    await bring(client, upload(HOUSE, content_type, HOUSE_FILE), upload(ROOM, content_type, ROOM_FILE))
    answer = await client.ask(BOTH)
    assert (answer.agreement, answer.missing) == (True, ())
    await other.upload(HOUSE, ROOM)
    assert (await other.ask(BOTH)).agreement
    assert client.negotiator.agreed is not None and other.negotiator.agreed is not None
    assert dumps(client.negotiator.agreed.grammars) == dumps(other.negotiator.agreed.grammars)


@pytest.mark.parametrize(
    "options", [{"cookie": False, "header_options": False}, {"schema_id": None}, {"alignment": "compression"}],
    ids=["a bare header", "no schemaId", "other options"],
)  # fmt: skip
async def test_a_document_may_have_any_header_of_that_schema(client: Client, options: dict[str, object]) -> None:
    await bring(client, Upload(document(ROOM, **options), "ExiDocument", ROOM_FILE.size, ROOM_FILE.md5))
    assert (await client.ask(ALONE)).agreement


async def test_every_schema_of_the_product_may_come_so() -> None:
    for file in schemas.files():
        text = text_of(HEADER + body(file.data), SIZE, DEPTH)
        assert body(text) == body(file.data)


async def test_over_a_connection(fresh: Running) -> None:
    """In the clear of the ordinary port, and in EXI on the binary one."""
    for kind in (fresh.client, fresh.binary):
        client = kind(files={ROOM_FILE: ROOM})
        assert isinstance(client, ExiClient)
        async with asyncio.timeout(20):
            await start(client)
            response = await client.propose(ALONE)
            assert response.missing == (ROOM_FILE,)
            client.send(exi_setup.upload_element(upload(ROOM, "ExiBody", ROOM_FILE)))
            assert (await client.propose(ALONE)).agreement
            await client.disconnect()


async def start(client: ExiClient) -> None:
    if not isinstance(client, BinaryClient):
        await client.log_in()
        return
    await client.connect()
    await client.open()
    await client._authenticate()
    client.binding.restart()
    await client.open()


# ---------------------------------------------------------------------------------------------- whose word it is


@FORMS
async def test_nobody_else_takes_a_clients_word(client: Client, other: Client, content_type: str) -> None:
    await bring(client, upload(ROOM, content_type, ROOM_FILE))
    assert (await client.ask(ALONE)).agreement
    assert (await other.ask(ALONE)).missing == (ROOM_FILE,)


async def test_a_wrong_hash_changes_nothing_for_others(client: Client, other: Client) -> None:
    """It says that its file is the room that everybody knows, and means another."""
    forged = ROOM.replace(b"'9'", b"'99'")
    await other.upload(ROOM)
    await bring(client, upload(forged, "ExiBody", ROOM_FILE))
    for each in (client, other):
        assert (await each.ask(ALONE)).agreement
    assert client.negotiator.agreed is other.negotiator.agreed  # the file that has that hash is what it means


async def test_a_wrong_hash_that_nobody_knows_stays_its_own(client: Client, other: Client) -> None:
    forged = ROOM.replace(b"'9'", b"'99'")
    await bring(client, upload(forged, "ExiBody", ROOM_FILE))
    mine = await client.ask(ALONE)
    await other.upload(ROOM)
    theirs = await other.ask(ALONE)
    assert mine.agreement and theirs.agreement and mine.configuration_id != theirs.configuration_id
    assert client.negotiator.agreed is not None and other.negotiator.agreed is not None
    assert dumps(client.negotiator.agreed.grammars) != dumps(other.negotiator.agreed.grammars)


async def test_the_agreement_is_recalled_after_a_restart(client: Client, store: Store, tmp_path: Path) -> None:
    await bring(client, upload(ROOM, "ExiBody", ROOM_FILE))
    identifier = (await client.ask(ALONE)).configuration_id
    for compiled_too in (True, False):
        if not compiled_too:
            shutil.rmtree(tmp_path / "store" / "grammars")
        again = Store(tmp_path / "store", Bounds())
        late = Client(Negotiator(again, again.bounds))
        assert (await late.ask(Setup(configuration_id=identifier))).agreement
        await again.close()


async def test_what_made_room_is_missing_again(client: Client, tmp_path: Path) -> None:
    await bring(client, upload(ROOM, "ExiBody", ROOM_FILE))
    for each in (tmp_path / "store" / "claims").iterdir():
        each.unlink()
    assert (await client.ask(ALONE)).missing == (ROOM_FILE,)


# ---------------------------------------------------------------------------------------------- what is refused


def long_texts() -> bytes:
    """A text that the stream holds once, and the schema 3,000 times."""
    one = f"<xs:annotation><xs:documentation>{'x' * 3_000}</xs:documentation></xs:annotation>"
    return f"<xs:schema {XS} targetNamespace='urn:example:long'>{one * 3_000}</xs:schema>".encode()


def nested() -> bytes:
    inner = "<a>" * 150 + "</a>" * 150
    documentation = f"<xs:annotation><xs:documentation>{inner}</xs:documentation></xs:annotation>"
    return f"<xs:schema {XS} targetNamespace='urn:example:nested'>{documentation}</xs:schema>".encode()


REFUSED = {
    "nothing": (lambda: b"", "it is no EXI"),
    "garbage": (lambda: bytes(range(256)) * 40, "it is no EXI"),
    "its text": (lambda: ROOM, "it is no EXI"),
    "cut off": (lambda: body(ROOM)[:-20], "ends inside"),
    "an explosion": (lambda: body(long_texts()), "bytes become more than"),
    "elements without end": (lambda: body(nested()), "more than 100 levels"),
    "no schema": (lambda: body(b"<a/>"), "not xs:schema"),
    "a schema of XML Schema": (lambda: body(f"<xs:schema {XS} targetNamespace='{XS[10:-1]}'/>".encode()), "nobody may"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_no_schema(client: Client, name: str, caplog: pytest.LogCaptureFixture) -> None:
    make, why = REFUSED[name]
    caplog.set_level("INFO")
    data = make()
    assert len(data) < 40_000
    await bring(client, Upload(data, "ExiBody", ROOM_FILE.size, ROOM_FILE.md5))
    assert any("is not stored" in line and why in line for line in caplog.messages), caplog.messages
    assert (await client.ask(ALONE)).missing == (ROOM_FILE,)
    await bring(client, upload(ROOM, "ExiBody", ROOM_FILE))  # and all is well after it
    assert (await client.ask(ALONE)).agreement


async def test_a_document_of_another_schema(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await bring(client, Upload(document(ROOM, schema_id="urn:other"), "ExiDocument", 1, ROOM_FILE.md5))
    assert any("its header names another schema" in line for line in caplog.messages)


async def test_time_and_memory_are_bounded(tmp_path: Path) -> None:
    with pytest.raises(SchemaRefused, match="memory"):
        await unpacked(body(ROOM), "ExiBody", replace(Bounds(), compile_memory=1 << 24), tmp_path)
    with pytest.raises(SchemaRefused, match="bytes become more than 4"):
        await unpacked(body(ROOM), "ExiBody", replace(Bounds(), schema_size=100), tmp_path)


@given(st.binary(max_size=300), st.integers(0, 100))
def test_whatever_comes_is_xml_or_refused(data: bytes, kept: int) -> None:
    for stream in (data, HEADER + data, HEADER + ROOM_BODY[:kept] + data):
        try:
            text_of(stream, SIZE, DEPTH)
        except (exi.DecodeError, SchemaRefused):
            continue
