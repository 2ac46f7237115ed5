"""The store that a configuration names."""

from __future__ import annotations

from hub.errors import StoreError
from hub.provisioning.sql import Limits
from hub.provisioning.sqlstore import SqlStore


def store_at(where: str, limits: Limits | None = None) -> SqlStore:
    """Of a "postgresql://…" URL or the path of a SQLite file; not open yet. Raises StoreError."""
    if not where.startswith(("postgresql:", "postgres:")):
        from hub.provisioning.sqlite import SqliteStore

        return SqliteStore(where, limits)
    try:
        from hub.provisioning.postgres import PostgresStore
    except ImportError as error:
        raise StoreError(f"PostgreSQL needs two more packages ({error}): "
                         f"`pip install 'xmpp-iot-hub[postgres]'`.") from None  # fmt: skip
    return PostgresStore(where, limits)
