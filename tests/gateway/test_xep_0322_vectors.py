"""The examples of XEP-0322's negotiation (section "Stream Compression"), as vectors: read, written, and answered.

Namespaces, sizes and hashes are those of the text where they only have to be read and written. Where a server answers,
the files are our own: nobody has files with the hashes of the text.
"""

from __future__ import annotations

import base64
from xml.etree.ElementTree import Element, canonicalize, fromstring, tostring

import pytest

from hub import exi
from hub.gateway.bounds import Bounds
from hub.gateway.download import Downloader, DownloadFailed
from hub.gateway.negotiation import Negotiator
from hub.gateway.store import Store
from hub.session import exi_setup
from hub.session.exi_setup import EXI, Response, SchemaFile, Settings, Setup, Upload
from tests.gateway.samples import HOUSE, HOUSE_FILE, ROOM, ROOM_FILE

COMPRESS = exi_setup.COMPRESS
IDENTIFIER = "c76ab4ec-4993-4285-8c7a-098060581bb8"
SETTINGS = Settings(exi.Options(strict=True, block_size=1024, value_max_length=32, value_partition_capacity=100))
OPTIONS = "version='1' strict='true' blockSize='1024' valueMaxLength='32' valuePartitionCapacity='100'"

HELD = tuple(
    SchemaFile(*each)
    for each in (
        ("http://www.w3.org/XML/1998/namespace", 4726, "2e2cf9072dc058dcda41b7ee77a5cb54"),
        ("http://etherx.jabber.org/streams", 3450, "68719b98725477c46a70958d1ea7c781"),
        ("jabber:client", 6968, "5e2d5cbf0506e3f16336d295093d66c4"),
        ("jabber:server", 6948, "dd95bd3055dfdd69984ed427cd6356e0"),
        ("jabber:x:roster", 1077, "00cb233dee83919067559c5dcee04f3d"),
        ("urn:ietf:params:xml:ns:xmpp-sasl", 2769, "fd9a83f5c75628486ce18c0eb3a35995"),
        ("urn:ietf:params:xml:ns:xmpp-streams", 3315, "75cd95aecb9f1fd66110c3ddcf00c9b8"),
        ("urn:ietf:params:xml:ns:xmpp-tls", 688, "dc18bc4da35bc1be7a6c52aa43330825"),
        ("urn:ietf:params:xml:ns:xmpp-stanzas", 3133, "1a8d21588424f9134dc497de64b10c3f"),
        ("http://jabber.org/protocol/compress/exi", 15094, "8b8f91b95d9101f0781e0ba9b4e106be"),
        ("urn:xmpp:iot:control", 6293, "74dcea52300e8c8df8c4de2c9e90495b"),
        ("urn:xmpp:iot:sensordata", 8092, "49b101e7deea39ccc31340a3c7871c43"),
        ("urn:xmpp:iot:interoperability", 1275, "5d39845a0082715ff8807691698353bb"),
    )
)
LACKED = SchemaFile("urn:xmpp:iot:provisioning", 6303, "3ed5360bc17eadb2a8949498c9af3f0c")


def listed(tag: str, *files: SchemaFile) -> str:
    return "".join(f"<{tag} ns='{each.namespace}' bytes='{each.size}' md5Hash='{each.md5}'/>" for each in files)


SETUPS = {
    "proposal": (
        f"<setup xmlns='{EXI}' {OPTIONS}>{listed('schema', *HELD, LACKED)}</setup>",
        Setup(SETTINGS, (*HELD, LACKED)),
    ),
    "quick": (f"<setup xmlns='{EXI}' configurationId='{IDENTIFIER}'/>", Setup(configuration_id=IDENTIFIER)),
    "by place": (
        f"<setup xmlns='{EXI}' configurationLocation='/a/place'/>", Setup(configuration_location="/a/place"),
    ),
}  # fmt: skip
RESPONSES = {
    "one is missing": (
        f"<setupResponse xmlns='{EXI}' {OPTIONS} agreement='false'>{listed('schema', *HELD)}"
        f"{listed('missingSchema', LACKED)}</setupResponse>",
        Response(False, SETTINGS, HELD, (LACKED,)),
    ),
    # The text prints the last one as missing here, too, and nothing could be agreed on then.
    "agreement": (
        f"<setupResponse xmlns='{EXI}' {OPTIONS} agreement='true' configurationId='{IDENTIFIER}'>"
        f"{listed('schema', *HELD, LACKED)}</setupResponse>",
        Response(True, SETTINGS, (*HELD, LACKED), (), IDENTIFIER),
    ),
    "quick, accepted": (
        f"<setupResponse xmlns='{EXI}' agreement='true' configurationId='{IDENTIFIER}'/>",
        Response(True, configuration_id=IDENTIFIER),
    ),
    "quick, forgotten": (
        f"<setupResponse xmlns='{EXI}' agreement='false' configurationId='{IDENTIFIER}'/>",
        Response(False, configuration_id=IDENTIFIER),
    ),
}


