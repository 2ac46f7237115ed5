"""What the service needs is loaded by the service alone, and what it reads is shipped."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hub.errors import StoreError
from hub.provisioning.stores import store_at

ROOT = Path(__file__).parents[2]
SERVICE_ONLY = ("regex", "psycopg", "psycopg_pool", "cryptography")


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_a_node_loads_nothing_of_the_service() -> None:
    loaded = loaded_after("import hub.programs.node, hub.cli.node")
    assert loaded.isdisjoint(SERVICE_ONLY) and "slixmpp" in loaded


def test_a_service_on_a_file_does_not_load_postgresql() -> None:
    loaded = loaded_after("from hub.provisioning.stores import store_at\nstore_at('x.sqlite')")
    assert loaded.isdisjoint({"psycopg", "psycopg_pool", "regex"}) and "sqlite3" in loaded


def test_without_its_packages_postgresql_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.delitem(sys.modules, "hub.provisioning.postgres", raising=False)
    with pytest.raises(StoreError, match=r"pip install 'xmpp-iot-hub\[postgres\]'"):
        store_at("postgresql://hub@/x")


def test_the_schema_is_package_data() -> None:
    tree = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "provisioning/schema/*.sql" in tree["tool"]["setuptools"]["package-data"]["hub"]
