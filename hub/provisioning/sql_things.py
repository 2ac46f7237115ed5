"""Things, their tags and their owners, as transactions (see sql.py).

Rules of this file
* Tags are the same when their names (in any letter case), types and values are: 1.20 is 1.2, the string "1" is not 1.
* The tags of a claim find their thing by a digest of all but KEY; KEY is then compared in constant time with that of
  every thing that has the others. A claim can be repeated by who has made it, also after the thing has taken its KEY
  away: the digest of what was claimed stays.
* A self-owned thing is its own owner.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from hub.errors import BadRequest, Overload
from hub.provisioning.model import KEY, Ownership, Registered, Tags, ThingId
from hub.provisioning.search import Search
from hub.provisioning.sql import Limits, Row, Steps, checked_text, following, written_json
from hub.stanzas.provisioning import MAX_TAG_NAME, MAX_TAG_VALUE
from hub.things.model import NodeRef

MAX_JID: Final = 3071  # bytes by RFC 7622 section 3.1, characters here
MAX_NODE: Final = 1023  # characters of each part of a node's name
CANDIDATES: Final = 500  # things that a search looks at per round

_COLUMNS: Final = "id, jid, node_id, source_id, cache_type, ownership, owner, public, removed"
_THIS: Final = "jid = ? AND node_id = ? AND source_id = ? AND cache_type = ?"
_ORDER: Final = "jid, node_id, source_id, cache_type"


def key_of(thing: ThingId) -> tuple[str, str, str, str]:
    return thing.jid, thing.node.node_id, thing.node.source_id, thing.node.cache_type


def checked_tags(tags: Tags, limits: Limits) -> dict[str, str | Decimal]:
    """With upper-case names. Raises BadRequest or Overload."""
    if len(tags) > limits.tags_per_thing:
        raise Overload(f"A thing has at most {limits.tags_per_thing} tags.")
    checked: dict[str, str | Decimal] = {}
    for name, value in tags.items():
        upper = checked_text(name, "The name of a tag", MAX_TAG_NAME).upper()
        if not upper or upper in checked:
            raise BadRequest(f"The tag {upper} is there twice." if upper else "A tag has no name.")
        if isinstance(value, str):
            checked_text(value, f"The tag {upper}", MAX_TAG_VALUE)
        elif not value.is_finite() or len(str(value)) > MAX_TAG_VALUE:
            raise BadRequest(f"The tag {upper} is no number that can be kept.")
        checked[upper] = value
    return checked


def _digest(tags: Tags) -> str:
    plain = {name: ["s", value] if isinstance(value, str) else ["n", _plain_number(value)]
             for name, value in tags.items()}  # fmt: skip
    return hashlib.sha256(written_json(plain).encode()).hexdigest()


def _plain_number(value: Decimal) -> str:
    """The same text for the same number, whatever its exponent and zeros; exact, whatever the context's precision."""
    sign, digits, exponent = value.as_tuple()
    text = "".join(map(str, digits)).lstrip("0")
    stripped = text.rstrip("0")
    if not stripped:
        return "0"
    return f"{'-' if sign else ''}{stripped}e{int(exponent) + len(text) - len(stripped)}"


def _marks(tags: Tags) -> str:
    return _digest({name: value for name, value in tags.items() if name != KEY})


def _same_key(one: Tags, other: Tags) -> bool:
    first, second = (_digest({KEY: tags[KEY]}) if KEY in tags else "" for tags in (one, other))
    return hmac.compare_digest(first, second)


# --------------------------------------------------------------------------- reading


def _made(rows: Sequence[Row], tags: dict[int, dict[str, str | Decimal]]) -> tuple[Registered, ...]:
    return tuple(
        Registered(
            ThingId(jid, NodeRef(node_id, source_id, cache_type)), tags.get(number, {}), Ownership(ownership), owner,
            bool(public), bool(removed),
        )
        for number, jid, node_id, source_id, cache_type, ownership, owner, public, removed in (row[:9] for row in rows)
    )  # fmt: skip


def _with_tags(rows: Sequence[Row]) -> Steps[tuple[Registered, ...]]:
    tags: dict[int, dict[str, str | Decimal]] = {}
    for start in range(0, len(rows), CANDIDATES):
        numbers = tuple(row[0] for row in rows[start : start + CANDIDATES])
        marks = ", ".join("?" * len(numbers))
        found = yield f"SELECT thing, name, kind, value FROM tags WHERE thing IN ({marks}) ORDER BY name", numbers
        for number, name, kind, value in found:
            tags.setdefault(number, {})[name] = value if kind == "str" else Decimal(value)
    return _made(rows, tags)


def _row(thing: ThingId) -> Steps[Row | None]:
    rows = yield f"SELECT {_COLUMNS} FROM things WHERE {_THIS}", key_of(thing)
    return rows[0] if rows else None


def thing(thing: ThingId) -> Steps[Registered | None]:
    row = yield from _row(thing)
    return None if row is None else (yield from _with_tags([row]))[0]


def things_at(jid: str) -> Steps[tuple[Registered, ...]]:
    rows = yield f"SELECT {_COLUMNS} FROM things WHERE jid = ? ORDER BY {_ORDER}", (jid,)
    return (yield from _with_tags(rows))


def things_of(owner: str) -> Steps[tuple[Registered, ...]]:
    rows = yield f"SELECT {_COLUMNS} FROM things WHERE owner = ? ORDER BY {_ORDER}", (owner,)
    return (yield from _with_tags(rows))


