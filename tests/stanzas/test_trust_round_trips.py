"""Whatever is asked, answered, registered or searched for, it is read again as it was written, in every dialect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.stanzas.dialects import DISCOVERY, PROVISIONING, DiscoveryCodec, ProvisioningCodec
from hub.stanzas.discovery_xmpp import OPERATORS
from hub.stanzas.provisioning import AccessQuestion, DiscoveryRequest, FoundThing, TagValues
from hub.stanzas.provisioning_xmpp import CREDENTIALS
from hub.things.model import FieldTypes, NodeRef, Tokens
from hub.things.questions import Question, Right, Verdict, narrowed_to
from hub.things.values import to_text
from tests.stanzas import strategies as some
from tests.stanzas.test_round_trips import collapsed, through_xml

OLD = PROVISIONING["urn:xmpp:iot:provisioning"]
CODECS = list(dict.fromkeys(PROVISIONING.values()))
EVERY = pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.namespaces[0])
EVERY_DISCOVERY = pytest.mark.parametrize("codec", list(DISCOVERY.values()), ids=lambda codec: codec.namespace)


@EVERY
@some.quick
@given(question=some.questions())
def test_a_question(codec: ProvisioningCodec, question: Question) -> None:
    expected = question if codec is OLD else replace(question, types=collapsed(question.types))
    assert codec.decode_question(through_xml(codec.encode_question(question))) == expected


def covers(wide: tuple[Any, ...] | None, narrow: tuple[Any, ...] | None) -> bool:
    """None and () are everything."""
    return not wide or (bool(narrow) and set(narrow or ()) <= set(wide))


@EVERY
@some.thorough
@given(data=st.data())
def test_a_verdict_never_says_more_than_it_means(codec: ProvisioningCodec, data: st.DataObject) -> None:
    asked = data.draw(some.questions())
    arrived = codec.decode_question(through_xml(codec.encode_question(asked)))
    meant = narrowed_to(arrived, verdict := data.draw(some.verdicts(arrived)))
    heard = narrowed_to(asked, codec.decode_verdict(through_xml(codec.encode_verdict(arrived, verdict)), asked))
    if heard.allowed:
        assert meant.allowed and covers(meant.nodes, heard.nodes) and covers(meant.names, heard.names)
        assert heard.types in meant.types or heard.types == meant.types
        assert covers(asked.nodes, heard.nodes) and covers(asked.names, heard.names)
        assert meant.secondary_trust or not heard.secondary_trust
    if codec is OLD:
        assert heard == meant
    elif meant.allowed and not asked.types & FieldTypes.HISTORICAL:
        assert replace(meant, secondary_trust=False) == heard


binaries = st.binary(min_size=1, max_size=300)
token = st.from_regex(r"[!-~]{1,40}", fullmatch=True)


@EVERY
@some.quick
@given(data=binaries, number=st.integers(-(2**31), 2**31 - 1), shown=token, jid=some.jids)
def test_tokens_and_friends(codec: ProvisioningCodec, data: bytes, number: int, shown: str, jid: str) -> None:
    assert codec.decode_get_token(through_xml(codec.encode_get_token(data))) == data
    assert codec.decode_challenge(through_xml(codec.encode_challenge(number, data))) == (number, data)
    answer = through_xml(codec.encode_challenge_response(number, data))
    assert codec.decode_challenge_response(answer) == (number, data)
    assert codec.decode_token(through_xml(codec.encode_token(shown))) == shown
    assert codec.decode_token_challenge(through_xml(codec.encode_token_challenge(shown, data))) == (shown, data)
    response = through_xml(codec.encode_token_challenge_response(data))
    assert codec.decode_token_challenge_response(response) == data
    assert codec.decode_friend(through_xml(codec.encode_friend(jid))) == jid
    assert codec.decode_friend(through_xml(codec.encode_unfriend(jid))) == jid


privilege = st.lists(some.names.filter(lambda name: "." not in name), min_size=1, max_size=4).map(".".join)
shown_tokens = st.builds(Tokens, token, st.just(""), token)


@some.quick
@given(
    st.lists(st.tuples(st.sampled_from(list(CREDENTIALS)), some.texts), max_size=5).map(tuple),
    st.lists(st.tuples(st.booleans(), privilege), max_size=5).map(tuple),
    shown_tokens,
    some.names,
    st.booleans(),
)
def test_users_of_services(
    credentials: tuple[tuple[str, str], ...],
    privileges: tuple[tuple[bool, str], ...],
    shown: Tokens,
    name: str,
    allowed: bool,
) -> None:
    access = AccessQuestion(shown.service, credentials)
    assert OLD.decode_access(through_xml(OLD.encode_access(access))) == access
    user = shown.user if allowed else ""
    assert OLD.decode_access_response(through_xml(OLD.encode_access_response(allowed, user))) == (allowed, user)
    assert OLD.decode_user_logged_in(through_xml(OLD.encode_user_logged_in(shown, name))) == (shown, name)
    assert OLD.decode_privileges(through_xml(OLD.encode_privileges(privileges))) == privileges
    for _, each in privileges:
        assert OLD.decode_has_privilege(through_xml(OLD.encode_has_privilege(shown, each))) == (shown, each)
    assert OLD.decode_has_privilege_response(through_xml(OLD.encode_has_privilege_response(allowed))) == allowed
    assert OLD.decode_download_privileges(through_xml(OLD.encode_download_privileges(shown))) == shown


def spelled(tags: TagValues) -> list[tuple[str, type, str]]:
    """In order, with every decimal: 1.20 is not 1.2 here."""
    return [(name, type(value), to_text(value)) for name, value in tags.items()]


@EVERY_DISCOVERY
@some.quick
@given(tags=some.tags, node=some.addresses, jid=some.jids, flag=st.booleans())
def test_things(codec: DiscoveryCodec, tags: TagValues, node: NodeRef, jid: str, flag: bool) -> None:
    at, found, self_owned = codec.decode_register(through_xml(codec.encode_register(node, tags, self_owned=flag)))
    assert (at, spelled(found), self_owned) == (node, spelled(tags), flag)
    found, public = codec.decode_mine(through_xml(codec.encode_mine(tags, public=flag)))
    assert (spelled(found), public) == (spelled(tags), flag)
    assert codec.decode_claimed(through_xml(codec.encode_claimed(jid, node, public=flag))) == (jid, node, flag)
    for who in ("", jid):
        of, at, found = codec.decode_update(through_xml(codec.encode_update(who, node, tags)))
        assert (of, at, spelled(found)) == (who, node, spelled(tags))
    for request, who in (
        (DiscoveryRequest.REMOVE, jid), (DiscoveryRequest.DISOWN, jid), (DiscoveryRequest.REMOVED, ""),
        (DiscoveryRequest.UNREGISTER, ""), (DiscoveryRequest.DISOWNED, ""),
    ):  # fmt: skip
        element = through_xml(codec.encode_node(request, node, who))
        assert (codec.requests[element.tag], *codec.decode_node(element)) == (request, who, node)


@EVERY_DISCOVERY
@some.quick
@given(data=st.data())
def test_a_search(codec: DiscoveryCodec, data: st.DataObject) -> None:
    operators = sorted(OPERATORS | ({"strRegEx"} if ":disco:" in codec.namespace else set()))
    search = data.draw(some.searches(operators))
    assert codec.decode_search(through_xml(codec.encode_search(search))) == search


@EVERY_DISCOVERY
@some.quick
@given(things=some.found_things, more=st.booleans())
def test_what_is_found(codec: DiscoveryCodec, things: tuple[FoundThing, ...], more: bool) -> None:
    expected = tuple(replace(thing, owner="") for thing in things) if ":disco:" in codec.namespace else things
    assert codec.decode_found(through_xml(codec.encode_found(things, more=more))) == (expected, more)


@pytest.mark.parametrize("request_", [DiscoveryRequest.REMOVE, DiscoveryRequest.DISOWN])
@EVERY_DISCOVERY
def test_what_is_about_a_thing_of_somebody_names_it(codec: DiscoveryCodec, request_: DiscoveryRequest) -> None:
    with pytest.raises(ValueError, match="is not made of this"):
        codec.encode_node(request_, NodeRef(""))
    with pytest.raises(ValueError, match="is not made of this"):
        codec.encode_node(DiscoveryRequest.REMOVED, NodeRef(""), "a@b")
    with pytest.raises(ValueError, match="is not made of this"):
        codec.encode_node(DiscoveryRequest.SEARCH, NodeRef(""))


@pytest.mark.parametrize(("types", "said"), [
    (FieldTypes.ALL, {"all"}), (FieldTypes.HISTORICAL, {"historical"}),
    (FieldTypes.HISTORICAL | FieldTypes.PEAK, {"historical", "peak"}),
    (FieldTypes.HISTORICAL_DAY | FieldTypes.PEAK, {"historicalDay", "peak"}),
])  # fmt: skip
def test_types_are_said_in_as_few_words_as_there_are(types: FieldTypes, said: set[str]) -> None:
    question = Question(Right.READ, "a@b", types=types)
    assert set(OLD.encode_question(question).attrib) == {"jid", *said}
    assert set(OLD.encode_verdict(question, Verdict(True)).attrib) == {"jid", "result", *said}
