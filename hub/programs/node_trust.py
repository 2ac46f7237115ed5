"""`[trust]` of a node, built and joined: servers, cache, judge, registration. It decides nothing by itself.

It lives as long as the configuration names it; what talks over a stream is built anew for each account (`connect`).
"""

from __future__ import annotations

import datetime as dt
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from hub.config.trust import Trust as TrustConfig
from hub.errors import HubError
from hub.services.contacts import Contacts
from hub.services.decisions import DecisionLog
from hub.services.provisioning import Provisioning
from hub.services.registration import Hooks, Plan, Registration, trusting
from hub.services.router import Service
from hub.services.servers import Servers
from hub.services.tokens import Key, TokenKeeper
from hub.stanzas import iotdisco
from hub.stanzas.provisioning import TagValues
from hub.things.model import Tokens
from hub.things.questions import Question, Verdict, bare
from hub.things.thing import Thing
from hub.trust.audit import Recorder
from hub.trust.cache import VerdictCache
from hub.trust.ownership import Ownership, Record
from hub.trust.provisioned import CACHE, ITSELF, OFFLINE, SERVER, UNCLAIMED, Provisioned, Trust
from hub.trust.tokens import TokenTraffic

log = logging.getLogger(__name__)

KEY_BYTES: Final = 20
RECORD, VERDICTS = "trust.json", "verdicts.log"
RULES: Final = {source: f"{Provisioned.name}: {source}" for source in (CACHE, SERVER, OFFLINE, UNCLAIMED, ITSELF)}
PRODUCT: Final[TagValues] = {"MODEL": "xmpp-iot-hub"}

Search = Callable[[str | None], None]
"""Gets what an owner has to say to claim this hub (an `iotdisco:` URI), None when nobody is looked for any more."""


class Authority:
    """`account` is our JID, `folder` where our state is kept. `lenient`: whether a thing obeys its owner while no
    server answers. `changed`: who follows us has to be judged again. Raises StoreError when there is no place to keep
    what must be kept."""

    def __init__(
        self, config: TrustConfig, account: str, folder: Path, things: Mapping[str, Thing],
        lenient: Callable[[str], bool], search: Search, changed: Callable[[], None], recorder: Recorder,
    ) -> None:  # fmt: skip
        self._plan = Plan(config.servers, (config.registry or "").lower(), tags(config.meta), float(config.timeout))
        self._search, self._changed = search, changed
        self.ownership = Ownership(folder / RECORD, lambda: secrets.token_hex(KEY_BYTES))
        self.trust = Trust()
        trusting(self.trust, self.ownership, self._plan)
        trusted = f"{bare(account)}: {' '.join(sorted(config.servers)) or 'discovered'}"
        self._cache = VerdictCache(folder / VERDICTS, config.cache, trusted)
        self._decisions = DecisionLog(recorder, time.monotonic)
        self._traffic, self._key = TokenTraffic(), token_key(config)
        self._tokens: TokenKeeper | None = None
        self.judge = Provisioned(things, self.trust, self._cache, self._ask, lenient, self._decided, self._shown)
        self._provisioning: Provisioning | None = None
        self._registration: Registration | None = None
        self._servers: Servers | None = None
        if not self.ownership.searching:
            search(None)

    @property
    def trouble(self) -> str:
        """Why verdicts are in memory only; empty when all is well."""
        return self._cache.trouble

    def connect(self, client: Any, contacts: Contacts) -> Sequence[Service]:
        """What has to be heard on the stream of `client`."""
        servers = Servers(client, contacts.befriend, self._plan.timeout)
        hooks = Hooks(self._cache.clear, self._changed, contacts.befriend, self._look_for_owner)
        self._servers = servers
        self._registration = Registration(client, servers, self.trust, self.ownership, self._plan, hooks)
        self._tokens = TokenKeeper(client, self._traffic, time.monotonic, self._key)
        self._provisioning = Provisioning(
            client, servers, self.trust, self._cache, contacts, self._tokens, self._plan.timeout, self._changed
        )
        return self._provisioning, self._registration, self._tokens

    def link_changed(self, up: bool, fresh: bool) -> None:
        if self._servers is None or self._provisioning is None or self._registration is None or self._tokens is None:
            return
        if up and fresh:
            self._servers.forget()
        if up:
            self._tokens.start(self._servers, lambda: self.trust.servers)
        else:
            self._tokens.stop()
        self._provisioning.link_changed()
        self._registration.link_changed(up, fresh)

    def disconnect(self) -> None:
        if self._tokens is not None:
            self._tokens.stop()
        if self._registration is not None:
            self._registration.stop()

    def close(self) -> None:
        self.disconnect()
        self._decisions.close()
        self._cache.close()

    async def _ask(self, question: Question, servers: Sequence[str]) -> Mapping[str, Verdict]:
        return {} if self._provisioning is None else await self._provisioning.ask(question, servers)

    def _shown(self, tokens: Tokens, caller: str) -> None:
        self._traffic.arrived(tokens, caller, time.monotonic())

    def _decided(self, question: Question, left: Verdict, source: str) -> None:
        self._decisions.decided(question, left, RULES[source], remembered=source != SERVER)

    def _look_for_owner(self, registered: TagValues | None, registry: str) -> None:
        self._search(None if registered is None else iotdisco.encode_uri(registered, registry))


def token_key(config: TrustConfig) -> Key | None:
    """What answers challenges of our own tokens; None, and a word in the log, when it cannot: a hub without a token is
    still a hub."""
    if config.certificate is None or config.key is None:
        return None
    try:
        from hub.provisioning.certificates import read_pair  # most nodes need no cryptography

        return read_pair(config.certificate.read_bytes(), config.key.read_bytes(), dt.datetime.now(dt.UTC))
    except ImportError:
        log.error("trust.certificate takes one more package: `pip install 'xmpp-iot-hub[tokens]'`; going on without")
    except (OSError, HubError) as error:
        log.error("trust.certificate and trust.key cannot be used, going on without a token: %s", error)
    return None


def tags(meta: Mapping[str, str | int | float]) -> dict[str, str | Decimal]:
    """Tags as they are registered: upper-case names, numbers with the decimals of the file."""
    given = {name.upper(): value if isinstance(value, str) else Decimal(repr(value)) for name, value in meta.items()}
    return {**PRODUCT, **given}


def claim_uri(config: TrustConfig, record: Record) -> str:
    """What an owner has to say to claim the hub of a configuration."""
    registry = config.registry or next(iter(config.servers), record.registry)
    return iotdisco.encode_uri({**tags(config.meta), "KEY": record.key}, registry.lower())
