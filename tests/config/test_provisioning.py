"""`[provisioning]`: what it takes, and that its limits are those of the service."""

from __future__ import annotations

import dataclasses
import re
from importlib import resources
from pathlib import Path

import pytest

from hub.config.file import load, load_provisioning, service_of
from hub.config.provisioning import Provisioning
from hub.config.schema import schema
from hub.errors import ConfigError
from hub.programs.provisioning import secret_of, store_of, taken
from hub.provisioning.owner import OwnerLimits
from hub.provisioning.postgres import PostgresStore
from hub.provisioning.registry import RegistryLimits
from hub.provisioning.sql import Limits

LEAST = '[provisioning]\njid = "provisioning.example.org"\nsecret_file = "/etc/hub/provisioning.secret"\n'


def settings(text: str, folder: Path) -> Provisioning:
    file = folder / "provisioning.toml"
    file.write_text(text)
    return load_provisioning(file)


def test_a_name_and_a_secret_are_enough_and_limits_mean_what_the_service_means(tmp_path: Path) -> None:
    found = settings(LEAST, tmp_path)
    assert (found.server, found.store, found.register) == ("127.0.0.1:5347", "", ("*",))
    for kind in (Limits, RegistryLimits, OwnerLimits):
        assert taken(kind, found) == kind()
        assert {field.name for field in dataclasses.fields(kind)} <= {f.name for f in dataclasses.fields(Provisioning)}


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('jid = "who@example.org"', "a domain like"),
        ('server = "localhost"', "a host and port"),
        ('server = "localhost:99999"', "1 to 65535"),
        ('store = "mysql://db/hub"', 'begins with "postgresql://"'),
        ('operators = ["*@example.org"]', "admin@example.org"),
        ('register = ["a b"]', "a pattern like"),
        ('disown_wait = "2h"', "1s to 1m"),
        ('open_question = 5', '"open_questions"'),
        ("tags_per_thing = 3", "30"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_would_be_right(tmp_path: Path, line: str, fault: str) -> None:
    key = line.partition(" ")[0]
    text = LEAST.replace('jid = "provisioning.example.org"\n', "") if key == "jid" else LEAST
    with pytest.raises(ConfigError, match=fault) as raised:
        settings(text + line + "\n", tmp_path)
    assert raised.value.faults[0].path == f"provisioning.{key}"


def test_a_file_without_the_table_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="provisioning"):
        settings("[xmpp]\n", tmp_path)


def test_a_node_may_have_it_in_its_file_and_it_is_checked_there(tmp_path: Path) -> None:
    file = tmp_path / "hub.toml"
    file.write_text('[xmpp]\njid = "a@b"\npassword_file = "p"\n' + LEAST)
    load(file)
    assert service_of(file) == ""
    file.write_text(LEAST)
    assert service_of(file) == "provisioning"
    file.write_text('[xmpp]\njid = "a@b"\npassword_file = "p"\n' + LEAST + "x = 1\n")
    with pytest.raises(ConfigError, match=r"provisioning\.x"):
        load(file)


def test_the_schema_knows_it() -> None:
    table = schema()["properties"]["provisioning"]
    assert set(table["required"]) == {"jid", "secret_file"}


def test_the_store_is_a_file_in_the_state_folder_or_what_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    assert settings(LEAST, tmp_path).state_folder == tmp_path / "state"
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert settings(LEAST, tmp_path).state_folder == tmp_path / "hub-provisioning"
    assert isinstance(store_of(settings(LEAST + 'store = "postgresql://db/hub"\n', tmp_path)), PostgresStore)


def test_a_secret_that_is_not_there_or_empty_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for name, said in (("missing", "cannot be read"), ("empty", "is empty")):
        found = settings(LEAST.replace("/etc/hub/provisioning.secret", str(tmp_path / name)), tmp_path)
        with pytest.raises(Exception, match=said):
            secret_of(found)
    (tmp_path / "good").write_text("secret\r\n")
    found = settings(LEAST.replace("/etc/hub/provisioning.secret", str(tmp_path / "good")), tmp_path)
    assert secret_of(found) == "secret"


@pytest.mark.parametrize("whole", [False, True], ids=["as it is", "with everything in it"])
def test_the_example_is_a_configuration(tmp_path: Path, whole: bool) -> None:
    text = resources.files("hub.config").joinpath("example_provisioning.toml").read_text(encoding="utf-8")
    if whole:
        text = re.sub(r"(?m)^# (?=[a-z_]+ = )", "", text)
    file = tmp_path / "provisioning.toml"
    file.write_text(text)
    example = load_provisioning(file)
    assert example.jid == "provisioning.example.org"
    assert bool(example.operators) is whole
