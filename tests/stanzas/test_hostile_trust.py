"""Whatever a stranger sends as provisioning or discovery, it has a meaning or is refused, and its size is bounded."""

from __future__ import annotations

import contextlib
import random
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadRequest, PeerConfused, RequestError
from hub.stanzas import bounded
from hub.stanzas.dialects import DISCOVERY, PROVISIONING, DiscoveryCodec, ProvisioningCodec
from hub.stanzas.errors import encode_error
from hub.things.model import FieldTypes, NodeRef, Tokens
from hub.things.questions import Question, Right, Verdict, narrowed_to
from tests.stanzas import strategies as some
from tests.stanzas import vectors_new_trust, vectors_xep0324, vectors_xep0347
from tests.stanzas.mischief import grow, nested, spoil, words
from tests.stanzas.vector import parse, stanzas

OLD, OLD_DISCOVERY = PROVISIONING["urn:xmpp:iot:provisioning"], DISCOVERY["urn:xmpp:iot:discovery"]
QUESTIONS = (
    Question(Right.FRIEND, "client1@example.org"),
    Question(Right.READ, "primary@example.org", (NodeRef("Device02"),), ("Power",), FieldTypes.MOMENTARY),
    Question(Right.CONTROL, "amr@example.org", names=("On",)),
)

METHODS = (
    "get_token", "challenge", "challenge_response", "token", "token_challenge", "token_challenge_response", "friend",
    "access", "access_response", "user_logged_in", "has_privilege", "has_privilege_response", "download_privileges",
    "privileges",
)  # fmt: skip
SEVERAL = frozenset({
    "challenge", "challenge_response", "token_challenge", "access_response", "user_logged_in", "has_privilege",
})  # fmt: skip


def use_provisioning(codec: ProvisioningCodec, element: ET.Element) -> None:
    with contextlib.suppress(RequestError):
        question = codec.decode_question(element)
        assert codec.decode_question(codec.encode_question(question)) == question
        codec.encode_verdict(question, Verdict(True))
    for question in QUESTIONS:
        with contextlib.suppress(PeerConfused):
            heard = narrowed_to(question, codec.decode_verdict(element, question))
            assert not heard.allowed or set(heard.names) <= set(question.names)
            assert not heard.allowed or question.nodes is None or set(heard.nodes or ()) <= set(question.nodes)
    for name in METHODS:
        with contextlib.suppress(RequestError):
            meaning = getattr(codec, f"decode_{name}")(element)
            encode: Callable[..., ET.Element] = getattr(codec, f"encode_{name}")
            again = encode(*meaning) if name in SEVERAL else encode(meaning)
            assert getattr(codec, f"decode_{name}")(ET.fromstring(ET.tostring(again))) == meaning


def use_discovery(codec: DiscoveryCodec, element: ET.Element) -> None:
    with contextlib.suppress(RequestError):
        node, tags, self_owned = codec.decode_register(element)
        assert len(tags) <= bounded.MAX_TAGS
        codec.decode_register(codec.encode_register(node, tags, self_owned=self_owned))
    with contextlib.suppress(RequestError):
        tags, public = codec.decode_mine(element)
        assert codec.decode_mine(codec.encode_mine(tags, public=public)) == (tags, public)
    with contextlib.suppress(RequestError):
        jid, node, public = codec.decode_claimed(element)
        assert codec.decode_claimed(codec.encode_claimed(jid, node, public=public)) == (jid, node, public)
    with contextlib.suppress(RequestError):
        jid, node = codec.decode_node(element)
        codec.encode_node(codec.requests[element.tag], node, jid)
    with contextlib.suppress(RequestError):
        jid, node, tags = codec.decode_update(element)
        assert codec.decode_update(codec.encode_update(jid, node, tags)) == (jid, node, tags)
    with contextlib.suppress(RequestError):
        search = codec.decode_search(element)
        assert search.terms and codec.decode_search(codec.encode_search(search)) == search
    with contextlib.suppress(RequestError):
        things, more = codec.decode_found(element)
        codec.decode_found(codec.encode_found(things, more=more))


