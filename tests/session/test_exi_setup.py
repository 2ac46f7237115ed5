"""XEP-0322's set-up as XML and as values: the shapes of its examples, read and produced, and what is refused."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import exi
from hub.errors import PeerConfused
from hub.session import exi_setup as setup
from hub.session.exi_setup import Response, SchemaFile, Settings, Setup, Upload

NS = "xmlns='http://jabber.org/protocol/compress/exi'"
XML = SchemaFile("http://www.w3.org/XML/1998/namespace", 4726, "2e2cf9072dc058dcda41b7ee77a5cb54")
CLIENT = SchemaFile("jabber:client", 6968, "5e2d5cbf0506e3f16336d295093d66c4")
IOT = SchemaFile("urn:xmpp:iot:provisioning", 6303, "3ed5360bc17eadb2a8949498c9af3f0c")
STRICT = Settings(exi.Options(strict=True, block_size=1024, value_max_length=32, value_partition_capacity=100))
ID = "c76ab4ec-4993-4285-8c7a-098060581bb8"


def schema(each: SchemaFile, name: str = "schema") -> str:
    return f"<{name} ns='{each.namespace}' bytes='{each.size}' md5Hash='{each.md5}'/>"


OPTIONS = "version='1' strict='true' blockSize='1024' valueMaxLength='32' valuePartitionCapacity='100'"

SETUPS = [
    (f"<setup {NS} {OPTIONS}>{schema(XML)}{schema(CLIENT)}</setup>", Setup(STRICT, (XML, CLIENT))),
    (f"<setup {NS} configurationId='{ID}'/>", Setup(configuration_id=ID)),
    (f"<setup {NS} configurationLocation='fleet'/>", Setup(configuration_location="fleet")),
    (f"<setup {NS} version='1' alignment='byte-alignment' preservePrefixes='true' sessionWideBuffers='true'/>",
     Setup(Settings(exi.Options(alignment="byte-packed", preserve=frozenset({"prefixes"})), True))),
    (f"<setup {NS} version='1' compression='true'/>", Setup(Settings(exi.Options(alignment="compression")))),
]  # fmt: skip

RESPONSES = [
    (f"<setupResponse {NS} {OPTIONS} agreement='false'>{schema(XML)}{schema(IOT, 'missingSchema')}</setupResponse>",
     Response(False, STRICT, (XML,), (IOT,))),
    (f"<setupResponse {NS} {OPTIONS} agreement='true' configurationId='{ID}'>{schema(XML)}</setupResponse>",
     Response(True, STRICT, (XML,), (), ID)),
    (f"<setupResponse {NS} agreement='true' configurationId='{ID}'/>", Response(True, configuration_id=ID)),
    (f"<setupResponse {NS} agreement='false' configurationId='{ID}'/>", Response(False, configuration_id=ID)),
]  # fmt: skip


def same(one: ET.Element, other: ET.Element) -> bool:
    return ET.canonicalize(ET.tostring(one)) == ET.canonicalize(ET.tostring(other))


@pytest.mark.parametrize(("text", "value"), SETUPS)
def test_a_proposal_is_read_and_written(text: str, value: Setup) -> None:
    element = ET.fromstring(text)
    assert setup.read_setup(element) == value
    assert same(setup.setup_element(value), element)


@pytest.mark.parametrize(("text", "value"), RESPONSES)
def test_an_answer_is_read_and_written(text: str, value: Response) -> None:
    element = ET.fromstring(text)
    assert setup.read_response(element) == value
    assert same(setup.response_element(value), element)


def test_an_answer_without_the_attribute_is_no_agreement() -> None:
    assert not setup.read_response(ET.fromstring(f"<setupResponse {NS} {OPTIONS}/>")).agreement


def test_a_file_is_uploaded_and_read_again() -> None:
    upload = Upload(b"<xs:schema/>" * 20, "ExiBody", 5000, IOT.md5)
    assert setup.read_upload(setup.upload_element(upload), 1000) == upload
    wrapped = ET.fromstring(f"<uploadSchema {NS}>\n  PHhz\n  Lz4=\n</uploadSchema>")
    assert setup.read_upload(wrapped, 1000) == Upload(b"<xs/>")


WRONG_SETUPS = {
    "another version": "version='2'",
    "alignment": "alignment='bits'",
    "a flag": "strict='yes'",
    "nothing": "valueMaxLength='0'",
    "negative": "blockSize='-1'",
    "beyond 32 bits": "valuePartitionCapacity='4294967296'",
    "endless digits": f"blockSize='{'9' * 5000}'",
    "no digits of ours": "blockSize='١٢'",
    "strict and comments": "strict='true' preserveComments='true'",
    "elements that cannot be named": "selfContained='true'",
    "an agreement and a proposal": f"configurationId='{ID}' strict='true'",
    "a long name": f"configurationId='{'x' * 1001}'",
}


@pytest.mark.parametrize("attributes", WRONG_SETUPS.values(), ids=WRONG_SETUPS)
def test_a_proposal_that_makes_no_sense_is_the_peers_error(attributes: str) -> None:
    with pytest.raises(PeerConfused):
        setup.read_setup(ET.fromstring(f"<setup {NS} {attributes}/>"))


@pytest.mark.parametrize("named", [
    "<schema ns='a' bytes='1'/>", "<schema ns='a' bytes='1' md5Hash='5E2D5CBF0506E3F16336D295093D66C4'/>",
    "<schema ns='a' bytes='0' md5Hash='5e2d5cbf0506e3f16336d295093d66c4'/>", schema(CLIENT) * 201,
])  # fmt: skip
def test_a_schema_has_a_size_and_a_hash(named: str) -> None:
    with pytest.raises(PeerConfused):
        setup.read_setup(ET.fromstring(f"<setup {NS}>{named}</setup>"))


@pytest.mark.parametrize("text", [
    f"<uploadSchema {NS} contentType='Zip'>AAAA</uploadSchema>",
    f"<uploadSchema {NS}>not base64</uploadSchema>",
    f"<uploadSchema {NS}>ÄÄÄÄ</uploadSchema>",
    f"<uploadSchema {NS} contentType='ExiBody'>AAAA</uploadSchema>",
    f"<uploadSchema {NS} md5Hash='short'>AAAA</uploadSchema>",
    f"<uploadSchema {NS}>{'AAAA' * 400}</uploadSchema>",
])  # fmt: skip
def test_an_upload_that_makes_no_sense_is_the_peers_error(text: str) -> None:
    with pytest.raises(PeerConfused):
        setup.read_upload(ET.fromstring(text), 1000)


def test_offered_methods_are_found_among_other_features() -> None:
    features = ET.fromstring(
        "<features xmlns='http://etherx.jabber.org/streams'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
        "<compression xmlns='http://jabber.org/features/compress'><method>zlib</method><method>exi</method>"
        "<method>exi:54321</method></compression></features>"
    )
    assert setup.offered_methods(features) == ["zlib", "exi", "exi:54321"]
    assert setup.wants_exi(setup.compress_element())


limits = st.none() | st.integers(1, 2**32 - 1)
settings = st.builds(
    lambda alignment, preserve, length, capacity, block, wide: Settings(
        exi.Options(alignment=alignment, preserve=preserve, value_max_length=length,
                    value_partition_capacity=capacity, block_size=block), wide),
    st.sampled_from(["bit-packed", "byte-packed", "pre-compression", "compression"]),
    st.frozensets(st.sampled_from(["comments", "pis", "dtd", "prefixes", "lexical"])),
    limits, limits, st.integers(1, 2**32 - 1), st.booleans(),
)  # fmt: skip


@given(settings)
def test_settings_survive_their_xml(one: Settings) -> None:
    assert setup.read_setup(setup.setup_element(Setup(one))).settings == one


@given(settings, settings)
def test_bounds_only_lower(proposed: Settings, bounds: Settings) -> None:
    lowered = proposed.lowered_to(bounds)
    assert proposed.allows(lowered)
    assert lowered.lowered_to(bounds) == lowered


def test_what_is_raised_is_not_allowed() -> None:
    proposed = Settings(exi.Options(value_max_length=32), False)
    assert not proposed.allows(Settings(exi.Options(value_max_length=33), False))
    assert not proposed.allows(Settings(exi.Options(value_max_length=None), False))
    assert not proposed.allows(Settings(exi.Options(value_max_length=32), True))
    assert not proposed.allows(Settings(exi.Options(value_max_length=32, strict=True), False))
    assert not proposed.allows(Settings(exi.Options(value_max_length=32, alignment="byte-packed"), False))
    assert not proposed.allows(Settings(exi.Options(value_max_length=32, preserve=frozenset({"pis"})), False))
