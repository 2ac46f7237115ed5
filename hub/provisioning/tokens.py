"""Device, service and user tokens, the server's side (XEP-0324 section 3.1.3): who gets one, and who may show it.

Rules of this file
* A token is given to a bare JID for a certificate, after an answer to a challenge that only its private key can find.
  The same certificate brings the same token again, so that a rule that names it stays true.
* A challenge is kept for longer than the minute that the text asks for, belongs to the JID it was made for, and is
  used up by the first answer, right or wrong. There are bounds per JID and in all; who is over them is told to wait.
* A token in a question counts if it was given to the very sender that the question is about, or if that sender, or
  whoever it has the token from, answers a challenge now. All others are passed over, as if they had not been shown:
  they may be another server's (section 3.1.5).
* Where a token has counted is kept before the answer: a device that remembers what it was told is told to forget it
  when the token is revoked or has expired.
* An answer to a challenge holds for a while, for that device and that sender only. So does a failure, for a shorter
  time: asking costs others something.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hmac
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from hub.errors import BadRequest, HubError, NotFound, Overload, PeerError
from hub.provisioning.certificates import CHALLENGE_BYTES, Certificate, read
from hub.provisioning.store import SHOWN, Store, TokenRecord
from hub.things.model import Tokens
from hub.things.questions import bare

log = logging.getLogger(__name__)

TOKEN_BYTES: Final = 24  # 192 bits: nobody guesses one
LAST_NUMBER: Final = (1 << 31) - 1  # `seqnr` is an xs:int


@dataclass(frozen=True, slots=True)
class TokenLimits:
    kept: float = 120.0  # seconds a challenge waits for its answer; the text: at least 60
    per_jid: int = 5  # challenges at once
    in_all: int = 1000  # challenges at once
    tokens_per_jid: int = 20
    lifetime: dt.timedelta = dt.timedelta(days=366)
    """Of a token, if its certificate lasts that long; asking again renews it."""
    proven: float = 600.0  # seconds an answer to a challenge holds
    failed: float = 30.0  # seconds a failure holds
    remembered: int = 10_000  # such answers and failures


Challenge = Callable[[str, str, bytes], Awaitable[bytes]]
"""Sends a device, by its bare JID, a token and an encrypted challenge; returns the answer. Raises PeerError."""


class Audit(Protocol):
    def record(self, who: str, what: str, rule: str, answer: str) -> None: ...


class UserTokens(Protocol):
    async def is_bound(self, user_token: str, service_tokens: frozenset[str]) -> bool:
        """Whether it was given to a service that shows one of these."""
        ...


@dataclass(frozen=True, slots=True)
class _Asked:
    jid: str
    number: int
    certificate: Certificate
    answer: bytes
    made: float


class TokenDesk:
    """`address`: of this service. `wall`: now, with a zone; `clock`: seconds that only grow; `random`: that many
    bytes nobody can guess. `challenge` reaches devices."""

    def __init__(
        self,
        store: Store,
        address: str,
        wall: Callable[[], dt.datetime],
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        challenge: Challenge,
        audit: Audit,
        limits: TokenLimits | None = None,
    ) -> None:
        self._store, self._address, self._audit = store, address, audit
        self.users: UserTokens | None = None
        self._wall, self._clock, self._random, self._challenge = wall, clock, random, challenge
        self._limits = limits or TokenLimits()
        self._asked: OrderedDict[int, _Asked] = OrderedDict()
        self._per_jid: Counter[str] = Counter()
        self._number = 0
        self._known: OrderedDict[tuple[str, str, str], tuple[float, bool]] = OrderedDict()
        self._asking: dict[tuple[str, str, str], asyncio.Task[bool]] = {}

    # ------------------------------------------------------------------ getting one

    async def get_token(self, caller: str, certificate: bytes) -> tuple[int, bytes]:
        """`getToken`: number and encrypted challenge. Raises BadRequest, NotSupported, Overload."""
        jid = bare(caller)
        try:
            good = read(certificate, self._wall())
        except HubError as error:
            self._audit.record(jid, "getToken", "certificate", f"refused: {error}")
            raise
        self._drop_old()
        if self._per_jid[jid] >= self._limits.per_jid or len(self._asked) >= self._limits.in_all:
            raise Overload("too many challenges wait for an answer; try again in a minute or two")
        self._number = self._number % LAST_NUMBER + 1
        asked = _Asked(jid, self._number, good, self._random(CHALLENGE_BYTES), self._clock())
        self._asked[self._number] = asked
        self._per_jid[jid] += 1
        return self._number, good.encrypt(asked.answer)

    async def challenge_response(self, caller: str, number: int, response: bytes) -> str:
        """`getTokenChallengeResponse`: the token. Raises NotFound for a number that is unknown, of another or used up,
        BadRequest for a wrong answer, Overload, StoreError."""
        jid = bare(caller)
        self._drop_old()
        asked = self._asked.get(number)
        if asked is None or asked.jid != jid:
            raise NotFound(f"there is no challenge with the number {number}: ask for a token again")
        self._drop(number)
        if not hmac.compare_digest(asked.answer, response):
            self._audit.record(jid, "getToken", "challenge", "refused: the answer is wrong")
            raise BadRequest("the answer to the challenge is wrong")
        token = await self._give(jid, asked.certificate)
        self._audit.record(jid, "getToken", "challenge", f"given for certificate {asked.certificate.fingerprint}")
        return token

    async def _give(self, jid: str, certificate: Certificate) -> str:
        now = self._wall()
        random = base64.urlsafe_b64encode(self._random(TOKEN_BYTES)).decode("ascii")
        token = f"{self._address}:{random}"  # the newer text's form; no white space (section 3.1.3.1)
        expires = min(now + self._limits.lifetime, certificate.expires)
        record = TokenRecord(token, certificate.der, jid, now, expires)
        given = await self._store.give_token(record, certificate.fingerprint, self._limits.tokens_per_jid)
        return given.token

    def _drop_old(self) -> None:
        while self._asked:
            oldest = next(iter(self._asked.values()))
            if self._clock() - oldest.made < self._limits.kept:
                return
            self._drop(oldest.number)

    def _drop(self, number: int) -> None:
        asked = self._asked.pop(number)
        self._per_jid[asked.jid] -= 1
        if not self._per_jid[asked.jid]:
            del self._per_jid[asked.jid]

    async def record(self, token: str) -> TokenRecord | None:
        """What a token stands for; None when it is not ours or has expired."""
        found = await self._store.token(token)
        return found if found is not None and self._wall() < found.expires else None

    async def sweep(self) -> None:
        """Tokens that have expired: what they have brought about is forgotten. To be called every minute or so."""
        for token in await self._store.lapse_tokens():
            log.info("a token has expired: %s", token)

    # ------------------------------------------------------------------ showing one

    async def shown(self, device: str, jid: str, tokens: Tokens) -> Tokens:
        """Those of `tokens` that count, in a question that `device` asks about `jid`; several stay separated by
        spaces."""
        device, jid = bare(device), bare(jid)
        each = {token for text in (tokens.service, tokens.device, tokens.user) for token in text.split()}
        verdicts = await asyncio.gather(*(self._counts(device, jid, token) for token in each))
        good = {token for token, counts in zip(each, verdicts, strict=True) if counts}
        services = frozenset(token for token in tokens.service.split() if token in good)
        for token in tokens.user.split():
            if token not in good and self.users is not None and await self.users.is_bound(token, services):
                good.add(token)
        return Tokens(*(" ".join(token for token in text.split() if token in good)
                        for text in (tokens.service, tokens.device, tokens.user)))  # fmt: skip

    async def _counts(self, device: str, jid: str, token: str) -> bool:
        record = await self.record(token)
        if record is None or not await self._is_proven(record, token, device, jid):
            return False
        if await self._store.get(SHOWN + token, device) is None:
            await self._store.put(SHOWN + token, device, {})
            return await self.record(token) is not None  # revoked meanwhile, it may have found no such device to tell
        return True

    async def _is_proven(self, record: TokenRecord, token: str, device: str, jid: str) -> bool:
        if record.subject == jid:
            return True
        key = (token, device, jid)
        until, proven = self._known.get(key, (0.0, False))
        if self._clock() < until:
            return proven
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._prove(record, key))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(task)

    async def _prove(self, record: TokenRecord, key: tuple[str, str, str]) -> bool:
        _, device, jid = key
        why = "the answer is wrong"
        try:
            answer = self._random(CHALLENGE_BYTES)
            encrypted = read(record.certificate, self._wall()).encrypt(answer)
            proven = hmac.compare_digest(answer, await self._challenge(device, record.token, encrypted))
        except (PeerError, BadRequest) as error:
            proven, why = False, str(error)
        limits = self._limits
        self._known[key] = (self._clock() + (limits.proven if proven else limits.failed), proven)
        self._known.move_to_end(key)
        if len(self._known) > limits.remembered:
            self._known.popitem(last=False)
        what = f"token of {record.subject} shown to {device}"
        self._audit.record(jid, what, "challenge", "answered" if proven else f"refused: {why}")
        if not proven:
            log.warning("%s shows %s a token of %s and does not prove it: %s", jid, device, record.subject, why)
        return proven
