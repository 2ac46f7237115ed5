"""`hub provisioning users`: whom services let in, from a terminal, on the store of a configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hub.cli.provisioning import provisioning
from hub.cli.users import users
from hub.errors import BadRequest, NotFound

Run = Callable[..., Result]
SERVICE = "service@example.org"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    config = tmp_path / "hub.toml"
    config.write_text(
        f'[provisioning]\njid = "provisioning.example.org"\nsecret_file = "/x"\nstate_dir = "{tmp_path}"\n'
        f'store = "{tmp_path}/kept.sqlite"\n'
    )
    return lambda *arguments: CliRunner().invoke(users, ["--config", str(config), *arguments])


def test_it_is_a_part_of_the_provisioning_command() -> None:
    ran = CliRunner().invoke(provisioning, ["users", "--help"])
    assert ran.exit_code == 0 and "entrances" in ran.output


def test_what_is_set_is_listed_and_tested(run: Run) -> None:
    assert "no service" in run("list").output
    assert run("entrances", SERVICE, "deny=ip4:10.0.0.13", "allow=ip6:2001:db8::/32,protocol:HTTPS").exit_code == 0
    assert run("default", SERVICE, "include=Sensors.View").exit_code == 0
    assert run("role", SERVICE, "clerk", "exclude=Databases.Energy.Delete", "include=Databases.Energy").exit_code == 0
    assert run("set", SERVICE, "Kermit", "--role", "clerk", "include=Frogs").exit_code == 0
    assert run("list").output == SERVICE + "\n"
    listed = run("list", SERVICE).output
    for part in ("deny=ip4:10.0.0.13 allow=ip6:2001:db8::/32,protocol:HTTPS", "include=Sensors.View",
                 "exclude=Databases.Energy.Delete include=Databases.Energy", "role=clerk include=Frogs"):  # fmt: skip
        assert part in listed
    for user, privilege, code in (
        ("Kermit", "Databases.Energy.Select", 0), ("Kermit", "Databases.Energy.Delete", 1), ("Kermit", "Frogs.Jump", 0),
        ("Kermit", "Sensors.View", 0), ("Gonzo", "Sensors.View", 0), ("Gonzo", "Frogs", 1),
    ):  # fmt: skip
        assert run("test", SERVICE, user, privilege).exit_code == code, (user, privilege)
    assert run("remove", SERVICE, "Kermit").exit_code == 0
    assert run("role", SERVICE, "clerk", "--remove").exit_code == 0
    assert "Kermit" not in run("list", SERVICE).output and "clerk" not in run("list", SERVICE, "--json").output


@pytest.mark.parametrize("arguments", [
    ("default", SERVICE, "Sensors"), ("default", SERVICE, "grant=Sensors"), ("entrances", SERVICE, "perhaps"),
    ("entrances", SERVICE, "allow=ip4"),
])  # fmt: skip
def test_what_is_not_understood_is_a_wrong_command_line(run: Run, arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)
    assert ran.exit_code == 2 and "write" in ran.output


@pytest.mark.parametrize(("arguments", "error"), [
    (("default", SERVICE, "include=a..b"), BadRequest), (("entrances", SERVICE, "allow=ip4:nowhere"), BadRequest),
    (("entrances", SERVICE, "allow=iris:blue"), BadRequest), (("set", SERVICE, "x", "--role", "none"), NotFound),
    (("remove", SERVICE, "x"), NotFound), (("role", SERVICE, "x", "--remove"), NotFound),
])  # fmt: skip
def test_what_cannot_be_is_said_and_changes_nothing(
    run: Run, arguments: tuple[str, ...], error: type[Exception]
) -> None:
    assert isinstance(run(*arguments).exception, error)
    assert "no service" in run("list").output
