"""XEP-0324, device side, in every dialect: questions to provisioning servers, and what they tell us unasked.

Rules of this file
* Several servers are asked at once. No answer in time, an answer to another question or one that makes no sense is no
  answer, and is said in the log.
* Only our servers may clear the cache and choose our friends; what anybody else says of it is refused, and changes
  nothing (section 3.2.3).
* A `clearCache` is acknowledged when everything is forgotten for good; who follows us is then judged again.
* A recommended friend is asked to be one; whether he may see us is judged when he asks. An `unfriend` counts as a
  change of rights: what is remembered could say otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final
from xml.etree.ElementTree import Element

from hub.errors import BadRequest, Forbidden, HubError, PeerConfused, PeerSilent
from hub.services.contacts import Contacts
from hub.services.iq import ask
from hub.services.router import Route
from hub.services.servers import Servers, speaks_for
from hub.services.tokens import TokenKeeper
from hub.stanzas.dialects import PROVISIONING_REQUESTS, ProvisioningCodec
from hub.stanzas.provisioning import ProvisioningRequest
from hub.things.questions import Question, Verdict, is_whole, narrowed_to
from hub.trust.cache import VerdictCache
from hub.trust.provisioned import Trust

log = logging.getLogger(__name__)

AWAY_S: Final = 5.0  # a server that was silent is not asked again before: it would hold up everybody
MAX_ASKING: Final = 500  # questions under way
MESSAGES: Final = ("normal", "chat", "headline")

Asking = tuple[int, str, Question]


class Provisioning:
    """`cleared` is called when what is remembered has been forgotten."""

    def __init__(
        self, client: Any, servers: Servers, trust: Trust, cache: VerdictCache, contacts: Contacts, tokens: TokenKeeper,
        timeout: float, cleared: Callable[[], None],
    ) -> None:  # fmt: skip
        self._client = client
        self._servers = servers
        self._trust = trust
        self._cache = cache
        self._contacts = contacts
        self._tokens = tokens
        self._timeout = timeout
        self._cleared = cleared
        self._asking: dict[Asking, asyncio.Task[Verdict | None]] = {}
        self._silent: dict[str, float] = {}

    def features(self) -> Iterable[str]:
        return ()  # a feature is what a provisioning server announces (section 4)

    def routes(self) -> Iterable[Route]:
        answers: Mapping[ProvisioningRequest, tuple[str, tuple[str, ...], Callable[..., Awaitable[Element | None]]]] = {
            ProvisioningRequest.CLEAR_CACHE: ("iq", ("set",), self._clear_cache),
            ProvisioningRequest.FRIEND: ("message", MESSAGES, self._friend),
            ProvisioningRequest.UNFRIEND: ("message", MESSAGES, self._unfriend),
        }
        for tag, (codec, request) in PROVISIONING_REQUESTS.items():
            if request in answers:
                stanza, types, answer = answers[request]
                yield Route(stanza, types, tag, partial(answer, codec))

    def link_changed(self) -> None:
        self._silent.clear()

    # ------------------------------------------------------------------ questions

    async def ask(self, question: Question, servers: Sequence[str]) -> dict[str, Verdict]:
        """The verdicts of those that answered; without waiting for the others once one has allowed everything. Who has
        waited for an answer to another's question asks anew when everything was to be forgotten meanwhile: it may have
        been allowed once."""
        while True:
            generation = self._cache.generation
            shared = any((generation, server, question) in self._asking for server in servers)
            verdicts = await self._verdicts(question, servers)
            if not shared or generation == self._cache.generation:
                return verdicts

    async def _verdicts(self, question: Question, servers: Sequence[str]) -> dict[str, Verdict]:
        asked = {self._task(server, question): server for server in servers}
        waiting, verdicts = set(asked), {}
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                verdict = task.result()
                if verdict is not None:
                    verdicts[asked[task]] = verdict
            if any(is_whole(question, narrowed_to(question, verdict)) for verdict in verdicts.values()):
                break
        return verdicts

    def _task(self, server: str, question: Question) -> asyncio.Task[Verdict | None]:
        """The same question is asked once, however many wait for its answer; but who asks after everything was to be
        forgotten does not wait for an answer from before."""
        key = (self._cache.generation, server, question)
        task = self._asking.get(key)
        if task is None:
            task = asyncio.create_task(self._answer(server, question))
            self._asking[key] = task
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return task

    async def _answer(self, server: str, question: Question) -> Verdict | None:
        now = asyncio.get_running_loop().time()
        if self._silent.get(server, 0) > now or len(self._asking) > MAX_ASKING:
            return None
        try:
            async with asyncio.timeout(self._timeout):
                verdict = await self._asked(server, question)
        except (TimeoutError, PeerSilent):
            log.warning("%s does not answer (%s, %s)", server, question.right, question.jid)
            self._silent[server] = asyncio.get_running_loop().time() + AWAY_S
        except HubError as error:
            log.warning("%s gave no verdict (%s, %s): %s", server, question.right, question.jid, error)
        except Exception:
            log.exception("a bug: %s could not be asked", server)
        else:
            return verdict
        return None

    async def _asked(self, server: str, question: Question) -> Verdict:
        where, codec = await self._servers.provisioning(server)
        self._tokens.passed_on(question.tokens, question.jid, where)
        result = await ask(self._client, where, "get", codec.encode_question(question), self._timeout)
        payload = next(iter(result), None)
        if payload is None:
            raise PeerConfused("an empty answer")
        verdict = codec.decode_verdict(payload, question)
        added = _added(question, verdict)
        if added:
            log.warning("%s allows %s what was not asked for, which is passed over: %s",
                        server, question.jid, ", ".join(added[:5]))  # fmt: skip
        return verdict

    # ------------------------------------------------------------------ what servers say unasked

    async def _clear_cache(self, codec: ProvisioningCodec, caller: str, _: Element) -> Element | None:
        self._from_server(caller)
        self._cache.clear()
        log.info("%s: rights have changed; what was remembered is forgotten", caller)
        self._cleared()
        return codec.encode_clear_cache_done()

    async def _friend(self, codec: ProvisioningCodec, caller: str, payload: Element) -> None:
        self._from_server(caller)
        self._contacts.befriend(self._other(codec.decode_friend(payload)))

    async def _unfriend(self, codec: ProvisioningCodec, caller: str, payload: Element) -> None:
        self._from_server(caller)
        jid = self._other(codec.decode_friend(payload))
        self._contacts.unfriend(jid)
        self._cache.clear()
        self._cleared()

    def _from_server(self, caller: str) -> None:
        if not any(speaks_for(caller, server) for server in self._trust.servers):
            raise Forbidden("Only this hub's provisioning server may say that.")

    def _other(self, jid: str) -> str:
        """Neither ourselves nor those we depend on."""
        if jid == self._client.boundjid.bare or self._trust.includes(jid):
            raise BadRequest("That is no friend to be made or lost.")
        return jid


def _added(question: Question, verdict: Verdict) -> list[str]:
    """What a verdict names that was not in the question."""
    nodes = [node.node_id for node in verdict.nodes or () if question.nodes and node not in question.nodes]
    return nodes + [name for name in verdict.names if question.names and name not in question.names]
