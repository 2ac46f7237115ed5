"""`python -m devices`, in this process and in one of its own; and the suite for real parts, on stand-ins."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import devices
from devices.__main__ import DONE, FAILED, WRONG, main
from devices.base import BadData
from devices.bme280 import BME280
from devices.bus import Buses
from devices.fake import SimulatedBuses, drive

ROOT = Path(devices.__file__).parent.parent
LONG_S = 60.0  # for a process of its own on a slow machine


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=LONG_S,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip


def times(count: int, between: Callable[[int], None] = lambda _: None) -> Callable[[threading.Event, float], None]:
    """A `wait` that lets `count` readings follow the first and then presses Ctrl-C."""
    passed = 0

    def wait(changed: threading.Event, seconds: float) -> None:
        nonlocal passed
        if passed == count:
            raise KeyboardInterrupt
        passed += 1
        between(passed)

    return wait


def test_lists_every_driver_with_its_title(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == DONE
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(list(devices.drivers()))
    assert any(line.split(maxsplit=1) == ["bme280", BME280.TITLE] for line in lines)


def test_reads_once_with_units(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bme280", "address=0x77", "--simulate"]) == DONE
    assert capsys.readouterr().out == "temperature  21.50 °C\nhumidity     45.0 %RH\npressure     1013.25 hPa\n"


def test_a_field_that_is_not_there_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["button", "pin=17", "--simulate"]) == DONE
    assert capsys.readouterr().out.splitlines()[-1] == "last_press  missing"


def test_sets_and_reads_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pwm", "pin=18", "--simulate", "--set", "duty=12.5"]) == DONE
    assert capsys.readouterr().out.splitlines()[:2] == ["duty       12.5 %", "level      12.5 %"]


def test_an_output_is_set_without_passing_through_off(monkeypatch: pytest.MonkeyPatch) -> None:
    buses = SimulatedBuses()
    monkeypatch.setattr("devices.__main__.SimulatedBuses", lambda: buses)
    pin = buses.pin(17)
    pin.output_with_state(True)
    pin.clear_states()
    assert main(["relay", "pin=17", "--simulate", "--set", "output=on"]) == DONE
    assert [bool(s.state) for s in pin.states] == [True]
    assert pin.function == "output"  # and holds its level afterwards


def test_an_output_is_not_driven_by_a_look_at_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def untouched(self: Buses) -> None:
        raise AssertionError("a pin was claimed")

    monkeypatch.setattr(Buses, "pin_factory", untouched)
    assert main(["relay", "pin=17"]) == WRONG
    assert capsys.readouterr().err == (
        "relay is an output and would be driven: say to what with --set, of output (true or false)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["bme281"], 'no driver is called "bme281"; did you mean "bme280"?'),
        (["bme280", "adress=0x76"], "adress: there is no such setting; did you mean address?"),
        (["bme280", "address=0x70"], "address: '0x70' is not one of 0x76, 0x77"),
        (["bme280", "0x76"], "0x76: it should be key=value"),
        (["button"], "pin: must be given: a whole number from 0 to 27"),
        (["servo", "pin=1", "min_pulse=2ms", "max_pulse=1ms"], "min_pulse: 2ms does not fit"),
        (["relay", "pin=1", "--set", "level=1"], "level: there is no such parameter; known: output"),
        (["relay", "pin=1", "--set", "output=2"], "output: '2' is not right; it should be true or false"),
        (["bme280", "--set", "x=1"], "x: there is no such parameter; known: none"),
    ],
)
def test_what_is_wrong_is_named_with_what_would_be_right(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--simulate"]) == WRONG
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and not captured.out


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "inf"])
def test_a_time_that_is_none_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        main(["bme280", "--simulate", "--watch", seconds])
    assert error.value.code == WRONG and "--watch" in capsys.readouterr().err


def test_a_part_that_fails_says_so_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulated", "fault=error", "--simulate"]) == FAILED
    assert capsys.readouterr().err == "simulated: simulated fault: the checksum is wrong\n"


def test_watches_until_ctrl_c(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bme280", "--simulate", "--watch", "5"], times(2)) == DONE
    assert capsys.readouterr().out.count("temperature  21.50 °C") == 3


def test_watching_goes_on_over_a_failure_and_opens_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    buses = SimulatedBuses()
    monkeypatch.setattr("devices.__main__.SimulatedBuses", lambda: buses)

    def plug(reading: int) -> None:
        bus, chip = buses.fake_i2c(1), next(iter(buses.parts.values()))
        if reading == 1:
            bus.detach(0x76)
        elif reading == 3:
            bus.attach(0x76, chip)

    assert main(["bme280", "--simulate", "--watch", "5"], times(3, plug)) == DONE
    captured = capsys.readouterr()
    assert captured.err.count("nothing answers at 0x76") == 2
    assert captured.out.count("temperature") == 2


def test_a_change_wakes_the_watch(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    buses = SimulatedBuses()
    monkeypatch.setattr("devices.__main__.SimulatedBuses", lambda: buses)
    woken: list[bool] = []

    def wait(changed: threading.Event, seconds: float) -> None:
        if woken:
            raise KeyboardInterrupt
        drive(buses.pin(17), False)
        woken.append(changed.wait(seconds))

    assert main(["button", "pin=17", "debounce=1ms", "--simulate", "--watch", "30"], wait) == DONE
    assert woken == [True]
    assert "presses     1" in capsys.readouterr().out


def test_in_a_process_of_its_own() -> None:
    done = run("-m", "devices", "mcp3008", "channels=0,7", "--simulate")
    assert (done.returncode, done.stderr) == (DONE, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["a0", "a7"]
    wrong = run("-m", "devices", "button", "pin=40")
    assert (wrong.returncode, wrong.stdout) == (WRONG, "")
    assert wrong.stderr == (
        "pin: 40 is not a whole number from 0 to 27 (settings of button: pin, pull, hold_time, debounce)\n"
    )
    help_ = run("-m", "devices", "--help")
    assert help_.returncode == DONE and "--set" in help_.stdout


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    command = [sys.executable, "-W", "error", "-m", "devices", "system", "--simulate", "--watch", "0.01"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "cpu_temperature  48.3 °C\n"
        process.stdout.close()
        assert process.wait(LONG_S) == DONE
        assert process.stderr.read() == ""


# --------------------------------------------------------------------------- the suite for real parts

PARTS = """
[things.climate]
driver = "bme280"
address = 0x77
interval = "30s"    # the hub's: not looked at