Use = Callable[[Any, ET.Element], None]
DECODERS = [
    *(pytest.param(use_provisioning, codec, name, id=name) for name, codec in PROVISIONING.items()),
    *(pytest.param(use_discovery, codec, name, id=name) for name, codec in DISCOVERY.items()),
]
EACH = pytest.mark.parametrize(("use", "codec", "namespace"), DECODERS)


def payloads() -> Iterator[ET.Element]:
    for table in (vectors_xep0324, vectors_xep0347):
        for found in stanzas(table.FILE).values():
            for stanza in found:
                yield from parse(stanza)
    for vector in (*vectors_new_trust.PROVISIONING_VECTORS, *vectors_new_trust.DISCOVERY_VECTORS):
        yield ET.fromstring(vector.xml.replace("FAMILY", "nf"))


SEEDS = [ET.tostring(payload, encoding="unicode") for payload in payloads()]
TAGS, ATTRIBUTES = words(SEEDS)


@EACH
@some.thorough
@given(st.integers(0, 2**32), st.sampled_from(SEEDS))
def test_a_spoilt_vector_has_a_meaning_or_is_refused(use: Use, codec: Any, namespace: str, seed: int, xml: str) -> None:
    chance = random.Random(seed)
    element = ET.fromstring(xml)
    for _ in range(chance.randrange(6)):
        spoil(element, chance)
    if chance.random() < 0.7:  # in the words of another dialect, but under this name
        for each in element.iter():
            each.tag = f"{{{namespace}}}" + each.tag.rpartition("}")[2]
    use(codec, element)


@EACH
@some.quick
@given(st.integers(0, 2**32))
def test_any_tree_has_a_meaning_or_is_refused(use: Use, codec: Any, namespace: str, seed: int) -> None:
    use(codec, grow(random.Random(seed), TAGS, ATTRIBUTES))


@EACH
def test_depth_and_breadth_do_not_matter(use: Use, codec: Any, namespace: str) -> None:
    for tag in codec.requests:
        wide = ET.Element(tag, {"jid": "a@b", "seqnr": "1", "token": "T", "serviceToken": "S"})
        wide.extend([ET.Element(tag) for _ in range(3000)])
        use(codec, wide)
        use(codec, nested(tag, 900))


# --------------------------------------------------------------------------- limits, each at its edge


def read(element: ET.Element) -> Question:
    return OLD.decode_question(element)


def asking(**attributes: str) -> ET.Element:
    return ET.Element("{urn:xmpp:iot:provisioning}canRead", {"jid": "a@b", **attributes})


def refused(decode: Callable[[ET.Element], Any], element: ET.Element) -> str:
    with pytest.raises(BadRequest) as caught:
        decode(element)
    assert ET.tostring(encode_error(caught.value))
    return str(caught.value)


@pytest.mark.parametrize("jid", [
    "", " ", "@", "a@", "@b", "a@b@c", "a b@c", "/r", "a@b\tc", "a\u00a0b", "x" * 3072, "a" * 1024 + "@b",
])  # fmt: skip
@pytest.mark.parametrize("decode", [OLD.decode_question, OLD.decode_friend])
def test_what_is_no_jid_is_refused(decode: Callable[[ET.Element], Any], jid: str) -> None:
    tag = "isFriend" if decode == OLD.decode_question else "friend"
    refused(decode, ET.Element(f"{{urn:xmpp:iot:provisioning}}{tag}", jid=jid))


def test_a_long_jid_with_a_resource_is_one() -> None:
    local, domain = "l" * 1023, "d" * 1023
    assert read(asking(jid=f"{local}@{domain}/{'r' * 1023}")).jid == f"{local}@{domain}"


