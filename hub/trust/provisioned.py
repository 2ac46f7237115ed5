"""The judge that asks provisioning servers (XEP-0324, device side), and remembers what they said.

Rules of this file
* The default is refusal: a hub without an owner refuses everybody, but its servers may see its presence; no answer is
  a refusal, but to the owner where a thing says so (`offline`).
* A server does not know our things, so it is asked about nodes and names, never about "all". The address in a question
  is the bare one that our server vouches for, the nodes are ours: what else a caller wrote into a reference to a node
  (source, cache type) can make it another one in a rule, and is left out.
* What a verdict leaves over is what the caller asked for, in his order and in his words, or less; never more.
* The same request again is decided by comparing what its decision came from: things, servers and verdicts. It takes the
  same few microseconds for one thing and for a hundred.
* Of several servers the most forgiving counts (sections 2.2.5 and 5.3).
* An answer that was overtaken by the word to forget everything counts for the request that waits for it, as if that had
  come a moment earlier, and is not remembered: what an owner allows once is told so.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hub.errors import BadRequest, Forbidden, PeerSilent
from hub.things.model import Command, FieldTypes, NodeRef, ReadoutRequest, Tokens
from hub.things.questions import AS_ASKED, REFUSED, Question, Right, Verdict, bare, is_whole, narrowed_to
from hub.things.thing import Description, Thing
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


Request = tuple[str, tuple[NodeRef, ...] | None, tuple[str, ...], FieldTypes, Tokens]
"""Who wants to read what: bare JID, nodes, names and types as he named them, and what he has shown."""
Reads = tuple[tuple[NodeRef, ...] | None, tuple[str, ...], FieldTypes]
"""Nodes, names and types of a readout that are left."""

WEAKEST_FIRST: Final = (UNCLAIMED, OFFLINE, SERVER, CACHE, ITSELF)
MAX_ASKED: Final = 1_000  # nodes of one question; more are asked about in several
MAX_RECENT: Final = 100  # requests whose decision is at hand without going through everything again
MAX_NAMED: Final = 20  # nodes and names of such a request: who names more waits some microseconds longer


@dataclass(slots=True)
class _Recent:
    """A decision, and all that it came from. `reads` None: nothing."""

    descriptions: list[Description]
    servers: tuple[str, ...]
    question: Question
    left: Verdict
    reads: Reads | None
    verdicts: tuple[tuple[bytes, Verdict | None], ...] = ()
    """By their keys in the cache."""


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
        self._every: tuple[list[Description], tuple[NodeRef, ...], tuple[str, ...]] | None = None
        self._recent: OrderedDict[Request, _Recent] = OrderedDict()

    # ------------------------------------------------------------------ as a judge

    async def may_read(self, caller: str, request: ReadoutRequest) -> ReadoutRequest:
        asked = (bare(caller), request.nodes, request.names, request.types, request.tokens)
        recent = self._again(asked)
        if recent is not None:
            self._noticed(recent.question, caller)
            self._note(recent.question, recent.left, CACHE)
        else:
            recent = await self._read(asked, caller)
        if recent.reads is None:
            raise Forbidden(DENIED)
        if recent.reads == asked[1:4]:
            return request
        nodes, names, types = recent.reads
        return replace(request, nodes=nodes, names=names, types=types)

    async def _read(self, asked: Request, caller: str) -> _Recent:
        jid, nodes, names, types, tokens = asked
        if nodes or names:
            these, chosen = self._expanded(nodes, self._things)
            asked_names = _once(names or (name for thing in chosen for name in thing.specs))
        else:
            these, asked_names = self._everything()
        question = Question(Right.READ, jid, these, asked_names, types, tokens)
        self._noticed(question, caller)
        descriptions, servers = self._descriptions(), self._trust.servers
        left, source = await self._decision(question)
        self._note(question, left, source)
        recent = _Recent(descriptions, servers, question, left, self._readable(nodes, names, question, left))
        if source == CACHE and len(nodes or ()) + len(names) <= MAX_NAMED and len(these) <= MAX_ASKED:
            keys = [self._cache.key(server, question) for server in servers]
            recent.verdicts = tuple((key, self._cache.look(key)) for key in keys)
            self._recent[asked] = recent
            if len(self._recent) > MAX_RECENT:
                self._recent.popitem(last=False)
        return recent

    def _again(self, asked: Request) -> _Recent | None:
        """The decision about the same request, if nothing that it came from has changed."""
        if len(asked[1] or ()) + len(asked[2]) > MAX_NAMED:
            return None
        recent = self._recent.get(asked)
        if recent is None or not self._trust.owner or recent.servers != self._trust.servers:
            return None
        if recent.descriptions != self._descriptions():
            return None
        for key, verdict in recent.verdicts:
            if self._cache.look(key) is not verdict:
                return None
        self._recent.move_to_end(asked)
        return recent

    def _descriptions(self) -> list[Description]:
        return [thing.description for thing in self._things.values()]

    def _everything(self) -> tuple[tuple[NodeRef, ...], tuple[str, ...]]:
        """All nodes and the names of all fields."""
        descriptions = self._descriptions()
        if self._every is None or self._every[0] != descriptions:
            nodes = tuple(thing.node for thing in self._things.values())
            names = _once(name for thing in self._things.values() for name in thing.specs)
            self._every = descriptions, nodes, names
        return self._every[1:]

    def _readable(
        self, nodes: tuple[NodeRef, ...] | None, names: tuple[str, ...], question: Question, left: Verdict
    ) -> Reads | None:
        """What of a request for these nodes and names is left; None when nothing is."""
        if not left.allowed:
            return None
        if is_whole(question, left):
            return nodes, names, question.types
        if (left.nodes, left.names) != (question.nodes, question.names) and (names or left.names != question.names):
            names = self._had_by(left)
            if not names:
                return None
        return _kept(nodes, question, left), names, left.types

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
        self._noticed(question, caller)
        left = await self.decide(question)
        if not left.allowed:
            raise Forbidden(DENIED)
        return left

    def _noticed(self, question: Question, caller: str) -> None:
        if question.tokens != NO_TOKENS:
            self._shown(question.tokens, caller)

    async def decide(self, question: Question) -> Verdict:
        """What is left of `question`, in full."""
        left, source = await self._decision(question)
        self._note(question, left, source)
        return left

    async def _decision(self, question: Question) -> tuple[Verdict, str]:
        nodes = question.nodes or ()
        if len(nodes) <= MAX_ASKED:
            return await self._answered(question)
        parts = [replace(question, nodes=nodes[at : at + MAX_ASKED]) for at in range(0, len(nodes), MAX_ASKED)]
        answers = [await self._answered(part) for part in parts]
        sources = {source for _, source in answers}
        return _joined([left for left, _ in answers]), next(each for each in WEAKEST_FIRST if each in sources)

    async def _answered(self, question: Question) -> tuple[Verdict, str]:
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


def _joined(parts: Iterable[Verdict]) -> Verdict:
    """What is left of a question that was asked in parts, each about other nodes. Names and types are those that are
    left of every part: never more than was allowed, and less where the parts differ."""
    allowed = [part for part in parts if part.allowed]
    if not allowed:
        return REFUSED
    first, *others = allowed
    names = tuple(name for name in first.names if all(name in part.names for part in others))
    types = first.types
    for part in others:
        types &= part.types
    if bool(names) != bool(first.names) or bool(types) != bool(first.types):
        return REFUSED
    return Verdict(True, tuple(node for part in allowed for node in part.nodes or ()), names, types)


def most_forgiving(question: Question, verdicts: Iterable[Verdict]) -> Verdict:
    """Of what each verdict leaves over, the most; a refusal when there is none."""
    best, size = REFUSED, (False, 0, False)
    for verdict in verdicts:
        left = narrowed_to(question, verdict)
        pairs = max(len(left.nodes or ()), 1) * max(len(left.names), 1) * max(left.types.value.bit_count(), 1)
        if (left.allowed, pairs, left.secondary_trust) > size:
            best, size = left, (left.allowed, pairs, left.secondary_trust)
    return best


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
