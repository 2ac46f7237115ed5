"""Users of services: whom a service lets in, and what he may do there."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadRequest, Forbidden, NotFound, Overload, RequestError
from hub.provisioning import users
from hub.provisioning.store import TokenRecord
from hub.provisioning.users import (
    NOBODY,
    Entrance,
    Privileges,
    ServiceRules,
    User,
    UserBook,
    UserDesk,
    decode_rules,
    encode_rules,
    is_granted,
    lets_in,
)
from hub.stanzas.provisioning import AccessQuestion
from hub.things.model import Tokens
from tests.provisioning.keys import NOW, certificate
from tests.provisioning.smallstore import SmallStore
from tests.provisioning.test_tokens import Log

SERVICE, OTHER = "service@example.org", "other@example.org"
ENERGY: Privileges = ((False, "Databases.Energy.Delete"), (True, "Databases.Energy"))


class World:
    def __init__(self) -> None:
        self.now = NOW
        self.store, self.log = SmallStore(), Log()
        self.book = UserBook(self.store)  # type: ignore[arg-type]
        self.tokens: dict[str, TokenRecord] = {}
        for token, jid in (("SERVICETOKEN1", SERVICE), ("OTHERTOKEN", OTHER)):
            self.tokens[token] = TokenRecord(token, certificate(), jid, NOW, NOW + dt.timedelta(days=9))
        self.desk = UserDesk(self.store, "provisioning.example.org", lambda: self.now, os.urandom, self, self.log)  # type: ignore[arg-type]

    async def record(self, token: str) -> TokenRecord | None:
        return self.tokens.get(token)

    async def enter(self, caller: str = SERVICE, token: str = "SERVICETOKEN1") -> str:
        await self.book.set_entrances(caller, [Entrance(True)])
        allowed, user_token = await self.desk.can_access(caller + "/service", AccessQuestion(token))
        assert allowed
        return user_token

    async def kermit(self) -> Tokens:
        """Somebody with the privileges of the text's example, logged in."""
        await self.book.set_role(SERVICE, "clerk", ENERGY)
        await self.book.set_user(SERVICE, "Kermit", User(("clerk",)))
        shown = Tokens(service="SERVICETOKEN1", user=await self.enter())
        await self.desk.user_logged_in(SERVICE, shown, "Kermit")
        return shown


# --------------------------------------------------------------------------- privileges (section 3.7)


@pytest.mark.parametrize(("privilege", "granted"), [
    ("Databases.Energy.Select", True), ("Databases.Energy.Insert", True), ("Databases.Energy.Delete", False),
    ("Databases.Energy", True), ("Databases", False), ("Databases.EnergyOld", False),
    ("Databases.Energy.Delete.Row", False), ("databases.energy.select", False), ("Sensors", False),
])  # fmt: skip
def test_the_example_of_the_text(privilege: str, granted: bool) -> None:
    assert is_granted(ENERGY, privilege) is granted


parts = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(".".join)
lists = st.lists(st.tuples(st.booleans(), parts), max_size=8).map(tuple)


@given(lists, parts)
def test_the_first_that_reaches_it_decides(privileges: Privileges, privilege: str) -> None:
    wanted = privilege.split(".")
    naive = False
    for included, id_ in reversed(privileges):
        if wanted[: id_.count(".") + 1] == id_.split("."):
            naive = included
    assert is_granted(privileges, privilege) is naive


@given(lists, lists, lists, st.lists(parts, min_size=1, max_size=5))
async def test_what_is_asked_singly_is_what_the_downloaded_list_says(
    own: Privileges, role: Privileges, default: Privileges, asked: list[str]
) -> None:
    world = World()
    shown = await world.kermit()
    await world.book.set_role(SERVICE, "clerk", role)
    await world.book.set_default(SERVICE, default)
    await world.book.set_user(SERVICE, "Kermit", User(("clerk",), own))
    downloaded = await world.desk.download_privileges(SERVICE, shown)
    for privilege in asked:
        single = await world.desk.has_privilege(SERVICE, shown, privilege)
        assert single is is_granted(downloaded, privilege) is is_granted((*own, *role, *default), privilege)


async def test_a_user_has_his_own_list_then_his_roles_then_the_default() -> None:
    rules = ServiceRules(default=((True, "a"),), roles={"r": ((False, "a.b"),), "s": ((True, "a.b"),)})
    assert rules.privileges(User(("r", "s", "gone"), ((True, "a.b.c"),))) == (
        (True, "a.b.c"), (False, "a.b"), (True, "a.b"), (True, "a"),
    )  # fmt: skip


async def test_privileges_of_services_are_apart() -> None:
    world = World()
    shown = await world.kermit()
    theirs = Tokens(service="OTHERTOKEN", user=await world.enter(OTHER, "OTHERTOKEN"))
    await world.desk.user_logged_in(OTHER, theirs, "Kermit")
    assert await world.desk.has_privilege(SERVICE, shown, "Databases.Energy.Select")
    assert not await world.desk.has_privilege(OTHER, theirs, "Databases.Energy.Select")
    assert not await world.desk.has_privilege(OTHER, Tokens(service="OTHERTOKEN", user=shown.user), "Databases.Energy")
    assert await world.desk.download_privileges(OTHER, theirs) == ()


