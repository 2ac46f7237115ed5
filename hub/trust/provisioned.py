"""The judge that asks provisioning servers (XEP-0324, device side), and remembers what they said.

Rules of this file
* The default is refusal: a hub without an owner refuses everybody, but its servers may see its presence; no answer is
  a refusal, but to the owner where a thing says so (`offline`).
* A server does not know our things, so it is asked about nodes and names, never about "all". The address in a question
  is the bare one that our server vouches for, the nodes are ours: what else a caller wrote into a reference to a node
  (source, cache type) can make it another one in a rule, and is left out.
* What a verdict leaves over is what the caller asked for, in his order and in his words, or less; never more.
* Of several servers the most forgiving counts (sections 2.2.5 and 5.3).
* An answer that was overtaken by the word to forget everything counts for the request that waits for it, as if that had
  come a moment earlier, and is not remembered: what an owner allows once is told so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from hub.errors import BadRequest, Forbidden, PeerSilent
from hub.things.model import Command, FieldTypes, NodeRef, ReadoutRequest, Tokens
from hub.things.questions import AS_ASKED, REFUSED, Question, Right, Verdict, bare, narrowed_to
from hub.things.thing import Thing
from hub.trust.access import FormScope
from hub.trust.cache import VerdictCache

DENIED: Final = "Access denied."
NO_TOKENS: Final = Tokens()

CACHE, SERVER, OFFLINE, UNCLAIMED, ITSELF = "cache", "server", "offline", "unclaimed", "itself"
"""Who said so."""

Ask = Callable[[Question, Sequence[str]], Awaitable[Mapping[str, Verdict]]]
"""Asks servers, and returns the verdict of each that answered in time."""
Shown = Callable[[Tokens, str], None]
"""Told which tokens somebody has shown, by his full JID: who is challenged for them later is he."""
Note = Callable[[Question, Verdict, str], None]
"""Told of every decision: what was asked, what is left, and who said so."""


class Trust:
    """Whom the hub trusts, as far as it knows: it learns this while it runs. JIDs are bare and in lower case.
    `registry` may know us without asking; `owner` "" is nobody."""

    def __init__(self, servers: Sequence[str] = (), registry: str = "", owner: str = "") -> None:
        self.servers = tuple(servers)
        self.registry = registry
        self.owner = owner

    def includes(self, jid: str) -> bool:
        return jid in self.servers or (jid != "" and jid == self.registry)


class Provisioned:
    """`lenient`: whether a thing obeys its owner while no server answers."""

    name: Final = "provisioning"

    def __init__(
        self, things: Mapping[str, Thing], trust: Trust, cache: VerdictCache, ask: Ask,
        lenient: Callable[[str], bool] = lambda _: False, note: Note = lambda *_: None,
        shown: Shown = lambda *_: None,
    ) -> None:  # fmt: skip
        self._things = things
        self._trust = trust
        self._cache = cache
        self._ask = ask
        self._lenient = lenient
        self._note = note
        self._shown = shown

    # ------------------------------------------------------------------ as a judge

    async def may_read(self, caller: str, request: ReadoutRequest) -> ReadoutRequest:
        nodes, chosen = self._expanded(request.nodes, self._things)
        names = request.names or tuple(name for thing in chosen for name in thing.specs)
        question = Question(Right.READ, bare(caller), nodes, _once(names), request.types, request.tokens)
        left = await self._granted(question, caller)
        if is_whole(question, left):
            return request
        names = request.names
        if (left.nodes, left.names) != (question.nodes, question.names) and (names or left.names != question.names):
            names = self._had_by(left)
            if not names:
                raise Forbidden(DENIED)
        return replace(request, nodes=_kept(request.nodes, question, left), names=names, types=left.types)

    async def may_control(self, caller: str, command: Command) -> Command:
        nodes, _ = self._expanded(command.nodes, self._controllable())
        names = tuple(assignment.name for assignment in command.assignments)
        question = Question(Right.CONTROL, bare(caller), nodes, _once(names), AS_ASKED, command.tokens)
        left = await self._granted(question, caller)
        self._name_one(command.nodes, left)
        if is_whole(question, left):
            return command
        assignments = tuple(assignment for assignment in command.assignments if assignment.name in left.names)
        return replace(command, nodes=_kept(command.nodes, question, left), assignments=assignments)

    async def may_see_form(self, caller: str, nodes: tuple[NodeRef, ...] | None, shown: Tokens) -> FormScope:
        """What may be set may be seen: a form shows values and limits."""
        asked, chosen = self._expanded(nodes, self._controllable())
        names = _once(name for thing in chosen for name in thing.parameters)
        question = Question(Right.CONTROL, bare(caller), asked, names, AS_ASKED, shown)
        left = await self._granted(question, caller)
        self._name_one(nodes, left)
        return FormScope(nodes) if is_whole(question, left) else FormScope(_kept(nodes, question, left), left.names)

    async def may_know(self, caller: str) -> bool:
        return await self.may_follow(caller)

    async def may_follow(self, caller: str) -> bool:
        return (await self.decide(Question(Right.FRIEND, bare(caller)))).allowed

    async def may_watch(self, caller: str, thing: str) -> bool:
        question = self._about_all_of(thing, caller)
        return question is not None and is_whole(question, await self.decide(question))

    async def may_stay(self, caller: str, thing: str | None = None) -> bool:
        question = Question(Right.FRIEND, bare(caller)) if thing is None else self._about_all_of(thing, caller)
        if question is None:
            return False
        left, source = await self._decision(question)
        self._note(question, left, source)
        if source == OFFLINE and not left.allowed:
            raise PeerSilent(f"no provisioning server says whether {question.jid} may go on")
        return is_whole(question, left)

    # ------------------------------------------------------------------ questions

    def _expanded(
        self, nodes: tuple[NodeRef, ...] | None, every: Mapping[str, Thing]
    ) -> tuple[tuple[NodeRef, ...], list[Thing]]:
        """The nodes to ask about, and those of them that are here. None is every one; so is (), which is none: what
        cannot be asked is not allowed either."""
        if not nodes:
            chosen = list(every.values())
            return tuple(thing.node for thing in chosen), chosen
        named = _once(node.node_id for node in nodes)
        chosen = [self._things[name] for name in named if name in self._things]
        return tuple(self._things[name].node if name in self._things else NodeRef(name) for name in named), chosen

    def _about_all_of(self, name: str, caller: str) -> Question | None:
        """What somebody who watches a thing reads; None when there is no such thing."""
        thing = self._things.get(name)
        if thing is None:
            return None
        types = AS_ASKED
        for spec in thing.specs.values():
            types |= FieldTypes[spec.category.upper()]
        return Question(Right.READ, bare(caller), (thing.node,), tuple(thing.specs), types)

    def _controllable(self) -> dict[str, Thing]:
        return {name: thing for name, thing in self._things.items() if thing.parameters}

    def _had_by(self, left: Verdict) -> tuple[str, ...]:
        """The names that are left which a node that is left has."""
        things = [self._things[node.node_id] for node in left.nodes or () if node.node_id in self._things]
        return tuple(name for name in left.names if any(name in thing.specs for thing in things))

    def _name_one(self, nodes: tuple[NodeRef, ...] | None, left: Verdict) -> None:
        """A command without a node means the only one. What is left over of several is not the one that was meant."""
        if not nodes and len(self._controllable()) > 1:
            allowed = [node.node_id for node in left.nodes or ()]
            raise BadRequest("say which node: " + ", ".join(allowed[:20]))

    # ------------------------------------------------------------------ decisions

    async def _granted(self, question: Question, caller: str) -> Verdict:
        if question.tokens != NO_TOKENS:
            self._shown(question.tokens, caller)
        left = await self.decide(question)
        if not left.allowed:
            raise Forbidden(DENIED)
        return left

    async def decide(self, question: Question) -> Verdict:
        """What is left of `question`, in full."""
        left, source = await self._decision(question)
        self._note(question, left, source)
        return left

    async def _decision(self, question: Question) -> tuple[Verdict, str]:
        if question.right is Right.FRIEND and self._trust.includes(question.jid):
            return Verdict(True), ITSELF
        if not question.jid or not self._trust.owner:
            return REFUSED, UNCLAIMED
        generation = self._cache.generation
        verdicts: dict[str, Verdict] = {}
        unasked = []
        for server in self._trust.servers:
            verdict = self._cache.get(server, question)
            if verdict is None:
                unasked.append(server)
            else:
                verdicts[server] = verdict
        left = most_forgiving(question, verdicts.values())
        if not unasked or is_whole(question, left):
            return left, CACHE
        answers = await self._ask(question, unasked)
        if not self._trust.owner:
            return REFUSED, UNCLAIMED
        answers = {server: verdict for server, verdict in answers.items() if server in self._trust.servers}
        if generation != self._cache.generation:
            verdicts.clear()
        else:
            for server, verdict in answers.items():
                self._cache.put(server, question, verdict)
        if not answers and not verdicts:
            return self._offline(question), OFFLINE
        return most_forgiving(question, [*verdicts.values(), *answers.values()]), SERVER

    def _offline(self, question: Question) -> Verdict:
        if question.jid != self._trust.owner:
            return REFUSED
        if question.right is Right.FRIEND:
            return Verdict(any(self._lenient(name) for name in self._things))
        return narrowed_to(question, Verdict(True, tuple(n for n in question.nodes or () if self._lenient(n.node_id))))


def most_forgiving(question: Question, verdicts: Iterable[Verdict]) -> Verdict:
    """Of what each verdict leaves over, the most; a refusal when there is none."""
    best, size = REFUSED, (False, 0, False)
    for verdict in verdicts:
        left = narrowed_to(question, verdict)
        pairs = max(len(left.nodes or ()), 1) * max(len(left.names), 1) * max(left.types.value.bit_count(), 1)
        if (left.allowed, pairs, left.secondary_trust) > size:
            best, size = left, (left.allowed, pairs, left.secondary_trust)
    return best


def is_whole(question: Question, left: Verdict) -> bool:
    """Whether nothing was taken away."""
    return left.allowed and (left.nodes, left.names, left.types) == (question.nodes, question.names, question.types)


def _kept(nodes: tuple[NodeRef, ...] | None, question: Question, left: Verdict) -> tuple[NodeRef, ...] | None:
    """Those of the caller's own references that are left, or what is left of all."""
    if left.nodes == question.nodes or nodes == ():
        return nodes
    if nodes is None:
        return left.nodes
    kept = {node.node_id for node in left.nodes or ()}
    return tuple(node for node in nodes if node.node_id in kept)


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