def same(element: Element | None, text: str) -> bool:
    assert element is not None
    return canonicalize(tostring(element), rewrite_prefixes=True) == canonicalize(text, rewrite_prefixes=True)


@pytest.mark.parametrize(("text", "setup"), SETUPS.values(), ids=SETUPS)
def test_what_a_client_asks(text: str, setup: Setup) -> None:
    assert exi_setup.read_setup(fromstring(text)) == setup
    assert same(exi_setup.setup_element(setup), text)


@pytest.mark.parametrize(("text", "response"), RESPONSES.values(), ids=RESPONSES)
def test_what_a_server_answers(text: str, response: Response) -> None:
    assert exi_setup.read_response(fromstring(text)) == response
    assert same(exi_setup.response_element(response), text)


def test_an_answer_that_does_not_say_whether_it_agrees_does_not() -> None:
    text = f"<setupResponse xmlns='{EXI}' {OPTIONS}>{listed('schema', *HELD)}{listed('missingSchema', LACKED)}"
    assert exi_setup.read_response(fromstring(text + "</setupResponse>")) == RESPONSES["one is missing"][1]


def test_what_a_client_uploads() -> None:
    lines = base64.encodebytes(ROOM).decode().replace("\n", "\n    ")
    text = f"<uploadSchema xmlns='{EXI}' contentType='Text'>\n    {lines}</uploadSchema>"
    assert exi_setup.read_upload(fromstring(text), 10_000) == Upload(ROOM)
    packed = base64.b64encode(ROOM).decode()
    text = f"<uploadSchema xmlns='{EXI}' contentType='Text'>{packed}</uploadSchema>"
    assert same(exi_setup.upload_element(Upload(ROOM)), text)


def test_which_methods_a_server_offers() -> None:
    features = fromstring(
        f"<f><compression xmlns='{exi_setup.COMPRESS_FEATURE}'><method>zlib</method><method>lzw</method>"
        "<method>exi</method><method>exi:54321</method></compression></f>"
    )
    assert exi_setup.offered_methods(features) == ["zlib", "lzw", "exi", "exi:54321"]


# ---------------------------------------------------------------------------------------------- a server that answers


@pytest.fixture
def negotiator(store: Store) -> Negotiator:
    return Negotiator(store, store.bounds)


async def test_compression_before_the_set_up(negotiator: Negotiator) -> None:
    asked = f"<compress xmlns='{COMPRESS}'><method>exi</method></compress>"
    answer = await negotiator.answer(fromstring(asked))
    assert same(answer, f"<failure xmlns='{COMPRESS}'><setup-failed/></failure>")