@pytest.mark.parametrize(("kind", "attribute"), [("node", "nodeId"), ("field", "name")])
def test_nodes_and_fields_are_counted(kind: str, attribute: str) -> None:
    element = asking()
    for n in range(1000):
        ET.SubElement(element, f"{{urn:xmpp:iot:provisioning}}{kind}", {attribute: f"x{n}"})
    element.extend([ET.Element(element[0].tag, element[0].attrib) for _ in range(5)])  # twice is once
    question = read(element)
    assert len(question.nodes or question.names) == 1000
    ET.SubElement(element, element[0].tag, {attribute: "one more"})
    assert "at most 1000" in refused(read, element)


@pytest.mark.parametrize(("kind", "attribute", "most"), [("node", "nodeId", 1024), ("field", "name", 256)])
def test_names_are_bounded(kind: str, attribute: str, most: int) -> None:
    element = asking()
    child = ET.SubElement(element, f"{{urn:xmpp:iot:provisioning}}{kind}", {attribute: "x" * most})
    read(element)
    child.set(attribute, "x" * (most + 1))
    assert str(most) in refused(read, element)


def test_tokens_are_bounded() -> None:
    most = " ".join(["t" * 512] * 16)
    assert read(asking(serviceToken=most, deviceToken=most, userToken=most)).tokens == Tokens(most, most, most)
    for name in ("serviceToken", "deviceToken", "userToken"):
        assert "at most 16 tokens" in refused(read, asking(**{name: most + " t"}))
        assert "at most 16 tokens" in refused(read, asking(**{name: "t" * 513}))


@pytest.mark.parametrize("token", ["", " ", "a b", "a\tb", " a", "a ", "a\u2003b", "t" * 513])
def test_a_token_has_no_white_space(token: str) -> None:
    refused(OLD.decode_token, OLD.encode_token(token))
    refused(OLD.decode_token_challenge, OLD.encode_token_challenge(token, b"x"))


