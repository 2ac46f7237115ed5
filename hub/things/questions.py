"""What a thing asks its provisioning server and what it is told (XEP-0324), as values.

Rules of this file
* Only bare JIDs count (XEP-0324 section 3.2, "Any resource information in the JID must be ignored").
* An answer only ever narrows: `narrowed_to` never adds a node, a name or a type to what was asked.
* An answer that names no nodes or no names leaves them as they were asked (XEP-0324 section 3.3.2, note 2).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field, replace

from hub.things.model import FieldTypes, NodeRef, Tokens

AS_ASKED = FieldTypes(0)


class Right(enum.StrEnum):
    FRIEND = "friend"
    """To know the thing and see its presence (`isFriend`)."""
    READ = "read"
    CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Question:
    """`jid`: the bare JID of who wants something. `nodes` None: named none, which is all. `names`: fields to read or
    parameters to set, () for every. `types` matter to READ only. A FRIEND question has neither nodes nor names."""

    right: Right
    jid: str
    nodes: tuple[NodeRef, ...] | None = None
    names: tuple[str, ...] = ()
    types: FieldTypes = AS_ASKED
    tokens: Tokens = field(default_factory=Tokens)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`nodes` None, `names` () and `types` 0: as asked. `secondary_trust`: the device may choose friends and further
    provisioning servers by itself (`secondaryTrustAllowed`, FRIEND only)."""

    allowed: bool
    nodes: tuple[NodeRef, ...] | None = None
    names: tuple[str, ...] = ()
    types: FieldTypes = AS_ASKED
    secondary_trust: bool = False


REFUSED = Verdict(False)


def narrowed_to(question: Question, verdict: Verdict) -> Verdict:
    """What of `question` is allowed, in full: with the nodes, names and types that are left. A verdict that leaves
    nothing is a refusal."""
    if not verdict.allowed:
        return REFUSED
    nodes, names, types = question.nodes, question.names, question.types
    if verdict.nodes is not None:
        allowed = set(verdict.nodes)
        nodes = verdict.nodes if nodes is None else tuple(node for node in nodes if node in allowed)
        if not nodes:
            return REFUSED
    if verdict.names:
        names = tuple(name for name in names if name in verdict.names) if names else verdict.names
        if not names:
            return REFUSED
    if verdict.types:
        types = types & verdict.types
        if not types:
            return REFUSED
    return replace(verdict, nodes=nodes, names=names, types=types)


def is_whole(question: Question, left: Verdict) -> bool:
    """Whether nothing was taken away of what was asked."""
    return left.allowed and (left.nodes, left.names, left.types) == (question.nodes, question.names, question.types)


def bare(jid: str) -> str:
    """Without resource, in lower case: what everything here is compared by."""
    return jid.partition("/")[0].lower()
