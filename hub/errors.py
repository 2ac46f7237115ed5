"""Every way the hub can fail, drawn once, and the one table from our errors to XMPP stanza conditions.

HubError
├── ConfigError          the configuration file is wrong; carries every fault found
├── RequestError         the caller erred: becomes a stanza error, changes nothing
│   ├── Forbidden        … may not do this
│   ├── NotFound         … names a thing, field, parameter or session that is not here
│   ├── BadRequest       … sent something malformed or out of range; may carry an error per parameter
│   ├── NotSupported     … asks for what this hub does not do
│   ├── NotAllowed       … asks for what cannot be done by anybody as things stand
│   ├── Conflict         … asks for what another is doing right now
│   └── Overload         … asks for more than the limits allow
├── ActuatorError        the output did not do what it was told
├── PeerError            the peer erred, or refused us
│   ├── PeerRefused      a stanza error came back
│   ├── PeerSilent       nothing came back in time
│   └── PeerConfused     what came back makes no sense
├── LinkError            no stream: name, certificate, credentials or network
└── StoreError           a database or file that has to be kept cannot be

The text of each is shown to people: one sentence that says what happened and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class HubError(Exception):
    """Root of the tree above."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong in a configuration file."""

    path: str
    """The key path, like `things.air.address`."""
    found: str
    right: str
    line: int = 0
    """1-based; 0 when the key is not in the file."""

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.path}: found {self.found}; right would be {self.right}"


class ConfigError(HubError):
    def __init__(self, source: str, faults: list[Fault]) -> None:
        super().__init__("\n".join(f"{source}: {fault}" for fault in faults))
        self.source = source
        self.faults = faults


@dataclass
class RequestError(HubError):
    text: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    """What is wrong with single parameters, by name (XEP-0325 `paramError`)."""

    def __str__(self) -> str:
        details = "; ".join(f"{name}: {text}" for name, text in self.parameters.items())
        return f"{self.text} ({details})" if details and self.text else self.text or details


class Forbidden(RequestError):
    pass


class NotFound(RequestError):
    pass


class BadRequest(RequestError):
    pass


class NotSupported(RequestError):
    pass


class NotAllowed(RequestError):
    pass


class Conflict(RequestError):
    pass


class Overload(RequestError):
    pass


class ActuatorError(HubError):
    pass


class PeerError(HubError):
    pass


class PeerRefused(PeerError):
    def __init__(self, condition: str, text: str = "", parameters: Mapping[str, str] | None = None) -> None:
        self.condition = condition
        self.text = text
        self.parameters = dict(parameters or {})
        details = "; ".join(f"{name}: {why}" for name, why in self.parameters.items())
        super().__init__(": ".join(part for part in (condition, text, details) if part))


class PeerSilent(PeerError):
    pass


class PeerConfused(PeerError):
    pass


class LinkError(HubError):
    pass


class StoreError(HubError):
    pass


STANZA_CONDITIONS: Mapping[type[HubError], tuple[str, str]] = {
    Forbidden: ("cancel", "forbidden"),
    NotFound: ("cancel", "item-not-found"),
    BadRequest: ("modify", "bad-request"),
    NotSupported: ("cancel", "feature-not-implemented"),
    NotAllowed: ("cancel", "not-allowed"),
    Conflict: ("wait", "conflict"),
    Overload: ("wait", "resource-constraint"),
    ActuatorError: ("wait", "internal-server-error"),
}
"""(error type, condition) as XEP-0323 section 3.3, XEP-0325 section 5.1 and XEP-0347 section 3.15 recommend;
RFC 6120 8.3 for the rest."""


def stanza_condition(error: HubError) -> tuple[str, str]:
    return STANZA_CONDITIONS.get(type(error), ("wait", "internal-server-error"))
