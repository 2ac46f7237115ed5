"""Buses without wires: register maps and pins that behave like the datasheet says, for demos, tests and laptops.

Rules of this file
* It knows buses, not chips: a chip's stand-in lives in the chip's own file, beside the registers it imitates.
* Electrical truth is kept: a chip that is not attached does not acknowledge, a pin keeps its level when the process
  that drove it dies (see `pin_trace`), and closing an output lets it fall to its pull.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from devices.base import BusUnavailable, Driver, NotResponding
from devices.bus import I2C, SPI, Buses, MqttHeard, Pin, i2c_error

T = TypeVar("T")


class FakeChip(Protocol):
    """The far end of an I²C transfer. An OSError raised here travels the way a kernel error would."""

    def write(self, data: bytes) -> None: ...
    def read(self, count: int) -> bytes: ...


class RegisterChip:
    """A chip with 8-bit register addresses and a pointer that a write sets and a read moves on."""

    def __init__(self) -> None:
        self.registers = bytearray(256)
        self.pointer = 0

    def write(self, data: bytes) -> None:
        if not data:
            return  # an address probe: the acknowledge is the answer
        self.pointer = data[0]
        for value in data[1:]:
            self.on_write(self.pointer, value)
            self.pointer = (self.pointer + 1) & 0xFF

    def read(self, count: int) -> bytes:
        self.on_read(self.pointer, count)
        start = self.pointer
        self.pointer = (start + count) & 0xFF
        return bytes(self.registers[(start + i) & 0xFF] for i in range(count))

    def on_write(self, register: int, value: int) -> None:
        """What the chip does when one register is written; the default remembers the value."""
        self.registers[register] = value

    def on_read(self, register: int, count: int) -> None:
        """Called before `count` registers are read: the place to refresh measured values."""


class WordChip:
    """A chip with 16-bit big-endian registers behind an 8-bit pointer (lm75, mcp9808, ads1115, ina219 …)."""

    def __init__(self) -> None:
        self.words: dict[int, int] = {}
        self.pointer = 0

    def write(self, data: bytes) -> None:
        if not data:
            return  # an address probe: the acknowledge is the answer
        self.pointer = data[0]
        if len(data) >= 3:
            self.on_write(self.pointer, int.from_bytes(data[1:3], "big"))
        elif len(data) == 2:
            self.on_write(self.pointer, data[1] << 8)

    def read(self, count: int) -> bytes:
        self.on_read(self.pointer)
        word = self.words.get(self.pointer, 0).to_bytes(2, "big")
        return (word * (count // 2 + 1))[:count]

    def on_write(self, register: int, value: int) -> None:
        self.words[register] = value

    def on_read(self, register: int) -> None:
        """Called before a register is read: the place to refresh measured values."""


class FakeI2C:
    """An I²C bus whose slaves are Python objects. Detach one to pull its plug."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.chips: dict[int, FakeChip] = {}

    def attach(self, address: int, chip: FakeChip) -> None:
        self.chips[address] = chip

    def detach(self, address: int) -> None:
        self.chips.pop(address, None)

    def write(self, address: int, data: bytes) -> None:
        self._transfer(address, lambda chip: chip.write(data))

    def read(self, address: int, count: int) -> bytes:
        return self._transfer(address, lambda chip: chip.read(count))

    def write_read(self, address: int, data: bytes, count: int) -> bytes:
        def both(chip: FakeChip) -> bytes:
            chip.write(data)
            return chip.read(count)

        return self._transfer(address, both)

    def _transfer(self, address: int, action: Callable[[FakeChip], T]) -> T:
        try:
            if address not in self.chips:
                raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))
            return action(self.chips[address])
        except OSError as error:
            raise i2c_error(f"/dev/i2c-{self.number}", address, error) from error


class FakeBroker:
    """An MQTT broker without a network. `kept` is what it holds of retained messages; `devices` are asked to report,
    as a part does that reports again and again, when somebody begins to listen."""

    def __init__(self) -> None:
        self.connected = True
        self.kept: dict[str, bytes] = {}
        self.devices: list[Callable[[], None]] = []
        self._listeners: dict[str, list[MqttHeard]] = {}

    def listen(self, topic: str, heard: MqttHeard) -> Callable[[], None]:
        listeners = self._listeners.setdefault(topic, [])
        listeners.append(heard)
        if topic in self.kept:
            heard(topic, self.kept[topic], True)
        for report in self.devices:
            report()
        return lambda: listeners.remove(heard) if heard in listeners else None

    def publish(self, topic: str, payload: bytes, timeout: float = 0.0, retain: bool = False) -> None:
        if not self.connected:
            raise NotResponding("the simulated MQTT broker is away")
        if retain:
            self.kept[topic] = payload
        for heard in list(self._listeners.get(topic, ())):
            heard(topic, payload, False)


