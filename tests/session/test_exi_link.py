"""When a node tries EXI, and what becomes of an attempt: the policy, without a connection."""

from __future__ import annotations

import logging
from xml.etree.ElementTree import Element, SubElement

import pytest

from hub import exi
from hub.errors import LinkError
from hub.exi import schemas
from hub.session import exi_link
from hub.session import exi_setup as setup
from hub.session.exi_link import ExiLink, ExiPolicy, Vocabulary
from hub.session.exi_memory import Agreements
from hub.session.exi_setup import Response, SchemaFile, Settings, Setup

ONE = SchemaFile.of("urn:one", b"<one/>")
SETTINGS = Settings(exi.Options(value_max_length=64), session_wide=True)
VOCABULARY = Vocabulary(Setup(SETTINGS, (ONE,)), schemas.grammars)
AGREED = Response(True, SETTINGS, (ONE,), configuration_id="id")


def features(*methods: str) -> Element:
    element = Element("{http://etherx.jabber.org/streams}features")
    compression = SubElement(element, f"{{{setup.COMPRESS_FEATURE}}}compression")
    for method in methods:
        SubElement(compression, f"{{{setup.COMPRESS_FEATURE}}}method").text = method
    return element


def link(policy: ExiPolicy = ExiPolicy.PREFER, agreements: Agreements | None = None) -> ExiLink:
    return ExiLink(policy, "localhost", lambda: VOCABULARY, agreements or Agreements(None))


def taken(link: ExiLink, response: Response) -> list[str]:
    answers = link.take(setup.response_element(response))
    assert answers is not None
    return [each.tag for each in answers]


def agree(link: ExiLink) -> None:
    link.start(features("exi"))
    assert taken(link, AGREED) == [setup.COMPRESS_REQUEST]
    assert link.take(Element(setup.COMPRESSED)) == []


async def test_an_agreement_makes_a_stream() -> None:
    exi_link = link()
    agree(exi_link)
    assert await exi_link.settled()
    assert exi_link.stream is not None
    assert exi_link.start(features("exi")) == []  # once per connection


async def test_the_next_connection_asks_by_the_name_of_the_agreement() -> None:
    agreements = Agreements(None)
    first = link(agreements=agreements)
    agree(first)
    first.reset()
    assert first.stream is None
    (asked,) = first.start(features("exi"))
    assert setup.read_setup(asked) == Setup(configuration_id="id")


async def test_what_the_server_has_forgotten_is_forgotten_here_too() -> None:
    agreements = Agreements(None)
    agree(link(agreements=agreements))
    again = link(agreements=agreements)
    again.start(features("exi"))
    assert taken(again, Response(False)) == [setup.SETUP]
    assert agreements.recall("localhost", VOCABULARY.proposal) is None


@pytest.mark.parametrize("policy", [ExiPolicy.PREFER, ExiPolicy.REQUIRE])
async def test_a_server_without_exi_is_asked_nothing(policy: ExiPolicy, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    exi_link = link(policy)
    for _ in range(3):
        exi_link.reset()
        assert exi_link.start(features("zlib")) == []
        assert exi_link.why_not == "the server does not offer it"
    assert caplog.text.count("plain XML it is") == (1 if policy is ExiPolicy.PREFER else 0)


async def test_who_does_not_want_exi_reads_no_schema() -> None:
    off = ExiLink(ExiPolicy.OFF, "localhost", lambda: pytest.fail("read"))
    assert off.start(features("exi")) == []
    assert off.take(setup.response_element(AGREED)) is None


async def test_a_refusal_is_settled_without_a_stream() -> None:
    exi_link = link()
    exi_link.start(features("exi"))
    assert taken(exi_link, Response(False)) == []
    assert not await exi_link.settled()
    assert "refuses" in exi_link.why_not


async def test_a_server_that_says_nothing_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may begin to speak EXI at any moment, so this connection is over; the next one stays with XML."""
    monkeypatch.setattr("hub.session.exi_link.SETUP_TIMEOUT_S", 0.01)
    silent = link()
    assert silent.start(features("exi"))
    with pytest.raises(LinkError, match="did not answer the EXI set-up"):
        await silent.settled()
    silent.reset()
    assert silent.start(features("exi")) == []
    assert silent.why_not == "the server did not answer before"


async def test_what_is_no_answer_is_not_taken() -> None:
    exi_link = link()
    assert exi_link.take(setup.response_element(AGREED)) is None  # nothing was asked
    exi_link.start(features("exi"))
    assert exi_link.take(Element("{jabber:client}message")) is None
    taken(exi_link, Response(False))
    assert exi_link.take(setup.response_element(AGREED)) is None  # it is over


def test_the_proposal_of_the_product_has_every_schema_that_ships() -> None:
    vocabulary = exi_link.product_vocabulary()
    shipped = {SchemaFile(*file.identity) for file in schemas.files()}
    assert set(vocabulary.proposal.schemas) == shipped
    assert vocabulary.file_of is not None
    assert all(SchemaFile.of(each.namespace, vocabulary.file_of(each)) == each for each in shipped)
