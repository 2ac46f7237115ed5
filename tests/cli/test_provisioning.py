"""`hub provisioning` as an operator and systemd see it: the service as a process, and its rules beside it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.demo.prosody import end_with_parent
from tests.cli.conftest import ROOT, Ran, hub
from tests.e2e.world import World
from tests.helpers import until, wait_until
from tests.provisioning.e2e.house import OLD, SECRET, SERVICE, body_of, claimed, hears, may, told, writes


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("prosody"), components={SERVICE: SECRET}) as made:
        yield made.populate("thing", "owner")


def config_of(world: World, folder: Path, secret: str = SECRET, more: str = "") -> Path:
    (folder / "secret").write_text(secret + "\n")
    file = folder / "provisioning.toml"
    file.write_text(f"""
[provisioning]
jid = "{SERVICE}"
server = "127.0.0.1:{world.component_port}"
secret_file = "{folder}/secret"
state_dir = "{folder}/state"
{more}""")
    return file


class Running:
    """The service as a process."""

    def __init__(self, config: Path, *options: str) -> None:
        self.log_file = config.with_suffix(".log")
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hub", "provisioning", "run", str(config), *options], stderr=log,
                preexec_fn=end_with_parent, env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        return self.log_file.read_text()

    async def online(self) -> None:
        await until(lambda: f"online as {SERVICE}" in self.log() or self.process.poll() is not None, "it is online")
        assert self.process.poll() is None, self.log()


def rules(config: Path, *arguments: str) -> Ran:
    command, *rest = arguments
    return hub("provisioning", "rules", command, "--config", str(config), *rest)


async def test_from_a_rule_on_the_command_line_to_a_thing_that_hears_of_it(world: World, tmp_path: Path) -> None:
    config = config_of(world, tmp_path)
    with Running(config) as running:
        await running.online()
        async with world.client("thing") as thing, world.client("owner") as owner:
            await claimed(thing, owner)
            assert (await may(thing, "canRead", "ann@localhost")).get("result") == "false"
            added = rules(config, "add", "allow", "read", "--who", "ann@localhost", "--thing", "thing@localhost",
                          "--name", "temperature", "--note", "hers")  # fmt: skip
            assert (added.code, added.out) == (
                0, "rule 1: ann@localhost may read temperature of thing@localhost [hers]\n"
            ), added.err  # fmt: skip
            await told(thing, "clearCache")
            answer = await may(thing, "canRead", "ann@localhost")
            assert [child.get("name") for child in answer] == ["temperature"]
            said = hub("provisioning", "explain", "ann@localhost", "read:temperature,humidity", "--config", str(config))
            assert said.out.startswith("thing@localhost: allowed only temperature\n    allowed: temperature: rule 1")
            assert "owner@localhost is asked" in said.out
            assert rules(config, "remove", "1").out.startswith("removed: ann@localhost may read")
            await told(thing, "clearCache")
        running.process.send_signal(signal.SIGTERM)
        await until(lambda: running.process.poll() is not None, "it has ended")
        assert running.process.returncode == 0 and "Traceback" not in running.log()
    shown = hub("audit", "verify", "--file", str(tmp_path / "state/audit.jsonl"))
    assert shown.code == 0, shown.out


async def test_killed_and_started_again_it_goes_on(world: World, tmp_path: Path) -> None:
    config = config_of(world, tmp_path)
    async with world.client("thing") as thing, world.client("owner") as owner:
        owner.write("<presence/>")
        with Running(config) as running:
            await running.online()
            await claimed(thing, owner)
            await may(thing, "isFriend", "ann@localhost")
            question = await hears(owner, "ann@localhost wants to know")
        with Running(config) as running:  # the first was killed
            await until(lambda: running.log().count("online as") == 2, "it is back")
            writes(owner, "always", question.findtext("{jabber:client}thread") or "")
            assert "Rule 1" in body_of(await hears(owner, "ann@localhost may know"))
            await told(thing, "clearCache")
            message = await thing.take(lambda s: s.find(f"{{{OLD}}}friend") is not None, "a recommendation")
            assert message[0].get("jid") == "ann@localhost"


async def test_a_wrong_secret_is_said_and_the_service_stays(world: World, tmp_path: Path) -> None:
    with Running(config_of(world, tmp_path, secret="wrong")) as running:
        await until(lambda: "does not take us as its component" in running.log(), "it says so")
        assert running.process.poll() is None
        assert "wrong" not in running.log()


def test_a_store_belongs_to_one_name(world: World, tmp_path: Path) -> None:
    """Two names over one store would send each other's notices, and no thing would believe them."""
    mine, other = tmp_path / "mine.toml", tmp_path / "other.toml"
    config = config_of(world, tmp_path).read_text()
    mine.write_text(config.replace(SERVICE, "other.localhost"))
    other.write_text(config)
    with Running(mine) as running:
        wait_until(lambda: "does not take us as its component" in running.log(), "the store is its own now")
    ran = hub("provisioning", str(other))
    assert ran.code == 1 and "this store is that of other.localhost" in ran.err and "Traceback" not in ran.err
    with Running(other, "--renamed") as running:
        wait_until(lambda: f"online as {SERVICE}" in running.log(), "it is online")


