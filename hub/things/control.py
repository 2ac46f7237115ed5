"""Which writes answer a command (XEP-0325). Everything is checked before anything moves.

Rules of this file
* Sans-IO; the result is a plan, and only `sampler.py` carries it out.
* A command that is wrong in one point is refused as a whole, with what is wrong with every parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from devices.base import DeviceError, ParameterSpec, Value, ValueType
from hub.errors import BadRequest, NotFound
from hub.things.model import Command, NodeRef
from hub.things.thing import Thing

MAX_NODES = 1000
MAX_ASSIGNMENTS = 100

Parse = Callable[[ValueType, str], Value]
"""Turns the text of a form field into a value; raises ValueError."""


@dataclass(frozen=True)
class Write:
    """Values for one thing, in the order in which they are to be set."""

    thing: Thing
    values: Mapping[str, Value]


def controllable(nodes: tuple[NodeRef, ...] | None, things: Mapping[str, Thing]) -> list[Thing]:
    """The things a command or form is about. Raises NotFound, or BadRequest when it is not clear which is meant:
    with several controllable things, guessing could move the wrong one."""
    if nodes:
        if len(nodes) > MAX_NODES:
            raise BadRequest(f"at most {MAX_NODES} nodes can be named in one command")
        unknown = [node.node_id for node in nodes if node.node_id not in things]
        if unknown:
            raise NotFound(f"no such node: {', '.join(unknown[:5])}")
        return [things[name] for name in dict.fromkeys(node.node_id for node in nodes)]
    candidates = [thing for thing in things.values() if thing.parameters]
    if not candidates:
        raise NotFound("nothing here can be controlled")
    if len(candidates) > 1:
        raise BadRequest("say which node: " + ", ".join(thing.name for thing in candidates[:20]))
    return candidates


def plan(command: Command, things: Mapping[str, Thing], parse: Parse) -> list[Write]:
    """The writes that carry `command` out. Raises NotFound or BadRequest; then nothing may be written."""
    if not command.assignments:
        raise BadRequest("the command sets nothing")
    if len(command.assignments) > MAX_ASSIGNMENTS:
        raise BadRequest(f"at most {MAX_ASSIGNMENTS} parameters can be set in one command")
    names = [assignment.name for assignment in command.assignments]
    twice = {name: "Set twice in one command." for name in names if names.count(name) > 1}
    if twice:
        raise BadRequest("a parameter can be set once in a command", twice)
    chosen = controllable(command.nodes, things)
    errors: dict[str, str] = {}
    absent: dict[str, str] = {}
    writes = []
    for thing in chosen:
        values: dict[str, Value] = {}
        for assignment in command.assignments:
            spec = thing.parameters.get(assignment.name)
            if spec is None:
                absent[assignment.name] = f"{thing.name} has no such parameter."
                continue
            try:
                values[assignment.name] = _value(assignment.value, assignment.type, spec, parse)
            except (DeviceError, ValueError) as error:
                errors.setdefault(assignment.name, str(error).removeprefix(f"{assignment.name}: "))
        writes.append(Write(thing, values))
    if errors:
        raise BadRequest("", {**errors, **absent})
    if absent:
        raise NotFound("", absent)
    return writes


def _value(value: Value | str, type_: ValueType | None, spec: ParameterSpec, parse: Parse) -> Value:
    if type_ is None:
        return spec.check(parse(spec.type, str(value)))
    # One dialect has no enumerations and sends a string, another sends one for a string with options.
    alike = {type_, spec.type} == {ValueType.ENUM, ValueType.STRING} and (spec.options or spec.type is ValueType.ENUM)
    if type_ is not spec.type and not alike:
        raise ValueError(f"Invalid parameter type: {spec.name} is a {spec.type.value}, not a {type_.value}.")
    return spec.check(value)


def common_parameters(chosen: list[Thing]) -> list[ParameterSpec]:
    """What all of `chosen` can be told, in the first one's order; a range is the narrowest of all."""
    shared = []
    for name, spec in chosen[0].parameters.items():
        others = [thing.parameters.get(name) for thing in chosen]
        if all(other is not None and other.type is spec.type and other.options == spec.options for other in others):
            shared.append(_narrowest([other for other in others if other is not None]))
    return shared


def _narrowest(specs: list[ParameterSpec]) -> ParameterSpec:
    first = specs[0]
    lows = [spec.minimum for spec in specs if spec.minimum is not None]
    highs = [spec.maximum for spec in specs if spec.maximum is not None]
    return ParameterSpec(
        first.name, first.type, first.unit, max(lows, default=None), min(highs, default=None),
        first.options, first.label, first.description, first.group, first.field,
    )  # fmt: skip
