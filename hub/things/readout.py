"""Which fields answer a request (XEP-0323), cut into parts; and the life of a readout as a table.

Rules of this file
* Sans-IO. It decides what is answered, not who may ask (`hub.trust`) and not how it is written (`hub.stanzas`).
* Everything a caller can make large is bounded here.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from hub.errors import BadRequest, NotFound
from hub.things.model import Answer, FieldTypes, Reading, ReadoutRequest, Trouble, base_name
from hub.things.thing import Thing

MAX_NODES = 1000  # named in one request
MAX_HISTORY = 10_000  # readings in one answer
PART_FIELDS = 60  # fields in one message: about 8 kB of XML, below every server's stanza limit


class State(enum.Enum):
    QUEUED = "queued"
    RUNNING = "running"
    ENDED = "ended"


class Event(enum.Enum):
    DUE = "due"
    CANCEL = "cancel"
    LAST_PART = "last part"


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.QUEUED, Event.DUE): State.RUNNING,
    (State.QUEUED, Event.CANCEL): State.ENDED,
    (State.RUNNING, Event.CANCEL): State.ENDED,  # parts already sent cannot be called back
    (State.RUNNING, Event.LAST_PART): State.ENDED,
}
"""XEP-0323 section 3: accepted (queued or not) → started → fields … → done. What is not here cannot happen."""


def check(request: ReadoutRequest) -> None:
    """Raises BadRequest for what no thing could answer."""
    if request.nodes is not None and len(request.nodes) > MAX_NODES:
        raise BadRequest(f"at most {MAX_NODES} nodes can be named in one request")
    if request.start and request.end and request.start > request.end:
        raise BadRequest("`from` lies after `to`")
    if not request.types:
        raise BadRequest("the request names no type of field")


def addressed(request: ReadoutRequest, things: Mapping[str, Thing]) -> list[Thing]:
    """The things a request is about, each once, in the order asked.

    Raises NotFound for a node that is not here, or for a field that none of them has: answering with silence would
    let a misspelt name look like a healthy sensor without data.
    """
    if request.nodes is None:
        chosen = list(things.values())
    else:
        unknown = [node.node_id for node in request.nodes if node.node_id not in things]
        if unknown:
            raise NotFound(f"no such node: {', '.join(unknown[:5])}")
        chosen = [things[name] for name in dict.fromkeys(node.node_id for node in request.nodes)]
    asked = map(base_name, request.names) if request.types & FieldTypes.HISTORICAL else request.names
    missing = [name for name in asked if not any(name in thing.specs for thing in chosen)]
    if missing and chosen:
        raise NotFound(f"no such field: {', '.join(missing[:5])}")
    return chosen


class Past(Protocol):
    """What remembers readings."""

    def read(
        self, thing: Thing, names: Sequence[str], types: FieldTypes, start: dt.datetime | None, end: dt.datetime | None
    ) -> AsyncIterator[Sequence[Reading]]:
        """Values of the historical `types` within [start, end], some at a time, the newest first, as XEP-0323
        example 4 has them. `names` empty: all fields."""


async def collect(
    request: ReadoutRequest, chosen: Sequence[Thing], past: Past
) -> AsyncIterator[Sequence[Reading | Trouble]]:
    """Everything that answers, some at a time: per thing its trouble, its newest values, then its history, bounded."""
    budget = MAX_HISTORY
    for thing in chosen:
        reading = thing.reading(request.names, request.types & FieldTypes.PRESENT)
        yield [item for item in (thing.trouble, reading) if item is not None]
        if not request.types & FieldTypes.HISTORICAL or not budget:
            continue
        types = request.types & FieldTypes.HISTORICAL
        async for some in past.read(thing, request.names, types, request.start, request.end):
            some = some[:budget]
            budget -= len(some)
            # A field is unique at its moment.
            yield [found for found in some if reading is None or found.timestamp != reading.timestamp]
            if not budget:
                break


class Parts:
    """Cuts what answers into answers of at most `size` fields each; a single reading is never cut."""

    def __init__(self, id_: str, size: int = PART_FIELDS) -> None:
        self._id, self._size = id_, size
        self._begin()

    def _begin(self) -> None:
        self._readings: list[Reading] = []
        self._troubles: list[Trouble] = []
        self._count = 0

    def add(self, item: Reading | Trouble) -> Answer | None:
        """The part before it, when it does not fit into that any more."""
        weight = len(item.fields) if isinstance(item, Reading) else 1
        full = None
        if self._count and self._count + weight > self._size:
            full = Answer(self._id, tuple(self._readings), tuple(self._troubles))
            self._begin()
        self._count += weight
        if isinstance(item, Reading):
            self._readings.append(item)
        else:
            self._troubles.append(item)
        return full

    def last(self) -> Answer:
        """What is left, and that it is the last."""
        return Answer(self._id, tuple(self._readings), tuple(self._troubles), done=True)


def parts(id_: str, items: Iterable[Reading | Trouble], size: int = PART_FIELDS) -> Iterator[Answer]:
    """Answers of at most `size` fields each; the last one says it is the last."""
    cutter = Parts(id_, size)
    for item in items:
        if (part := cutter.add(item)) is not None:
            yield part
    yield cutter.last()
