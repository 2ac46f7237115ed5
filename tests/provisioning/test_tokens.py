"""Tokens: who gets one, and who may show it."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadRequest, NotFound, NotSupported, Overload, PeerError, PeerRefused, PeerSilent, StoreError
from hub.provisioning.certificates import KeyPair, read_pair
from hub.provisioning.store import SHOWN
from hub.provisioning.tokens import TokenDesk, TokenLimits
from hub.things.model import Tokens
from tests.provisioning.keys import END, NOW, certificate, key_pem, rsa_key
from tests.provisioning.smallstore import SmallStore

DEVICE, SERVICE, EVE = "device@example.org/device", "service@example.org/service", "eve@example.com/x"
PAIR = read_pair(certificate(), key_pem(), NOW)


class Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str, str]] = []

    def record(self, who: str, what: str, rule: str, answer: str) -> None:
        self.lines.append((who, what, rule, answer))


class World:
    def __init__(self, limits: TokenLimits | None = None) -> None:
        self.now, self.seconds = NOW, 100.0
        self.store, self.log = SmallStore(), Log()
        self.limits = limits or TokenLimits()
        self.peer = Peer()
        self.restart()

    async def shown(self, device: str, jid: str, tokens: Tokens, peer: Peer) -> Tokens:
        """With `peer` behind the device."""
        self.peer = peer
        return await self.desk.shown(device, jid, tokens)

    def restart(self) -> None:
        self.desk = TokenDesk(
            self.store, "provisioning.example.org", lambda: self.now, lambda: self.seconds, os.urandom,  # type: ignore[arg-type]
            lambda *told: self.peer(*told), self.log, limits=self.limits,
        )  # fmt: skip

    def wait(self, seconds: float) -> None:
        self.seconds += seconds
        self.now += dt.timedelta(seconds=seconds)

    async def token(self, jid: str, pair: KeyPair = PAIR) -> str:
        number, challenge = await self.desk.get_token(jid, pair.certificate)
        return await self.desk.challenge_response(jid, number, pair.decrypt(challenge))


class Peer:
    """Who answers challenges: with a key, or as told."""

    def __init__(self, pair: KeyPair = PAIR, error: PeerError | None = None) -> None:
        self.asked: list[str] = []
        self._pair, self._error = pair, error

    async def __call__(self, device: str, token: str, challenge: bytes) -> bytes:
        assert "/" not in device
        self.asked.append(token)
        await asyncio.sleep(0)
        if self._error is not None:
            raise self._error
        try:
            return self._pair.decrypt(challenge)
        except BadRequest as error:
            raise PeerRefused("bad-request", str(error)) from None


# --------------------------------------------------------------------------- getting one (section 3.1.3.1)


async def test_who_holds_the_key_gets_a_token_without_white_space() -> None:
    world = World()
    token = await world.token(DEVICE)
    assert len(token.split()) == 1 and token.isprintable() and len(token) > 40
    record = await world.desk.record(token)
    assert record is not None
    assert (record.subject, record.certificate, record.expires) == ("device@example.org", PAIR.certificate, END)
    assert world.log.lines[-1][0] == "device@example.org" and "given" in world.log.lines[-1][3]


async def test_tokens_of_others_and_of_other_certificates_are_others() -> None:
    world = World()
    other = read_pair(certificate(rsa_key("two")), key_pem(rsa_key("two")), NOW)
    tokens = {await world.token(DEVICE), await world.token(SERVICE), await world.token(DEVICE, other)}
    assert len(tokens) == 3


async def test_the_same_certificate_brings_the_same_token_after_a_restart_and_renews_it() -> None:
    world = World(TokenLimits(lifetime=dt.timedelta(days=10)))
    token = await world.token(DEVICE)
    world.wait(9 * 86400)
    world.restart()
    assert await world.token("Device@example.org/elsewhere") == token
    world.wait(9 * 86400)
    assert await world.desk.record(token) is not None
    world.wait(2 * 86400)
    assert await world.desk.record(token) is None
    assert await world.token(DEVICE) == token


async def test_a_token_ends_with_its_certificate() -> None:
    world = World()
    token = await world.token(DEVICE)
    world.now = END
    assert await world.desk.record(token) is None
    with pytest.raises(BadRequest, match="expired"):
        await world.desk.get_token(DEVICE, PAIR.certificate)


async def test_a_wrong_answer_is_refused_and_uses_the_challenge_up() -> None:
    world = World()
    number, challenge = await world.desk.get_token(DEVICE, PAIR.certificate)
    with pytest.raises(BadRequest, match="wrong"):
        await world.desk.challenge_response(DEVICE, number, b"BASE-64 ENCODED RESPONSE")
    with pytest.raises(NotFound):
        await world.desk.challenge_response(DEVICE, number, PAIR.decrypt(challenge))
    assert world.store.tokens == {}


async def test_a_replay_is_refused() -> None:
    world = World()
    number, challenge = await world.desk.get_token(DEVICE, PAIR.certificate)
    await world.desk.challenge_response(DEVICE, number, PAIR.decrypt(challenge))
    with pytest.raises(NotFound, match=str(number)):
        await world.desk.challenge_response(DEVICE, number, PAIR.decrypt(challenge))


async def test_two_right_answers_at_once_bring_one_token() -> None:
    world = World()
    number, challenge = await world.desk.get_token(DEVICE, PAIR.certificate)
    answer = PAIR.decrypt(challenge)
    results = await asyncio.gather(*(world.desk.challenge_response(DEVICE, number, answer) for _ in range(3)),
                                   return_exceptions=True)  # fmt: skip
    assert [type(result) for result in results] == [str, NotFound, NotFound]


async def test_the_challenge_of_another_is_not_found_and_not_used_up() -> None:
    world = World()
    number, challenge = await world.desk.get_token(DEVICE, PAIR.certificate)
    with pytest.raises(NotFound):
        await world.desk.challenge_response(EVE, number, PAIR.decrypt(challenge))
    assert await world.desk.challenge_response(DEVICE, number, PAIR.decrypt(challenge))


@given(st.integers(-(1 << 31), 1 << 31))
async def test_a_number_that_was_never_given_is_not_found(number: int) -> None:
    world = World()
    given_number, _ = await world.desk.get_token(DEVICE, PAIR.certificate)
    if number != given_number:
        with pytest.raises(NotFound):
            await world.desk.challenge_response(DEVICE, number, b"x")


async def test_a_challenge_is_kept_for_a_minute_and_not_for_ever() -> None:
    world = World()
    number, challenge = await world.desk.get_token(DEVICE, PAIR.certificate)
    late, late_challenge = await world.desk.get_token(DEVICE, PAIR.certificate)
    world.wait(60)
    assert await world.desk.challenge_response(DEVICE, number, PAIR.decrypt(challenge))
    world.wait(60)
    with pytest.raises(NotFound):
        await world.desk.challenge_response(DEVICE, late, PAIR.decrypt(late_challenge))


async def test_challenges_are_bounded_per_jid_and_in_all() -> None:
    world = World(TokenLimits(per_jid=2, in_all=5))
    for jid in ("a@x", "a@x/2", "b@x", "b@x", "c@x"):
        await world.desk.get_token(jid, PAIR.certificate)
    for jid in ("a@x/3", "d@x"):
        with pytest.raises(Overload):
            await world.desk.get_token(jid, PAIR.certificate)
    world.wait(120)
    for jid in ("a@x", "a@x", "d@x"):
        await world.desk.get_token(jid, PAIR.certificate)


async def test_tokens_of_one_jid_are_bounded_and_those_that_are_over_make_room() -> None:
    world = World(TokenLimits(tokens_per_jid=1, lifetime=dt.timedelta(days=1)))
    other = read_pair(certificate(rsa_key("two")), key_pem(rsa_key("two")), NOW)
    first = await world.token(DEVICE)
    with pytest.raises(Overload, match="1 tokens already"):
        await world.token(DEVICE, other)
    world.wait(86400)
    second = await world.token(DEVICE, other)
    assert await world.desk.record(first) is None and await world.desk.record(second) is not None
    assert list(world.store.tokens) == [second]


async def test_a_bad_certificate_is_refused_before_anything_is_kept() -> None:
    world = World(TokenLimits(per_jid=1))
    from cryptography.hazmat.primitives.asymmetric import ec

    for data, error in ((certificate(ec.generate_private_key(ec.SECP256R1())), NotSupported), (b"x", BadRequest)):
        with pytest.raises(error):
            await world.desk.get_token(DEVICE, data)
        assert world.log.lines[-1][3].startswith("refused")
    await world.desk.get_token(DEVICE, PAIR.certificate)


async def test_a_store_that_is_away_gives_no_token() -> None:
    world = World()
    world.store.away = True
    with pytest.raises(StoreError):
        await world.token(DEVICE)
    world.store.away = False
    assert await world.desk.record(await world.token(DEVICE)) is not None


# --------------------------------------------------------------------------- showing one (section 3.1.3.2)


async def test_the_token_of_the_very_sender_counts_without_a_challenge() -> None:
    world, peer = World(), Peer()
    token = await world.token(SERVICE)
    assert await world.shown(DEVICE, SERVICE, Tokens(service=token), peer) == Tokens(service=token)
    assert peer.asked == []


async def test_where_a_token_has_counted_is_kept_and_where_it_has_not_is_not() -> None:
    world, eve = World(), Peer(error=PeerRefused("forbidden"))
    token = await world.token(SERVICE)
    await world.shown(DEVICE, EVE, Tokens(service=token), eve)
    assert await world.store.items(SHOWN + token) == {}
    await world.shown(DEVICE, SERVICE, Tokens(service=token), eve)
    assert list(await world.store.items(SHOWN + token)) == ["device@example.org"]


async def test_a_token_that_is_revoked_while_it_is_looked_at_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    world, peer = World(), Peer()
    token = await world.token(SERVICE)
    put = world.store.put

    async def revoked_meanwhile(area: str, key: str, value: dict[str, Any] | None) -> None:
        del world.store.tokens[token]
        await put(area, key, value)

    monkeypatch.setattr(world.store, "put", revoked_meanwhile)
    assert await world.shown(DEVICE, SERVICE, Tokens(service=token), peer) == Tokens()


async def test_a_token_that_was_passed_on_counts_when_its_owner_answers_and_is_not_asked_again_for_a_while() -> None:
    world, peer = World(), Peer()
    token = await world.token(SERVICE)
    for _ in range(3):
        shown = await world.shown(DEVICE, "u1@example.org", Tokens(service=token), peer)
        assert shown == Tokens(service=token)
    assert peer.asked == [token]
    world.wait(601)
    await world.shown(DEVICE, "u1@example.org", Tokens(service=token), peer)
    await world.shown(DEVICE, "u2@example.org", Tokens(service=token), peer)
    await world.shown("other@example.org/x", "u1@example.org", Tokens(service=token), peer)
    assert len(peer.asked) == 4


OTHER = read_pair(certificate(rsa_key("two")), key_pem(rsa_key("two")), NOW)


@pytest.mark.parametrize("peer", [
    lambda: Peer(OTHER), lambda: Peer(error=PeerRefused("forbidden")), lambda: Peer(error=PeerSilent("nothing")),
])  # fmt: skip
async def test_the_token_of_another_is_as_if_it_had_not_been_shown(peer: Callable[[], Peer]) -> None:
    world, eve = World(), peer()
    stolen, own = await world.token(SERVICE), await world.token(EVE)
    for _ in range(2):
        shown = await world.shown(DEVICE, EVE, Tokens(service=f"{stolen} {own}", device=stolen), eve)
        assert shown == Tokens(service=own)
    assert eve.asked == [stolen]
    assert any(line[0] == "eve@example.com" and "refused" in line[3] for line in world.log.lines)
    honest = Peer()
    world.wait(31)
    assert (await world.shown(DEVICE, EVE, Tokens(service=stolen), honest)).service == stolen


async def test_an_answer_for_one_sender_helps_no_other() -> None:
    world, eve = World(), Peer(OTHER)
    token = await world.token(SERVICE)
    await world.shown(DEVICE, "u1@example.org", Tokens(service=token), Peer())
    assert await world.shown(DEVICE, EVE, Tokens(service=token), eve) == Tokens()
    assert eve.asked == [token]


async def test_questions_at_once_share_one_challenge() -> None:
    world, peer = World(), Peer()
    token = await world.token(SERVICE)
    asked: list[Awaitable[Tokens]] = [
        world.shown(DEVICE, "u1@example.org", Tokens(service=token), peer) for _ in range(10)
    ]
    assert await asyncio.gather(*asked) == [Tokens(service=token)] * 10
    assert peer.asked == [token]


async def test_of_several_tokens_each_is_challenged_and_those_of_other_servers_are_passed_over() -> None:
    world, peer = World(), Peer()
    first, second = await world.token(SERVICE), await world.token("other@example.org")
    tokens = Tokens(service=f"SERVICETOKEN1 {first} {second}", user="USERTOKEN1")
    assert await world.shown(DEVICE, EVE, tokens, peer) == Tokens(service=f"{first} {second}")
    assert sorted(peer.asked) == sorted([first, second])


async def test_an_expired_token_counts_for_nobody() -> None:
    world, peer = World(), Peer()
    token = await world.token(SERVICE)
    world.now = END
    assert await world.shown(DEVICE, SERVICE, Tokens(service=token), peer) == Tokens()
    assert peer.asked == []


async def test_what_is_remembered_of_challenges_is_bounded() -> None:
    world, peer = World(TokenLimits(remembered=3)), Peer()
    token = await world.token(SERVICE)
    for number in range(10):
        await world.shown(DEVICE, f"u{number}@x", Tokens(service=token), peer)
    assert len(world.desk._known) == 3


async def test_user_tokens_count_with_the_service_token_they_are_bound_to() -> None:
    world, peer = World(), Peer()
    token = await world.token(SERVICE)

    class Users:
        async def is_bound(self, user_token: str, service_tokens: frozenset[str]) -> bool:
            return user_token == "kermit" and token in service_tokens

    world.desk.users = Users()
    shown = await world.shown(DEVICE, SERVICE, Tokens(service=token, user="kermit piggy"), peer)
    assert shown == Tokens(service=token, user="kermit")
    assert await world.shown(DEVICE, EVE, Tokens(user="kermit"), peer) == Tokens()
