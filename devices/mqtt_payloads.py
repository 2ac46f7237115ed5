"""Payloads of foreign MQTT devices as values, and values as commands. `devices.mqtt` says what a configuration is like.

Rules of this file
* Sans-IO; a payload is bytes from anybody. What is not as promised raises BadData with a short text; nothing in a
  payload or path is carried out.
* Numbers stay as they are written until they are decimals: 21.50 does not become 21.5, nor 1e400 infinity.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from devices.base import BadData, Value, Within
from devices.bus import TOPIC
from devices.settings import BOOLEANS

MAX_PAYLOAD = 65_536  # bytes
MAX_TEXT = 1_000  # characters of one value
MAX_SHOWN = 60  # characters of a payload in an error

Topic = Annotated[str, TOPIC]
Kind = Literal["numeric", "boolean", "int", "long", "string", "enum", "dateTime"]
Settable = Literal["boolean", "numeric", "int", "long", "string"]

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([Ee][+-]?\d{1,3})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Field:
    """`fields.NAME`: what one value of the messages on `topic` is. `on` and `off`: how a true and a false are written;
    without them true, on, yes, 1 and their opposites in any case. `scale` makes a number one of `unit`."""

    topic: Topic | None = None
    path: str | None = None
    type: Kind = "numeric"
    unit: str = ""
    decimals: Annotated[int, Within(0, 9)] = 2
    minimum: float | None = None
    maximum: float | None = None
    scale: float = 1.0
    on: str | bool | None = None
    off: str | bool | None = None
    category: Literal["momentary", "status", "identity", "computed", "peak"] = "momentary"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """`parameters.NAME`: what is published on `topic` to set it: the value as text where `path` is "", else a JSON
    object with the value at `path`. `field` reads it back (default: the one of the same name)."""

    topic: Topic
    path: str | None = None
    type: Settable = "boolean"
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    options: tuple[str, ...] = ()
    on: str | bool = "ON"
    off: str | bool = "OFF"
    label: str = ""
    field: str = ""


class NotThere(Exception):
    """The message says nothing about a field."""


class Broken:
    """Stands for a value that cannot be used: no field takes it, and its error says why."""

    def __init__(self, why: str) -> None:
        self._why = why

    def __repr__(self) -> str:
        return self._why


class _Number(str):
    """A JSON number as it was written."""


def shown(raw: Any) -> str:
    """What came, short enough for an error."""
    text = repr(raw[: MAX_SHOWN + 1]) if isinstance(raw, bytes | str) else repr(raw)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


def value_at(payload: bytes, path: str) -> Any:
    """The part of a payload at `path`: a text, a `_Number`, a boolean, None, a list or a dict.

    Raises NotThere when it has no such part, BadData when it is not what a path can be followed in.
    """
    if len(payload) > MAX_PAYLOAD:
        raise BadData(f"a payload of {len(payload)} bytes (at most {MAX_PAYLOAD} are read)")
    try:
        text = payload.decode("utf-8")
    except UnicodeDecodeError:
        raise BadData(f"a payload that is not UTF-8: {shown(payload)}") from None
    if not path:
        return text.strip()
    try:
        found = json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadData(f"a payload that is not JSON: {shown(payload)}") from None
    for key in path.split("."):
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key[:9]) < len(found):
            found = found[int(key[:9])]
        elif isinstance(found, dict | list):
            raise NotThere
        else:
            raise BadData(f"{shown(found)} where {key!r} of {path!r} should be")
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def decode(payload: bytes, path: str, field: Field) -> Value | None:
    """The value of `field` in a payload; None when the device says that it does not know it. Raises NotThere and
    BadData."""
    raw = value_at(payload, path)
    return None if raw is None else _CONVERT[field.type](field, raw)


def _numeric(field: Field, raw: Any) -> Value:
    if not isinstance(raw, str) or len(raw) > MAX_SHOWN or not _NUMBER.fullmatch(raw):
        raise BadData(shown(raw))
    return Decimal(raw) if field.scale == 1.0 else Decimal(raw) * Decimal(str(field.scale))


def _whole(field: Field, raw: Any) -> Value:
    if not isinstance(raw, str) or not _INTEGER.fullmatch(raw):
        raise BadData(shown(raw))
    return int(raw)


def _boolean(field: Field, raw: Any) -> Value:
    for state, word in ((True, field.on), (False, field.off)):
        if word is not None and type(word) is type(raw) and raw == word:
            return state
    if field.on is None and field.off is None:
        if isinstance(raw, bool):
            return raw
        if isinstance(raw, str) and raw.lower() in BOOLEANS:
            return BOOLEANS[raw.lower()]
    raise BadData(shown(raw))


def _text(field: Field, raw: Any) -> Value:
    if not isinstance(raw, str) or isinstance(raw, _Number):
        raise BadData(shown(raw))
    if len(raw) > MAX_TEXT:
        raise BadData(f"a text of {len(raw)} characters (at most {MAX_TEXT})")
    return raw


def _moment(field: Field, raw: Any) -> Value:
    try:
        return dt.datetime.fromisoformat(raw)
    except (ValueError, TypeError):
        raise BadData(shown(raw)) from None


_CONVERT: Mapping[str, Callable[[Field, Any], Value]] = {
    "numeric": _numeric, "boolean": _boolean, "int": _whole, "long": _whole, "string": _text, "enum": _text,
    "dateTime": _moment,
}  # fmt: skip


def encode(parameter: Parameter, path: str, value: Value) -> bytes:
    """The payload that sets a checked value."""
    word: Any = (parameter.on if value else parameter.off) if isinstance(value, bool) else value
    if isinstance(word, bool):
        literal = "true" if word else "false"
    elif isinstance(word, int | Decimal):
        literal = format(word, "f") if isinstance(word, Decimal) else str(word)
    else:
        literal = json.dumps(str(word)) if path else str(word)
    for key in reversed(path.split(".") if path else []):
        literal = f"{{{json.dumps(key)}:{literal}}}"
    return literal.encode()
