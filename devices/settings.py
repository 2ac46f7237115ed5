"""Settings of a part as a person writes them: `pin=17`, `address=0x77`, `debounce=20ms`, `channels=0,1,2`.

Rules of this file
* Pure: annotations and texts in, typed values out. The annotations of a driver's Config are the only grammar.
* Every refusal is an InvalidValue that names the key and says what would be right.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import difflib
import math
import re
import types
from collections.abc import Mapping
from dataclasses import MISSING
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from devices.base import Config, Duration, InvalidValue, Matches, ParameterSpec, Value, ValueType, Within

BOOLEANS: Mapping[str, bool] = {"true": True, "yes": True, "on": True, "1": True,
                                "false": False, "no": False, "off": False, "0": False}  # fmt: skip


def settings_of(config: type[Any]) -> dict[str, Any]:
    """The settings of a driver by name, with their limits."""
    hints = get_type_hints(config, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(config)}


def parse_setting(key: str, annotation: Any, text: str) -> Any:
    """`text` as `annotation` wants it. Raises InvalidValue."""
    return accept_setting(key, annotation, _read(annotation, text))


def accept_setting(key: str, annotation: Any, value: Any) -> Any:
    """A value as a TOML file gives it (durations are texts, tuples are lists), checked. Raises InvalidValue."""
    if not fits(annotation, value):
        raise InvalidValue(f"{key}: {value!r} is not {meaning(annotation, key)}")
    return _accept(annotation, value)


def fits(annotation: Any, value: Any) -> bool:
    """Whether `accept_setting` would take `value`."""
    return _accept(annotation, value) is not _REFUSED


def make_config(config: type[Config], given: Mapping[str, Any], *, texts: bool = False) -> Config:
    """A Config from settings by name; `texts` says that all values are what was typed. Raises InvalidValue."""
    known = settings_of(config)
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            there = f"did you mean {close[0]}?" if close else "known: " + (", ".join(known) or "none")
            raise InvalidValue(f"{key}: there is no such setting; {there}")
    for field in dataclasses.fields(config):
        if field.name not in given and field.default is MISSING and field.default_factory is MISSING:
            raise InvalidValue(f"{field.name}: must be given: {meaning(known[field.name], field.name)}")
    convert = parse_setting if texts else accept_setting
    made = config(**{key: convert(key, known[key], value) for key, value in given.items()})
    for key, right in made.problems().items():
        raise InvalidValue(f"{key}: {getattr(made, key, None)!s} does not fit; it should be {right}")
    return made


def parse_value(spec: ParameterSpec, text: str) -> Value:
    """`text` as a value of a parameter, checked. Raises InvalidValue."""
    try:
        value = _VALUES[spec.type](text)
    except (ValueError, KeyError, InvalidOperation):
        raise InvalidValue(f"{spec.name}: {text!r} is not right; it should be {spec.limits()}") from None
    return spec.check(value)


_VALUES: Mapping[ValueType, Any] = {
    ValueType.BOOLEAN: lambda text: BOOLEANS[text.lower()],
    ValueType.COLOR: str,
    ValueType.DATE: dt.date.fromisoformat,
    ValueType.DATETIME: dt.datetime.fromisoformat,
    ValueType.DURATION: lambda text: dt.timedelta(seconds=Duration.parse(text)),
    ValueType.ENUM: str,
    ValueType.INT: lambda text: int(text, 0),
    ValueType.LONG: lambda text: int(text, 0),
    ValueType.NUMERIC: Decimal,
    ValueType.STRING: str,
    ValueType.TIME: dt.time.fromisoformat,
}


def misfits(key: str, annotation: Any, value: Any) -> list[tuple[str, Any, str]]:
    """What of a value does not fit, as deep in its tables as it can be told: (key path, what was found, what would be
    right). Empty when all fits."""
    if fits(annotation, value):
        return []
    inner: list[tuple[str, Any, str]] = []
    arguments = get_args(annotation)
    if get_origin(annotation) is dict and dataclasses.is_dataclass(arguments[1]) and isinstance(value, dict):
        for name, item in value.items():
            inner += misfits(f"{key}.{name}", arguments[1], item)
    elif isinstance(annotation, type) and dataclasses.is_dataclass(annotation) and isinstance(value, dict):
        known = settings_of(annotation)
        inner = [(f"{key}.{name}", name, "one of " + ", ".join(known)) for name in value if name not in known]
        for name, kind in known.items():
            if name in value:
                inner += misfits(f"{key}.{name}", kind, value[name])
    return inner or [(key, value, meaning(annotation, key.rpartition(".")[2]))]


# --------------------------------------------------------------------------- in words


def meaning(annotation: Any, key: str = "") -> str:
    """What would be right, in words; numbers of an `address` in hexadecimal."""
    number = _hexadecimal if key == "address" else _plain
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _limited(meaning(arguments[0], key), arguments[1:], number)
    if origin is Literal:
        options = [number(a) if isinstance(a, int) and not isinstance(a, bool) else f'"{a}"' for a in arguments]
        return "one of " + ", ".join(options)
    if origin in (Union, types.UnionType):
        return " or ".join(meaning(a, key) for a in arguments if a is not type(None))
    if origin is dict:
        return f"a table of names, each with {meaning(arguments[1], key)}"
    if dataclasses.is_dataclass(annotation):
        return "a table with " + ", ".join(field.name for field in dataclasses.fields(annotation))
    if origin in (tuple, list):
        items = arguments[:1] if _is_open(arguments) or origin is list else arguments
        return "a list, each " + " and ".join(meaning(a, key) for a in dict.fromkeys(items))
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


_WORDS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    Path: "a file path",
    Any: "a value",
    Duration: 'a duration with its unit, like "200ms", "30s" or "5m"',
}


def _plain(number: float) -> str:
    return str(number) if isinstance(number, int) else f"{number:g}"


def _hexadecimal(number: float) -> str:
    return f"0x{int(number):02x}"


def _limited(words: str, limits: tuple[Any, ...], number: Any) -> str:
    for limit in limits:
        if isinstance(limit, Matches):
            words = limit.meaning
        elif isinstance(limit, Within):
            unit = f" {limit.unit}" if limit.unit else ""
            if limit.minimum is not None and limit.maximum is not None:
                words += f" from {number(limit.minimum)} to {number(limit.maximum)}{unit}"
            elif limit.minimum is not None:
                words += f" of at least {number(limit.minimum)}{unit}"
            elif limit.maximum is not None:
                words += f" of at most {number(limit.maximum)}{unit}"
    return words


# --------------------------------------------------------------------------- text to what TOML would have given


def _read(annotation: Any, text: str) -> Any:
    """What a TOML file would hold for `text`; the text itself where it cannot be read, for `_accept` to refuse."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _read(arguments[0], text)
    if origin is Literal:
        return next((a for a in arguments if _read(type(a), text) == a), text)
    if origin in (Union, types.UnionType):
        if type(None) in arguments and text.lower() in ("", "none"):
            return None
        read = [_read(a, text) for a in arguments if a is not type(None)]
        return next((r for r in read if not isinstance(r, str)), text)
    if origin in (tuple, list):
        items = [item.strip() for item in text.strip("[]()").split(",") if item.strip()]
        kinds = _kinds(origin, arguments, len(items))
        return text if kinds is None else [_read(kind, item) for kind, item in zip(kinds, items, strict=True)]
    reader = _READERS.get(annotation)
    try:
        return text if reader is None else reader(text)
    except (ValueError, KeyError):
        return text


