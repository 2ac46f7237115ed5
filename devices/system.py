"""The machine itself: CPU temperature, load, memory, disk, time since the start, and a Raspberry Pi's power warnings.

References: Linux kernel documentation (proc.rst for /proc/loadavg, /proc/meminfo and /proc/uptime; sysfs-class-thermal
and hwmon/sysfs-interface.rst for /sys/class); Raspberry Pi documentation, `vcgencmd get_throttled`, for the bits.

A field is left out where the machine lacks what it is read from: a laptop has no under-voltage warning.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from devices import base
from devices.base import BadData, BusUnavailable, Driver, FieldSpec, NotResponding, ValueType
from devices.fake import SimulatedBuses

# Bits of get_throttled that say what is; those from 16 on say what has been since the start
UNDER_VOLTAGE = 1 << 0
FREQUENCY_CAPPED = 1 << 1
THROTTLED = 1 << 2
SOFT_LIMIT = 1 << 3
SLOWED = FREQUENCY_CAPPED | THROTTLED | SOFT_LIMIT

FIRMWARE = "sys/devices/platform/soc*/soc*:firmware/get_throttled"  # soc/soc:firmware; the Pi 5 adds addresses
HWMON = "sys/class/hwmon/hwmon*"
VOLTAGE_MONITOR = "rpi_volt"  # the Pi's own; other monitors have alarms of the same file name
THERMAL = "sys/class/thermal/thermal_zone*"


def decode(texts: Mapping[str, str]) -> dict[str, float | int | bool]:
    """Fields from the texts of files, by source: temp, loadavg, meminfo, uptime, throttled, alarm.

    A source that is not there leaves its fields out. Raises BadData when a text is not what it should be.
    """
    result: dict[str, float | int | bool] = {}
    for source, decoder in _DECODERS.items():
        if source in texts:
            try:
                result |= decoder(texts[source])
            except (ValueError, KeyError, IndexError, ZeroDivisionError):
                raise BadData(f"{source} is not understood: {texts[source][:60]!r}") from None
    return result


def _temp(text: str) -> dict[str, float]:
    return {"cpu_temperature": int(text) / 1000.0}


def _loadavg(text: str) -> dict[str, float]:
    return {"load": float(text.split()[0])}


def _meminfo(text: str) -> dict[str, float]:
    kib = {name: int(number) for name, number in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)}
    return {"memory_used": 100.0 * (1 - kib["MemAvailable"] / kib["MemTotal"])}


def _uptime(text: str) -> dict[str, int]:
    return {"uptime": int(float(text.split()[0]))}


def _throttled(text: str) -> dict[str, bool]:
    bits = int(text, 16)
    return {"under_voltage": bool(bits & UNDER_VOLTAGE), "throttled": bool(bits & SLOWED)}


def _alarm(text: str) -> dict[str, bool]:
    return {"under_voltage": bool(int(text))}


_DECODERS: Mapping[str, Any] = {
    "temp": _temp,
    "loadavg": _loadavg,
    "meminfo": _meminfo,
    "uptime": _uptime,
    "alarm": _alarm,
    "throttled": _throttled,  # after the alarm: it is of now, the alarm up to two seconds old
}


def disk_used(total: int, used: int, free: int) -> float:
    """Percent, as `df` counts: what is reserved for root is neither used nor free."""
    return 100.0 * used / (used + free) if used + free else 0.0


def texts(root: Path) -> dict[str, str]:
    """What of the files of this machine there is, by source; `root` is where its tree begins."""
    files = {name: root / "proc" / name for name in ("loadavg", "meminfo", "uptime")}
    zones = sorted(root.glob(THERMAL))
    for zone in [z for z in zones if "cpu" in (_text(z / "type") or "")][:1] or zones[:1]:
        files["temp"] = zone / "temp"
    for file in root.glob(FIRMWARE):
        files["throttled"] = file
    for monitor in root.glob(HWMON):
        if (_text(monitor / "name") or "").strip() == VOLTAGE_MONITOR:
            files["alarm"] = monitor / "in0_lcrit_alarm"
    found = {source: _text(file) for source, file in files.items()}
    return {source: text for source, text in found.items() if text is not None}


class System(Driver):
    """Reads files only; starts no program."""

    NAMES = ("system",)
    TITLE = "The machine itself: CPU temperature, load, memory, disk, power warnings"
    DATASHEET = "Linux kernel documentation; Raspberry Pi documentation, get_throttled"
    FIELDS: ClassVar[tuple[FieldSpec, ...]] = (
        FieldSpec("cpu_temperature", unit="°C", decimals=1, minimum=-40, maximum=150, description="of the processor"),
        FieldSpec("load", decimals=2, minimum=0, description="processes that run or wait to, over one minute"),
        FieldSpec("memory_used", unit="%", decimals=1, minimum=0, maximum=100, description="not available any more"),
        FieldSpec("disk_used", unit="%", decimals=1, minimum=0, maximum=100, description="of the disk behind path"),
        FieldSpec("uptime", ValueType.LONG, "s", minimum=0, category="status", description="since the machine started"),
        FieldSpec("under_voltage", ValueType.BOOLEAN, category="status", description="the supply is too weak now"),
        FieldSpec("throttled", ValueType.BOOLEAN, category="status", description="slowed by heat or supply now"),
    )
    INTERVAL = 60.0

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        path: str = "/"
        """Any folder of the disk that `disk_used` is about."""

    @property
    def lane(self) -> str:
        return "system"

    def open(self) -> None:
        try:
            self.buses.disk_usage(self.config.path)
        except OSError as error:
            raise BusUnavailable(f"path {self.config.path} cannot be measured: {error.strerror}") from error

    def read(self) -> Mapping[str, Any]:
        values: dict[str, Any] = decode(texts(self.buses.root))
        with contextlib.suppress(OSError):  # pulled out since: left out, like everything that is not there
            values["disk_used"] = disk_used(*self.buses.disk_usage(self.config.path))
        if not values:
            raise NotResponding(f"nothing to read below {self.buses.root}: this is no Linux machine")
        return values

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> FakeSystem:
        return FakeSystem(buses)


def _text(file: Path) -> str | None:
    try:
        return file.read_text()
    except OSError:
        return None


class FakeSystem:
    """The files of a healthy Pi, in a made-up tree that is removed with this object. `write` changes one."""

    FILES: ClassVar[Mapping[str, str]] = {
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "48312\n",
        "sys/class/hwmon/hwmon1/name": "rpi_volt\n",
        "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "0\n",
        "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
        "proc/loadavg": "0.18 0.24 0.20 1/187 2041\n",
        "proc/meminfo": "MemTotal:         948304 kB\nMemFree:          411220 kB\nMemAvailable:     711228 kB\n",
        "proc/uptime": "86412.07 341015.11\n",
    }

    def __init__(self, buses: SimulatedBuses) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="machine-"))
        weakref.finalize(self, shutil.rmtree, self.root, ignore_errors=True)
        self.disk = (32_000_000_000, 7_000_000_000, 23_000_000_000)
        for name, text in self.FILES.items():
            self.write(name, text)
        buses.root = self.root
        buses.disk_usage = self._usage

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def _usage(self, path: str) -> tuple[int, int, int]:
        return self.disk


DRIVERS = (System,)
