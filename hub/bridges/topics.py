"""Topics and payloads of a node on an MQTT broker.

    BASE/status                        online, or offline (the last will)                              retained
    BASE/THING/state                   {"measured": …, "fields": {…}, "trouble": …}                    retained
    BASE/THING/availability            online while the newest values are good, offline otherwise      retained
    BASE/THING/PARAMETER/set           a command: the value as text
    BASE/THING/set                     a command for several parameters at once: a JSON object
    BASE/THING/result                  what became of a command: {"parameters": […], "done": …, "error": …}

Rules of this file
* Sans-IO: payloads are bytes, in and out.
* A value that is old never looks fresh: a state carries the moment at which it was measured, and the trouble since.
* What comes in is bounded and strict. A command that cannot be understood raises BadRequest and changes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from devices.base import Value, ValueType
from hub.errors import BadRequest, HubError
from hub.things.model import Assignment, Command, NodeRef
from hub.things.thing import Thing
from hub.things.values import to_text

MAX_COMMAND = 4096  # bytes of one command
ONLINE, OFFLINE = b"online", b"offline"

_LEVEL = re.compile(r"[^+#/\x00]+")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.@-]")
_SWITCH = {"true": "true", "on": "true", "1": "true", "false": "false", "off": "false", "0": "false"}


def default_base(bare: str) -> str:
    """The base topic of a node that names none; no two accounts share it."""
    return "hub/" + _UNSAFE.sub(lambda match: "".join(f"={byte:02x}" for byte in match[0].encode()), bare)


@dataclass(frozen=True)
class Topics:
    """The topics below `base`."""

    base: str

    @property
    def status(self) -> str:
        return f"{self.base}/status"

    def state(self, thing: str) -> str:
        return f"{self.base}/{thing}/state"

    def availability(self, thing: str) -> str:
        return f"{self.base}/{thing}/availability"

    def result(self, thing: str) -> str:
        return f"{self.base}/{thing}/result"

    def command(self, thing: str, parameter: str) -> str | None:
        """None for a parameter whose name cannot stand in a topic: it can be set as JSON only."""
        return f"{self.base}/{thing}/{parameter}/set" if _LEVEL.fullmatch(parameter) else None

    @property
    def commands(self) -> tuple[str, str]:
        """Filters for every command."""
        return f"{self.base}/+/set", f"{self.base}/+/+/set"

    def addressed(self, topic: str) -> tuple[str, str | None] | None:
        """The thing, and the parameter if the topic names one, that a command is for; None when it is no command."""
        if not topic.startswith(self.base + "/"):
            return None
        levels = topic[len(self.base) + 1 :].split("/")
        if len(levels) not in (2, 3) or levels[-1] != "set":
            return None
        return levels[0], levels[1] if len(levels) == 3 else None


# --------------------------------------------------------------------------- out


def is_well(thing: Thing) -> bool:
    """Whether the newest values are good. Some of them are, when a trouble is of the same moment as they are."""
    if thing.measured is None or not thing.values:
        return False
    return thing.trouble is None or thing.trouble.timestamp == thing.measured


def state(thing: Thing) -> bytes:
    """The newest values with their moment; numbers keep their decimals."""
    parts = []
    if thing.measured is not None:
        parts.append(f'"measured":{json.dumps(to_text(thing.measured))}')
    fields = ",".join(f"{json.dumps(name)}:{_json(value)}" for name, value in thing.values.items())
    parts.append(f'"fields":{{{fields}}}')
    if thing.trouble is not None:
        parts.append(f'"trouble":{json.dumps(thing.trouble.text)}')
    return ("{" + ",".join(parts) + "}").encode()


def _json(value: Value) -> str:
    if isinstance(value, bool | int | Decimal):
        return to_text(value)
    return json.dumps(to_text(value))


def done(names: list[str]) -> bytes:
    return json.dumps({"parameters": names, "done": True}).encode()


def refused(names: list[str], error: HubError) -> bytes:
    """In words; a refusal moves nothing."""
    return json.dumps({"parameters": names, "done": False, "error": type(error).__name__, "text": str(error)}).encode()


# --------------------------------------------------------------------------- in


def command(thing: Thing, parameter: str | None, payload: bytes) -> Command:
    """The command in a payload. Its values are texts, which take their parameters' types. Raises BadRequest."""
    if len(payload) > MAX_COMMAND:
        raise BadRequest(f"a command has at most {MAX_COMMAND} bytes")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("the payload is not UTF-8") from None
    wanted = {parameter: text} if parameter is not None else _object(text)
    assignments = tuple(Assignment(name, _value(thing, name, value), None) for name, value in wanted.items())
    return Command((NodeRef(thing.name),), assignments)


def _value(thing: Thing, name: str, text: str) -> str:
    """MQTT tools say ON and OFF where XML says true and false."""
    spec = thing.parameters.get(name)
    if spec is not None and spec.type is ValueType.BOOLEAN:
        return _SWITCH.get(text.strip().lower(), text)
    return text


def _object(text: str) -> Mapping[str, str]:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in items}) != len(items):
            raise BadRequest("a parameter can be set once in a command")
        return dict(items)

    def constant(name: str) -> Any:
        raise BadRequest(f"{name} is no value")

    try:
        # Numbers stay as they are written: 21.50 must not become 21.5 on its way, nor 1e400 infinity
        found = json.loads(text, parse_float=str, parse_int=str, parse_constant=constant, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        raise BadRequest('the payload is not JSON; right would be an object like {"output": true}') from None
    if not isinstance(found, dict):
        raise BadRequest('the payload is no JSON object; right would be one like {"output": true}')
    for name, value in found.items():
        if not name.isprintable():
            raise BadRequest("the name of a parameter has no control characters")
        if isinstance(value, bool):
            found[name] = "true" if value else "false"
        elif not isinstance(value, str):
            raise BadRequest("", {name: "It takes a text, a number, true or false."})
    return found