_READERS: Mapping[Any, Any] = {
    int: lambda text: int(text, 0),
    float: float,
    bool: lambda text: BOOLEANS[text.lower()],
}


# --------------------------------------------------------------------------- the check

_REFUSED: Any = object()


def _accept(annotation: Any, value: Any) -> Any:
    """`value` as `annotation` wants it, or _REFUSED."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        value = _accept(arguments[0], value)
        return value if value is _REFUSED or all(_keeps(value, limit) for limit in arguments[1:]) else _REFUSED
    if origin is Literal:
        return next((a for a in arguments if a == value and type(a) is type(value)), _REFUSED)
    if origin in (Union, types.UnionType):
        tried = (None if a is type(None) and value is None else _accept(a, value) for a in arguments)
        return next((t for t in tried if t is not _REFUSED), _REFUSED)
    if origin in (tuple, list):
        return _accept_items(origin, arguments, value)
    if origin is dict:
        return _accept_table(arguments[1], value)
    if dataclasses.is_dataclass(annotation):
        return _accept_fields(annotation, value)
    if annotation is Any:
        return value
    if annotation is Path:
        return Path(value).expanduser() if isinstance(value, str) and value else _REFUSED
    if annotation is Duration:
        return _duration(value)
    if annotation is float and type(value) in (int, float):
        return float(value) if math.isfinite(value) else _REFUSED
    return value if annotation is not type(None) and type(value) is annotation else _REFUSED


def _accept_items(origin: Any, arguments: tuple[Any, ...], value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return _REFUSED
    kinds = _kinds(origin, arguments, len(value))
    if kinds is None:
        return _REFUSED
    items = [_accept(kind, item) for kind, item in zip(kinds, value, strict=True)]
    return _REFUSED if any(item is _REFUSED for item in items) else origin(items)


def _accept_table(kind: Any, value: Any) -> Any:
    if not isinstance(value, dict):
        return _REFUSED
    table = {name: _accept(kind, item) for name, item in value.items()}
    return _REFUSED if any(item is _REFUSED for item in table.values()) else table


def _accept_fields(cls: Any, value: Any) -> Any:
    """A table as the dataclass whose fields are its keys."""
    if isinstance(value, cls):
        return value
    known = settings_of(cls)
    if not isinstance(value, dict) or not value.keys() <= known.keys():
        return _REFUSED
    made = {name: _accept(known[name], item) for name, item in value.items()}
    needed = [f.name for f in dataclasses.fields(cls) if f.default is MISSING and f.default_factory is MISSING]
    if any(item is _REFUSED for item in made.values()) or any(name not in made for name in needed):
        return _REFUSED
    return cls(**made)


def _duration(value: Any) -> Any:
    if isinstance(value, Duration):
        return value
    try:
        return Duration.parse(value) if isinstance(value, str) else _REFUSED
    except ValueError:
        return _REFUSED


def _keeps(value: Any, limit: Any) -> bool:
    """Limits of a list are those of each of its items."""
    if isinstance(value, list | tuple):
        return all(_keeps(item, limit) for item in value)
    if isinstance(limit, Matches) and value is not None:
        return re.fullmatch(limit.pattern, value) is not None
    if isinstance(limit, Within) and value is not None:
        low = limit.minimum is None or value >= limit.minimum
        return bool(low and (limit.maximum is None or value <= limit.maximum))
    return True


def _is_open(arguments: tuple[Any, ...]) -> bool:
    return len(arguments) == 2 and arguments[1] is Ellipsis


def _kinds(origin: Any, arguments: tuple[Any, ...], count: int) -> tuple[Any, ...] | None:
    """The annotation of each of `count` items; None when it cannot be so many."""
    if origin is list or _is_open(arguments):
        return (arguments[0],) * count
    return arguments if len(arguments) == count else None
