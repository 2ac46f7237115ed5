"""Notices, askers, tokens and small things, as transactions (see sql.py)."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from hub.errors import Overload
from hub.provisioning.model import ThingId
from hub.provisioning.sql import Limits, Row, Steps, following, read_moment, written_json, written_moment
from hub.provisioning.sql_things import key_of
from hub.provisioning.store import SHOWN, TOKENS, Notice, TokenRecord
from hub.things.model import NodeRef

_TOKEN: Final = "token, certificate, subject, created, expires"
TOKEN_GRACE: Final = dt.timedelta(days=1)  # how long an expired token is still known, to be refused as such

# --------------------------------------------------------------------------- notices


def add_notices(things: Sequence[ThingId], kind: str, detail: dict[str, Any], now: dt.datetime) -> Steps[None]:
    for thing in things:
        if kind == "clearCache":
            waiting = yield (
                "SELECT id FROM notices WHERE jid = ? AND node_id = ? AND source_id = ? AND cache_type = ?"
                " AND kind = 'clearCache' AND leased_until = ''",
                key_of(thing),
            )
            if waiting:
                continue
        number = yield from following("notice")
        yield (
            "INSERT INTO notices (id, jid, node_id, source_id, cache_type, kind, detail, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, *key_of(thing), kind, written_json(detail), written_moment(now)),
        )


def notices(jid: str | None) -> Steps[tuple[Notice, ...]]:
    columns = "SELECT id, jid, node_id, source_id, cache_type, kind, detail, created FROM notices"
    if jid is None:
        rows = yield f"{columns} ORDER BY id", ()
    else:
        rows = yield f"{columns} WHERE jid = ? ORDER BY id", (jid,)
    return tuple(
        Notice(row[0], ThingId(row[1], NodeRef(*row[2:5])), row[5], json.loads(row[6]), read_moment(row[7]))
        for row in rows
    )


def lease_notice(notice_id: int, now: dt.datetime, seconds: float) -> Steps[bool]:
    until = written_moment(now + dt.timedelta(seconds=seconds)) if seconds else ""
    rows = yield (
        "UPDATE notices SET leased_until = ? WHERE id = ? AND (leased_until <= ? OR ? = '') RETURNING id",
        (until, notice_id, written_moment(now), until),
    )
    return bool(rows)


def notice_done(notice_id: int) -> Steps[None]:
    yield "DELETE FROM notices WHERE id = ?", (notice_id,)


# --------------------------------------------------------------------------- askers


def is_asker(device: str, jid: str) -> Steps[bool]:
    rows = yield "SELECT id FROM askers WHERE device = ? AND jid = ?", (device, jid)
    return bool(rows)


def note_asker(device: str, jid: str, limits: Limits) -> Steps[None]:
    """Where the device has asked about too many, the one it asked about first is forgotten."""
    number = yield from following("asker")
    yield (
        "INSERT INTO askers (device, jid, id) VALUES (?, ?, ?) ON CONFLICT (device, jid) DO NOTHING",
        (device, jid, number),
    )
    rows = yield "SELECT count(*) FROM askers WHERE device = ?", (device,)
    if rows[0][0] > limits.asked_per_device:
        yield (
            "DELETE FROM askers WHERE device = ? AND id = (SELECT min(id) FROM askers WHERE device = ?)",
            (device, device),
        )


def note_askers(pairs: Sequence[tuple[str, str]], limits: Limits) -> Steps[None]:
    for device, jid in pairs:
        if not (yield from is_asker(device, jid)):
            yield from note_asker(device, jid, limits)


def devices() -> Steps[tuple[str, ...]]:
    rows = yield "SELECT DISTINCT device FROM askers ORDER BY device", ()
    return tuple(row[0] for row in rows)


def askers(jid: str) -> Steps[tuple[str, ...]]:
    rows = yield "SELECT device FROM askers WHERE jid = ? ORDER BY device", (jid,)
    return tuple(row[0] for row in rows)


def asked_by(device: str) -> Steps[tuple[str, ...]]:
    rows = yield "SELECT jid FROM askers WHERE device = ? ORDER BY jid", (device,)
    return tuple(row[0] for row in rows)


# --------------------------------------------------------------------------- tokens


def give_token(record: TokenRecord, fingerprint: str, most: int, now: dt.datetime) -> Steps[TokenRecord]:
    """Old ones go when new ones come."""
    yield from lapse_tokens(now)
    yield "DELETE FROM tokens WHERE expires < ?", (written_moment(now - TOKEN_GRACE),)
    had: dict[str, str] = (yield from get(TOKENS, record.subject)) or {}
    if fingerprint in had:
        record = replace(record, token=had[fingerprint])
        yield "DELETE FROM tokens WHERE token = ?", (record.token,)
    else:
        rows = yield (
            "SELECT token FROM tokens WHERE subject = ? AND expires > ?",
            (record.subject, written_moment(record.created)),
        )
        good = {row[0] for row in rows}
        had = {each: token for each, token in had.items() if token in good}
        if len(had) >= most:
            raise Overload(f"{record.subject} has {len(had)} tokens already, for as many certificates")
        yield from put(TOKENS, record.subject, {**had, fingerprint: record.token})
    yield from _insert_token(record)
    return record


def _insert_token(record: TokenRecord) -> Steps[None]:
    certificate = base64.b64encode(record.certificate).decode()
    yield (
        "INSERT INTO tokens (token, certificate, subject, created, expires) VALUES (?, ?, ?, ?, ?)",
        (record.token, certificate, record.subject, written_moment(record.created), written_moment(record.expires)),
    )


def token(token: str) -> Steps[TokenRecord | None]:
    rows = yield f"SELECT {_TOKEN} FROM tokens WHERE token = ?", (token,)
    return _token_record(rows[0]) if rows else None


def tokens() -> Steps[tuple[TokenRecord, ...]]:
    rows = yield f"SELECT {_TOKEN} FROM tokens ORDER BY subject, created, token", ()
    return tuple(map(_token_record, rows))


def _token_record(row: Row) -> TokenRecord:
    return TokenRecord(row[0], base64.b64decode(row[1]), row[2], read_moment(row[3]), read_moment(row[4]))


def revoke_token(name: str, now: dt.datetime) -> Steps[TokenRecord | None]:
    found = yield from token(name)
    if found is None:
        return None
    yield "DELETE FROM tokens WHERE token = ?", (name,)
    had = (yield from get(TOKENS, found.subject)) or {}
    kept = {fingerprint: each for fingerprint, each in had.items() if each != name}
    yield from put(TOKENS, found.subject, kept or None)
    yield from _forgotten_where_shown(name, now)
    yield from following("revision")
    return found


def lapsed_tokens(now: dt.datetime) -> Steps[tuple[str, ...]]:
    rows = yield (
        "SELECT token FROM tokens WHERE expires <= ?"
        " AND EXISTS (SELECT key FROM small_things WHERE area = ? || token) ORDER BY token",
        (written_moment(now), SHOWN),
    )
    return tuple(row[0] for row in rows)


def lapse_tokens(now: dt.datetime) -> Steps[tuple[str, ...]]:
    lapsed = yield from lapsed_tokens(now)
    for name in lapsed:
        yield from _forgotten_where_shown(name, now)
    if lapsed:
        yield from following("revision")
    return lapsed


def _forgotten_where_shown(name: str, now: dt.datetime) -> Steps[None]:
    rows = yield "DELETE FROM small_things WHERE area = ? RETURNING key", (SHOWN + name,)
    yield from add_notices([ThingId(row[0]) for row in rows], "clearCache", {}, now)


# --------------------------------------------------------------------------- small things


def get(area: str, key: str) -> Steps[dict[str, Any] | None]:
    rows = yield "SELECT value FROM small_things WHERE area = ? AND key = ?", (area, key)
    return json.loads(rows[0][0]) if rows else None


def put(area: str, key: str, value: dict[str, Any] | None) -> Steps[None]:
    if value is None:
        yield "DELETE FROM small_things WHERE area = ? AND key = ?", (area, key)
    else:
        yield (
            "INSERT INTO small_things (area, key, value) VALUES (?, ?, ?)"
            " ON CONFLICT (area, key) DO UPDATE SET value = excluded.value",
            (area, key, written_json(value)),
        )


def put_new(area: str, key: str, value: dict[str, Any]) -> Steps[bool]:
    rows = yield (
        "INSERT INTO small_things (area, key, value) VALUES (?, ?, ?) ON CONFLICT (area, key) DO NOTHING RETURNING key",
        (area, key, written_json(value)),
    )
    return bool(rows)


def take(area: str, key: str) -> Steps[dict[str, Any] | None]:
    rows = yield "DELETE FROM small_things WHERE area = ? AND key = ? RETURNING value", (area, key)
    return json.loads(rows[0][0]) if rows else None


def items(area: str) -> Steps[dict[str, dict[str, Any]]]:
    rows = yield "SELECT key, value FROM small_things WHERE area = ? ORDER BY key", (area,)
    return {key: json.loads(value) for key, value in rows}
