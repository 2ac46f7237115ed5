"""Which fields answer a request (XEP-0323), cut into parts; and the life of a readout as a table.

Rules of this file
* Sans-IO. It decides what is answered, not who may ask (`hub.trust`) and not how it is written (`hub.stanzas`).
* Everything a caller can make large is bounded here.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from hub.errors import BadRequest, NotFound
from hub.things.model import Answer, FieldTypes, Reading, ReadoutRequest, Trouble
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
    missing = [name for name in request.names if not any(name in thing.specs for thing in chosen)]
    if missing and chosen:
        raise NotFound(f"no such field: {', '.join(missing[:5])}")
    return chosen


def collect(request: ReadoutRequest, chosen: Sequence[Thing]) -> Iterator[Reading | Trouble]:
    """Everything that answers: per thing its trouble, its newest values, then its history, bounded."""
    budget = MAX_HISTORY
    for thing in chosen:
        if thing.trouble is not None:
            yield thing.trouble
        reading = thing.reading(request.names, request.types & FieldTypes.PRESENT)
        if reading is not None:
            yield reading
        if request.types & FieldTypes.HISTORICAL and budget:
            past = thing.history(request.names, request.types & FieldTypes.HISTORICAL, request.start, request.end)
            for found in islice(past, budget):
                budget -= 1
                if reading is None or found.timestamp != reading.timestamp:  # a field is unique at its moment
                    yield found


def parts(id_: str, items: Iterable[Reading | Trouble], size: int = PART_FIELDS) -> Iterator[Answer]:
    """Answers of at most `size` fields each (a single reading is never cut); the last one says it is the last."""
    readings: list[Reading] = []
    troubles: list[Trouble] = []
    count = 0
    for item in items:
        weight = len(item.fields) if isinstance(item, Reading) else 1
        if count and count + weight > size:
            yield Answer(id_, tuple(readings), tuple(troubles))
            readings, troubles, count = [], [], 0
        count += weight
        if isinstance(item, Reading):
            readings.append(item)
        else:
            troubles.append(item)
    yield Answer(id_, tuple(readings), tuple(troubles), done=True)
