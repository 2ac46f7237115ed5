"""The seam between drivers and wires: I²C, SPI, 1-Wire and GPIO; and the broker of those that speak MQTT.

Rules of this file
* It is the only importer of smbus2, spidev and gpiozero, and imports each when the first part needs it: a node
  without pins does not pay for them.
* `Buses` is built once and handed to every driver; there is no module state. `Buses` talks to the kernel,
  `devices.fake.SimulatedBuses` to register maps, and a driver cannot tell them apart.
* What the operating system says is turned into a DeviceError that names the mend.
"""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Protocol

from devices.base import BusUnavailable, DeviceError, Matches, NotResponding

ONE_WIRE_ROOT = Path("/sys/bus/w1/devices")


class I2C(Protocol):
    """One I²C bus. Addresses are 7 bits, as `i2cdetect` prints them."""

    def write(self, address: int, data: bytes) -> None: ...
    def read(self, address: int, count: int) -> bytes: ...
    def write_read(self, address: int, data: bytes, count: int) -> bytes:
        """Write, repeated start, read: no other master can come between."""
        ...


class SPI(Protocol):
    """One chip select of an SPI bus."""

    def transfer(self, data: bytes) -> bytes:
        """Full duplex: as many bytes come back as go out."""
        ...


class Pin(Protocol):
    """What drivers use of a gpiozero pin. Levels are electrical: True is high."""

    state: Any
    function: str
    pull: str
    bounce: float | None
    edges: str
    frequency: float | None
    when_changed: Callable[[float, int], None] | None

    def output_with_state(self, state: bool) -> None: ...
    def close(self) -> None: ...


TOPIC = Matches(r"[^+#$\s\x00/][^+#\s\x00]{0,199}", 'a topic like "home/greenhouse", without +, # or space')

MqttHeard = Callable[[str, bytes, bool], None]
"""Told topic, payload, and whether the broker kept it from earlier; from another thread, and must not block."""


class Mqtt(Protocol):
    """A connection to an MQTT broker that somebody else keeps up; usable from any thread."""

    @property
    def connected(self) -> bool: ...
    def listen(self, topic: str, heard: MqttHeard) -> Callable[[], None]:
        """Hear `topic` (no wildcards) from now on, over every loss of the connection; what is returned ends it."""
        ...

    def publish(self, topic: str, payload: bytes, timeout: float) -> None:
        """Returns when the broker has taken it. Raises NotResponding after `timeout` seconds, or without one."""
        ...


