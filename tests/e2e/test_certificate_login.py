"""SASL EXTERNAL: an account proved by a certificate instead of a password.

Prosody 0.12 has the mechanism but no authentication module that uses it for clients, so the test brings one: whoever
shows a certificate that the CA has signed is who its common name says.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.config.file import parse
from hub.config.node import Config
from hub.demo.prosody import make_certificates
from hub.services.peer import Peer
from hub.session.client import Account, Client
from hub.session.link import Link
from hub.things.model import ReadoutRequest
from tests.helpers import until

from .fake_server import FakeServer
from .world import World, running

THINGS = '[things.air]\ndriver = "simulated"\nfield = "temperature"\n'

MODULE = """
local jid_split = require "util.jid".split;
local provider = { name = "certificates" };
function provider.user_exists() return true; end
function provider.create_user() return true; end
function provider.test_password() return nil, "no passwords here"; end
function provider.get_sasl_handler(session)
    return require "util.sasl".new(module.host, { external = function (authzid)
        local socket = session.conn:socket();
        local certificate = socket:getpeercertificate();
        if not certificate or not socket:getpeerverification() then return nil; end
        for _, part in ipairs(certificate:subject()) do
            local user, host = jid_split(part.value);
            if part.name == "commonName" and host == module.host and (authzid == "" or authzid == part.value) then
                return user, true;
            end
        end
    end });
end
module:provides("auth", provider);
"""


@pytest.fixture
def certified(tmp_path: Path) -> Iterator[World]:
    """A server that wants certificates and knows no passwords."""
    folder = tmp_path / "prosody"
    (folder / "plugins").mkdir(parents=True)
    (folder / "plugins" / "mod_auth_certificates.lua").write_text(MODULE)
    with World(folder, {
        "plugin_paths = {}": f'plugin_paths = {{ "{folder}/plugins" }}',
        'authentication = "internal_hashed"': 'authentication = "certificates"\n'
        f'c2s_ssl = {{ verify = {{ "peer", "client_once" }}; cafile = "{folder}/ca.pem" }}',
    }) as world:  # fmt: skip
        yield world


def sign(authority: Path, user: str, folder: Path) -> tuple[Path, Path]:
    """A certificate for `user@localhost`, signed by the CA in `authority`, and its key."""
    certificate, key, request = (folder / f"{user}.{kind}" for kind in ("pem", "key", "csr"))
    for arguments in (
        ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(key),
         "-out", str(request), "-subj", f"/CN={user}@localhost"],
        ["x509", "-req", "-in", str(request), "-CA", str(authority / "ca.pem"), "-CAkey", str(authority / "ca.key"),
         "-CAcreateserial", "-days", "30", "-out", str(certificate)],
    ):  # fmt: skip
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=30)
    return certificate, key


def with_certificate(world: World, state: Path, certificate: Path, key: Path, port: int | None = None) -> Config:
    text = world.text(THINGS, state, port=port, xmpp=f'certificate = "{certificate}"\nkey = "{key}"')
    return parse("\n".join(line for line in text.splitlines() if not line.startswith("password_file")))


async def test_a_node_and_a_client_log_in_with_certificates(certified: World, state: Path, tmp_path: Path) -> None:
    node_files = sign(certified.folder, "greenhouse", tmp_path)
    certificate, key = sign(certified.folder, "owner", tmp_path)
    async with running(with_certificate(certified, state, *node_files)):
        server = (certified.address.host, certified.address.port)
        account = Account("owner@localhost", "", certificate, key, server, certified.ca_file)
        client = Client(account, "cli")
        link = Link(client, lambda up, fresh: None)
        await link.online(10)
        try:
            peer = Peer(client, "greenhouse@localhost", 10)
            await peer.find()
            answers = [answer async for answer in peer.read(ReadoutRequest)]
            assert [reading.node.node_id for answer in answers for reading in answer.readings] == ["air"]
        finally:
            await link.stop()


async def test_a_certificate_of_another_authority_is_refused_and_said(
    certified: World, state: Path, tmp_path: Path, hasty: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    (tmp_path / "other").mkdir()
    make_certificates(tmp_path / "other", "localhost")
    files = sign(tmp_path / "other", "greenhouse", tmp_path)
    async with running(with_certificate(certified, state, *files), wait=False) as node:
        await until(lambda: certified.log().count("Client disconnected") >= 3, "it tries again")
        assert node.link is not None and not node.link.up
    assert "the server refused the credentials of greenhouse@localhost (it offers EXTERNAL)" in caplog.text


async def test_a_server_that_knows_no_certificates_is_said_and_given_nothing_else(
    certified: World, state: Path, tmp_path: Path, hasty: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    files = sign(certified.folder, "greenhouse", tmp_path)
    async with (
        FakeServer(certified.folder, ("PLAIN", "SCRAM-SHA-256")) as fake,
        running(with_certificate(certified, state, *files, port=fake.port), wait=False),
    ):
        await until(lambda: fake.connections >= 3, "it tries again")
    assert b"<auth" not in fake.heard
    assert "(it offers PLAIN, SCRAM-SHA-256)" in caplog.text
