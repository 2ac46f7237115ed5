"""XEP-0324 (version 0.5), `urn:xmpp:iot:provisioning`: questions, verdicts, tokens and the users of services.

Rules of this file
* An answer only ever narrows. What cannot be read in one could have been a restriction, so it spoils the answer; and
  an allowance of nothing is written as a refusal, because an empty list means "as asked" (section 3.3.2, note 2).
* Only bare JIDs count, in questions and in answers (section 3.2.1, note 2).

Deviations: `<credentials type= value=>` is accepted where the schema has an element per credential (the examples write
it); `identification` where the schema says `identity`. A question about reading without any field type means
everything but history, as a readout does. A privilege id that is no chain of parts is refused in words, not by a
pattern: the schema's has `^` and `$`, which stand for themselves there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from xml.etree.ElementTree import Element, SubElement

from hub.errors import BadRequest, NotSupported, PeerConfused
from hub.stanzas import bounded, xml
from hub.stanzas.provisioning import AccessQuestion, ProvisioningRequest
from hub.stanzas.sensor_data_xmpp import NODE, REQUEST_TYPES, TOKENS, TYPE_ATTRIBUTES
from hub.things.model import FieldTypes, NodeRef, Tokens
from hub.things.questions import AS_ASKED, REFUSED, Question, Right, Verdict, bare, narrowed_to

NAMESPACE = "urn:xmpp:iot:provisioning"

MAX_CERTIFICATE: Final = 16_384  # characters of base64
MAX_CHALLENGE: Final = 4096  # characters of base64: what an RSA key of 16,384 bits makes fits
MAX_CREDENTIALS: Final = 32
MAX_CREDENTIAL: Final = 1024  # characters
MAX_USER_NAME: Final = 256  # characters
MAX_PRIVILEGE: Final = 256  # characters
MAX_PRIVILEGES: Final = 1000

_ASKED = ProvisioningRequest
DEVICE_REQUESTS = (
    _ASKED.IS_FRIEND, _ASKED.CAN_READ, _ASKED.CAN_CONTROL, _ASKED.CLEAR_CACHE, _ASKED.FRIEND, _ASKED.UNFRIEND,
)  # fmt: skip
TOKEN_REQUESTS = (_ASKED.GET_TOKEN, _ASKED.CHALLENGE_RESPONSE, _ASKED.TOKEN_CHALLENGE)
USER_REQUESTS = (_ASKED.CAN_ACCESS, _ASKED.USER_LOGGED_IN, _ASKED.HAS_PRIVILEGE, _ASKED.DOWNLOAD_PRIVILEGES)

QUESTIONS: Mapping[Right, str] = {Right.FRIEND: "isFriend", Right.READ: "canRead", Right.CONTROL: "canControl"}

CREDENTIALS: Mapping[str, str] = {
    "jid": "value", "ip4": "value", "ip6": "value", "hostName": "value", "x509Certificate": "base64",
    "x509CertificateThumbprint": "base64", "userName": "value", "longitude": "value", "latitude": "value",
    "altitude": "value", "sso": "value", "protocol": "value",
}  # fmt: skip
"""Elements of `canAccess`, and the attribute that holds the value (schema; table in section 3.6.2)."""

_CREDENTIAL_TYPES = {name.lower(): name for name in CREDENTIALS}
_WHOLE_NUMBER = (-(1 << 31), (1 << 31) - 1)  # xs:int
_PRIVILEGE = re.compile(r"[^.]+(?:\.[^.]+)*")


class Provisioning:
    """The codec of one dialect of provisioning: this one's words by default, another's by other tables
    (`provisioning_nf`)."""

    namespaces: tuple[str, ...] = (NAMESPACE,)
    node_element, node_names, token_names = "node", NODE, TOKENS
    names: Mapping[Right, tuple[tuple[str, str], ...]] = {
        Right.READ: (("field", "name"),),
        Right.CONTROL: (("parameter", "name"),),
    }
    """What lists fields and parameters: (element, attribute)."""
    types_read: Mapping[str, FieldTypes] = REQUEST_TYPES
    types_written: Mapping[str, FieldTypes] = {"historical": FieldTypes.HISTORICAL, **TYPE_ATTRIBUTES}
    """From the widest to the narrowest."""
    device_namespace = token_namespace = NAMESPACE
    has_secondary_trust = has_users = True

    def __init__(self) -> None:
        self.requests: Mapping[str, ProvisioningRequest] = {
            **{self._device(request.value): request for request in DEVICE_REQUESTS},
            **{self._token(request.value): request for request in TOKEN_REQUESTS},
            **({self._user(request.value): request for request in USER_REQUESTS} if self.has_users else {}),
        }

    # ------------------------------------------------------------------ questions and verdicts

    def encode_question(self, question: Question) -> Element:
        element = Element(self._device(QUESTIONS[question.right]), jid=bare(question.jid))
        if question.right is Right.FRIEND:
            return element
        self._put_types(element, question.types)
        xml.put_tokens(element, question.tokens, self.token_names)
        self._put_scope(element, question.right, question.nodes or (), question.names)
        return element

    def decode_question(self, element: Element) -> Question:
        """`<isFriend/>`, `<canRead/>` or `<canControl/>`. Raises BadRequest."""
        right = next((right for right, name in QUESTIONS.items() if element.tag == self._device(name)), None)
        if right is None:
            raise BadRequest(f"<{xml.local(element)}/> is no question about a right")
        jid = bounded.jid(element)
        if right is Right.FRIEND:
            return Question(right, jid)
        nodes, names = self._scope(element, right)
        types = (self._types(element) or FieldTypes.PRESENT) if right is Right.READ else AS_ASKED
        return Question(right, jid, nodes or None, names, types, bounded.tokens(element, self.token_names))

    def encode_verdict(self, question: Question, verdict: Verdict) -> Element:
        """`<isFriendResponse/>`, `<canReadResponse/>` or `<canControlResponse/>`: what of `question` is allowed."""
        element = Element(self._device(QUESTIONS[question.right] + "Response"), jid=bare(question.jid))
        final = narrowed_to(question, verdict)
        types = self._sayable(final.types, question.types)
        allowed = final.allowed and (bool(types) or not question.types)
        self._put_types(element, types if allowed else question.types)
        element.set("result", "true" if allowed else "false")
        if allowed:
            nodes = final.nodes if verdict.nodes is not None else None
            self._put_scope(element, question.right, nodes or (), final.names if verdict.names else ())
            if verdict.secondary_trust and question.right is Right.FRIEND and self.has_secondary_trust:
                element.set("secondaryTrustAllowed", "true")
        return element

    def decode_verdict(self, element: Element, question: Question) -> Verdict:
        """Raises PeerConfused when it is not the answer to `question` or cannot be read in full."""
        try:
            return self._verdict(element, question)
        except BadRequest as error:
            raise PeerConfused(f"the answer of the provisioning server makes no sense: {error}") from None

    def _verdict(self, element: Element, question: Question) -> Verdict:
        self._expect(element, self._device(QUESTIONS[question.right] + "Response"))
        if bounded.jid(element) != bare(question.jid):
            raise BadRequest("it is about another JID")
        if not bounded.answer(element, "result"):
            return REFUSED
        if question.right is Right.FRIEND:
            return Verdict(
                True, secondary_trust=self.has_secondary_trust and xml.flag(element, "secondaryTrustAllowed")
            )
        nodes, names = self._scope(element, question.right)
        types = self._types(element) if question.right is Right.READ else AS_ASKED
        return Verdict(True, nodes or None, names, AS_ASKED if types == question.types else types)

    # ------------------------------------------------------------------ caches and friends

    def encode_clear_cache(self) -> Element:
        return Element(self._device("clearCache"))

    def encode_clear_cache_done(self) -> Element | None:
        """None: an empty result says it."""
        return Element(self._device("clearCacheResponse"))

    def encode_friend(self, jid: str) -> Element:
        return Element(self._device("friend"), jid=bare(jid))

    def encode_unfriend(self, jid: str) -> Element:
        return Element(self._device("unfriend"), jid=bare(jid))

    def decode_friend(self, element: Element) -> str:
        self._expect(element, self._device("friend"), self._device("unfriend"))
        return bounded.jid(element)

    # ------------------------------------------------------------------ tokens

    def encode_get_token(self, certificate: bytes) -> Element:
        return bounded.put_binary(Element(self._token("getToken")), certificate)

    def decode_get_token(self, element: Element) -> bytes:
        """The certificate, in what form it was sent: DER, if the peer keeps to the text."""
        self._expect(element, self._token("getToken"))
        return bounded.binary(element, MAX_CERTIFICATE)

    def encode_challenge(self, number: int, challenge: bytes) -> Element:
        return bounded.put_binary(Element(self._token("getTokenChallenge"), seqnr=str(number)), challenge)

    def decode_challenge(self, element: Element) -> tuple[int, bytes]:
        return self._numbered(element, "getTokenChallenge")

    def encode_challenge_response(self, number: int, response: bytes) -> Element:
        return bounded.put_binary(Element(self._token("getTokenChallengeResponse"), seqnr=str(number)), response)

    def decode_challenge_response(self, element: Element) -> tuple[int, bytes]:
        return self._numbered(element, "getTokenChallengeResponse")

    def encode_token(self, token: str) -> Element:
        return Element(self._token("getTokenResponse"), token=token)

    def decode_token(self, element: Element) -> str:
        self._expect(element, self._token("getTokenResponse"))
        return _one_token(element, "token")

    def encode_token_challenge(self, token: str, challenge: bytes) -> Element:
        return bounded.put_binary(Element(self._token("tokenChallenge"), token=token), challenge)

    def decode_token_challenge(self, element: Element) -> tuple[str, bytes]:
        self._expect(element, self._token("tokenChallenge"))
        return _one_token(element, "token"), bounded.binary(element, MAX_CHALLENGE)

    def encode_token_challenge_response(self, response: bytes) -> Element:
        return bounded.put_binary(Element(self._token("tokenChallengeResponse")), response)

    def decode_token_challenge_response(self, element: Element) -> bytes:
        self._expect(element, self._token("tokenChallengeResponse"))
        return bounded.binary(element, MAX_CHALLENGE)

    def _numbered(self, element: Element, name: str) -> tuple[int, bytes]:
        self._expect(element, self._token(name))
        return bounded.number(element, "seqnr", *_WHOLE_NUMBER), bounded.binary(element, MAX_CHALLENGE)

    # ------------------------------------------------------------------ users of services

    def encode_access(self, question: AccessQuestion) -> Element:
        element = Element(self._user("canAccess"), serviceToken=question.service_token)
        for kind, value in question.credentials:
            SubElement(element, self._user(kind), {CREDENTIALS[kind]: value})
        return element

    def decode_access(self, element: Element) -> AccessQuestion:
        self._expect(element, self._user("canAccess"))
        credentials = [credential for child in xml.children(element) for credential in _credential(*child)]
        bounded.count(credentials, MAX_CREDENTIALS, "credentials")
        xml.required(element, "serviceToken")
        return AccessQuestion(bounded.tokens(element, TOKENS).service, tuple(credentials))

    def encode_access_response(self, allowed: bool, user_token: str) -> Element:
        element = Element(self._user("canAccessResponse"), result="true" if allowed else "false")
        if user_token:
            element.set("userToken", user_token)
        return element

    def decode_access_response(self, element: Element) -> tuple[bool, str]:
        self._expect(element, self._user("canAccessResponse"))
        token = _one_token(element, "userToken") if element.get("userToken") else ""
        return bounded.answer(element, "result"), token

    def encode_user_logged_in(self, tokens: Tokens, user_name: str) -> Element:
        return self._about_user("userLoggedIn", tokens, userName=user_name)

    def decode_user_logged_in(self, element: Element) -> tuple[Tokens, str]:
        return self._user_tokens(element, "userLoggedIn"), bounded.text(element, "userName", MAX_USER_NAME)

    def encode_has_privilege(self, tokens: Tokens, privilege: str) -> Element:
        return self._about_user("hasPrivilege", tokens, privilegeId=privilege)

    def decode_has_privilege(self, element: Element) -> tuple[Tokens, str]:
        return self._user_tokens(element, "hasPrivilege"), _privilege(element, "privilegeId")

    def encode_has_privilege_response(self, allowed: bool) -> Element:
        return Element(self._user("hasPrivilegeResponse"), result="true" if allowed else "false")

    def decode_has_privilege_response(self, element: Element) -> bool:
        self._expect(element, self._user("hasPrivilegeResponse"))
        return bounded.answer(element, "result")

    def encode_download_privileges(self, tokens: Tokens) -> Element:
        return self._about_user("downloadPrivileges", tokens)

    def decode_download_privileges(self, element: Element) -> Tokens:
        return self._user_tokens(element, "downloadPrivileges")

    def encode_privileges(self, privileges: tuple[tuple[bool, str], ...]) -> Element:
        element = Element(self._user("downloadPrivilegesResponse"))
        for included, privilege in privileges:
            SubElement(element, self._user("include" if included else "exclude"), id=privilege)
        return element

    def decode_privileges(self, element: Element) -> tuple[tuple[bool, str], ...]:
        """What is neither is refused: passed over, an exclusion we cannot read would include."""
        self._expect(element, self._user("downloadPrivilegesResponse"))
        bounded.count(element, MAX_PRIVILEGES, "privileges")
        included = {self._user("include"): True, self._user("exclude"): False}
        for child in element:
            self._expect(child, *included)
        return tuple((included[child.tag], _privilege(child, "id")) for child in element)

    def _about_user(self, name: str, tokens: Tokens, **attributes: str) -> Element:
        return Element(self._user(name), {"serviceToken": tokens.service, "userToken": tokens.user, **attributes})

    def _user_tokens(self, element: Element, name: str) -> Tokens:
        self._expect(element, self._user(name))
        xml.required(element, "serviceToken")
        xml.required(element, "userToken")
        shown = bounded.tokens(element, TOKENS)
        return Tokens(service=shown.service, user=shown.user)

    # ------------------------------------------------------------------ common

    def _scope(self, element: Element, right: Right) -> tuple[tuple[NodeRef, ...], tuple[str, ...]]:
        nodes: dict[NodeRef, None] = {}
        names: dict[str, None] = {}
        known = {self._device(name): attribute for name, attribute in self.names[right]}
        for child in element:
            if child.tag == self._device(self.node_element):
                xml.required(child, self.node_names[0])
                nodes[bounded.node(child, self.node_names)] = None
            else:
                self._expect(child, *known)
                names[bounded.text(child, known[child.tag], bounded.MAX_NAME)] = None
        bounded.count(nodes, bounded.MAX_NODES, "nodes")
        bounded.count(names, bounded.MAX_NAMES, "fields or parameters")
        return tuple(nodes), tuple(names)

    def _put_scope(self, element: Element, right: Right, nodes: tuple[NodeRef, ...], names: tuple[str, ...]) -> None:
        for node in nodes:
            xml.put_node(SubElement(element, self._device(self.node_element)), node, self.node_names)
        for kind, attribute in self.names.get(right, ()):
            for name in names:
                SubElement(element, self._device(kind), {attribute: name})

    def _types(self, element: Element) -> FieldTypes:
        types = FieldTypes(0)
        for attribute, meaning in self.types_read.items():
            if xml.flag(element, attribute):
                types |= meaning
        return types

    def _put_types(self, element: Element, types: FieldTypes) -> None:
        """The widest words first: what one attribute says, the next need not."""
        if types == FieldTypes.ALL:
            element.set("all", "true")
            return
        for attribute, meaning in self.types_written.items():
            if meaning & types == meaning:
                element.set(attribute, "true")
                types &= ~meaning

    def _sayable(self, types: FieldTypes, asked: FieldTypes) -> FieldTypes:
        """What of `types` can be said about `asked` without saying more: here, everything."""
        return types

    def _expect(self, element: Element, *tags: str) -> None:
        if element.tag not in tags:
            raise BadRequest(f"<{xml.local(element)}/> is not what belongs here")

    def _device(self, name: str) -> str:
        return f"{{{self.device_namespace}}}{name}"

    def _token(self, name: str) -> str:
        return f"{{{self.token_namespace}}}{name}"

    def _user(self, name: str) -> str:
        """Of what is about users of services. Raises NotSupported where a dialect has no words for them."""
        if not self.has_users:
            raise NotSupported(f"<{name}/> does not exist in {self.device_namespace}")
        return f"{{{NAMESPACE}}}{name}"


def _one_token(element: Element, name: str) -> str:
    """One token: it has no white space in it (section 3.1.3.1)."""
    token = bounded.text(element, name, bounded.MAX_TOKEN)
    if len(token.split()) != 1 or token != token.strip():
        raise BadRequest(f"{name!r} is not one token")
    return token


def _privilege(element: Element, name: str) -> str:
    value = bounded.text(element, name, MAX_PRIVILEGE)
    if not _PRIVILEGE.fullmatch(value):
        raise BadRequest(f"{name}={value[:40]!r} is not parts with periods between them")
    return value


def _credential(name: str, element: Element) -> list[tuple[str, str]]:
    """One credential, none when its type is unknown: it can only have helped its bearer."""
    if name == "credentials":
        value = xml.required(element, "value")
        given = xml.required(element, "type").lower()
        if given == "ipaddress":
            given = "ip6" if ":" in value else "ip4"
        kind = _CREDENTIAL_TYPES.get(given, "")
    else:
        kind = name if name in CREDENTIALS else ""
        value = xml.required(element, CREDENTIALS[kind]) if kind else ""
    limit = MAX_CERTIFICATE if kind == "x509Certificate" else MAX_CREDENTIAL
    if len(value) > limit:
        raise BadRequest(f"a credential of the type {kind} has at most {limit} characters")
    return [(kind, value)] if kind else []