class Buses:
    """Real buses of this machine, opened when first used."""

    def __init__(self) -> None:
        self._i2c: dict[int, _KernelI2C] = {}
        self._spi: dict[tuple[int, int], _KernelSPI] = {}
        self._pin_factory: Any = None
        self.broker: Mqtt | None = None
        """Given by whoever keeps an MQTT connection: no driver opens one."""
        self.root = Path("/")
        """Where the machine's own files begin (/proc, /sys); a stand-in points it at a made-up tree."""
        self.disk_usage: Callable[[str], tuple[int, int, int]] = shutil.disk_usage
        """Bytes of the file system that holds a path: total, used, free."""

    def i2c(self, number: int) -> I2C:
        """Raises BusUnavailable when /dev/i2c-NUMBER cannot be opened."""
        if number not in self._i2c:
            self._i2c[number] = _KernelI2C(number)
        return self._i2c[number]

    def spi(self, bus: int, select: int, max_hz: int) -> SPI:
        """SPI mode 0. Raises BusUnavailable when /dev/spidevBUS.SELECT cannot be opened."""
        if (bus, select) not in self._spi:
            self._spi[bus, select] = _KernelSPI(bus, select)
        self._spi[bus, select].limit(max_hz)
        return self._spi[bus, select]

    def one_wire(self) -> Path:
        """The kernel's folder of 1-Wire slaves, one sub-folder per serial number."""
        if not ONE_WIRE_ROOT.is_dir():
            raise BusUnavailable(
                "1-Wire is off: add `dtoverlay=w1-gpio` to /boot/firmware/config.txt and reboot"
            )
        return ONE_WIRE_ROOT

    def mqtt(self) -> Mqtt:
        """Raises BusUnavailable where nobody keeps a connection to a broker."""
        if self.broker is None:
            raise BusUnavailable("no MQTT broker: a part on MQTT needs a hub with [mqtt] in its configuration")
        return self.broker

    def pin_factory(self) -> Any:
        """The gpiozero factory, for drivers that use a gpiozero device class. Never closed: closing it would
        turn every output into an input, and a safe state must hold after we are gone."""
        if self._pin_factory is None:
            self._pin_factory = self._make_pin_factory()
        return self._pin_factory

    def pin(self, number: int) -> Pin:
        """GPIO `number` (BCM numbering). Raises BusUnavailable."""
        factory = self.pin_factory()
        with gpio_errors(number):
            return factory.pin(number)  # type: ignore[no-any-return]  # gpiozero is untyped

    def input_pin(self, number: int, pull: Literal["up", "down", "none"]) -> Pin:
        """GPIO `number` as an input that reports both edges once `when_changed` is set. Raises BusUnavailable."""
        pin = self.pin(number)
        with gpio_errors(number):
            pin.when_changed = None
            pin.function = "input"
            pin.pull = "floating" if pull == "none" else pull
            pin.edges = "both"
        return pin

    def silence(self, pin: Pin) -> None:
        """Ends the reports of an input. Never raises: a line that is gone reports nothing either."""
        with suppress(Exception):
            pin.when_changed = None

    def output_pin(self, number: int, high: bool) -> Pin:
        """GPIO `number` as an output whose first level is `high`. Raises BusUnavailable."""
        pin = self.pin(number)
        with gpio_errors(number):
            pin.output_with_state(high)
        return pin

    def close(self) -> None:
        for i2c in self._i2c.values():
            i2c.close()
        for spi in self._spi.values():
            spi.close()
        self._i2c.clear()
        self._spi.clear()

    def _make_pin_factory(self) -> Any:
        from gpiozero.exc import BadPinFactory

        give_lgpio_a_folder()
        try:
            from gpiozero.pins.lgpio import LGPIOFactory

            factory = LGPIOFactory()
            factory.pin_class = steady_pin_class()
            return factory
        except (ImportError, BadPinFactory, OSError) as error:
            raise BusUnavailable(
                f"no GPIO on this machine ({error}): on a Pi, install the lgpio package and add the user to the "
                "group gpio; elsewhere, run with --simulate"
            ) from error
        except Exception as error:  # lgpio raises its own bare `error` class
            raise BusUnavailable(f"the GPIO chip cannot be opened: {error}") from error


def give_lgpio_a_folder() -> None:
    """lgpio makes a pipe in its folder when it is imported; left to itself it takes the one we happen to stand in."""
    if "LG_WD" not in os.environ:
        folder = os.environ.get("RUNTIME_DIRECTORY") or tempfile.mkdtemp(prefix="lgpio-")
        os.environ["LG_WD"] = folder
        if folder != os.environ.get("RUNTIME_DIRECTORY"):
            atexit.register(shutil.rmtree, folder, ignore_errors=True)


@contextmanager
def gpio_errors(number: int) -> Iterator[None]:
    """Whatever gpiozero or its back-end raises about GPIO `number`, as a BusUnavailable."""
    try:
        yield
    except DeviceError:
        raise
    except Exception as error:  # gpiozero's factories each raise their own
        raise BusUnavailable(f"GPIO {number} cannot be used: {error}") from error


