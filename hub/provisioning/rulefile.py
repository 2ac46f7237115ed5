"""Rules and groups as a TOML file: for people to read, keep and change.

    [groups]
    family = ["ann@example.org", "*@home.example.org"]

    [[rules]]
    right = "read"                  # or "control", "friend"
    allow = true
    owner = "owner@example.org"     # whose things; left out: the operator's rule, about every thing
    who = ["bob@example.org"]       # … or groups, tokens; none of the three: everybody
    things = ["hub@example.org"]
    nodes = ["air", { node = "imc1", source = "MeteringTopology" }]
    names = ["temperature"]
    types = ["momentary", "historical"]
    hours = { from = "22:00", to = "06:00", days = ["fri", "sat"], zone = "Europe/Stockholm" }
    note = "on weekends"

Rules of this file
* A file is taken whole or not at all: every fault is told at once, with its line, its key, what was found and what
  would be right.
* Rules stand in the order in which they are tried; an `order` is only needed to go before others. What `written` makes,
  `parse` reads back as the same rules (but for their ids, which are the store's).
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from hub.errors import ConfigError, Fault
from hub.provisioning.model import Rule, RuleBook
from hub.provisioning.plain import NotARule, group_of, plain, rule_of

MAX_FILE_BYTES: Final = 10_000_000
HEAD: Final = """\
# Who may do what. The operator's rules (those without an owner) are tried first, then those of the thing's owner, each
# by order; the first that fits decides. What no rule allows is refused, but to the thing's owner.
"""


def load(path: Path) -> RuleBook:
    """Raises ConfigError with every fault in the file."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(str(path), [Fault("(file)", "more than 10 MB", "a file of rules")])
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), [Fault("(file)", str(error), "a readable TOML file")]) from None
    return parse(text, str(path))


def parse(text: str, source: str = "rules") -> RuleBook:
    """Rules with an id of 0. Raises ConfigError with every fault in the text."""
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, [Fault("(file)", f"a syntax error: {error}", "TOML")]) from None
    except RecursionError:
        raise ConfigError(source, [Fault("(file)", "a syntax error: nested too deeply", "TOML")]) from None
    reader = _Reader(_lines(text))
    book = reader.book(tree)
    if reader.faults:
        raise ConfigError(source, sorted(reader.faults, key=lambda fault: fault.line))
    return book


class _Reader:
    def __init__(self, lines: Mapping[str, int]) -> None:
        self.faults: list[Fault] = []
        self._lines = lines

    def book(self, tree: Mapping[str, Any]) -> RuleBook:
        for key in tree:
            if key not in ("groups", "rules"):
                self._fault(key, f"an unknown key {key!r}", "[groups] or [[rules]]")
        groups = self._groups(tree.get("groups", {}))
        rules = self._rules(tree.get("rules", []))
        for number, rule in rules.items():
            for name in rule.groups:
                if name not in groups:
                    self._fault(f"rules[{number}].groups", repr(name), "a group that stands under [groups]")
        return RuleBook(tuple(rules.values()), {name: members for name, members in groups.items() if members})

    def _groups(self, tree: Any) -> dict[str, tuple[str, ...]]:
        groups: dict[str, tuple[str, ...]] = {}
        if not isinstance(tree, dict):
            self._fault("groups", repr(tree), "a table [groups]")
            return {}
        for name, members in tree.items():
            groups[name] = ()
            try:
                groups[name] = group_of(name, members)
            except NotARule as error:
                for wrong in error.wrongs:
                    self._fault(f"groups.{wrong.key}", _shown(wrong.found), wrong.right)
        return groups

    def _rules(self, tables: Any) -> dict[int, Rule]:
        """By their number in the file, from 1."""
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            self._fault("rules", _shown(tables), "tables [[rules]], in two brackets")
            return {}
        rules = {}
        for number, table in enumerate(tables, 1):
            try:
                rules[number] = rule_of(table)
            except NotARule as error:
                for wrong in error.wrongs:
                    self._fault(f"rules[{number}].{wrong.key}", _shown(wrong.found), wrong.right)
        return rules

    def _fault(self, path: str, found: str, right: str) -> None:
        line, known = 0, path
        while known and not line:
            line, known = self._lines.get(known, 0), known.rpartition(".")[0]
        self.faults.append(Fault(path, found, right, line))


def _shown(found: Any) -> str:
    text = "nothing" if found is None else found if isinstance(found, str) and " " in found else repr(found)
    return text if len(text) <= 80 else text[:79] + "…"


def _lines(text: str) -> dict[str, int]:
    """The line of each table and key, by path: enough to point a person at it (tomllib keeps no positions)."""
    lines: dict[str, int] = {}
    table, count = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        if re.match(r"\s*\[\[\s*rules\s*\]\]", line):
            count += 1
            table = f"rules[{count}]"
            lines[table] = number
        elif header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            table = header[1].replace('"', "")
            table = f"rules[{count}]{table[5:]}" if table.startswith("rules.") else table
            lines.setdefault(table, number)
        elif key := re.match(r'\s*("[^"]+"|[A-Za-z0-9_.\-]+)\s*=', line):
            lines.setdefault(f"{table}.{key[1].strip(chr(34))}" if table else key[1].strip(chr(34)), number)
    return lines


# --------------------------------------------------------------------------- writing


def written(book: RuleBook) -> str:
    """The text of a file with the same rules and groups."""
    named = {name: () for rule in book.rules for name in rule.groups} | dict(book.groups)
    parts = [HEAD]
    if named:
        parts.append("\n[groups]\n" + "".join(_pair(name, list(named[name])) for name in sorted(named)))
    for rule in book.rules:
        number = f"# rule {rule.id}\n" if rule.id else ""
        parts.append(f"\n{number}[[rules]]\n" + "".join(_pair(key, value) for key, value in plain(rule).items()))
    return "".join(parts)


def _pair(key: str, value: Any) -> str:
    return f"{_key(key)} = {_value(value)}\n"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)


def _value(value: Any) -> str:
    """Of what `plain` makes: truths, whole numbers, texts, lists and tables."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, Sequence):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    raise TypeError(f"no TOML for {value!r}")


def _text(text: str) -> str:
    """A basic string. JSON's escapes are TOML's, but TOML wants one more."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