def candidates(search: Search, after: ThingId | None) -> Steps[tuple[Registered, ...]]:
    """The next searchable things, in the order of their ids, that have the tags a search is about: at most CANDIDATES,
    less only at the end."""
    conditions = ["ownership <> 'unclaimed' AND public = 1 AND removed = 0"]
    values: list[str | int] = []
    if after is not None:
        conditions.append(f"({_ORDER}) > (?, ?, ?, ?)")
        values += key_of(after)
    for each in search.conditions:
        kind = "str" if each.type is str else "num"
        equal = "" if each.equal is None else " AND value = ?"
        conditions.append(f"id IN (SELECT thing FROM tags WHERE name = ? AND kind = ?{equal})")
        values += [each.name, kind] if each.equal is None else [each.name, kind, each.equal]
    where = " AND ".join(conditions)
    rows = yield f"SELECT {_COLUMNS} FROM things WHERE {where} ORDER BY {_ORDER} LIMIT {CANDIDATES}", tuple(values)
    return (yield from _with_tags(rows))


# --------------------------------------------------------------------------- writing


def _set_tags(number: int, tags: Tags) -> Steps[None]:
    """These tags and no others."""
    yield "DELETE FROM tags WHERE thing = ?", (number,)
    for name, value in tags.items():
        kind = "str" if isinstance(value, str) else "num"
        yield "INSERT INTO tags (thing, name, kind, value) VALUES (?, ?, ?, ?)", (number, name, kind, str(value))
    yield "UPDATE things SET marks = ? WHERE id = ?", (_marks(tags), number)


def register(thing: ThingId, tags: Tags, self_owned: bool, limits: Limits) -> Steps[Registered]:
    row = yield from _row(thing)
    if row is not None and row[5] == Ownership.CLAIMED:
        return (yield from _with_tags([row]))[0]
    number = row[0] if row is not None else (yield from _new_thing(thing, limits))
    ownership, owner = (Ownership.SELF_OWNED, thing.jid) if self_owned else (Ownership.UNCLAIMED, "")
    yield (
        "UPDATE things SET ownership = ?, owner = ?, public = 1, removed = 0, claimed_with = '' WHERE id = ?",
        (ownership.value, owner, number),
    )
    yield from _set_tags(number, tags)
    if row is None or row[5] != ownership:
        yield from following("revision")
    return Registered(thing, tags, ownership, owner)


def _new_thing(thing: ThingId, limits: Limits) -> Steps[int]:
    rows = yield "SELECT count(*) FROM things WHERE jid = ?", (thing.jid,)
    if rows[0][0] >= limits.things_per_jid:
        raise Overload(f"{thing.jid} has {limits.things_per_jid} things registered; it can have no more.")
    checked_text(thing.jid, "The address", MAX_JID)
    for part in key_of(thing)[1:]:
        checked_text(part, "The node", MAX_NODE)
    number = yield from following("thing")
    yield (
        "INSERT INTO things (id, jid, node_id, source_id, cache_type, ownership, owner, public, removed, marks,"
        " claimed_with) VALUES (?, ?, ?, ?, ?, 'unclaimed', '', 1, 0, '', '')",
        (number, *key_of(thing)),
    )
    return number


def claim(tags: Tags, owner: str, public: bool) -> Steps[Registered | None]:
    if not tags:
        return None
    unclaimed = "ownership = 'unclaimed' AND marks = ?"
    rows = yield f"SELECT {_COLUMNS} FROM things WHERE {unclaimed} ORDER BY id", (_marks(tags),)
    found = yield from _with_tags(rows)
    same = [index for index, each in enumerate(found) if _same_key(each.tags, tags)]  # all are compared
    if same:
        yield (
            "UPDATE things SET ownership = 'claimed', owner = ?, public = ?, removed = 0, claimed_with = ?"
            " WHERE id = ?",
            (owner, int(public), _digest(tags), rows[same[0]][0]),
        )
        yield from following("revision")
        return (yield from thing(found[same[0]].id))
    rows = yield f"SELECT {_COLUMNS}, claimed_with FROM things WHERE owner = ? ORDER BY id", (owner,)
    again = [row for row in rows if hmac.compare_digest(row[9], _digest(tags))]
    return (yield from _with_tags(again[:1]))[0] if again else None


def update(thing_id: ThingId, tags: Tags, limits: Limits) -> Steps[Registered | None]:
    row = yield from _row(thing_id)
    if row is None:
        return None
    (kept,) = yield from _with_tags([row])
    merged = {name: value for name, value in {**kept.tags, **tags}.items() if value != ""}
    if len(merged) > limits.tags_per_thing:
        raise Overload(f"A thing has at most {limits.tags_per_thing} tags.")
    yield from _set_tags(row[0], merged)
    return (yield from thing(thing_id))


def set_removed(thing: ThingId) -> Steps[None]:
    yield f"UPDATE things SET removed = 1 WHERE {_THIS}", key_of(thing)


def unregister(thing: ThingId) -> Steps[None]:
    row = yield from _row(thing)
    if row is not None:
        yield "DELETE FROM things WHERE id = ?", (row[0],)
        if row[5] != Ownership.UNCLAIMED:
            yield from following("revision")


def disown(thing: ThingId, key: str) -> Steps[None]:
    row = yield from _row(thing)
    if row is None:
        return
    yield (
        "UPDATE things SET ownership = 'unclaimed', owner = '', public = 1, removed = 0, claimed_with = ''"
        " WHERE id = ?",
        (row[0],),
    )
    yield from _set_tags(row[0], {KEY: key})
    yield from following("revision")