async def test_the_whole_exchange(negotiator: Negotiator) -> None:
    def response(agreement: str, *schemas: str) -> str:
        return f"<setupResponse xmlns='{EXI}' {OPTIONS} agreement={agreement}>{''.join(schemas)}</setupResponse>"

    await negotiator.answer(exi_setup.upload_element(Upload(HOUSE)))
    setup = fromstring(f"<setup xmlns='{EXI}' {OPTIONS}>{listed('schema', HOUSE_FILE, ROOM_FILE)}</setup>")
    answer = await negotiator.answer(setup)
    assert same(answer, response("'false'", listed("schema", HOUSE_FILE), listed("missingSchema", ROOM_FILE)))
    uploaded = f"<uploadSchema xmlns='{EXI}' contentType='Text'>{base64.encodebytes(ROOM).decode()}</uploadSchema>"
    assert await negotiator.answer(fromstring(uploaded)) is None
    answer = await negotiator.answer(setup)
    assert negotiator.agreed is not None
    identifier = negotiator.agreed.configuration_id
    assert same(answer, response(f"'true' configurationId='{identifier}'", listed("schema", HOUSE_FILE, ROOM_FILE)))
    quick = await negotiator.answer(fromstring(f"<setup xmlns='{EXI}' configurationId='{identifier}'/>"))
    assert same(quick, f"<setupResponse xmlns='{EXI}' agreement='true' configurationId='{identifier}'/>")
    compressed = await negotiator.answer(fromstring(f"<compress xmlns='{COMPRESS}'><method>exi</method></compress>"))
    assert same(compressed, f"<compressed xmlns='{COMPRESS}'/>")


async def test_a_configuration_that_is_forgotten(negotiator: Negotiator) -> None:
    answer = await negotiator.answer(fromstring(SETUPS["quick"][0]))
    assert same(answer, RESPONSES["quick, forgotten"][0])


class Answering(Downloader):
    """A downloader whose answers are given: here the words count, in test_download what happens on the network."""

    def __init__(self, answers: dict[str, bytes | DownloadFailed]) -> None:
        super().__init__(Bounds(downloads=True))
        self.answers = answers

    async def fetch(self, url: str) -> bytes:
        answer = self.answers[url]
        if isinstance(answer, DownloadFailed):
            raise answer
        return answer


URL = "https://schemavault.example.org/compress/sn/provisioning.xsd"
DOWNLOADS: dict[str, tuple[bytes | DownloadFailed, str]] = {
    "http error": (
        DownloadFailed("httpError", code="404", message="NotFound"),
        "<httpError code='404' message='NotFound'/>",
    ),
    "no URL": (
        DownloadFailed("invalidUrl", message="Unrecognized schema."),
        "<invalidUrl message='Unrecognized schema.'/>",
    ),
    "time-out": (
        DownloadFailed("timeout", message="No response returned."),
        "<timeout message='No response returned.'/>",
    ),
    "not XML": (
        DownloadFailed("invalidContentType", contentTypeReturned="text/html"),
        "<invalidContentType contentTypeReturned='text/html'/>",
    ),
    "other": (DownloadFailed("error", message="No free space left."), "<error message='No free space left.'/>"),
    "no schema": (b"<html/>", "<error message=\"Not stored: its root is 'html' of '', not xs:schema.\"/>"),
}


async def test_a_download(store: Store) -> None:
    negotiator = Negotiator(store, Bounds(), Answering({URL: ROOM}))
    answer = await negotiator.answer(fromstring(f"<downloadSchema xmlns='{EXI}' url='{URL}'/>"))
    assert same(answer, f"<downloadSchemaResponse xmlns='{EXI}' url='{URL}' result='true'/>")
    known = await negotiator.answer(exi_setup.setup_element(Setup(schemas=(ROOM_FILE,))))
    assert known is not None and known.get("agreement") == "true"


@pytest.mark.parametrize(("found", "told"), DOWNLOADS.values(), ids=DOWNLOADS)
async def test_a_download_that_fails(store: Store, found: bytes | DownloadFailed, told: str) -> None:
    negotiator = Negotiator(store, Bounds(), Answering({URL: found}))
    answer = await negotiator.answer(fromstring(f"<downloadSchema xmlns='{EXI}' url='{URL}'/>"))
    assert same(
        answer, f"<downloadSchemaResponse xmlns='{EXI}' url='{URL}' result='false'>{told}</downloadSchemaResponse>"
    )


async def test_downloads_are_off_unless_somebody_switches_them_on(store: Store) -> None:
    for negotiator in (Negotiator(store, Bounds(downloads=True)), Negotiator(store, Bounds(), Downloader(Bounds()))):
        answer = await negotiator.answer(fromstring(f"<downloadSchema xmlns='{EXI}' url='{URL}'/>"))
        told = f"<downloadSchemaResponse xmlns='{EXI}' url='{URL}' result='false'><error message='Downloads are off.'/>"
        assert same(answer, told + "</downloadSchemaResponse>")
