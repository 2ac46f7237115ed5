"""Relay: levels, and no flip while starting."""

from __future__ import annotations

from pathlib import Path

import pytest

import devices
from devices.fake import SimulatedBuses
from devices.relay import Relay
from tests.devices.vector import Vector

VECTORS = [
    Vector((True, True), {"output": True}, "active high, level high"),
    Vector((False, True), {"output": False}, "active high, level low"),
    Vector((False, False), {"output": True}, "active low, level low"),
    Vector((True, False), {"output": False}, "active low, level high"),
]


@pytest.mark.parametrize("active_high", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_starts_in_its_first_state_without_passing_through_another(active_high: bool, first: bool) -> None:
    buses = SimulatedBuses()
    relay = devices.build(Relay, Relay.Config(pin=17, active_high=active_high), buses)
    assert isinstance(relay, Relay)
    pin = buses.pin(17)
    before = bool(pin.state)
    pin.clear_states()
    relay.open_with({"output": first})
    assert relay.read() == {"output": first}
    levels = [bool(s.state) for s in pin.states]
    assert levels == ([before] if before == (first == active_high) else [before, first == active_high])


def test_the_level_outlives_the_driver_and_the_process(tmp_path: Path) -> None:
    trace = tmp_path / "pins"
    relay = Relay(Relay.Config(pin=17), SimulatedBuses(trace))
    relay.open_with({"output": False})
    relay.write({"output": True})
    relay.close()
    after_a_kill = SimulatedBuses(trace)
    assert bool(after_a_kill.pin(17).state) is True
    again = Relay(Relay.Config(pin=17), after_a_kill)
    again.open_with({"output": True})
    again.write({"output": False})
    assert [line.split()[3] for line in trace.read_text().splitlines()] == ["0", "1", "0"]
