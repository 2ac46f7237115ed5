"""The `[access]` lists: who may read and who may control, by bare JID. Nobody else may do anything.

Rules of this file
* The default is refusal: no list, no match, no address → no.
* Only bare JIDs count: a resource is the caller's to choose, so nothing may depend on it. The address is the one that
  the server vouches for (`from`), never one in a payload.
* A decision says which nodes, fields and parameters are left of what was asked, so that a finer judge (XEP-0324) can
  take this one's place without a change elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol

from hub.errors import Forbidden
from hub.things.model import Command, NodeRef, ReadoutRequest, Tokens


class FormScope(NamedTuple):
    """What of a form somebody may see: the nodes it is about, and names of parameters, () for every."""

    nodes: tuple[NodeRef, ...] | None
    names: tuple[str, ...] = ()


class Judge(Protocol):
    """Decides before anything is read or written. The first three raise Forbidden, or return what is left of the
    request. `name`: who decides, for the log."""

    @property
    def name(self) -> str: ...
    async def may_read(self, caller: str, request: ReadoutRequest) -> ReadoutRequest: ...
    async def may_control(self, caller: str, command: Command) -> Command: ...
    async def may_see_form(self, caller: str, nodes: tuple[NodeRef, ...] | None, shown: Tokens) -> FormScope: ...
    async def may_know(self, caller: str) -> bool:
        """Whether the caller may learn the names of our things."""
        ...

    async def may_follow(self, caller: str) -> bool:
        """Whether the caller may see our presence."""
        ...

    async def may_watch(self, caller: str, thing: str) -> bool:
        """Whether the caller may have everything that a thing publishes."""
        ...

    async def may_stay(self, caller: str, thing: str | None = None) -> bool:
        """Whether who follows us, or watches `thing`, may go on. Raises PeerSilent when nobody can say: silence grants
        nothing, and takes nothing away that was granted."""
        ...


@dataclass(frozen=True)
class AccessLists:
    """The judge that asks nobody. Patterns are `local@domain`, `*@domain`, `domain` or `*`."""

    read: tuple[str, ...] = ()
    control: tuple[str, ...] = ()
    name: ClassVar[str] = "[access]"

    async def may_read(self, caller: str, request: ReadoutRequest) -> ReadoutRequest:
        if not matches(caller, self.read):
            raise Forbidden("Access denied.")
        return request

    async def may_control(self, caller: str, command: Command) -> Command:
        if not matches(caller, self.control):
            raise Forbidden("Access denied.")
        return command

    async def may_see_form(self, caller: str, nodes: tuple[NodeRef, ...] | None, shown: Tokens) -> FormScope:
        if not matches(caller, self.control):
            raise Forbidden("Access denied.")
        return FormScope(nodes)

    async def may_know(self, caller: str) -> bool:
        return matches(caller, self.read) or matches(caller, self.control)

    async def may_follow(self, caller: str) -> bool:
        return matches(caller, self.read)

    async def may_watch(self, caller: str, thing: str) -> bool:
        return matches(caller, self.read)

    async def may_stay(self, caller: str, thing: str | None = None) -> bool:
        return matches(caller, self.read)


def matches(address: str, patterns: tuple[str, ...]) -> bool:
    """Whether the bare form of `address` is one of `patterns`; letter case does not count."""
    bare = address.partition("/")[0].lower()
    if not bare:
        return False
    local, _, domain = bare.rpartition("@")
    for pattern in (pattern.lower() for pattern in patterns):
        if pattern in ("*", bare):
            return True
        if local and pattern == f"*@{domain}":
            return True
    return False


def exact(patterns: tuple[str, ...]) -> list[str]:
    """The patterns that are one address each: those a pubsub service can be told."""
    return [pattern for pattern in patterns if "*" not in pattern]