@pytest.mark.parametrize(("encode", "decode", "most"), [
    (OLD.encode_get_token, OLD.decode_get_token, 16_384 // 4 * 3),
    (OLD.encode_token_challenge_response, OLD.decode_token_challenge_response, 4096 // 4 * 3),
])  # fmt: skip
def test_certificates_and_challenges_are_bounded(
    encode: Callable[[bytes], ET.Element], decode: Callable[[ET.Element], bytes], most: int
) -> None:
    assert decode(encode(b"x" * most)) == b"x" * most
    assert "base64" in refused(decode, encode(b"x" * (most + 1)))
    assert "base64" in refused(decode, encode(b"x" * (most * 10)))
    assert "base64" in refused(decode, encode(b""))


@pytest.mark.parametrize("content", ["%", "YQ", "YQ=", "YQ==YQ==", "YQ=x", "ÄÖ==", "-_==", "٣٣٣٣", "\x00" * 4])
def test_what_is_no_base64_is_refused(content: str) -> None:
    element = OLD.encode_get_token(b"x")
    element.text = content
    assert "base64" in refused(OLD.decode_get_token, element)


def test_base64_may_have_white_space() -> None:
    element = OLD.encode_get_token(b"x")
    element.text = "\n  YWJj\n  ZGVm\n"
    assert OLD.decode_get_token(element) == b"abcdef"


@pytest.mark.parametrize("number", ["", "x", "1.0", "2147483648", "-2147483649", "9" * 400, "١", "1 2"])
def test_the_number_of_a_challenge_has_32_bits(number: str) -> None:
    element = OLD.encode_challenge_response(1, b"x")
    element.set("seqnr", number)
    refused(OLD.decode_challenge_response, element)
    del element.attrib["seqnr"]
    refused(OLD.decode_challenge_response, element)


def accessing(xml: str) -> ET.Element:
    return ET.fromstring(f"<canAccess xmlns='urn:xmpp:iot:provisioning' serviceToken='S'>{xml}</canAccess>")


@pytest.mark.parametrize(("xml", "credentials"), [
    ("<credentials type='IpAddress' value='::1'/>", (("ip6", "::1"),)),
    ("<credentials type='JID' value='a@b'/>", (("jid", "a@b"),)),
    ("<credentials type='X509Certificate' value='YQ=='/>", (("x509Certificate", "YQ=="),)),
    ("<credentials type='ShoeSize' value='43'/>", ()),
    ("<shoe value='43'/><ip4 xmlns='urn:else' value='10.0.0.1'/>", ()),
    ("<protocol value='XMPP'/><sso value=''/>", (("protocol", "XMPP"), ("sso", ""))),
    ("<x509Certificate base64='" + "Y" * 16_384 + "'/>", (("x509Certificate", "Y" * 16_384),)),
])  # fmt: skip
def test_credentials_in_either_form(xml: str, credentials: tuple[tuple[str, str], ...]) -> None:
    assert OLD.decode_access(accessing(xml)).credentials == credentials


@pytest.mark.parametrize("xml", [
    "<ip4/>", "<credentials type='JID'/>", "<credentials value='a@b'/>", "<x509Certificate value='YQ=='/>",
    "<sso value='" + "x" * 1025 + "'/>", "<x509Certificate base64='" + "Y" * 16_385 + "'/>",
    "<ip4 value='10.0.0.1'/>" * 33,
])  # fmt: skip
def test_credentials_are_whole_and_bounded(xml: str) -> None:
    refused(OLD.decode_access, accessing(xml))


@pytest.mark.parametrize("privilege", ["", ".", "A.", ".A", "A..B", "x" * 257])
def test_a_privilege_is_parts_with_periods_between(privilege: str) -> None:
    refused(OLD.decode_has_privilege, OLD.encode_has_privilege(Tokens("S", "", "U"), privilege))
    refused(OLD.decode_privileges, OLD.encode_privileges(((True, privilege),)))


def test_a_list_of_privileges_is_read_whole_or_not_at_all() -> None:
    """An exclusion that was passed over would include."""
    most = OLD.encode_privileges(((False, "A"),) * 1000)
    assert len(OLD.decode_privileges(most)) == 1000
    ET.SubElement(most, most[0].tag, id="A")
    assert "at most 1000" in refused(OLD.decode_privileges, most)
    foreign = OLD.encode_privileges(((True, "A"),))
    ET.SubElement(foreign, "{urn:else}exclude", id="A.B")
    refused(OLD.decode_privileges, foreign)


@pytest.mark.parametrize("tokens", [{"serviceToken": "S"}, {"userToken": "U"}])
@pytest.mark.parametrize("name", ["user_logged_in", "has_privilege", "download_privileges"])
def test_what_is_about_a_user_names_the_service_and_him(name: str, tokens: dict[str, str]) -> None:
    tag = {"user_logged_in": "userLoggedIn", "has_privilege": "hasPrivilege", "download_privileges":
           "downloadPrivileges"}[name]  # fmt: skip
    element = ET.Element(f"{{urn:xmpp:iot:provisioning}}{tag}", {"userName": "K", "privilegeId": "A", **tokens})
    assert "lacks the attribute" in refused(getattr(OLD, f"decode_{name}"), element)


# --------------------------------------------------------------------------- tags and searches


def registering(xml: str) -> ET.Element:
    return ET.fromstring(f"<register xmlns='urn:xmpp:iot:discovery'>{xml}</register>")


@pytest.mark.parametrize("xml", [
    "<str name='' value=''/>", "<str name='A:B' value=''/>", "<str name='A#B' value=''/>", "<str name='A B' value=''/>",
    "<str name='A&#160;B' value=''/>", f"<str name='{'A' * 33}' value=''/>", f"<str name='{'ß' * 17}' value=''/>",
    f"<str name='A' value='{'x' * 129}'/>", "<str name='A'/>", "<str value='A'/>", "<num name='A' value=''/>",
    "<num name='A' value='NaN'/>", "<num name='A' value='INF'/>", "<num name='A' value='1e999'/>",
    "<num name='A' value='0x10'/>", "<num name='A' value='1,5'/>", "<num name='A' value='١'/>",
    "<str name='a' value='1'/><str name='A' value='1'/>",
    "<str name='A' value='1'/><str name='a' value='1'/>",
    "<str name='a' value='1'/><num name='A' value='1'/>",
    "".join(f"<str name='A{n}' value=''/>" for n in range(65)),
])  # fmt: skip
def test_what_is_no_tag_is_refused(xml: str) -> None:
    refused(OLD_DISCOVERY.decode_register, registering(xml))


def test_tags_at_their_edges() -> None:
    xml = f"<str name='{'a' * 32}' value='{'x' * 128}'/><num name='v' value=' 1.20 '/><foreign/><x xmlns='urn:x'/>"
    _, tags, _ = OLD_DISCOVERY.decode_register(registering(xml))
    assert {name: str(value) for name, value in tags.items()} == {"A" * 32: "x" * 128, "V": "1.20"}
    _, tags, _ = OLD_DISCOVERY.decode_register(registering("".join(f"<str name='A{n}' value=''/>" for n in range(64))))
    assert len(tags) == 64


EQUAL = "<strEq name='A' value='b'/>"


@pytest.mark.parametrize(("attributes", "xml"), [
    ("", ""), ("", EQUAL * 33), ("offset='-1'", EQUAL), ("offset='x'", EQUAL), ("offset='4294967296'", EQUAL),
    ("maxCount='0'", EQUAL), ("maxCount=''", EQUAL), ("", "<strLike name='A' value='b'/>"), ("", "<x xmlns='urn:x'/>"),
    ("", "<str name='A' value='b'/>"), ("", "<strEq value='b'/>"), ("", "<strEq name='A'/>"),
    ("", "<strEq name='A#' value='b'/>"), ("", "<numEq name='A' value='b'/>"), ("", "<strRange name='A'/>"),
    ("", "<numRange name='A' min='x' max='1'/>"), ("", "<numRange name='A' min='1' max='2' maxIncluded='so'/>"),
    ("", "<strMask name='A' value='*'/>"), ("", "<strMask name='A' value='*' wildcard=''/>"),
    ("", f"<strMask name='A' value='*' wildcard='{'*' * 17}'/>"), ("", f"<strEq name='A' value='{'x' * 513}'/>"),
])  # fmt: skip
def test_a_search_that_cannot_be_read_whole_is_refused(attributes: str, xml: str) -> None:
    element = ET.fromstring(f"<search xmlns='urn:xmpp:iot:discovery' {attributes}>{xml}</search>")
    refused(OLD_DISCOVERY.decode_search, element)


@pytest.mark.parametrize("request_", ["remove", "disown", "claimed"])
@pytest.mark.parametrize("codec", DISCOVERY.values(), ids=lambda codec: codec.namespace)
def test_what_is_about_somebody_names_him(codec: DiscoveryCodec, request_: str) -> None:
    decode = codec.decode_claimed if request_ == "claimed" else codec.decode_node
    assert "'jid'" in refused(decode, ET.Element(f"{{{codec.namespace}}}{request_}"))


def test_the_address_of_a_node_is_bounded() -> None:
    for name in ("nodeId", "sourceId", "cacheType"):
        element = ET.Element("{urn:xmpp:iot:discovery}removed", {name: "x" * 1024})
        OLD_DISCOVERY.decode_node(element)
        element.set(name, "x" * 1025)
        assert "1024" in refused(OLD_DISCOVERY.decode_node, element)


def test_what_is_found_is_bounded() -> None:
    element = ET.Element("{urn:xmpp:iot:discovery}found")
    element.extend([ET.Element("{urn:xmpp:iot:discovery}thing", jid="a@b") for _ in range(1000)])
    assert len(OLD_DISCOVERY.decode_found(element)[0]) == 1000
    ET.SubElement(element, "{urn:xmpp:iot:discovery}thing", jid="a@b")
    assert "at most 1000" in refused(OLD_DISCOVERY.decode_found, element)
