"""`hub read`, `set`, `form` and `watch` against a running node."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import PATIENCE_S, ROOT, House, hub


def test_reads_everything_as_a_table(house: House) -> None:
    ran = hub("read", house.jid, account=house.owner)
    assert ran.code == 0
    assert "air" in ran.out and "21.50" in ran.out and "°C" in ran.out
    assert "broken: simulated fault: the checksum is wrong" in ran.err


def test_reads_one_field_for_a_program(house: House) -> None:
    (value,) = hub("read", house.jid, "air.temperature", "--json", account=house.owner).json
    assert value["thing"] == "air" and value["value"] == "21.50" and value["number"] == 21.5
    assert value["quality"] == ["automatic-readout"] and value["time"].endswith("Z")


def test_reads_the_past(house: House) -> None:
    values = hub("read", house.jid, "air.temperature", "--history", "--json", account=house.owner).json
    assert values and [v["time"] for v in values] == sorted(v["time"] for v in values)
    later = hub("read", house.jid, "air", "--from", "2100-01-01T00:00:00Z", account=house.owner)
    assert later.code == 0  # the present is still there; the past of the next century is not


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["read", "greenhouse@localhost", "nope"], 1, "no such node: nope"),
        (["read", "greenhouse@localhost", "air.nope"], 1, "no such field: nope"),
        (["read", "greenhouse@localhost", "--from", "yesterday"], 2, "is not a date and time"),
        (["read", "nobody@localhost", "--timeout", "2"], 1, "nobody@localhost"),
        (["set", "greenhouse@localhost", "pump.output=maybe"], 1, "'maybe' is not true or false"),
        (["set", "greenhouse@localhost", "pump.outpt=on"], 1, "it has output"),
        (["set", "greenhouse@localhost", "lamp.brightness=400"], 1, "400 is outside 0 to 100"),
        (["set", "greenhouse@localhost", "output=on"], 1, "say which node: pump, lamp, all"),
        (["set", "greenhouse@localhost", "pump"], 2, "is not THING.PARAMETER=VALUE"),
        (["form", "greenhouse@localhost", "air"], 1, "air has nothing to control"),
        (["form", "greenhouse@localhost", "pump", "lamp"], 1, "no control parameter in common"),
        (["watch", "greenhouse@localhost", "--change", "air.temperature"], 2, "is not THING.FIELD=BY"),
        (["watch", "greenhouse@localhost", "--change", "air.temperature=-1"], 2, "a number above 0"),
        (["watch", "greenhouse@localhost", "--change", "air.nope=1"], 1, "air has no field 'nope'; it has temperature"),
        (["watch", "greenhouse@localhost", "--min", "5"], 2, "a duration with its unit"),
        (["watch", "greenhouse@localhost", "--min", "5m", "--max", "1m"], 2, "not shorter than --min"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(
    house: House, arguments: list[str], code: int, says: str
) -> None:
    ran = hub(*arguments, account=house.owner)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err and "Traceback" not in ran.err


def test_sets_and_shows_what_is_read_back(house: House) -> None:
    ran = hub("set", house.jid, "lamp.fade_time=500", "lamp.brightness=40", "pump.output=on", "--json",
              account=house.owner)  # fmt: skip
    assert {v["field"]: v["value"] for v in ran.json} == {"fade_time": "500", "brightness": "40", "output": "true"}
    assert hub("set", house.jid, "pump.output=off", account=house.owner).code == 0
    (output,) = hub("read", house.jid, "pump", "--json", account=house.owner).json
    assert output["value"] == "false" and output["writable"] is True


def test_one_wrong_assignment_moves_nothing(house: House) -> None:
    ran = hub("set", house.jid, "pump.output=on", "lamp.brightness=abc", account=house.owner)
    assert ran.code == 1
    (output,) = hub("read", house.jid, "pump", "--json", account=house.owner).json
    assert output["value"] == "false"


def test_every_type_can_be_written_as_a_person_writes_it(house: House) -> None:
    written = {
        "boolean": "no", "color": "#00ff00", "date": "2027-02-03", "dateTime": "2027-02-03T04:05:06Z",
        "double": "-3.25", "duration": "PT90S", "enum": "on", "int": "-7", "long": "123456789012", "string": "a = b",
        "time": "12:34:56",
    }  # fmt: skip
    ran = hub("set", house.jid, *(f"all.{k}={v}" for k, v in written.items()), "--json", account=house.owner)
    assert {v["field"]: v["value"] for v in ran.json} == {
        **written, "boolean": "false", "color": "00ff00", "duration": "PT1M30S",
    }  # fmt: skip


@pytest.mark.parametrize("value", ["[/bold] [red]x", ":smile:", "Gewächshaus"])
def test_a_value_is_shown_as_it_is_and_never_as_formatting(house: House, value: str) -> None:
    assert hub("set", house.jid, f"all.string={value}", account=house.owner).code == 0
    assert value in hub("read", house.jid, "all.string", account=house.owner).out


def test_what_no_xml_can_carry_is_refused_before_it_is_sent(house: House) -> None:
    ran = hub("set", house.jid, "all.string=a\x1b[2Jb", account=house.owner)
    assert ran.code == 1 and "control characters" in ran.err and "\x1b" not in ran.err


def test_shows_what_can_be_set(house: House) -> None:
    assert "0 to 4095" in hub("form", house.jid, "lamp", account=house.owner).out
    form = hub("form", house.jid, "all", "--json", account=house.owner).json
    assert {p["name"]: p["type"] for p in form["parameters"]}["duration"] == "duration"
    assert next(p for p in form["parameters"] if p["name"] == "enum")["options"] == ["off", "auto", "on"]


def test_a_stranger_is_refused_everywhere(house: House) -> None:
    for arguments in (["read", house.jid], ["set", house.jid, "pump.output=on"], ["form", house.jid, "pump"]):
        ran = hub(*arguments, account=house.stranger)
        assert ran.code == 1 and "forbidden" in ran.err, ran
    watching = hub("watch", house.jid, "--pubsub", account=house.stranger)
    assert watching.code == 1 and "publishes nothing that you may see" in watching.err
    watching = hub("watch", house.jid, account=house.stranger)
    assert watching.code == 1 and "forbidden" in watching.err


WAYS = [(), ("--change", "air.temperature=0.5", "--min", "500ms", "--max", "2s"), ("--pubsub",)]


@pytest.mark.parametrize("way", WAYS, ids=["events", "as asked for", "pubsub"])
def test_follows_a_hub_line_by_line(house: House, way: tuple[str, ...]) -> None:
    watching = subprocess.Popen(
        [sys.executable, "-m", "hub", "watch", house.jid, "--json", *way], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HUB_ACCOUNT": str(house.owner)},
    )  # fmt: skip
    try:
        assert watching.stdout is not None
        seen: set[str] = set()
        while not {"air", "pump", "broken"} <= seen:
            line = json.loads(watching.stdout.readline())
            assert line["hub"] == house.jid
            seen.add(line["thing"])
    finally:
        watching.send_signal(signal.SIGINT)
        assert watching.wait(PATIENCE_S) == 130
        watching.stdout.close()


def test_without_an_account_it_says_what_to_write(tmp_path: Path, house: House) -> None:
    ran = hub("read", house.jid, home=tmp_path)
    assert ran.code == 3 and "[xmpp]" in ran.err and "--account" in ran.err


def test_a_wrong_password_is_no_link(tmp_path: Path, house: House) -> None:
    (tmp_path / "password").write_text("wrong")
    lines = [
        f'password_file = "{tmp_path}/password"' if line.startswith("password_file") else line
        for line in house.owner.read_text().splitlines()
    ]
    (tmp_path / "account.toml").write_text("\n".join(lines))
    ran = hub("read", house.jid, account=tmp_path / "account.toml")
    assert ran.code == 3 and "refused the credentials of owner@localhost" in ran.err
