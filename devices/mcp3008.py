"""Microchip MCP3008 and MCP3004 (10 bits), MCP3208 and MCP3204 (12 bits): analogue inputs over SPI.

Datasheets: "MCP3004/3008 2.7V 4-Channel/8-Channel 10-Bit A/D Converters with SPI Serial Interface", DS21295D;
"MCP3204/3208 2.7V 4-Channel/8-Channel 12-Bit A/D Converters with SPI Serial Interface", DS21298E.

Wiring (MCP3008): VDD and VREF to 3V3, AGND and DGND to GND, CLK to GPIO 11 (pin 23), DOUT to GPIO 9 (pin 21), DIN to
GPIO 10 (pin 19), CS to GPIO 8 (pin 24, select 0) or GPIO 7 (pin 26, select 1). No input above VREF; a source of more
than about 1 kΩ wants a capacitor from the input to AGND (figure 4-2 shows what it costs in speed).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from devices import base
from devices.base import BadData, Driver, FieldSpec, Within
from devices.fake import SimulatedBuses

MAX_HZ = 1_000_000  # both families manage it at 2.7 V or just above (tables 1-1: 1.35 MHz and 1.0 MHz)

START = 1
SINGLE_ENDED = 1  # SGL/DIFF, table 5-2
FRAME_BITS = 24  # three bytes; the last bit of the result ends the third (figures 6-1)
COMMAND_BITS = 5  # start, SGL/DIFF, D2, D1, D0
GAP_BITS = 2  # the clock of the sample's end, then the null bit (figure 5-1)


def encode(channel: int, bits: int, differential: bool = False) -> bytes:
    """The three bytes that ask for `channel`, with leading zeros so that the answer ends with the third byte."""
    command = START << 4 | (0 if differential else SINGLE_ENDED) << 3 | channel
    return (command << (GAP_BITS + bits)).to_bytes(FRAME_BITS // 8, "big")


def decode(answer: bytes, bits: int, vref: float) -> float:
    """Volts from the three bytes that came back: code × VREF / 2^bits (section 4.2).

    Raises BadData when the null bit before the result is not zero: then nothing drives DOUT.
    """
    word = int.from_bytes(answer, "big")
    if word >> bits & 1:
        raise BadData("the bit before the result is not 0: no converter answers; check DOUT, CS and power")
    return (word & (1 << bits) - 1) * vref / (1 << bits)


class MCP3008(Driver):
    """Each channel is sampled when it is read; nothing runs in between."""

    NAMES: ClassVar[tuple[str, ...]] = ("mcp3008", "mcp3004")
    TITLE = "Microchip MCP3008 (or MCP3004): 8 (4) analogue inputs, 10 bits"
    DATASHEET = "DS21295D"
    BITS = 10

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        bus: Annotated[int, Within(0, 6)] = 0
        select: Annotated[int, Within(0, 2)] = 0
        channels: tuple[Annotated[int, Within(0, 7)], ...] = (0, 1, 2, 3, 4, 5, 6, 7)
        vref: Annotated[float, Within(0.25, 5.5, "V")] = 3.3
        differential: bool = False
        """Each channel against its neighbour (0 against 1, 1 against 0, 2 against 3 …); below nothing is 0 V."""

        def problems(self) -> Mapping[str, str]:
            if not self.channels or len(set(self.channels)) != len(self.channels):
                return {"channels": "at least one channel, and each once"}
            return {}

        def claims(self) -> frozenset[str]:
            return frozenset({f"spi {self.bus}.{self.select}"})

    def __init__(self, config: Config, buses: Any) -> None:
        super().__init__(config, buses)
        what = "volts above the neighbouring input" if config.differential else "volts above AGND"
        self._fields = tuple(
            FieldSpec(f"a{channel}", unit="V", decimals=4, minimum=0, maximum=config.vref, description=what)
            for channel in config.channels
        )

    @property
    def fields(self) -> tuple[FieldSpec, ...]:
        return self._fields

    @property
    def lane(self) -> str:
        return f"spi-{self.config.bus}"

    def open(self) -> None:
        self._sample(self.config.channels[0])

    def read(self) -> Mapping[str, float]:
        return {f"a{channel}": self._sample(channel) for channel in self.config.channels}

    def _sample(self, channel: int) -> float:
        spi = self.buses.spi(self.config.bus, self.config.select, MAX_HZ)
        answer = spi.transfer(encode(channel, self.BITS, self.config.differential))
        return decode(answer, self.BITS, self.config.vref)

    @classmethod
    def _fake(cls, config: Config, buses: SimulatedBuses) -> FakeMCP3xxx:
        device = FakeMCP3xxx(cls.BITS, config.vref)
        buses.attach_spi(config.bus, config.select, device)
        return device

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> FakeMCP3xxx:
        return MCP3008._fake(config, buses)


class MCP3208(MCP3008):
    NAMES = ("mcp3208", "mcp3204")
    TITLE = "Microchip MCP3208 (or MCP3204): 8 (4) analogue inputs, 12 bits"
    DATASHEET = "DS21298E"
    BITS = 12

    @staticmethod
    def fake(config: MCP3008.Config, buses: SimulatedBuses) -> FakeMCP3xxx:
        return MCP3208._fake(config, buses)


class FakeMCP3xxx:
    """Clocks bits in and out as figure 5-1 draws it, wherever the start bit comes. Set `volts` by channel."""

    def __init__(self, bits: int, vref: float) -> None:
        self.bits, self.vref = bits, vref
        self.volts = {channel: round(vref * (channel + 1) / 10, 4) for channel in range(8)}
        self.present = True
        """False leaves DOUT to its pull-up, as an empty socket does."""

    def transfer(self, data: bytes) -> bytes:
        length = len(data) * 8
        sent = f"{int.from_bytes(data, 'big'):0{length}b}"
        start = sent.find("1")  # leading zeros are allowed
        command = sent[start + 1 : start + COMMAND_BITS]
        if not self.present or start < 0 or len(command) < COMMAND_BITS - 1:
            return b"\xff" * len(data)  # high impedance, and a pull-up
        code = self._convert(int(command[1:], 2), differential=command[0] == "0")
        result = f"{code:0{self.bits}b}"
        driven = "0" + result + result[-2::-1]  # null bit, most significant bit first, then backwards (figure 5-1)
        answer = ("1" * (start + COMMAND_BITS + 1) + driven).ljust(length, "0")[:length]
        return int(answer, 2).to_bytes(len(data), "big")

    def _convert(self, channel: int, differential: bool) -> int:
        volts = self.volts[channel] - (self.volts[channel ^ 1] if differential else 0.0)
        full = (1 << self.bits) - 1
        return min(full, max(0, int(volts * (1 << self.bits) / self.vref)))


DRIVERS = (MCP3008, MCP3208)
