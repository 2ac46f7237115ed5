"""Servers that cannot be trusted and passwords that do not fit: nothing leaks, the log says what to do, and the node
tries again for ever while its things go on."""

from __future__ import annotations

import base64
import logging
from pathlib import Path

import pytest

from hub.config.file import parse
from hub.demo.prosody import make_certificates
from hub.programs.node import Node, account_of
from hub.session.client import Account, Client
from hub.session.link import Link, LinkError
from tests.helpers import until

from .fake_server import FakeServer
from .world import SAMPLED, World, online, running

THINGS = '[things.air]\ndriver = "simulated"\ninterval = "50ms"\n'


@pytest.fixture(autouse=True)
def quick(hasty: None, caplog: pytest.LogCaptureFixture) -> None:
    """Attempts follow each other at once, and everything is in the log."""
    caplog.set_level(logging.DEBUG)


async def goes_on(node: Node) -> None:
    count = len(SAMPLED.get("air", []))
    await until(lambda: len(SAMPLED.get("air", [])) > count, "it samples")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records
            if record.levelno >= logging.WARNING and record.name.startswith("hub.session")]  # fmt: skip


def leaks(text: str, password: str) -> bool:
    """Whether a log holds the password, or the PLAIN message that holds it."""
    plain = base64.b64encode(f"\0greenhouse\0{password}".encode()).decode()
    return password in text or plain in text


async def test_a_wrong_password_is_said_once_and_the_node_comes_online_when_it_fits(
    own_server: World, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    right = own_server.passwords["greenhouse"]
    own_server.register("greenhouse", "another one")
    async with running(own_server.config(THINGS, state), wait=False) as node:
        await until(lambda: own_server.log().count("Client disconnected") >= 3, "it tries again")
        await goes_on(node)
        assert len(warnings(caplog)) == 1, "said once, not at every attempt"
        assert "the server refused the credentials of greenhouse@localhost (it offers SCRAM-SHA-256)" in caplog.text
        own_server.register("greenhouse", right)
        await online(node)
    assert not leaks(caplog.text, right)


async def test_one_attempt_with_a_wrong_password_is_a_link_error(own_server: World) -> None:
    server = (own_server.address.host, own_server.address.port)
    account = Account("owner@localhost", "wrong", server=server, ca_file=own_server.ca_file)
    link = Link(Client(account, "cli"), lambda up, fresh: None)
    with pytest.raises(LinkError, match="refused the credentials"):
        await link.online(10)
    await link.stop()


async def test_an_untrusted_certificate_ends_the_attempt_before_anything_is_said(
    own_server: World, state: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "other").mkdir()
    make_certificates(tmp_path / "other", "localhost")
    text = own_server.text(THINGS, state).replace(str(own_server.ca_file), str(tmp_path / "other" / "ca.pem"))
    async with running(parse(text), wait=False) as node:
        await until(lambda: caplog.text.count("no link: ") >= 3, "it tries again")
        await goes_on(node)
    (said,) = warnings(caplog)
    assert "certificate is not trusted for localhost" in said and "xmpp.ca_file" in said
    assert "Authenticated as" not in own_server.log()


async def test_a_certificate_for_another_name_is_not_accepted(
    own_server: World, state: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "other").mkdir()
    make_certificates(tmp_path / "other", "example.org")
    async with FakeServer(tmp_path / "other", ("SCRAM-SHA-256",)) as fake:
        text = own_server.text(THINGS, state, port=fake.port)
        trusting = parse(text.replace(str(own_server.ca_file), str(tmp_path / "other" / "ca.pem")))
        async with running(trusting, wait=False):
            await until(lambda: fake.connections >= 3, "it tries again")
    assert "certificate is not trusted for localhost" in warnings(caplog)[0]
    assert b"<auth" not in fake.heard


async def test_a_server_without_encryption_is_sent_nothing_secret(
    own_server: World, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        FakeServer(None, ("PLAIN", "SCRAM-SHA-256")) as fake,
        running(own_server.config(THINGS, state, port=fake.port), wait=False) as node,
    ):
        await until(lambda: fake.connections >= 3, "it tries again")
        await goes_on(node)
    (said,) = warnings(caplog)
    assert "offers no encryption" in said
    assert b"<auth" not in fake.heard and b"<iq" not in fake.heard
    assert not fake.heard_secret(own_server.passwords["greenhouse"])


@pytest.mark.parametrize("mechanisms", [("PLAIN",), ("PLAIN", "LOGIN", "X-OTHER"), ()])
async def test_a_server_that_wants_the_password_itself_does_not_get_it(
    own_server: World, state: Path, caplog: pytest.LogCaptureFixture, mechanisms: tuple[str, ...]
) -> None:
    async with (
        FakeServer(own_server.folder, mechanisms) as fake,
        running(own_server.config(THINGS, state, port=fake.port), wait=False) as node,
    ):
        await until(lambda: fake.connections >= 3, "it tries again")
        await goes_on(node)
    said = warnings(caplog)
    assert len(said) == 1 and "refused the credentials" in said[0]
    assert f"it offers {', '.join(sorted(mechanisms)) or 'nothing'}" in said[0]
    assert b"<auth" not in fake.heard
    assert not fake.heard_secret(own_server.passwords["greenhouse"])


async def test_a_server_that_cannot_prove_that_it_knows_the_password_is_left(
    own_server: World, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """SCRAM proves both ends: a forged success is none."""
    async with (
        FakeServer(own_server.folder, ("SCRAM-SHA-256", "PLAIN")) as fake,
        running(own_server.config(THINGS, state, port=fake.port), wait=False) as node,
    ):
        await until(lambda: fake.connections >= 3, "it tries again")
        assert node.link is not None and not node.link.up
    assert b"<response" in fake.heard
    assert b"mechanism='PLAIN'" not in fake.heard and b'mechanism="PLAIN"' not in fake.heard, "no falling back"
    assert not fake.heard_secret(own_server.passwords["greenhouse"])
    (said,) = warnings(caplog)
    assert "the server could not prove that it knows the password" in said


async def test_plain_is_used_over_tls_when_the_configuration_says_so(state: Path, tmp_path: Path) -> None:
    only_plain = {
        'disable_sasl_mechanisms = { "PLAIN" }': 'disable_sasl_mechanisms = { "SCRAM-SHA-1"; "SCRAM-SHA-256" }'
    }
    with World(tmp_path / "prosody", only_plain) as server:
        server.populate("greenhouse")
        async with running(server.config(THINGS, state), wait=False) as node:
            await until(lambda: server.log().count("Client disconnected") >= 2, "it does not by itself")
            assert node.link is not None and not node.link.up
        assert "Authenticated as" not in server.log()
        async with running(server.config(THINGS, state, xmpp="allow_plain = true")) as node:
            assert node.link is not None and node.link.up


async def test_a_password_file_that_cannot_be_used_ends_the_start_with_the_reason(
    own_server: World, state: Path
) -> None:
    wanted = own_server.config(THINGS, state)
    (own_server.folder / "greenhouse.password").write_text("")
    with pytest.raises(LinkError, match="password_file is empty"):
        account_of(wanted)
    (own_server.folder / "greenhouse.password").unlink()
    with pytest.raises(LinkError, match="password_file cannot be read"):
        account_of(wanted)


async def test_nothing_listens_where_the_file_says(
    own_server: World, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(own_server.config(THINGS, state, port=1), wait=False) as node:
        await until(lambda: len([r for r in caplog.records if "no link" in r.getMessage()]) >= 3, "it tries again")
        await goes_on(node)
    (said,) = warnings(caplog)
    assert "cannot be reached" in said
