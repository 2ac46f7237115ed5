"""Rules as plain tables of texts, numbers and lists: what TOML and JSON can carry. Sans-IO.

Rules of this file
* A table has no key for a condition that is empty, and no key that is not in KEYS. `plain` and `rule_of` are each
  other's inverse.
* What is wrong with a table is a Wrong per key, all at once.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
import unicodedata
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hub.provisioning.model import Hours, Rule
from hub.things.model import FieldTypes, NodeRef
from hub.things.questions import Right

MAX_TEXT: Final = 1023  # characters of one pattern, name or note
MAX_LIST: Final = 256  # entries of one list

PATTERN: Final = re.compile(r"\*|(?:(?:\*|[^@/\s*]+)@)?[^@/\s*]+")
PATTERNS: Final = 'patterns like "ann@example.org", "*@example.org" or "*"'
ADDRESS: Final = re.compile(r"(?:[^@/\s*]+@)?[^@/\s*]+")
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TYPE_NAMES: Final[Mapping[str, FieldTypes]] = {
    name.lower(): kind for name, kind in FieldTypes.__members__.items() if kind is not FieldTypes.ALL
}
KEYS: Final = (
    "right", "allow", "order", "owner", "who", "groups", "tokens", "things", "nodes", "names", "types", "hours", "note",
)  # fmt: skip
_NODE_KEYS: Final = ("node", "source", "cache")
_HOURS_KEYS: Final = ("from", "to", "days", "zone")


@dataclass(frozen=True, slots=True)
class Wrong:
    key: str
    found: Any
    right: str


class NotARule(ValueError):
    """Carries everything that is wrong with a table."""

    def __init__(self, wrongs: list[Wrong]) -> None:
        super().__init__("; ".join(f"{wrong.key}: found {wrong.found!r}; right would be {wrong.right}"
                                   for wrong in wrongs))  # fmt: skip
        self.wrongs = wrongs


# --------------------------------------------------------------------------- to a table


def plain(rule: Rule) -> dict[str, Any]:
    """The rule as a table, without its id."""
    table: dict[str, Any] = {"right": rule.right.value, "allow": rule.allow, "order": rule.order}
    texts = {"owner": rule.owner, "note": rule.note}
    lists = {key: list(getattr(rule, key)) for key in ("who", "groups", "tokens", "things", "names")}
    lists["nodes"] = [_plain_node(node) for node in rule.nodes]
    table |= {key: value for key, value in (texts | lists).items() if value}
    if rule.types != FieldTypes.ALL:
        table["types"] = _plain_types(rule.types)
    if rule.hours is not None:
        table["hours"] = _plain_hours(rule.hours)
    return {key: table[key] for key in KEYS if key in table}


def _plain_node(node: NodeRef) -> str | dict[str, str]:
    if not (node.source_id or node.cache_type):
        return node.node_id
    values = zip(_NODE_KEYS, (node.node_id, node.source_id, node.cache_type), strict=True)
    return {key: value for key, value in values if value or key == "node"}


def _plain_types(types: FieldTypes) -> list[str]:
    """Names of single types, and "present" or "historical" where all of those are there."""
    names = []
    for group in (FieldTypes.PRESENT, FieldTypes.HISTORICAL):
        if group in types:
            names.append((group.name or "").lower())
            types &= ~group
    return names + [(kind.name or "").lower() for kind in types]


def _plain_hours(hours: Hours) -> dict[str, Any]:
    table: dict[str, Any] = {"from": _plain_time(hours.start), "to": _plain_time(hours.end)}
    if hours.days != frozenset(range(1, 8)):
        table["days"] = [DAYS[day - 1] for day in sorted(hours.days)]
    if hours.zone != "UTC":
        table["zone"] = hours.zone
    return table


def _plain_time(time: dt.time) -> str:
    return time.isoformat() if time.second or time.microsecond else time.isoformat("minutes")


# --------------------------------------------------------------------------- from a table


def rule_of(table: Mapping[str, Any], *, known_zones: bool = True) -> Rule:
    """Raises NotARule. `known_zones`: only time zones of this machine; what was kept on another one may have more."""
    return _Reader(known_zones).rule(table)


def group_of(name: str, members: Any) -> tuple[str, ...]:
    """The members of a group, in lower case. Raises NotARule."""
    reader = _Reader(known_zones=True)
    patterns = reader.group(name, members)
    if reader.wrongs:
        raise NotARule(reader.wrongs)
    return patterns


class _Reader:
    def __init__(self, known_zones: bool) -> None:
        self._known_zones = known_zones
        self.wrongs: list[Wrong] = []

    def rule(self, table: Mapping[str, Any]) -> Rule:
        self._only(table, KEYS, "")
        right = self._right(table.get("right"))
        rule = Rule(
            right=right,
            allow=self._truth(table, "allow"),
            order=self._order(table.get("order", 0)),
            owner=self._one(table, "owner", ADDRESS, 'a bare address like "owner@example.org"').lower(),
            who=self._texts(table, "who", PATTERN, PATTERNS, True),
            groups=self._texts(table, "groups", None, "names of groups"),
            tokens=self._texts(table, "tokens", None, "tokens"),
            things=self._texts(table, "things", ADDRESS, 'bare addresses like "thing@example.org"', True),
            nodes=self._nodes(table.get("nodes", [])),
            names=self._texts(table, "names", None, "names of fields or parameters"),
            types=self._types(table["types"]) if "types" in table else FieldTypes.ALL,
            hours=self._hours(table["hours"]) if "hours" in table else None,
            note=self._one(table, "note", None, f"a text of at most {MAX_TEXT} characters"),
        )
        if right is Right.FRIEND:
            for key in ("nodes", "names", "types"):
                if key in table:
                    self._wrong(key, table[key], "nothing: a friend is one of the whole thing")
        elif right is Right.CONTROL and "types" in table:
            self._wrong("types", table["types"], "nothing: only reading knows field types")
        if self.wrongs:
            raise NotARule(self.wrongs)
        return rule

    def group(self, name: str, members: Any) -> tuple[str, ...]:
        if not _is_text(name, None):
            self._wrong(name, name, f"a name without control characters, at most {MAX_TEXT} others")
        return self._texts({name: members}, name, PATTERN, PATTERNS, lower=True)

    def _wrong(self, key: str, found: Any, right: str) -> None:
        self.wrongs.append(Wrong(key, found, right))

    def _only(self, table: Mapping[str, Any], known: tuple[str, ...], path: str) -> None:
        for key in table:
            if key not in known:
                close = difflib.get_close_matches(str(key), known, n=1)
                right = f'"{close[0]}"' if close else "one of " + ", ".join(known)
                self._wrong(f"{path}{key}", f"an unknown key {key}", right)

    def _right(self, value: Any) -> Right:
        try:
            return Right(value)
        except ValueError:
            self._wrong("right", value, '"friend", "read" or "control"')
            return Right.READ

    def _truth(self, table: Mapping[str, Any], key: str) -> bool:
        value = table.get(key)
        if not isinstance(value, bool):
            self._wrong(key, value, "true or false")
        return value is True

    def _order(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1_000_000_000:
            self._wrong("order", value, "a whole number from 0 to 1000000000; 0 is behind all others of its owner")
            return 0
        return value

    def _one(self, table: Mapping[str, Any], key: str, form: re.Pattern[str] | None, right: str) -> str:
        value = table.get(key, "")
        if not isinstance(value, str) or (value and not _is_text(value, form)):
            self._wrong(key, value, right)
            return ""
        return value

    def _texts(
        self, table: Mapping[str, Any], key: str, form: re.Pattern[str] | None, right: str, lower: bool = False
    ) -> tuple[str, ...]:
        values = self._list(key, table.get(key, []), lambda value: _is_text(value, form), right)
        return tuple(value.lower() for value in values) if lower else tuple(values)

    def _list(self, key: str, values: Any, good: Callable[[Any], bool], right: str) -> list[Any]:
        if not isinstance(values, list) or len(values) > MAX_LIST:
            self._wrong(key, values, f"a list of at most {MAX_LIST} {right}")
            return []
        for value in values:
            if not good(value):
                self._wrong(key, value, f"a list of {right}")
        return [value for value in values if good(value)]

    def _nodes(self, values: Any) -> tuple[NodeRef, ...]:
        right = 'node ids like "air", or { node = "air", source = "…" }'
        return tuple(
            NodeRef(value) if isinstance(value, str) else NodeRef(*(value.get(key, "") for key in _NODE_KEYS))
            for value in self._list("nodes", values, _is_node, right)
        )

    def _types(self, values: Any) -> FieldTypes:
        right = f"types: {', '.join(TYPE_NAMES)}"
        names = self._list("types", values, lambda value: isinstance(value, str) and value in TYPE_NAMES, right)
        if values == []:
            self._wrong("types", values, f"a list of {right}")
        types = FieldTypes(0)
        for name in names:
            types |= TYPE_NAMES[name]
        return types

    def _hours(self, table: Any) -> Hours | None:
        if not isinstance(table, Mapping):
            self._wrong("hours", table, 'a table like { from = "08:00", to = "17:00", days = ["mon"] }')
            return None
        self._only(table, _HOURS_KEYS, "hours.")
        start, end = (self._time(f"hours.{key}", table.get(key)) for key in ("from", "to"))
        right = "days: " + ", ".join(DAYS)
        days = self._list("hours.days", table.get("days", list(DAYS)), lambda value: value in DAYS, right)
        if not days:
            self._wrong("hours.days", table.get("days"), f"a list of {right}")
        zone = table.get("zone", "UTC")
        if not _is_text(zone, None) or (self._known_zones and not _is_zone(zone)):
            self._wrong("hours.zone", zone, 'a time zone that this machine knows, like "Europe/Stockholm"')
        return Hours(start, end, frozenset(DAYS.index(day) + 1 for day in days), zone)

    def _time(self, key: str, value: Any) -> dt.time:
        try:
            time = value if isinstance(value, dt.time) else dt.time.fromisoformat(value)  # TOML has times of its own
            if time.tzinfo is None:
                return time
        except (TypeError, ValueError):
            pass
        self._wrong(key, value, 'a time of day like "08:30"')
        return dt.time()


def _is_text(value: Any, form: re.Pattern[str] | None) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_TEXT
        and not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)
        and (form is None or form.fullmatch(value) is not None)
    )


def _is_node(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "node" in value and set(value) <= set(_NODE_KEYS) and all(
            each == "" or _is_text(each, None) for each in value.values()
        )  # fmt: skip
    return value == "" or _is_text(value, None)


def _is_zone(name: str) -> bool:
    if name == "UTC":
        return True
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
