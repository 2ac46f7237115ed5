"""`[xmpp]` of a configuration file as an account that a client logs in with."""

from __future__ import annotations

from pathlib import Path

from hub.config.node import Xmpp
from hub.errors import LinkError
from hub.session.client import Account
from hub.session.exi_link import ExiPolicy


def account_for(xmpp: Xmpp, exi_memory: Path | None) -> Account:
    """Raises LinkError when the password file cannot be read."""
    password = ""
    if xmpp.password_file is not None:
        try:
            password = xmpp.password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise LinkError(f"xmpp.password_file cannot be read: {error}") from error
        if not password:
            raise LinkError(f"xmpp.password_file is empty: put the password of {xmpp.jid} into {xmpp.password_file}")
    server = None
    if xmpp.server is not None:
        host, _, port = xmpp.server.rpartition(":")
        server = (host.strip("[]"), int(port))
    return Account(xmpp.jid, password, xmpp.certificate, xmpp.key, server, xmpp.ca_file, xmpp.allow_plain,
                   ExiPolicy(xmpp.exi), exi_memory)  # fmt: skip
