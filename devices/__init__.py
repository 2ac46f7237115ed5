"""Chips and pins: one file per part, usable without the hub (`python -m devices NAME`).

    base.py       what a driver is: declared fields and parameters, its life, the ways it can fail
    bus.py        the seam to the wires: the only importer of hardware libraries
    fake.py       buses without wires
    simulated.py  a part that exists only in software: waves, counters, a lamp, faults on demand
    *.py          one chip or pin role each: datasheet, registers, Config, FIELDS, decode, driver, stand-in
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

from devices.base import Driver, InvalidValue
from devices.bus import Buses
from devices.fake import SimulatedBuses

_ROOMS_OWN = {"base", "bus", "fake", "mqtt_payloads", "settings", "__main__"}


def modules() -> list[str]:
    """Names of the modules that hold a driver."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if m.name not in _ROOMS_OWN)


def drivers() -> Iterator[type[Driver]]:
    """Every driver class; imports all of them, for listings and tests."""
    for module in modules():
        yield from importlib.import_module(f"devices.{module}").DRIVERS


def find(name: str) -> type[Driver]:
    """The driver that the configuration calls `name`. Raises InvalidValue that suggests what was meant."""
    direct = name.replace("-", "_")
    candidates = [direct] if direct in modules() else modules()
    for module in candidates:
        for driver in importlib.import_module(f"devices.{module}").DRIVERS:
            if name in driver.NAMES:
                return driver  # type: ignore[no-any-return]  # module attributes are untyped
    known = sorted(n for driver in drivers() for n in driver.NAMES)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f'did you mean "{close[0]}"?' if close else "known: " + ", ".join(known)
    raise InvalidValue(f'no driver is called "{name}"; {hint}')


def build(driver: type[Driver], config: Any, buses: Buses) -> Driver:
    """A driver for `config` on `buses`; on simulated ones its stand-in is attached first."""
    if isinstance(buses, SimulatedBuses):
        buses.install(driver, config)
    return driver(config, buses)
