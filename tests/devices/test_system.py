"""The machine itself, on made-up trees."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from devices.base import BadData, BusUnavailable, NotResponding
from devices.fake import SimulatedBuses
from devices.system import FakeSystem, System, decode, disk_used
from tests.devices.vector import Vector

MEMINFO = "MemTotal: 1000000 kB\nMemFree:          100000 kB\nMemAvailable:     250000 kB\nHugePages_Free: 0\n"
VECTORS = [
    Vector(({"temp": "48312\n"},), {"cpu_temperature": 48.312}, "sysfs-class-thermal: millidegrees", 1e-9),
    Vector(({"temp": "-1500\n"},), {"cpu_temperature": -1.5}, "sysfs-class-thermal: millidegrees", 1e-9),
    Vector(({"loadavg": "0.75 0.35 0.25 1/25 1747\n"},), {"load": 0.75}, "proc_loadavg(5): first field, 1 minute"),
    Vector(({"meminfo": MEMINFO},), {"memory_used": 75.0}, "1 - MemAvailable / MemTotal", 1e-9),
    Vector(({"uptime": "86412.97 341015.11\n"},), {"uptime": 86412}, "proc_uptime(5): first field, seconds"),
    Vector(({"throttled": "0\n"},), {"under_voltage": False, "throttled": False}, "get_throttled: no bit"),
    Vector(({"throttled": "50005\n"},), {"under_voltage": True, "throttled": True}, "get_throttled: bits 0 and 2"),
    Vector(({"throttled": "50000\n"},), {"under_voltage": False, "throttled": False}, "bits 16, 18: in the past"),
    Vector(({"throttled": "8\n"},), {"under_voltage": False, "throttled": True}, "bit 3: soft temperature limit"),
    Vector(({"alarm": "1\n"},), {"under_voltage": True}, "hwmon sysfs-interface: 1 is an alarm"),
    Vector(({},), {}, "nothing there: nothing said"),
]
FIRMWARE = "sys/devices/platform/soc/soc:firmware/get_throttled"
HEALTHY = {
    "cpu_temperature": 48.312,
    "load": 0.18,
    "memory_used": pytest.approx(25.0, abs=0.001),
    "disk_used": pytest.approx(23.33, abs=0.01),
    "uptime": 86412,
    "under_voltage": False,
    "throttled": False,
}


def make() -> tuple[System, FakeSystem]:
    buses = SimulatedBuses()
    config = System.Config()
    buses.install(System, config)
    driver = System(config, buses)
    driver.open()
    return driver, buses.parts[config]


def test_a_healthy_pi() -> None:
    driver, _ = make()
    assert driver.read() == HEALTHY


def test_a_pi_on_a_weak_supply() -> None:
    driver, machine = make()
    machine.write(FIRMWARE, "50005\n")
    assert driver.read() == {**HEALTHY, "under_voltage": True, "throttled": True}


def test_without_the_firmwares_file_the_voltage_monitor_speaks() -> None:
    driver, machine = make()
    (machine.root / FIRMWARE).unlink()
    machine.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    values = driver.read()
    assert values["under_voltage"] is True and "throttled" not in values


def test_another_monitors_alarm_is_not_ours() -> None:
    driver, machine = make()
    (machine.root / FIRMWARE).unlink()
    machine.write("sys/class/hwmon/hwmon1/name", "nct6775\n")
    machine.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    assert "under_voltage" not in driver.read()


def test_the_processors_zone_is_preferred_whatever_its_number() -> None:
    driver, machine = make()
    machine.write("sys/class/thermal/thermal_zone0/type", "acpitz\n")
    machine.write("sys/class/thermal/thermal_zone3/type", "cpu-thermal\n")
    machine.write("sys/class/thermal/thermal_zone3/temp", "61000\n")
    assert driver.read()["cpu_temperature"] == 61.0


def test_a_machine_without_a_source_lacks_its_field() -> None:
    driver, machine = make()
    for name in (FIRMWARE, "sys/class/thermal/thermal_zone0/temp", "sys/class/hwmon/hwmon1/in0_lcrit_alarm"):
        (machine.root / name).unlink()
    assert set(driver.read()) == {"load", "memory_used", "disk_used", "uptime"}


@pytest.mark.parametrize("source", ["temp", "loadavg", "meminfo", "uptime", "throttled", "alarm"])
@pytest.mark.parametrize("text", ["", "nonsense\n", "MemTotal: 0 kB\nMemAvailable: 0 kB\n"])
def test_a_text_that_is_not_understood_is_bad_data(source: str, text: str) -> None:
    with pytest.raises(BadData, match=source):
        decode({source: text})


def test_the_disk_is_counted_as_df_does() -> None:
    assert disk_used(total=100, used=60, free=20) == 75.0  # 20 are reserved for root
    assert disk_used(0, 0, 0) == 0.0


def test_a_path_that_is_not_there_is_told_at_the_start(tmp_path: Path) -> None:
    from devices.bus import Buses

    with pytest.raises(BusUnavailable, match="gone"):
        System(System.Config(path=str(tmp_path / "gone")), Buses()).open()


def test_a_disk_pulled_out_later_leaves_its_field_out(tmp_path: Path) -> None:
    driver, machine = make()

    def gone(path: str) -> tuple[int, int, int]:
        raise FileNotFoundError(2, "No such file or directory")

    driver.buses.disk_usage = gone
    assert "disk_used" not in driver.read()
    driver.buses.root = tmp_path
    with pytest.raises(NotResponding, match="nothing to read"):
        driver.read()
    assert machine.root.is_dir()


def test_the_made_up_tree_goes_with_its_maker() -> None:
    driver, machine = make()
    root = machine.root
    del driver, machine
    gc.collect()
    assert not root.exists()
