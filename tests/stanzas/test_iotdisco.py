"""What a thing's QR code says, in both forms; the examples are those of XEP-0347 and of Discovery.md."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadRequest
from hub.stanzas import bounded, iotdisco
from hub.stanzas.iotdisco import Claim
from hub.stanzas.provisioning import TagValues
from tests.stanzas import strategies as some
from tests.stanzas.test_trust_round_trips import spelled
from tests.stanzas.vectors_xep0347 import TAGS

TEXT = "IoTDisco;SN:394872348732948723;MAN:www.ktc.se;MODEL:IMC;#V:1.2;KEY:4857402340298342"
URI = "iotdisco:SN=98734238472634;MAN=www.example.org;MODEL=Device;#V=1.0;KEY=3453485763440213840928"
URI_TAGS: dict[str, str | Decimal] = {
    "SN": "98734238472634", "MAN": "www.example.org", "MODEL": "Device", "V": Decimal("1.0"),
    "KEY": "3453485763440213840928",
}  # fmt: skip
REGISTRY = "discovery.example.org"


def test_the_example_of_the_text_both_ways() -> None:
    assert iotdisco.encode_text(TAGS) == TEXT
    assert spelled(iotdisco.decode(TEXT).tags) == spelled(TAGS)


def test_the_example_of_the_uri_both_ways() -> None:
    assert iotdisco.encode_uri(URI_TAGS) == URI
    assert spelled(iotdisco.decode(URI).tags) == spelled(URI_TAGS)
    assert iotdisco.encode_uri(URI_TAGS, REGISTRY) == f"{URI};R={REGISTRY}"
    assert iotdisco.decode(f"{URI};R={REGISTRY}") == Claim(URI_TAGS, REGISTRY)


AWKWARD = r"a;b\c:d=e#f"


@pytest.mark.parametrize(("encode", "written"), [
    (iotdisco.encode_text, r"IoTDisco;NAME:a\;b\\c:d=e#f"),
    (iotdisco.encode_uri, r"iotdisco:NAME=a\;b\\c:d=e#f"),
])  # fmt: skip
def test_semicolons_and_backslashes_follow_a_backslash(encode: Callable[..., str], written: str) -> None:
    assert encode({"NAME": AWKWARD}) == written
    assert iotdisco.decode(written).tags == {"NAME": AWKWARD}


@pytest.mark.parametrize(("text", "claim"), [
    ("  iotdisco:SN=1\n", Claim({"SN": "1"})),
    ("IOTDISCO:sn=1", Claim({"SN": "1"})),
    ("iotdisco;sn:1", Claim({"SN": "1"})),
    ("iotdisco:;SN=1;#v=-0.50", Claim({"SN": "1", "V": Decimal("-0.50")})),
    ("iotdisco:KEY=;R=", Claim({"KEY": ""})),
    ("iotdisco:SN=1;R=\\discovery\\.example\\;.org", Claim({"SN": "1"}, "discovery.example;.org")),
    ("IoTDisco;SN:1;R:discovery.example.org", Claim({"SN": "1"}, REGISTRY)),
    ("iotdisco:ROOM=Größe 1 %41", Claim({"ROOM": "Größe 1 %41"})),
    ("iotdisco:A=1<2", Claim({"A": "1<2"})),
])  # fmt: skip
def test_what_others_write_is_read(text: str, claim: Claim) -> None:
    assert iotdisco.decode(text) == claim


@pytest.mark.parametrize(("text", "said"), [
    ("", "begins with"),
    ("xmpp:thing@example.org", "begins with"),
    ("iotdisco", "begins with"),
    ("iotdisco:", "is no tag"),
    ("IoTDisco;", "is no tag"),
    ("iotdisco:SN", "is no tag"),
    ("iotdisco:SN=1;", "is no tag"),
    ("iotdisco:SN=1;;KEY=2", "is no tag"),
    ("IoTDisco;SN=1", "is no tag"),
    ("iotdisco:=1", "the name of a tag"),
    ("iotdisco:A B=1", "the name of a tag"),
    ("iotdisco:##A=1", "the name of a tag"),
    (f"iotdisco:{'A' * 33}=1", "the name of a tag"),
    (f"iotdisco:A={'x' * 129}", "at most 128"),
    ("iotdisco:A=\x00", "controls"),
    ("iotdisco:SN=1\\", "is it whole"),
    ("iotdisco:SN=1;sn=2", "given twice"),
    ("iotdisco:#V=", "is not a number"),
    ("iotdisco:#V=1,2", "is not a number"),
    ("iotdisco:#V=1e999999999", "is not a number"),
    ("iotdisco:#R=1", "no number"),
    ("iotdisco:SN~*9873*", "a search"),
    ("iotdisco:#V>=1.0;#V<2", "a search"),
    ("iotdisco:A<>1", "a search"),
    ("iotdisco:" + ";".join(f"A{n}=1" for n in range(65)), "at most 64"),
    ("iotdisco:A=" + "x" * 20_000, "at most 20000"),
])  # fmt: skip
def test_what_is_no_claim_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        iotdisco.decode(text)


@pytest.mark.parametrize("tags", [
    {"A B": "1"}, {"": "1"}, {"A:B": "1"}, {"#A": "1"}, {"R": "registry"}, {"A;B": "1"}, {"A": "x" * 129},
    {"A": Decimal("NaN")}, {"a": "1", "A": "2"}, {"A\\": "1"},
])  # fmt: skip
@pytest.mark.parametrize("encode", [iotdisco.encode_text, iotdisco.encode_uri])
def test_what_could_not_be_read_again_is_not_written(encode: Callable[..., str], tags: TagValues) -> None:
    with pytest.raises(BadRequest):
        encode(tags)


@pytest.mark.parametrize("name", ["A=B", "A<B", "A>B", "A~B"])
def test_some_names_fit_the_text_only(name: str) -> None:
    assert iotdisco.decode(iotdisco.encode_text({name: "1"})).tags == {name: "1"}
    with pytest.raises(BadRequest, match="another name"):
        iotdisco.encode_uri({name: "1"})


def test_the_largest_claim_fits() -> None:
    tags: dict[str, Any] = {f"{n:02}" + "A" * 30: ";" * 128 for n in range(bounded.MAX_TAGS)}
    for encode in (iotdisco.encode_text, iotdisco.encode_uri):
        assert len(encode(tags)) <= iotdisco.MAX_LENGTH
        assert iotdisco.decode(encode(tags)).tags == tags


plain_names = some.tag_names.filter(lambda name: name != "R" and not set(r";\=<>~") & set(name))


@some.thorough
@given(st.dictionaries(plain_names, some.tag_values, min_size=1, max_size=5), some.jids)
def test_any_tags_both_ways(tags: dict[str, Any], registry: str) -> None:
    assert spelled(iotdisco.decode(iotdisco.encode_text(tags)).tags) == spelled(tags)
    claim = iotdisco.decode(iotdisco.encode_uri(tags, registry))
    assert (spelled(claim.tags), claim.registry) == (spelled(tags), registry)


@some.thorough
@given(st.sampled_from(["IoTDisco;", "iotdisco:", ""]), st.lists(st.sampled_from(
    ["A", "KEY", "R", ":", "=", ";", "\\", "#", "<", ">", "~", "1", "-", ".", " ", "\x00", "\n", "ß", "e9999", "😀"]
)))  # fmt: skip
def test_any_text_is_a_claim_or_refused(start: str, rest: list[str]) -> None:
    try:
        claim = iotdisco.decode(start + "".join(rest))
    except BadRequest as error:
        assert str(error)
    else:
        assert bounded.checked_tags(claim.tags) == claim.tags
