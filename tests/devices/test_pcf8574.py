"""PCF8574: levels and meanings, one write and no flip while starting, inputs that stay high, and contradictions."""

from __future__ import annotations

import pytest

import devices
from devices.base import InvalidValue, NotResponding, ValueType
from devices.fake import SimulatedBuses
from devices.pcf8574 import PCF8574, FakePCF8574
from tests.devices.vector import Vector

ORDER = "Rev. 5, section 8.2: the data byte is P7 to P0"
VECTORS = [
    Vector((0b1111_1110, (0, 1), True), {"p0": False, "p1": True}, ORDER),
    Vector((0b1111_1110, (0, 1), False), {"p0": True, "p1": False}, ORDER + "; active low"),
    Vector((0b1000_0000, (6, 7), True), {"p6": False, "p7": True}, ORDER),
    Vector((0xFF, (0, 4, 7), True), {"p0": True, "p4": True, "p7": True}, "section 8.1: all high after power-up"),
    Vector((0xFF, (0, 4, 7), False), {"p0": False, "p4": False, "p7": False}, "section 8.1, active low: all off"),
]


def make(**settings: object) -> tuple[PCF8574, FakePCF8574, SimulatedBuses]:
    buses = SimulatedBuses()
    config = PCF8574.Config(**settings)  # type: ignore[arg-type]
    driver = devices.build(PCF8574, config, buses)
    assert isinstance(driver, PCF8574)
    return driver, buses.parts[config], buses


@pytest.mark.parametrize(
    ("active_high", "first", "port"),
    [
        (True, {"p0": True, "p1": False}, 0b1111_1101),
        (True, {"p0": False, "p1": False}, 0b1111_1100),
        (False, {"p0": True, "p1": False}, 0b1111_1110),
        (False, {"p0": False, "p1": False}, 0b1111_1111),
    ],
)
def test_starts_in_its_first_state_with_one_write(active_high: bool, first: dict[str, bool], port: int) -> None:
    driver, chip, _ = make(outputs=(0, 1), inputs=(4,), active_high=active_high)
    driver.open_with(first)
    assert chip.written == [port]
    assert {name: driver.read()[name] for name in first} == first


def test_an_output_without_a_first_state_begins_inactive() -> None:
    driver, chip, _ = make(outputs=(0, 1), active_high=True)
    driver.open_with({"p0": True})
    assert chip.written == [0b1111_1101]


def test_opening_again_does_not_flip_what_is_on() -> None:
    driver, chip, _ = make(outputs=(0, 1))
    driver.open_with({"p0": False, "p1": False})
    driver.write({"p1": True})
    driver.close()
    driver.open_with({"p0": False, "p1": True})
    assert chip.written == [0xFF, 0b1111_1101, 0b1111_1101]


def test_closing_leaves_the_outputs_as_they_are() -> None:
    driver, chip, _ = make(outputs=(3,))
    driver.open_with({"p3": True})
    driver.close()
    assert chip.port == 0b1111_0111


def test_several_outputs_change_at_once_and_the_others_stay() -> None:
    driver, chip, _ = make(outputs=(0, 1, 2, 7), inputs=(4,), active_high=True)
    driver.open_with({"p0": False, "p1": True, "p2": False, "p7": True})
    chip.written.clear()
    driver.write({"p0": True, "p7": False})
    assert chip.written == [0b0111_1011]
    assert driver.read() == {"p0": True, "p1": True, "p2": False, "p4": True, "p7": False}


def test_inputs_are_read_and_stay_written_high() -> None:
    driver, chip, _ = make(outputs=(0,), inputs=(4, 5))
    driver.open_with({"p0": False})
    assert driver.read() == {"p0": False, "p4": False, "p5": False}
    chip.pulled_low = 1 << 4  # a contact to GND closes
    assert driver.read() == {"p0": False, "p4": True, "p5": False}
    driver.write({"p0": True})
    assert chip.port == 0b1111_1110  # the pressed input was not written back low
    chip.pulled_low = 0
    assert driver.read() == {"p0": True, "p4": False, "p5": False}