[things.door]
driver = "digital-input"
pin = 5
debounce = "1ms"

[things.lamp]
driver = "relay"
pin = 17
"""


def suite(tmp_path: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "parts.toml"
    file.write_text(text)
    return run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--hardware", str(file), "--hardware-simulate",
               *options, "tests/devices/test_hardware.py")  # fmt: skip


def test_the_suite_for_real_parts_leaves_outputs_alone(tmp_path: Path) -> None:
    done = suite(tmp_path, PARTS, "-vv")
    assert done.returncode == 0, done.stdout
    assert "[climate]" in done.stdout and "[door]" in done.stdout and "[lamp]" not in done.stdout
    assert "8 passed" in done.stdout and "skipped" not in done.stdout


def test_the_suite_for_real_parts_drives_outputs_when_told(tmp_path: Path) -> None:
    done = suite(tmp_path, PARTS, "--drive-outputs", "-vv")
    assert done.returncode == 0, done.stdout
    assert "[lamp]" in done.stdout and "12 passed" in done.stdout


def test_the_suite_for_real_parts_fails_for_a_part_that_fails(tmp_path: Path) -> None:
    done = suite(tmp_path, '[things.bad]\ndriver = "simulated"\nfault = "error"\n', "--drive-outputs")
    assert done.returncode == 1 and BadData.__name__ in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing to test"),
        ('[things.lamp]\ndriver = "relay"\npin = 17\n', "outputs need --drive-outputs"),
        ('[things.x]\ndriver = "bme281"\n', 'did you mean "bme280"'),
        ('[things.x]\ndriver = "relay"\npin = 99\n', "pin: 99 is not a whole number from 0 to 27"),
        ("[things.x]\npin = 3\n", "needs a driver"),
        ("not TOML", "parts.toml"),
    ],
)
def test_the_suite_for_real_parts_says_what_is_wrong_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    done = suite(tmp_path, text)
    assert done.returncode not in (0, 5) and said in done.stdout + done.stderr


def test_without_the_option_the_suite_for_real_parts_is_not_there() -> None:
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only", "tests/devices")
    assert "test_contract.py" in done.stdout and "test_hardware.py" not in done.stdout