class SimulatedBuses(Buses):
    """Every bus, simulated. `devices.build` puts the stand-in of each part it builds on them.

    With `pin_trace` each change of a pin is appended to that file as `seconds pin function level`, and pins begin
    where the file ends: like real GPIO, levels outlive the process, also one that was killed.
    """

    def __init__(self, pin_trace: Path | None = None) -> None:
        super().__init__()
        self.parts: dict[Any, Any] = {}
        """Stand-ins by the Config they were made for, for tests and the demo to turn their knobs."""
        self._fake_i2c: dict[int, FakeI2C] = {}
        self._fake_spi: dict[tuple[int, int], SPI] = {}
        self._pin_trace = pin_trace
        self._one_wire: tempfile.TemporaryDirectory[str] | None = None
        self._broker = FakeBroker()

    def install(self, driver: type[Driver], config: Any) -> None:
        """Attach the stand-in of `driver` for `config`, once per Config."""
        if config not in self.parts:
            self.parts[config] = driver.fake(config, self)

    def i2c(self, number: int) -> I2C:
        return self.fake_i2c(number)

    def fake_i2c(self, number: int) -> FakeI2C:
        return self._fake_i2c.setdefault(number, FakeI2C(number))

    def spi(self, bus: int, select: int, max_hz: int) -> SPI:
        if (bus, select) not in self._fake_spi:
            raise BusUnavailable(f"nothing is attached to the simulated SPI bus {bus}, select {select}")
        return self._fake_spi[bus, select]

    def attach_spi(self, bus: int, select: int, device: SPI) -> None:
        self._fake_spi[bus, select] = device

    def mqtt(self) -> FakeBroker:
        return self._broker

    def one_wire(self) -> Path:
        if self._one_wire is None:
            self._one_wire = tempfile.TemporaryDirectory(prefix="one-wire-")
        return Path(self._one_wire.name)

    def close(self) -> None:
        super().close()
        if self._one_wire is not None:
            self._one_wire.cleanup()
            self._one_wire = None

    def _make_pin_factory(self) -> Any:
        return make_pin_factory(PinTrace(self._pin_trace) if self._pin_trace else None)


class PinTrace:
    """The append-only file behind simulated pins that outlive their process."""

    def __init__(self, path: Path) -> None:
        self.levels: dict[int, tuple[str, float]] = {}
        if path.exists():
            for line in path.read_text().splitlines():
                with contextlib.suppress(ValueError):  # a line cut by a kill
                    _, pin, function, level = line.split()
                    self.levels[int(pin)] = (function, float(level))
        self._path = path

    def note(self, pin: int, function: str, level: float) -> None:
        with self._path.open("a") as file:
            file.write(f"{time.monotonic():.6f} {pin} {function} {level:g}\n")


def make_pin_factory(trace: PinTrace | None) -> Any:
    """A gpiozero MockFactory with PWM whose pins report to `trace`."""
    from gpiozero.pins.mock import MockFactory, MockPWMPin

    class TracedPin(MockPWMPin):  # type: ignore[misc]  # gpiozero is untyped
        def __init__(self, factory: Any, info: Any) -> None:
            super().__init__(factory, info)
            self._number: int | None = _gpio_number(info)
            if trace is not None and self._number in trace.levels:
                self._function, level = trace.levels[self._number]
                self._state = level if self._function == "output" else bool(level)
                self.clear_states()

        def output_with_state(self, state: bool) -> None:
            # Level and direction in one step, as the kernel's line request does it.
            changed = self._function != "output" or self._state != state
            self._function = "output"
            self._change_state(state)
            if changed:
                self._note()

        def _set_function(self, value: str) -> None:
            super()._set_function(value)
            self._note()

        def _set_state(self, value: float) -> None:
            before = self._state
            super()._set_state(value)
            if self._state != before:
                self._note()

        def _note(self) -> None:
            if trace is not None and self._number is not None:
                trace.note(self._number, self._function, float(self._state))

    return MockFactory(pin_class=TracedPin)


def _gpio_number(info: Any) -> int | None:
    """The BCM number of a gpiozero PinInfo (`GPIO17` → 17); None for power pins."""
    name = str(info.name)
    return int(name[4:]) if name.startswith("GPIO") and name[4:].isdigit() else None


def drive(pin: Pin, high: bool) -> None:
    """What the outside world does to a simulated input pin."""
    mock: Any = pin
    if high:
        mock.drive_high()
    else:
        mock.drive_low()
