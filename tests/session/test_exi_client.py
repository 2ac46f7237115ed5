"""The node's side of the set-up, answer by answer: what it sends, what it agrees to, and where it gives up."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement

import pytest

from hub import exi
from hub.session import exi_setup as setup
from hub.session.exi_client import TRANSITIONS, Agreement, Negotiation, State
from hub.session.exi_setup import Response, SchemaFile, Settings, Setup

ONE = SchemaFile.of("urn:one", b"<one/>")
TWO = SchemaFile.of("urn:two", b"<two/>")
OTHER = SchemaFile.of("urn:other", b"<other/>")
WIDE = Settings(exi.Options(value_max_length=64, value_partition_capacity=200), True)
LOWER = Settings(exi.Options(value_max_length=32, value_partition_capacity=100), True)
HIGHER = Settings(exi.Options(value_max_length=65, value_partition_capacity=200), True)
PROPOSAL = Setup(WIDE, (ONE, TWO))
AGREED = Response(True, WIDE, (ONE, TWO), configuration_id="id")
KNOWN = Agreement(LOWER, (ONE, TWO), "known")
COMPRESSED = Element(setup.COMPRESSED)
FILES = {ONE: b"<one/>", TWO: b"<two/>"}


def failure(condition: str) -> Element:
    element = Element(setup.COMPRESS_FAILURE)
    SubElement(element, f"{{{setup.COMPRESS}}}{condition}")
    return element


def answer(negotiation: Negotiation, response: Response) -> list[str]:
    """The local names of what is sent upon an answer."""
    return [each.tag.rpartition("}")[2] for each in negotiation.receive(setup.response_element(response))]


def started(remembered: Agreement | None = None, uploads: bool = True) -> Negotiation:
    negotiation = Negotiation(PROPOSAL, remembered, FILES.__getitem__ if uploads else None)
    assert len(negotiation.start()) == 1
    return negotiation


def test_agreement_at_once() -> None:
    negotiation = Negotiation(PROPOSAL)
    assert [setup.read_setup(each) for each in negotiation.start()] == [PROPOSAL]
    assert answer(negotiation, AGREED) == ["compress"]
    assert negotiation.agreement is None  # not before the other end says that it begins
    assert negotiation.receive(COMPRESSED) == []
    assert negotiation.state is State.DONE
    assert negotiation.agreement == Agreement(WIDE, (ONE, TWO), "id")


def test_what_is_remembered_is_asked_for_by_its_name() -> None:
    negotiation = Negotiation(PROPOSAL, KNOWN)
    assert [setup.read_setup(each) for each in negotiation.start()] == [Setup(configuration_id="known")]
    assert answer(negotiation, Response(True, configuration_id="known")) == ["compress"]
    negotiation.receive(COMPRESSED)
    assert negotiation.agreement == KNOWN
    assert not negotiation.forgotten


@pytest.mark.parametrize("response", [
    Response(False, configuration_id="known"), Response(False), Response(True, configuration_id="another"),
])  # fmt: skip
def test_what_the_server_has_forgotten_is_negotiated_anew(response: Response) -> None:
    negotiation = started(KNOWN)
    assert answer(negotiation, response) == ["setup"]
    assert negotiation.forgotten
    assert answer(negotiation, AGREED) == ["compress"]


def test_lowered_limits_are_accepted_at_once_or_proposed_again() -> None:
    negotiation = started()
    assert answer(negotiation, Response(True, LOWER, (ONE, TWO), configuration_id="id")) == ["compress"]
    negotiation = started()
    sent = negotiation.receive(setup.response_element(Response(False, LOWER, (ONE, TWO))))
    assert [setup.read_setup(each) for each in sent] == [Setup(LOWER, (ONE, TWO))]
    assert answer(negotiation, Response(True, LOWER, (ONE, TWO), configuration_id="id")) == ["compress"]


def test_missing_schemas_are_uploaded_once() -> None:
    negotiation = started()
    sent = negotiation.receive(setup.response_element(Response(False, WIDE, (ONE,), (TWO,))))
    assert [each.tag for each in sent] == [setup.UPLOAD_SCHEMA, setup.SETUP]
    assert setup.read_upload(sent[0], 100).data == b"<two/>"
    assert setup.read_setup(sent[1]) == PROPOSAL
    assert answer(negotiation, AGREED) == ["compress"]


def test_a_server_that_still_misses_them_is_left_alone() -> None:
    negotiation = started()
    missing = Response(False, WIDE, (ONE,), (TWO,))
    assert answer(negotiation, missing) == ["uploadSchema", "setup"]
    assert answer(negotiation, missing) == []
    assert negotiation.state is State.FAILED


REFUSALS = {
    "it raises a limit": Response(True, HIGHER, (ONE, TWO), configuration_id="id"),
    "it adds a schema": Response(True, WIDE, (ONE, TWO, OTHER), configuration_id="id"),
    "it misses what nobody proposed": Response(False, WIDE, (ONE, TWO), (OTHER,)),
    "it agrees to half": Response(True, WIDE, (ONE,), configuration_id="id"),
    "it refuses": Response(False),
    "it agrees to nothing in particular": Response(True, configuration_id="id"),
}


@pytest.mark.parametrize("response", REFUSALS.values(), ids=REFUSALS)
def test_an_answer_that_is_no_answer_is_a_refusal(response: Response) -> None:
    negotiation = started(uploads=False)
    assert answer(negotiation, response) == []
    assert negotiation.state is State.FAILED
    assert negotiation.failure
    assert negotiation.agreement is None
    assert answer(negotiation, AGREED) == []  # and nothing brings it back
    assert negotiation.receive(COMPRESSED) == []
    assert negotiation.state is State.FAILED


def test_nonsense_is_a_refusal() -> None:
    negotiation = started()
    assert negotiation.receive(Element(setup.SETUP_RESPONSE, agreement="perhaps")) == []
    assert "perhaps" in negotiation.failure


@pytest.mark.parametrize("condition", ["setup-failed", "unsupported-method", "processing-failed"])
def test_a_server_that_does_not_begin(condition: str) -> None:
    negotiation = started()
    answer(negotiation, AGREED)
    assert negotiation.receive(failure(condition)) == []
    assert condition in negotiation.failure


def test_a_server_that_begins_too_early() -> None:
    negotiation = started()
    assert negotiation.receive(COMPRESSED) == []
    assert negotiation.state is State.FAILED


def test_other_elements_change_nothing() -> None:
    negotiation = started()
    assert negotiation.receive(Element("{jabber:client}message")) == []
    assert negotiation.state is State.PROPOSED


def test_no_server_keeps_a_client_busy() -> None:
    """Every way through the table ends: no state comes twice."""

    def longest(state: State, seen: frozenset[State]) -> int:
        after = {TRANSITIONS[key] for key in TRANSITIONS if key[0] is state}
        assert not after & seen
        return max((1 + longest(each, seen | {each}) for each in after), default=0)

    assert longest(State.START, frozenset({State.START})) == 6