def made(tmp_path: Path, world: World) -> Path:
    """A configuration with a store that no service runs on."""
    config = config_of(world, tmp_path, more=f'store = "{tmp_path}/rules.sqlite"\n')
    return config


def test_rules_are_listed_tried_out_written_and_read_back(world: World, tmp_path: Path) -> None:
    config = made(tmp_path, world)
    assert rules(config, "list").out == ""
    rules(config, "add", "deny", "control", "--who", "*", "--from", "22:00", "--to", "06:00", "--day", "sat",
          "--zone", "Europe/Stockholm")  # fmt: skip
    rules(config, "add", "allow", "control", "--group", "family", "--owner", "owner@localhost")
    rules(config, "group", "family", "ann@localhost", "*@home.example.org")
    listed = rules(config, "list").out
    assert "(operator): * may not set every thing from 22:00 to 06:00 on days 6 (Europe/Stockholm)" in listed
    assert "group family: ann@localhost, *@home.example.org" in listed

    def written() -> list[str]:
        return [line for line in rules(config, "export").out.splitlines() if not line.startswith("#")]  # not the ids

    exported = written()
    (tmp_path / "rules.toml").write_text("\n".join(exported))
    assert rules(config, "remove", "2").code == 0
    back = rules(config, "import", "--yes", str(tmp_path / "rules.toml"))
    assert back.out == "2 rules and 1 groups; there were 1 rules\n", back.err
    assert written() == exported
    (tmp_path / "rules.toml").write_text('[[rules]]\nright = "fly"\n')
    broken = rules(config, "import", "--yes", str(tmp_path / "rules.toml"))
    assert broken.code == 1 and "rules" in broken.err
    assert written() == exported, "a broken file changes nothing"


def test_a_rule_can_be_tried_before_anybody_asks(world: World, tmp_path: Path) -> None:
    config = made(tmp_path, world)
    rules(config, "add", "allow", "read", "--who", "ann@localhost")
    tried = rules(config, "test", "ann@localhost", "read:temperature", "--thing", "thing@localhost")
    assert (tried.code, tried.out) == (1, "thing@localhost: refused\n"), "nobody has claimed it"
    asked = ("ann@localhost", "read", "--thing", "thing@localhost")
    said = hub("provisioning", "explain", *asked, "--config", str(config))
    assert "nobody has claimed it" in said.out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("rules", "add", "allow", "fly"), 2, "'fly' is not one of"),
        (("rules", "add", "allow", "read", "--who", "a b@c"), 2, "patterns like"),
        (("rules", "add", "allow", "read", "--from", "25:00"), 2, "hours"),
        (("rules", "remove", "7"), 1, "there is no rule 7"),
        (("rules", "test", "ann@x", "dance"), 2, "is not \"read\""),
        (("rules", "test", "*@x", "read", "--thing", "a@b"), 1, "without an asterisk"),
        (("explain", "ann@x", "read"), 1, "no thing has asked yet"),
    ],
)
def test_what_is_wrong_is_said(
    world: World, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    config = made(tmp_path, world)
    ran = hub("provisioning", *arguments, "--config", str(config))
    assert ran.code == code, ran.out + ran.err
    assert said in ran.err and "Traceback" not in ran.err


def test_without_a_store_the_commands_say_where_it_would_be(world: World, tmp_path: Path) -> None:
    ran = rules(config_of(world, tmp_path), "list")
    assert ran.code == 1 and "there is no store in" in ran.err


def test_a_backup_is_a_store(world: World, tmp_path: Path) -> None:
    config = made(tmp_path, world)
    rules(config, "add", "allow", "read", "--who", "ann@localhost")
    assert hub("provisioning", "backup", str(tmp_path / "copy.sqlite"), "--config", str(config)).code == 0
    (tmp_path / "rules.sqlite").unlink()
    (tmp_path / "copy.sqlite").rename(tmp_path / "rules.sqlite")
    assert "ann@localhost may read" in rules(config, "list").out
