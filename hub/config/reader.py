"""Tables of a TOML file to dataclasses; every fault with its key path, line, what was found and what would be right."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import re
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import MISSING
from pathlib import Path
from typing import Any

from devices.settings import accept_setting, meaning, misfits
from hub.errors import ConfigError, Fault

MAX_FILE_BYTES = 1_000_000

T = typing.TypeVar("T")


def text_of(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(str(path), [Fault("(file)", "more than 1 MB", "a configuration file")])
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [Fault("(file)", str(error), "a readable TOML file")]) from None


def tree_of(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [Fault("(file)", f"a syntax error: {error}", "TOML")]) from None
    except RecursionError:
        raise ConfigError(source, [Fault("(file)", "a syntax error: nested too deeply", "TOML")]) from None


def check_characters(value: Any, path: str, reader: Reader) -> None:
    """TOML can escape control characters into a text; no label or name may have one, XML could not carry it."""
    if isinstance(value, dict):
        for key, inner in value.items():
            check_characters(key, path, reader)
            check_characters(inner, f"{path}.{key}".lstrip("."), reader)
    elif isinstance(value, list):
        for inner in value:
            check_characters(inner, path, reader)
    elif isinstance(value, str) and not all(character.isprintable() or character in "\t\n" for character in value):
        reader.fault(path, value, "a text without control characters")


class Reader:
    """Turns tables into dataclasses and collects what is wrong with them."""

    def __init__(self, lines: Mapping[str, int]) -> None:
        self.faults: list[Fault] = []
        self._lines = lines

    def fault(self, path: str, found: Any, right: str) -> None:
        shown = "nothing" if found is None else found if isinstance(found, str) and " " in found else repr(found)
        if path.endswith(".address") and isinstance(found, int):
            shown = f"0x{found:02x}"
        if path.endswith(".password_hash") and found is not None:
            shown = "something else"  # it may be a password
        line = self._lines.get(path) or self._lines.get(path.rpartition(".")[0], 0)
        self.faults.append(Fault(path, shown if len(shown) <= 80 else shown[:79] + "…", right, line))

    def unknown(self, path: str, known: list[str]) -> None:
        key = path.rpartition(".")[2]
        close = difflib.get_close_matches(key, known, n=1)
        self.fault(path, f"an unknown key {key!r}", f'"{close[0]}"' if close else "one of " + ", ".join(known))

    def table(self, cls: type[T], table: Any, path: str, ready: tuple[str, ...] = ()) -> T | None:
        """None, and at least one fault, when the table is not a `cls`. Values of `ready` are what they should be."""
        if not isinstance(table, dict):
            self.fault(path, table, f"a table [{path}]")
            return None
        before = len(self.faults)
        hints = typing.get_type_hints(cls, include_extras=True)
        known = [key_of(f.name) for f in dataclasses.fields(cls)]  # type: ignore[arg-type]  # every cls is a dataclass
        values: dict[str, Any] = {}
        for key in table:
            if key not in known:
                self.unknown(f"{path}.{key}", known)
        for spec in dataclasses.fields(cls):  # type: ignore[arg-type]  # as above
            name, hint = key_of(spec.name), hints[spec.name]
            if name in table:
                if name in ready:
                    values[spec.name] = table[name]
                elif wrong := misfits(f"{path}.{name}", hint, table[name]):
                    for key, found, right in wrong:
                        self.fault(key, found, right)
                else:
                    values[spec.name] = accept_setting(name, hint, table[name])
            elif spec.default is MISSING and spec.default_factory is MISSING:
                self.fault(f"{path}.{name}", None, meaning(hint, name))
        if len(self.faults) > before:
            return None
        made = cls(**values)
        for key, right in made.problems().items() if hasattr(made, "problems") else ():
            self.fault(f"{path}.{key}", table.get(key), right)
        return None if len(self.faults) > before else made


def key_of(name: str) -> str:
    """The key of a dataclass' field: without the underscore of those that are words of Python (`for_`)."""
    return name.removesuffix("_")


def lines_of(text: str) -> dict[str, int]:
    """The line of each table and key, by path: enough to point a person at it (tomllib keeps no positions). The tables
    of an array are `name[1]`, `name[2]` …"""
    lines: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\[\s*([^\[\]]+?)\s*\]\]", line):
            name = header[1].replace('"', "")
            table = next(each for i in itertools.count(1) if (each := f"{name}[{i}]") not in lines)
            lines.setdefault(name, number)
            lines[table] = number
        elif header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            table = header[1].replace('"', "")
            lines.setdefault(table, number)
        elif key := re.match(r"\s*([A-Za-z0-9_.\-\"]+)\s*=", line):
            path = key[1].replace('"', "")
            lines.setdefault(f"{table}.{path}" if table else path, number)
    return lines