def steady_pin_class() -> Any:
    """gpiozero's lgpio pin without three habits that outputs cannot have (seen in gpiozero 2.0.1).

    It claims a pin as a floating input when the object is made, goes to low before the first level asked for, and
    cuts duty cycles to whole percent: a relay would flip at every start, and a servo know five positions.
    """
    from gpiozero.pins import lgpio as backend
    from gpiozero.pins.local import LocalPiPin

    lg = backend.lgpio

    class SteadyPin(backend.LGPIOPin):  # type: ignore[misc]  # gpiozero is untyped
        def __init__(self, factory: Any, info: Any) -> None:
            LocalPiPin.__init__(self, factory, info)  # not LGPIOPin's, which claims an input
            self._pwm: tuple[float, float] | None = None
            self._bounce = None
            self._callback = None
            self._edges = lg.BOTH_EDGES

        def output_with_state(self, state: bool) -> None:
            if self._pwm:
                self.frequency = None
            lg.gpio_claim_output(self.factory._handle, self._number, int(state))

        def _set_state(self, value: float) -> None:
            if self._pwm is None:
                super()._set_state(value)
                return
            duty = value * 100.0
            lg.tx_pwm(self.factory._handle, self._number, self._pwm[0], duty)
            self._pwm = (self._pwm[0], duty)

    return SteadyPin


class _KernelI2C:
    def __init__(self, number: int) -> None:
        from smbus2 import SMBus

        self._path = f"/dev/i2c-{number}"
        try:
            self._bus = SMBus(number)
        except FileNotFoundError:
            raise BusUnavailable(
                f"{self._path} does not exist: switch I²C on with `sudo raspi-config nonint do_i2c 0`"
            ) from None
        except PermissionError:
            raise BusUnavailable(
                f"{self._path} may not be opened: `sudo adduser $USER i2c`, then log in again"
            ) from None
        except OSError as error:
            raise BusUnavailable(f"{self._path} cannot be opened: {error}") from error

    def write(self, address: int, data: bytes) -> None:
        from smbus2 import i2c_msg

        self._transact(address, i2c_msg.write(address, data))

    def read(self, address: int, count: int) -> bytes:
        from smbus2 import i2c_msg

        answer = i2c_msg.read(address, count)
        self._transact(address, answer)
        return bytes(answer)

    def write_read(self, address: int, data: bytes, count: int) -> bytes:
        from smbus2 import i2c_msg

        answer = i2c_msg.read(address, count)
        self._transact(address, i2c_msg.write(address, data), answer)
        return bytes(answer)

    def _transact(self, address: int, *messages: Any) -> None:
        try:
            self._bus.i2c_rdwr(*messages)
        except OSError as error:
            raise i2c_error(self._path, address, error) from error

    def close(self) -> None:
        self._bus.close()


def i2c_error(path: str, address: int, error: OSError) -> DeviceError:
    """The kernel's errno in words (Documentation/i2c/fault-codes.rst)."""
    if error.errno in (errno.ENXIO, errno.EREMOTEIO, errno.EIO):
        return NotResponding(
            f"nothing answers at 0x{address:02x} on {path}: check wiring, power and address (`i2cdetect -y N`)"
        )
    if error.errno in (errno.ETIMEDOUT, errno.EAGAIN):
        return NotResponding(f"{path} is stuck or busy (0x{address:02x}): a part may hold the clock line low")
    return NotResponding(f"{path}, 0x{address:02x}: {error}")


class _KernelSPI:
    def __init__(self, bus: int, select: int) -> None:
        path = f"/dev/spidev{bus}.{select}"
        try:
            import spidev

            self._device = spidev.SpiDev()
            self._device.open(bus, select)
        except ImportError:
            raise BusUnavailable("the spidev package is missing: `pip install spidev`") from None
        except FileNotFoundError:
            raise BusUnavailable(
                f"{path} does not exist: switch SPI on with `sudo raspi-config nonint do_spi 0`"
            ) from None
        except OSError as error:
            raise BusUnavailable(f"{path} cannot be opened: {error}") from error
        self._device.mode = 0
        self._path = path

    def limit(self, max_hz: int) -> None:
        self._device.max_speed_hz = max_hz

    def transfer(self, data: bytes) -> bytes:
        try:
            return bytes(self._device.xfer2(list(data)))
        except OSError as error:
            raise NotResponding(f"{self._path}: {error}") from error

    def close(self) -> None:
        self._device.close()
