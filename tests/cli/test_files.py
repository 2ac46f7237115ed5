"""`hub check`, `config-schema`, `devices`: what needs no server."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import devices
from hub.config.schema import schema
from tests.cli.conftest import hub


def test_the_example_it_prints_is_good(tmp_path: Path) -> None:
    example = hub("check", "--example")
    assert example.code == 0
    (tmp_path / "hub.toml").write_text(example.out)
    ran = hub("check", str(tmp_path / "hub.toml"))
    assert ran.code == 0 and "greenhouse@example.org with 3 things" in ran.out
    assert "password_file: /etc/hub/greenhouse.password does not exist here" in ran.err


def test_every_fault_is_printed_at_once(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(
        '[xmpp]\njid = "greenhouse"\n[things.air]\ndriver = "bme280"\naddress = 0x99\n[things.pump]\ndriver = "rely"\n'
    )
    ran = hub("check", str(tmp_path / "hub.toml"))
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert len(lines) == 3
    assert "line 2: xmpp.jid: found 'greenhouse'" in lines[0]
    assert 'line 5: things.air.address: found 0x99; right would be one of 0x76, 0x77' in lines[1]
    assert 'did you mean "relay"?' in lines[2]


def test_a_file_that_is_not_there_is_a_fault() -> None:
    ran = hub("check", "/nowhere/hub.toml")
    assert ran.code == 1 and "No such file" in ran.out


def test_a_node_does_not_start_on_a_broken_file(tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text("[xmpp\n")
    ran = hub("node", "--simulate", "--config", str(tmp_path / "hub.toml"))
    assert ran.code == 1 and "syntax error" in ran.err and "Traceback" not in ran.err


def test_the_schema_knows_every_driver_and_takes_the_example() -> None:
    printed = json.loads(hub("config-schema").out)
    assert printed == json.loads(json.dumps(schema()))
    things = {entry["title"]: entry for entry in printed["properties"]["things"]["additionalProperties"]["oneOf"]}
    assert set(things) == {driver.NAMES[0] for driver in devices.drivers()}
    example = tomllib.loads(hub("check", "--example").out)
    for thing in example["things"].values():
        known = things[thing["driver"]]
        assert set(thing) <= set(known["properties"])
        assert set(known["required"]) <= set(thing)


def test_lists_the_parts_and_describes_one() -> None:
    everything = hub("devices").out
    assert all(driver.NAMES[0] in everything for driver in devices.drivers())
    relay = hub("devices", "relay").out
    assert "from 0 to 27" in relay and "(must be given)" in relay
    assert "a4" not in hub("devices", "ads1115").out and "a3" in hub("devices", "ads1115").out
    assert json.loads(hub("devices", "bme280", "--json").out)[0]["fields"][0]["unit"] == "°C"
    wrong = hub("devices", "bme28")
    assert wrong.code == 1 and 'did you mean "bme280"?' in wrong.err


def test_help_lists_the_exit_codes() -> None:
    assert "the hub did not answer in time" in hub("--help").out
