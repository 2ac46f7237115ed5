"""`python -m devices`: lists the drivers, or reads one part without the hub.

    python -m devices                                          every driver: its name and what it is
    python -m devices bme280 address=0x77                      one reading
    python -m devices button pin=17 --watch 5                  one every five seconds, and at once when it is pressed
    python -m devices relay pin=17 --set output=true           sets an output, then reads it back
    python -m devices hcsr04 trigger=23 echo=24 --simulate     on its stand-in, on any machine

An output is never opened without `--set`: opening drives it, and nobody has said to what. Pulses (pwm, servo) and fades
are made by this program and end with it: add `--watch`.
Exit status: 0 done, 1 the part or its bus failed, 2 a name, setting or value is wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import devices
from devices.base import DeviceError, Driver, InvalidValue, OutputDriver, Value
from devices.bus import Buses
from devices.fake import SimulatedBuses
from devices.settings import make_config, parse_value, settings_of

DONE, FAILED, WRONG = 0, 1, 2


def main(argv: list[str] | None = None, wait: Callable[[threading.Event, float], object] | None = None) -> int:
    """`wait` passes the time between two readings; it may end early when the event is set."""
    arguments = _parser().parse_args(argv)
    if arguments.name is None:
        _list()
        return DONE
    buses: Buses = SimulatedBuses() if arguments.simulate else Buses()
    try:
        return _run(arguments, buses, wait or threading.Event.wait)
    except InvalidValue as error:
        print(error, file=sys.stderr)
        return WRONG
    except DeviceError as error:
        print(f"{arguments.name}: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return DONE
    except BrokenPipeError:  # `… | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is flushed at the exit
        return DONE
    finally:
        buses.close()


def _parser() -> argparse.ArgumentParser:
    head, _, rest = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        "python -m devices", description=head, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", help="driver, as the list names it")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="what [things.NAME] would hold")
    parser.add_argument("--simulate", action="store_true", help="use the part's stand-in, not this machine's buses")
    parser.add_argument("--watch", type=_seconds, metavar="SECONDS", help="go on reading until Ctrl-C")
    parser.add_argument("--set", action="append", default=[], metavar="param=value", dest="values", help="write first")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < threading.TIMEOUT_MAX:
        raise ValueError
    return seconds


def _list() -> None:
    rows = sorted((driver.NAMES[0], driver.TITLE) for driver in devices.drivers())
    width = max(len(name) for name, _ in rows)
    for name, title in rows:
        print(f"{name:{width}}  {title}")


def _run(arguments: argparse.Namespace, buses: Buses, wait: Callable[[threading.Event, float], object]) -> int:
    kind = devices.find(arguments.name)
    try:
        config = make_config(kind.Config, _pairs(arguments.settings), texts=True)
    except InvalidValue as error:
        known = ", ".join(settings_of(kind.Config))
        raise InvalidValue(f"{error} (settings of {kind.NAMES[0]}: {known or 'none'})") from None
    driver = devices.build(kind, config, buses)
    values = _values(driver, _pairs(arguments.values))
    if isinstance(driver, OutputDriver) and driver.parameters and not values and not arguments.simulate:
        needed = ", ".join(f"{p.name} ({p.limits()})" for p in driver.parameters)
        raise InvalidValue(f"{kind.NAMES[0]} is an output and would be driven: say to what with --set, of {needed}")
    changed = threading.Event()
    driver.notify = changed.set
    try:
        _open(driver, values)
        _print(driver)
        opened = True
        while arguments.watch is not None:
            wait(changed, arguments.watch)
            changed.clear()
            print()
            opened = _watch_once(driver, values, opened)
    finally:
        driver.close()
    return DONE


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InvalidValue(f"{text}: it should be key=value")
        pairs[key] = value
    return pairs


def _values(driver: Driver, texts: Mapping[str, str]) -> dict[str, Value]:
    """What is to be written, checked, in the order of the parameters."""
    specs = {spec.name: spec for spec in driver.parameters} if isinstance(driver, OutputDriver) else {}
    for name in texts:
        if name not in specs:
            raise InvalidValue(f"{name}: there is no such parameter; known: {', '.join(specs) or 'none'}")
    return {name: parse_value(spec, texts[name]) for name, spec in specs.items() if name in texts}


def _open(driver: Driver, values: Mapping[str, Value]) -> None:
    if not isinstance(driver, OutputDriver):
        driver.open()
        return
    # What belongs to the state goes in with the opening, so that nothing passes through "off" on its way to "on".
    driver.open_with({name: values.get(name, value) for name, value in driver.states["off"].items()})
    if values:
        driver.write(values)


def _watch_once(driver: Driver, values: Mapping[str, Value], opened: bool) -> bool:
    """Whether the part is open afterwards. A failure is told; as in the hub, close and the next open mend it."""
    try:
        if not opened:
            _open(driver, values)
        _print(driver)
    except DeviceError as error:
        print(error, file=sys.stderr)
        driver.close()
        return False
    return True


def _print(driver: Driver) -> None:
    raw = driver.read()
    width = max((len(spec.name) for spec in driver.fields), default=0)
    for spec in driver.fields:
        text = _text(spec.value(raw[spec.name])) if spec.name in raw else "missing"
        print(f"{spec.name:{width}}  {text} {spec.unit if text != 'missing' else ''}".rstrip(), flush=True)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


if __name__ == "__main__":
    sys.exit(main())
