"""`hub history`: out of a file and over XMPP, as a table, CSV, JSON, and what it says when it cannot."""

from __future__ import annotations

import csv
import datetime as dt
import io
from decimal import Decimal
from pathlib import Path

import pytest

from devices.base import ValueType
from hub.cli import plot
from hub.errors import HubError
from hub.telemetry.rollups import Level
from hub.telemetry.rows import Shapes, to_moment, to_ms
from hub.telemetry.store import Bounds, HistoryStore
from hub.things.model import Field, NodeRef, Reading
from tests.cli.conftest import House, hub

BEGIN = to_ms(dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC))
CONFIG = '[xmpp]\njid = "greenhouse@example.org"\npassword_file = "/nowhere"\n[node]\nstate_dir = "{state}"\n'
SPAN = ("--from", "2026-11-20T08:00:00Z", "--to", "2026-11-20T10:00:00Z")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a node that has measured two hours, every minute."""
    shapes, path = Shapes(), tmp_path / "hub.toml"
    path.write_text(CONFIG.format(state=tmp_path / "state"))
    store = HistoryStore(tmp_path / "state" / "history.sqlite", Bounds(31 * Level.DAY, 10**9))
    store.write([
        shapes.row(Reading(NodeRef(thing), to_moment(BEGIN + n * Level.MINUTE), (
            Field("temperature", Decimal(n % 60), ValueType.NUMERIC, unit="°C"),
            Field("on", n % 2 == 0, ValueType.BOOLEAN))))
        for n in range(121) for thing in ("air", "soil")
    ], None)  # fmt: skip
    store.close()
    return path


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_readings_as_csv(config: Path) -> None:
    ran = hub("history", "--local", str(config), "air.temperature", *SPAN, "--format", "csv")
    assert ran.code == 0, ran.err
    found = rows(ran.out)
    assert len(found) == 121
    assert found[0] == {"time": "2026-11-20T08:00:00Z", "thing": "air", "field": "temperature", "value": "0",
                        "unit": "°C", "quality": "ok"}  # fmt: skip


@pytest.mark.parametrize(("every", "count"), [("1m", 120), ("5m", 24), ("1h", 2), ("90s", 81), ("1d", 1)])
def test_one_line_for_each_so_long(config: Path, every: str, count: int) -> None:
    ran = hub("history", "--local", str(config), "air.temperature", *SPAN, "--every", every, "--format", "csv")
    if every == "1d":
        assert ran.code == 1 and "nothing is remembered" in ran.err, "the day is not over"
        return
    found = rows(ran.out)
    assert len(found) == count
    if every == "1h":
        assert [(row["time"], row["mean"], row["min"], row["max"], row["last"], row["count"]) for row in found] == [
            (f"2026-11-20T0{hour}:00:00Z", "29.50", "0", "59", "59", "60") for hour in (8, 9)]  # fmt: skip


def test_a_table_and_json_of_several_things(config: Path) -> None:
    ran = hub("history", "--local", str(config), "air", "soil.on", *SPAN, "--every", "1h")
    assert ran.code == 0 and ran.out.splitlines()[0].split() == [
        "time", "thing", "field", "mean", "min", "max", "last", "count", "unit"]  # fmt: skip
    made = hub("history", "--local", str(config), "air", "soil.on", *SPAN, "--every", "1h", "--format", "json").json
    assert {(each["thing"], each["field"]) for each in made} == {("air", "temperature"), ("air", "on"), ("soil", "on")}
    assert {each["mean"] for each in made if each["field"] == "on"} == {0.5}


def test_into_a_file(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    ran = hub("history", "--local", str(config), "air", *SPAN, "--format", "csv", "--output", str(out))
    assert (ran.code, ran.out) == (0, "") and len(rows(out.read_text())) == 242


def test_stats_say_what_is_kept_and_what_is_written_a_day(config: Path) -> None:
    ran = hub("history", "stats", "--local", str(config))
    assert ran.code == 0
    assert "soil" in ran.out and "121" in ran.out and "484 minutes" in ran.out
    day = next(line for line in ran.out.splitlines() if line.startswith("2026-11-20 "))
    assert "242" in day.split()


@pytest.mark.parametrize(("arguments", "code", "says"), [
    ([], 2, "name either the JID"),
    (["stats"], 2, "--local CONFIG"),
    (["--local", "CONFIG", "air", "--every", "5"], 2, "a duration with its unit"),
    (["--local", "CONFIG", "air", "--every", "5ms"], 2, "at least 1s"),
    (["--local", "CONFIG", "air", "--from", "yesterday"], 2, "nor how long ago"),
    (["--local", "CONFIG", "ghost"], 1, "no such thing is remembered: ghost"),
    (["--local", "CONFIG", "air", "--from", "2001-01-01T00:00:00Z", "--to", "2002-01-01T00:00:00Z"], 1, "nothing is"),
    (["--local", "CONFIG", "air", "--format", "parquet"], 2, "needs --output"),
    (["--local", "CONFIG", "air", *SPAN, "--plot", "air.gif"], 1, "neither a .png file"),
    (["--local", "CONFIG", "air", *SPAN, "--format", "csv", "--output", "/nowhere/x"], 1, "cannot be written"),
    (["--local", "/nowhere/hub.toml"], 1, "No such file"),
])  # fmt: skip
def test_what_is_wrong_is_one_sentence(config: Path, arguments: list[str], code: int, says: str) -> None:
    ran = hub("history", *(str(config) if each == "CONFIG" else each for each in arguments))
    assert ran.code == code and "Traceback" not in ran.err
    assert says in ran.err, ran.err


def test_a_node_that_never_ran_and_a_broken_file_are_said_and_left_alone(tmp_path: Path) -> None:
    config, state = tmp_path / "hub.toml", tmp_path / "state"
    config.write_text(CONFIG.format(state=state))
    ran = hub("history", "--local", str(config), "air")
    assert ran.code == 1 and "no node has remembered anything yet" in ran.err and not state.exists()
    state.mkdir()
    (state / "history.sqlite").write_bytes(b"\xff" * 10_000)
    ran = hub("history", "--local", str(config), "air")
    assert ran.code == 1 and "cannot be read" in ran.err
    assert [file.name for file in state.iterdir()] == ["history.sqlite"]


def test_over_xmpp(house: House) -> None:
    ran = hub("history", house.jid, "air.temperature", "--from", "1h", "--format", "json", account=house.owner)
    assert ran.code == 0, ran.err
    values = ran.json
    assert values and {value["value"] for value in values} == {"21.50"}
    every = hub("history", house.jid, "air.temperature", "--from", "1h", "--every", "10s", "--format", "json",
                account=house.owner).json  # fmt: skip
    assert sum(each["count"] for each in every) >= len(values) and {each["mean"] for each in every} == {21.5}


def test_curves_are_drawn_of_numbers_and_switches() -> None:
    line = {"time": to_moment(BEGIN), "thing": "air", "field": "on", "value": "true", "unit": ""}
    lines = [line, {**line, "field": "t", "value": "21.50", "unit": "°C"}, {**line, "field": "mode", "value": "auto"}]
    assert plot.curves_of(lines) == {"air.on": [(to_moment(BEGIN), 1.0)], "air.t (°C)": [(to_moment(BEGIN), 21.5)]}
    with pytest.raises(HubError, match="nothing of it can be drawn"):
        plot.draw(lines[2:], "x.png")


def test_a_library_that_is_missing_is_named() -> None:
    with pytest.raises(HubError, match=r"pip install 'xmpp-iot-hub\[plot\]'"):
        plot._library("no_such_library", "plot")
