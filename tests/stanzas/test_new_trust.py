"""Provisioning and discovery in the newer dialect, under each of its names; and what sets the dialects apart."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from hub.errors import BadRequest, NotSupported, PeerConfused
from hub.stanzas.dialects import (
    DISCOVERY,
    DISCOVERY_REQUESTS,
    PROVISIONING,
    PROVISIONING_REQUESTS,
    DiscoveryCodec,
    ProvisioningCodec,
)
from hub.stanzas.provisioning import (
    AccessQuestion,
    DiscoveryRequest,
    FoundThing,
    ProvisioningRequest,
    SearchQuery,
    SearchTerm,
)
from hub.things.model import FieldTypes, NodeRef, Tokens
from hub.things.questions import Question, Right, Verdict, narrowed_to
from tests.stanzas import vectors_new_trust as table
from tests.stanzas.trust_kinds import DISCOVERY_KINDS, PROVISIONING_KINDS, Kind
from tests.stanzas.vector import canonical
from tests.stanzas.vectors_new_dialect import Vector

OLD, OLD_DISCOVERY = PROVISIONING["urn:xmpp:iot:provisioning"], DISCOVERY["urn:xmpp:iot:discovery"]


def codec_of(family: str, kinds: Any) -> Any:
    return (
        PROVISIONING[f"urn:{family}:iot:prov:d:1.0"]
        if kinds is PROVISIONING_KINDS
        else DISCOVERY[f"urn:{family}:iot:disco:1.0"]
    )


CASES = [
    pytest.param(codec_of(family, kinds), kinds[vector.kind], vector, family, id=f"{family}-{vector.name}")
    for family in table.FAMILIES
    for kinds, vectors in (
        (PROVISIONING_KINDS, table.PROVISIONING_VECTORS),
        (DISCOVERY_KINDS, table.DISCOVERY_VECTORS),
    )
    for vector in vectors
]


def parsed(xml: str, family: str) -> ET.Element:
    return ET.fromstring(xml.replace("FAMILY", family))


@pytest.mark.parametrize(("codec", "kind", "vector", "family"), CASES)
def test_each_payload_is_read_to_exactly_its_meaning(codec: Any, kind: Kind, vector: Vector, family: str) -> None:
    assert kind.read(codec, parsed(vector.xml, family), vector.meaning) == vector.meaning


@pytest.mark.parametrize(("codec", "kind", "vector", "family"), CASES)
def test_each_payload_is_written_as_in_the_table(codec: Any, kind: Kind, vector: Vector, family: str) -> None:
    assert bool(vector.written) == bool(vector.because)
    written = kind.write(codec, vector.meaning)
    assert canonical(written) == canonical(parsed(vector.written or vector.xml, family))
    assert kind.read(codec, ET.fromstring(ET.tostring(written)), vector.meaning) == vector.meaning


@pytest.mark.parametrize(("codec", "kind", "vector", "family"), CASES)
def test_each_payload_is_found_by_its_tag(codec: Any, kind: Kind, vector: Vector, family: str) -> None:
    tag = parsed(vector.xml, family).tag
    tables: dict[str, Any] = {**PROVISIONING_REQUESTS, **DISCOVERY_REQUESTS}
    if kind.request is not None or vector.kind in ("question", "node"):
        assert tables[tag] == (codec, codec.requests[tag]) and tables[tag][1] in (kind.request or codec.requests[tag],)
    else:
        assert tag not in tables


def test_the_dialects_under_their_names() -> None:
    assert set(PROVISIONING) == {"urn:xmpp:iot:provisioning", *table.PROVISIONING}
    assert set(DISCOVERY) == {"urn:xmpp:iot:discovery", *table.DISCOVERY}
    assert all(name in codec.namespaces for name, codec in PROVISIONING.items())
    assert all(codec.namespace == name for name, codec in DISCOVERY.items())
    assert set(OLD.requests.values()) == set(ProvisioningRequest)
    assert all(set(codec.requests.values()) == set(DiscoveryRequest) for codec in DISCOVERY.values())
    assert len(PROVISIONING_REQUESTS) == 13 + 3 * 9 and len(DISCOVERY_REQUESTS) == 4 * 10


NEW = pytest.mark.parametrize("codec", [PROVISIONING[name] for name in table.PROVISIONING if ":d:" in name])
NEW_DISCOVERY = pytest.mark.parametrize("codec", [DISCOVERY[name] for name in table.DISCOVERY])
EVERY = pytest.mark.parametrize("codec", list(dict.fromkeys(PROVISIONING.values())), ids=lambda c: c.namespaces[0])


@NEW
def test_users_of_services_are_the_older_dialects(codec: ProvisioningCodec) -> None:
    element = OLD.encode_access(AccessQuestion("S"))
    for attempt in (
        lambda: codec.encode_access(AccessQuestion("S")),
        lambda: codec.decode_access(element),
        lambda: codec.encode_access_response(True, "U"),
        lambda: codec.encode_user_logged_in(Tokens(), "Kermit"),
        lambda: codec.encode_has_privilege(Tokens(), "A.B"),
        lambda: codec.encode_has_privilege_response(False),
        lambda: codec.encode_download_privileges(Tokens()),
        lambda: codec.encode_privileges(()),
    ):
        with pytest.raises(NotSupported, match="does not exist"):
            attempt()


@NEW
def test_secondary_trust_is_the_older_dialects(codec: ProvisioningCodec) -> None:
    question = Question(Right.FRIEND, "a@b")
    trusting = Verdict(True, secondary_trust=True)
    assert OLD.decode_verdict(OLD.encode_verdict(question, trusting), question) == trusting
    written = codec.encode_verdict(question, trusting)
    assert written.attrib == {"jid": "a@b", "result": "true"}
    written.set("secondaryTrustAllowed", "true")
    assert codec.decode_verdict(written, question) == Verdict(True)


def test_an_emptied_cache_is_acknowledged_by_an_empty_result_in_the_newer_dialect() -> None:
    done = OLD.encode_clear_cache_done()
    assert done is not None and done.tag == "{urn:xmpp:iot:provisioning}clearCacheResponse"
    assert {PROVISIONING[name].encode_clear_cache_done() for name in table.PROVISIONING} == {None}


@NEW
def test_a_part_of_what_is_historical_cannot_be_allowed_in_one_word(codec: ProvisioningCodec) -> None:
    asked = Question(Right.READ, "a@b", types=FieldTypes.HISTORICAL | FieldTypes.MOMENTARY)
    days = Verdict(True, types=FieldTypes.HISTORICAL_DAY)
    assert codec.encode_verdict(asked, days).get("result") == "false"
    both = Verdict(True, types=FieldTypes.HISTORICAL_DAY | FieldTypes.MOMENTARY)
    heard = codec.decode_verdict(codec.encode_verdict(asked, both), asked)
    assert narrowed_to(asked, heard).types == FieldTypes.MOMENTARY
    assert OLD.decode_verdict(OLD.encode_verdict(asked, days), asked) == days


@NEW
def test_who_asks_for_a_part_of_what_is_historical_asks_for_all_and_takes_the_part(codec: ProvisioningCodec) -> None:
    asked = Question(Right.READ, "a@b", types=FieldTypes.HISTORICAL_DAY)
    arrived = codec.decode_question(codec.encode_question(asked))
    assert arrived.types == FieldTypes.HISTORICAL
    heard = codec.decode_verdict(codec.encode_verdict(arrived, Verdict(True)), asked)
    assert narrowed_to(asked, heard).types == FieldTypes.HISTORICAL_DAY


def test_a_regular_expression_is_the_newer_dialects() -> None:
    search = SearchQuery((SearchTerm("strRegEx", "A", "b+"),))
    with pytest.raises(NotSupported, match="strRegEx"):
        OLD_DISCOVERY.encode_search(search)
    with pytest.raises(BadRequest, match="strRegEx"):
        OLD_DISCOVERY.decode_search(
            ET.fromstring("<search xmlns='urn:xmpp:iot:discovery'><strRegEx name='A' value='b+'/></search>")
        )


@NEW_DISCOVERY
def test_an_owner_is_read_and_not_written(codec: DiscoveryCodec) -> None:
    thing = FoundThing("t@example.org", "o@example.org")
    element = codec.encode_found((thing,), more=False)
    assert element[0].attrib == {"jid": "t@example.org"}
    element[0].set("owner", "O@example.org/phone")
    assert codec.decode_found(element) == ((thing,), False)


# --------------------------------------------------------------------------- answers only ever narrow


@EVERY
def test_an_answer_to_another_question_is_none(codec: ProvisioningCodec) -> None:
    question = Question(Right.READ, "a@b", types=FieldTypes.MOMENTARY)
    for other in (
        codec.encode_verdict(Question(Right.READ, "c@b", types=FieldTypes.MOMENTARY), Verdict(True)),
        codec.encode_verdict(Question(Right.FRIEND, "a@b"), Verdict(True)),
        codec.encode_verdict(Question(Right.CONTROL, "a@b"), Verdict(True)),
        codec.encode_question(question),
        ET.Element("canReadResponse", jid="a@b", result="true"),
    ):
        with pytest.raises(PeerConfused):
            codec.decode_verdict(other, question)


@EVERY
@pytest.mark.parametrize("result", [None, "", "yes", "TRUE", "2"])
def test_an_answer_without_a_result_is_none(codec: ProvisioningCodec, result: str | None) -> None:
    question = Question(Right.CONTROL, "a@b")
    element = codec.encode_verdict(question, Verdict(True))
    if result is None:
        del element.attrib["result"]
    else:
        element.set("result", result)
    with pytest.raises(PeerConfused):
        codec.decode_verdict(element, question)


@EVERY
@pytest.mark.parametrize("child", ["only", "{urn:else}node", "node", "nd", "field", "f"])
def test_a_restriction_that_cannot_be_read_spoils_the_answer(codec: ProvisioningCodec, child: str) -> None:
    question = Question(Right.CONTROL, "a@b", names=("On", "Level"))
    element = codec.encode_verdict(question, Verdict(True))
    ET.SubElement(element, child if child.startswith("{") else f"{{{codec.namespaces[0]}}}{child}")
    with pytest.raises(PeerConfused):
        codec.decode_verdict(element, question)


@EVERY
def test_an_allowance_of_nothing_is_a_refusal(codec: ProvisioningCodec) -> None:
    question = Question(Right.CONTROL, "a@b", (NodeRef("x"),), ("On",))
    for nothing in (Verdict(True, ()), Verdict(True, (NodeRef("y"),)), Verdict(True, names=("Off",))):
        assert not codec.decode_verdict(codec.encode_verdict(question, nothing), question).allowed


@EVERY
def test_a_resource_does_not_count(codec: ProvisioningCodec) -> None:
    arrived = codec.encode_question(Question(Right.FRIEND, "A@B/phone"))
    assert arrived.get("jid") == "a@b"
    arrived.set("jid", "A@B/phone/x@y")
    assert codec.decode_question(arrived) == Question(Right.FRIEND, "a@b")
    answer = codec.encode_verdict(Question(Right.FRIEND, "a@b"), Verdict(True))
    answer.set("jid", "a@B/tablet")
    assert codec.decode_verdict(answer, Question(Right.FRIEND, "A@b")).allowed
