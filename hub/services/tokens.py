"""Tokens, the device's side (XEP-0324 section 3.1.3): getting our own, showing it, and answering challenges, also those
of tokens that others have shown us and that we passed on.

Rules of this file
* Whose challenges are answered, and by whom, is decided by `hub.trust.tokens`; everybody else gets `forbidden`.
* A challenge that another has to answer is passed on to him in the words it came in, and his answer back.
* The private key does one thing: it decrypts challenges. Whoever may challenge us may have anything decrypted that is
  encrypted for it in this way, so it is best a key for this and nothing else.
* No token is no reason to stay away: it is said in the log, and tried again, more and more slowly.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Final, Protocol
from xml.etree.ElementTree import Element

from hub.errors import BadRequest, Forbidden, HubError, NotFound, PeerConfused, PeerError, PeerRefused, RequestError
from hub.services.iq import ask
from hub.services.router import Route
from hub.services.servers import Servers
from hub.stanzas.dialects import PROVISIONING_REQUESTS, ProvisioningCodec
from hub.stanzas.provisioning import ProvisioningRequest
from hub.things.model import Tokens
from hub.trust.tokens import OURSELVES, TokenTraffic

log = logging.getLogger(__name__)

FIRST_WAIT_S, LAST_WAIT_S = 5.0, 3600.0  # between two tries
TIMEOUT_S: Final = 10.0  # for a token
PASS_ON_S: Final = 3.0  # for the answer of another: less than who challenges us waits


class Key(Protocol):
    """A certificate, as DER, and its private key. `decrypt` blocks and raises BadRequest."""

    @property
    def certificate(self) -> bytes: ...
    def decrypt(self, challenge: bytes) -> bytes: ...


class TokenKeeper:
    """`key` None: we have no token of our own, and still pass challenges on. `clock`: seconds that only grow."""

    def __init__(self, client: Any, traffic: TokenTraffic, clock: Callable[[], float], key: Key | None = None) -> None:
        self._client = client
        self._traffic = traffic
        self._clock = clock
        self._key = key
        self._own: dict[str, str] = {}
        self._getting: asyncio.Task[None] | None = None

    def features(self) -> Iterable[str]:
        return ()  # what a provisioning server announces (section 4)

    def routes(self) -> Iterable[Route]:
        for tag, (codec, request) in PROVISIONING_REQUESTS.items():
            if request is ProvisioningRequest.TOKEN_CHALLENGE:  # by get; Tokens.md of the newer text says set, once
                yield Route("iq", ("get", "set"), tag, partial(self._challenged, codec))

    # ------------------------------------------------------------------ our own

    def start(self, servers: Servers, trusted: Callable[[], Sequence[str]]) -> None:
        """The link is up: have a token, renewed, of each server we trust, also of those discovered later."""
        self.stop()
        if self._key is not None:
            self._getting = asyncio.create_task(self._until_all(servers, trusted), name="tokens")

    def stop(self) -> None:
        if self._getting is not None:
            self._getting.cancel()

    async def _until_all(self, servers: Servers, trusted: Callable[[], Sequence[str]]) -> None:
        wait, done = FIRST_WAIT_S, set[str]()
        while not (done and done.issuperset(trusted())):
            for server in set(trusted()) - done:
                try:
                    where, codec = await servers.provisioning(server)
                except HubError as error:
                    log.warning("no token from %s: %s", server, error)
                    continue
                if await self.obtain(server, where, codec):
                    done.add(server)
            if not (done and done.issuperset(trusted())):
                await asyncio.sleep(wait * (1 - random.random() / 2))  # a building full of hubs must not ask in step
                wait = min(wait * 2, LAST_WAIT_S)

    async def obtain(self, server: str, to: str, codec: ProvisioningCodec) -> bool:
        """Get a token from `server`, reached at `to`. Whether it has given one; one from before is kept."""
        if self._key is None:
            return False
        try:
            self._own[server] = await self._get(self._key, to, codec)
        except HubError as error:
            log.warning("no token from %s: %s", server, error)
            return False
        log.info("%s has given us a token", server)
        return True

    async def _get(self, key: Key, to: str, codec: ProvisioningCodec) -> str:
        try:
            number, challenge = codec.decode_challenge(await self._ask(to, codec.encode_get_token(key.certificate)))
            answer = await asyncio.to_thread(key.decrypt, challenge)
            return codec.decode_token(await self._ask(to, codec.encode_challenge_response(number, answer)))
        except BadRequest as error:
            raise PeerConfused(f"its answer makes no sense: {error}") from None

    def show(self, to: str) -> Tokens:
        """What to show `to` in a request that is sent now: our token of each server, since nobody knows which one `to`
        trusts (section 3.1.5)."""
        tokens = Tokens(device=" ".join(dict.fromkeys(self._own.values())))
        self._traffic.sent(tokens, to, self._clock())
        return tokens

    # ------------------------------------------------------------------ those of others

    def arrived(self, tokens: Tokens, sender: str) -> None:
        """`sender`, a full JID, has shown us these."""
        self._traffic.arrived(tokens, sender, self._clock())

    def passed_on(self, tokens: Tokens, about: str, to: str) -> None:
        """We ask `to` about `about`, who has shown us these."""
        self._traffic.passed_on(tokens, about, to, self._clock())

    # ------------------------------------------------------------------ challenges

    async def _challenged(self, codec: ProvisioningCodec, caller: str, element: Element) -> Element:
        token, challenge = codec.decode_token_challenge(element)
        answerer = self._traffic.answerer(token, caller, self._clock())
        if answerer == OURSELVES:
            if self._key is None or token not in self._own.values():
                raise Forbidden("This token is none of ours.")
            return codec.encode_token_challenge_response(await asyncio.to_thread(self._key.decrypt, challenge))
        try:
            result = await self._ask(answerer, codec.encode_token_challenge(token, challenge), PASS_ON_S)
            return codec.encode_token_challenge_response(codec.decode_token_challenge_response(result))
        except (PeerError, BadRequest) as error:
            raise _as_ours(answerer, error) from None

    async def _ask(self, to: str, payload: Element, timeout: float = TIMEOUT_S) -> Element:
        result = await ask(self._client, to, "get", payload, timeout)
        inside = next(iter(result), None)
        if inside is None:
            raise PeerConfused(f"{to} answered with nothing")
        return inside


def _as_ours(answerer: str, error: HubError) -> RequestError:
    """What went wrong behind us, for who challenged us."""
    if isinstance(error, PeerRefused):
        return Forbidden(f"{answerer} does not answer for this token: {error.condition}.")
    return NotFound(f"{answerer}, who has shown this token, gave no answer.")