async def test_who_has_not_logged_in_has_the_default_privileges_only() -> None:
    world = World()
    shown = await world.kermit()
    await world.book.set_default(SERVICE, ((True, "Sensors.View"),))
    stranger = Tokens(service="SERVICETOKEN1", user=await world.enter())
    for tokens in (stranger, Tokens(service="SERVICETOKEN1"), Tokens(service="SERVICETOKEN1", user="USERTOKEN9")):
        assert await world.desk.download_privileges(SERVICE, tokens) == ((True, "Sensors.View"),)
        assert not await world.desk.has_privilege(SERVICE, tokens, "Databases.Energy.Select")
        assert await world.desk.has_privilege(SERVICE, tokens, "Sensors.View")
    await world.desk.user_logged_in(SERVICE, stranger, "Gonzo")
    assert await world.desk.download_privileges(SERVICE, stranger) == ((True, "Sensors.View"),)
    both = Tokens(service="SERVICETOKEN1", user=f"{stranger.user} {shown.user}")
    assert await world.desk.download_privileges(SERVICE, both) == ((True, "Sensors.View"),)


async def test_a_removed_user_has_nothing_left() -> None:
    world = World()
    shown = await world.kermit()
    await world.book.set_user(SERVICE, "Kermit", None)
    assert await world.desk.download_privileges(SERVICE, shown) == ()


# --------------------------------------------------------------------------- getting in (section 3.6.2)


async def test_nobody_comes_in_where_nobody_was_let_in() -> None:
    world = World()
    assert await world.desk.can_access(SERVICE, AccessQuestion("SERVICETOKEN1")) == (False, "")
    assert world.log.lines[-1][3] == "refused"


CERTIFICATE = base64.b64encode(certificate()).decode()
THUMBPRINT = hashlib.sha1(certificate())
SHORT = base64.b64encode(THUMBPRINT.digest()).decode()


@pytest.mark.parametrize(("condition", "yes", "no"), [
    (("jid", "*@example.org"), "ann@example.org/x", "ann@example.com"),
    (("ip4", "10.0.0.0/8"), "10.1.2.3", "11.0.0.1"),
    (("ip4", "10.0.0.1"), "10.0.0.1", "nonsense"),
    (("ip6", "2001:db8::/32"), "2001:db8::1", "2001:db9::1"),
    (("hostName", "*.example.org"), "A.Example.org.", "example.org"),
    (("hostName", "desk.example.org"), "desk.example.org", "xdesk.example.org"),
    (("userName", "Kermit"), "Kermit", "kermit"),
    (("protocol", "HTTPS"), "HTTPS", "HTTP"),
    (("longitude", "123..124"), "123.45", "124.1"),
    (("latitude", "-10..70"), "67.89", "NaN"),
    (("altitude", "0..100"), "10", "1e400"),
    pytest.param(("x509CertificateThumbprint", THUMBPRINT.hexdigest().upper()), SHORT, "=", id="thumbprint"),
    pytest.param(
        ("x509Certificate", hashlib.sha256(certificate()).hexdigest()), CERTIFICATE, CERTIFICATE[:-4], id="certificate"
    ),
    pytest.param(("x509Certificate", THUMBPRINT.hexdigest()), CERTIFICATE, "%", id="certificate by SHA-1"),
])  # fmt: skip
async def test_conditions(condition: tuple[str, str], yes: str, no: str) -> None:
    world = World()
    await world.book.set_entrances(SERVICE, [Entrance(True, (condition,))])
    entrances = (await world.book.rules(SERVICE)).entrances
    assert lets_in(entrances, [("protocol", "x"), (condition[0], yes)])
    assert not lets_in(entrances, [(condition[0], no)])
    assert not lets_in(entrances, [])
    assert not lets_in(entrances, [("sso", yes)])


def test_the_first_entrance_that_fits_decides_and_needs_all_its_conditions() -> None:
    entrances = [
        Entrance(False, (("ip4", "10.0.0.13"),)),
        Entrance(True, (("ip4", "10.0.0.0/8"), ("protocol", "HTTPS"))),
    ]
    https = ("protocol", "HTTPS")
    assert lets_in(entrances, [("ip4", "10.0.0.1"), https])
    assert not lets_in(entrances, [("ip4", "10.0.0.13"), https])
    assert not lets_in(entrances, [("ip4", "10.0.0.1")])


@given(st.lists(st.tuples(st.sampled_from(["jid", "ip4", "ip6", "x509Certificate", "longitude"]), st.text())))
def test_no_credential_is_a_way_to_an_error(credentials: list[tuple[str, str]]) -> None:
    every = [Entrance(False, ((kind, "10.0.0.0/8" if kind[:2] == "ip" else "0..1"),)) for kind, _ in credentials]
    assert lets_in(every, credentials) is False


