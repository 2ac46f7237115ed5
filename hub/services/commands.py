"""Commands out of what a person wrote, typed by the control form of the thing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from devices.base import Value, ValueType
from hub.errors import PeerError, PeerRefused
from hub.stanzas.forms import FormField
from hub.things.model import Assignment, Command, NodeRef
from hub.things.values import parse_text

_SWITCH: Final = {"on": "true", "yes": "true", "off": "false", "no": "false"}


def command_of(thing: str, fields: Sequence[FormField], wanted: Iterable[tuple[str, str]]) -> Command:
    """What sets parameters, (name, text) in this order, of a thing ("": the hub's only controllable one). Raises
    PeerError with what would be right."""
    known = {field.name: field for field in fields}
    assignments = []
    for name, text in wanted:
        if name not in known:
            raise PeerRefused("item-not-found", f"{thing or 'it'} has no parameter {name!r}; it has {', '.join(known)}")
        assignments.append(Assignment(name, typed(known[name], text), known[name].type))
    return Command((NodeRef(thing),) if thing else None, tuple(assignments))


def typed(field: FormField, text: str) -> Value:
    """What a person wrote as the parameter's type. Raises PeerError with what would be right."""
    if field.type is ValueType.BOOLEAN:
        text = _SWITCH.get(text.lower(), text)
    if field.type is ValueType.COLOR:
        text = text.removeprefix("#")
    try:
        return parse_text(field.type, text)
    except ValueError as error:
        raise PeerError(f"{field.name}: {error}") from None