def test_an_expander_of_inputs_only_has_nothing_to_write() -> None:
    driver, chip, _ = make(outputs=(), inputs=(0, 1), active_high=True)
    driver.open()
    assert chip.written == [0xFF]
    assert driver.parameters == () and driver.states == {"off": {}, "on": {}}
    chip.pulled_low = 0b10
    assert driver.read() == {"p0": True, "p1": False}


def test_an_output_shorted_to_gnd_reads_what_it_carries() -> None:
    driver, chip, _ = make(outputs=(2,), active_high=True)
    driver.open_with({"p2": True})
    chip.pulled_low = 1 << 2
    assert driver.read() == {"p2": False}


def test_only_used_lines_are_fields_and_only_outputs_are_parameters() -> None:
    driver, _, _ = make(outputs=(6, 0), inputs=(3,))
    assert [field.name for field in driver.fields] == ["p0", "p3", "p6"]
    assert {field.type for field in driver.fields} == {ValueType.BOOLEAN}
    assert [parameter.name for parameter in driver.parameters] == ["p6", "p0"]
    assert driver.states == {"off": {"p6": False, "p0": False}, "on": {"p6": True, "p0": True}}


def test_an_input_cannot_be_written() -> None:
    driver, chip, _ = make(outputs=(0,), inputs=(4,))
    driver.open()
    with pytest.raises(InvalidValue, match="p4 is not an output; outputs are p0"):
        driver.write({"p0": True, "p4": True})
    assert chip.port == 0xFF  # not even the part of it that was allowed


@pytest.mark.parametrize(
    ("outputs", "inputs", "key", "text"),
    [
        ((0, 1, 1), (4,), "outputs", "each line once"),
        ((0,), (4, 5, 4), "inputs", "each line once"),
        ((0, 1, 2), (1, 2, 3), "inputs", "lines that are no outputs (1, 2 cannot be both)"),
        ((), (), "outputs", "at least one line"),
    ],
)
def test_contradictory_lines_are_reported(
    outputs: tuple[int, ...], inputs: tuple[int, ...], key: str, text: str
) -> None:
    problems = PCF8574.Config(outputs=outputs, inputs=inputs).problems()  # type: ignore[arg-type]
    assert text in problems[key] and set(problems) == {key}


def test_lines_that_do_not_contradict_are_no_problem() -> None:
    assert PCF8574.Config().problems() == {}
    assert PCF8574.Config(outputs=(0, 1), inputs=(4, 7)).problems() == {}


def test_before_it_is_open_nothing_is_read_or_written() -> None:
    driver, chip, _ = make()
    with pytest.raises(NotResponding, match="not open"):
        driver.read()
    with pytest.raises(NotResponding, match="not open"):
        driver.write({"p0": True})
    assert chip.written == []


def test_nothing_at_the_address() -> None:
    driver, _, buses = make(address=0x38)
    buses.fake_i2c(1).detach(0x38)
    with pytest.raises(NotResponding, match="nothing answers at 0x38"):
        driver.open_with({"p0": True})
    with pytest.raises(NotResponding, match="not open"):
        driver.read()


def test_pulling_the_plug_and_putting_it_back() -> None:
    driver, chip, buses = make(outputs=(0, 1))
    driver.open_with({"p0": False, "p1": False})
    buses.fake_i2c(1).detach(0x20)
    with pytest.raises(NotResponding, match="0x20"):
        driver.write({"p0": True})
    with pytest.raises(NotResponding, match="0x20"):
        driver.read()
    buses.fake_i2c(1).attach(0x20, chip)
    driver.write({"p1": True})
    assert chip.port == 0b1111_1101  # the write that failed is not made up for unasked
    driver.close()
    driver.open_with({"p0": True, "p1": False})
    assert driver.read() == {"p0": True, "p1": False}


def test_lane_and_claim() -> None:
    config = PCF8574.Config(address=0x3F, bus=2)
    assert PCF8574(config, SimulatedBuses()).lane == "i2c-2"
    assert config.claims() == {"i2c 2 0x3f"}
