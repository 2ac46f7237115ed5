"""The schema's numbered files, and how a database gets from one number to the next.

Rules of this file
* A file that was released is never changed: what comes next is another file. Databases saved by every version stand in
  tests/provisioning/saved, and are opened by the tests.
* All files that a database lacks are one transaction: it is at the newest version afterwards, or as it was.
* A database of a newer program is refused, not guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from hub.errors import StoreError
from hub.provisioning.sql import Steps

VERSION_TABLE: Final = "hub_provisioning_schema"


@dataclass(frozen=True, slots=True)
class Migration:
    """`version`: what the database has afterwards; they count from 1."""

    version: int
    name: str
    statements: tuple[str, ...]


def shipped() -> tuple[Migration, ...]:
    folder = files("hub.provisioning") / "schema"
    names = sorted(each.name for each in folder.iterdir() if re.fullmatch(r"\d{4}\.sql", each.name))
    return tuple(Migration(int(name[:4]), name, statements((folder / name).read_text("utf-8"))) for name in names)


def statements(text: str) -> tuple[str, ...]:
    """Split where a line ends with a semicolon; lines that are comments are left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    return tuple(part.strip() for part in re.split(r";[ \t]*(?:\n|$)", "\n".join(lines)) if part.strip())


def migrate(table_is_there: bool, migrations: Sequence[Migration], where: str) -> Steps[int]:
    """Bring the database up to date; returns the version it had. Raises StoreError for one that is newer."""
    if not table_is_there:
        yield f"CREATE TABLE {VERSION_TABLE} (version INTEGER NOT NULL)", ()
        yield f"INSERT INTO {VERSION_TABLE} (version) VALUES (0)", ()
    version = yield from version_of()
    check_version(version, migrations, where)
    for migration in migrations[version:]:
        for statement in migration.statements:
            yield statement, ()
        yield f"UPDATE {VERSION_TABLE} SET version = ?", (migration.version,)
    return version


def version_of() -> Steps[int]:
    rows = yield f"SELECT version FROM {VERSION_TABLE}", ()
    if len(rows) != 1:
        raise StoreError(f"The database's table {VERSION_TABLE} does not say which version it is: put back a backup.")
    return int(rows[0][0])


def check_version(version: int, migrations: Sequence[Migration], where: str) -> None:
    newest = migrations[-1].version
    if not 0 <= version <= newest:
        raise StoreError(
            f"{where} was written by a newer version of this program: its schema is {version}, this program knows "
            f"{newest}. Install the newer one, or put back a backup from before."
        )