async def test_the_service_token_of_another_is_refused() -> None:
    world = World()
    shown = await world.kermit()
    for caller, token in ((OTHER, "SERVICETOKEN1"), (SERVICE, "NONE"), (SERVICE, ""), (SERVICE, "OTHERTOKEN")):
        stolen = Tokens(service=token, user=shown.user)
        with pytest.raises(Forbidden):
            await world.desk.can_access(caller, AccessQuestion(token))
        with pytest.raises(Forbidden):
            await world.desk.has_privilege(caller, stolen, "Databases.Energy.Select")
        with pytest.raises(Forbidden):
            await world.desk.download_privileges(caller, stolen)
        with pytest.raises(Forbidden):
            await world.desk.user_logged_in(caller, stolen, "Kermit")


async def test_of_several_service_tokens_its_own_counts() -> None:
    world = World()
    await world.book.set_entrances(SERVICE, [Entrance(True)])
    allowed, user = await world.desk.can_access(SERVICE, AccessQuestion("ELSEWHERE OTHERTOKEN SERVICETOKEN1"))
    assert allowed
    assert await world.desk.is_bound(user, frozenset({"SERVICETOKEN1"}))
    assert not await world.desk.is_bound(user, frozenset({"OTHERTOKEN"}))
    assert not await world.desk.is_bound("USERTOKEN1", frozenset({"SERVICETOKEN1"}))


async def test_a_user_token_dies_after_a_day() -> None:
    world = World()
    shown = await world.kermit()
    world.now += dt.timedelta(days=1)
    assert await world.desk.download_privileges(SERVICE, shown) == ()
    assert not await world.desk.is_bound(shown.user, frozenset({"SERVICETOKEN1"}))
    with pytest.raises(NotFound):
        await world.desk.user_logged_in(SERVICE, shown, "Kermit")


async def test_users_at_once_are_bounded_and_those_that_are_over_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "MAX_TOKENS", 3)
    world = World()
    for _ in range(3):
        await world.enter()
    with pytest.raises(Overload):
        await world.enter()
    await world.enter(OTHER, "OTHERTOKEN")
    world.now += dt.timedelta(days=1)
    await world.enter()
    assert len(await world.store.items(users.USER_TOKENS)) == 1


# --------------------------------------------------------------------------- the operator's hand


@pytest.mark.parametrize("condition", [
    ("iris", "x"), ("ip4", "10.0.0.300"), ("ip4", "::1"), ("ip6", "10.0.0.1"), ("longitude", "5"),
    ("longitude", "9..1"), ("x509Certificate", "abc"), ("x509Certificate", "zz"), ("userName", ""),
    ("altitude", "a..b"),
])  # fmt: skip
async def test_a_condition_that_cannot_be_met_is_refused(condition: tuple[str, str]) -> None:
    world = World()
    with pytest.raises(BadRequest):
        await world.book.set_entrances(SERVICE, [Entrance(True, (condition,))])
    assert world.store.kept == {}


@pytest.mark.parametrize("id_", ["", ".", "a.", ".a", "a..b", "a\nb", "x" * 300])
async def test_a_privilege_that_is_none_is_refused(id_: str) -> None:
    world = World()
    for attempt in (
        world.book.set_default(SERVICE, ((True, id_),)),
        world.book.set_role(SERVICE, "r", ((True, id_),)),
        world.book.set_user(SERVICE, "u", User((), ((True, id_),))),
    ):
        with pytest.raises(BadRequest):
            await attempt
    assert world.store.kept == {}


async def test_bounds_and_what_is_not_there() -> None:
    world, book = World(), World().book
    many = tuple((True, f"p{number}") for number in range(users.MAX_LIST + 1))
    wrong: list[RequestError] = []
    for attempt in (
        book.set_default(SERVICE, many), book.set_role(SERVICE, "r", many), book.set_user(SERVICE, "u", User((), many)),
        book.set_user(SERVICE, "u", User(tuple("abcdefghi"))), book.set_user(SERVICE, "", NOBODY),
        book.set_user(SERVICE, "u", User(("no such role",))), book.set_role(SERVICE, "no such role", None),
        book.set_user(SERVICE, "nobody", None), book.set_entrances(SERVICE, [Entrance(True)] * (users.MAX_LIST + 1)),
    ):  # fmt: skip
        with pytest.raises((BadRequest, NotFound)) as refused:
            await attempt
        wrong.append(refused.value)
    assert len(wrong) == 9 and world.store.kept == {}


async def test_what_was_kept_is_listed_and_what_is_empty_is_gone() -> None:
    world = World()
    await world.kermit()
    assert await world.book.services() == (SERVICE,)
    assert await world.book.users(SERVICE) == {"Kermit": User(("clerk",))}
    assert (await world.book.rules(SERVICE)).roles == {"clerk": ENERGY}
    await world.book.set_user(SERVICE, "Kermit", None)
    await world.book.set_role(SERVICE, "clerk", None)
    await world.book.set_entrances(SERVICE, [])
    assert await world.book.services() == ()


@given(lists, lists)
def test_rules_survive_being_kept(default: Privileges, role: Privileges) -> None:
    rules = ServiceRules((Entrance(False, (("jid", "*"), ("jid", "a"))),), default, {"r": role})
    assert decode_rules(encode_rules(rules)) == rules
