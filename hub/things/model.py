"""The words every other room speaks. Plain frozen data; no XML, no clocks, no I/O.

Field types and qualities are those of XEP-0323 (sections 4.4 and 4.5), which the new dialects share under other names.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field

from devices.base import Value, ValueType


class FieldTypes(enum.Flag):
    """What kind of value a field is; a request for several wants the union (XEP-0323 section 4.4)."""

    MOMENTARY = enum.auto()
    PEAK = enum.auto()
    STATUS = enum.auto()
    COMPUTED = enum.auto()
    IDENTITY = enum.auto()
    HISTORICAL_SECOND = enum.auto()
    HISTORICAL_MINUTE = enum.auto()
    HISTORICAL_HOUR = enum.auto()
    HISTORICAL_DAY = enum.auto()
    HISTORICAL_WEEK = enum.auto()
    HISTORICAL_MONTH = enum.auto()
    HISTORICAL_QUARTER = enum.auto()
    HISTORICAL_YEAR = enum.auto()
    HISTORICAL_OTHER = enum.auto()

    HISTORICAL = (
        HISTORICAL_SECOND | HISTORICAL_MINUTE | HISTORICAL_HOUR | HISTORICAL_DAY | HISTORICAL_WEEK
        | HISTORICAL_MONTH | HISTORICAL_QUARTER | HISTORICAL_YEAR | HISTORICAL_OTHER
    )  # fmt: skip
    PRESENT = MOMENTARY | PEAK | STATUS | COMPUTED | IDENTITY
    ALL = PRESENT | HISTORICAL


class Quality(enum.Flag):
    """How far a value can be trusted, in rising order of importance (XEP-0323 section 4.5)."""

    MISSING = enum.auto()
    IN_PROGRESS = enum.auto()
    AUTOMATIC_ESTIMATE = enum.auto()
    MANUAL_ESTIMATE = enum.auto()
    MANUAL_READOUT = enum.auto()
    AUTOMATIC_READOUT = enum.auto()
    TIME_OFFSET = enum.auto()
    WARNING = enum.auto()
    ERROR = enum.auto()
    SIGNED = enum.auto()
    INVOICED = enum.auto()
    END_OF_SERIES = enum.auto()
    POWER_FAILURE = enum.auto()
    INVOICE_CONFIRMED = enum.auto()


@dataclass(frozen=True, slots=True, order=True)
class NodeRef:
    """A thing as callers name it. `source_id` and `cache_type` matter only behind large concentrators (XEP-0326)."""

    node_id: str
    source_id: str = ""
    cache_type: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """One value with everything a reader needs to understand it.

    `writable` says whether a control parameter of the same name exists; None says nothing. `module` and `string_ids`
    localise the name (XEP-0323 section 5.2). `data_type` names the value set of an ENUM.
    """

    name: str
    value: Value
    type: ValueType
    types: FieldTypes = FieldTypes.MOMENTARY
    quality: Quality = Quality.AUTOMATIC_READOUT
    unit: str = ""
    writable: bool | None = None
    data_type: str = ""
    module: str = ""
    string_ids: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """Fields of one thing that share a moment. `timestamp` carries a zone when it is ours; a peer's may be naive."""

    node: NodeRef
    timestamp: dt.datetime
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a thing could not be read (XEP-0323 `error`)."""

    node: NodeRef
    timestamp: dt.datetime
    text: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a caller shows to be judged by a provisioning server (XEP-0324)."""

    service: str = ""
    device: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class ReadoutRequest:
    """What a caller wants to read.

    `id` is the caller's sequence number or id, unique only together with its full JID. `nodes` None means all things,
    () none. `names` empty means every field. `start`, `end` bound historical values; `when` delays the readout.
    """

    id: str
    nodes: tuple[NodeRef, ...] | None = None
    names: tuple[str, ...] = ()
    types: FieldTypes = FieldTypes.MOMENTARY
    start: dt.datetime | None = None
    end: dt.datetime | None = None
    when: dt.datetime | None = None
    tokens: Tokens = field(default_factory=Tokens)


@dataclass(frozen=True, slots=True)
class Answer:
    """A part of a readout: readings, troubles, and whether it is the last part."""

    id: str
    readings: tuple[Reading, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    done: bool = False


@dataclass(frozen=True, slots=True)
class Assignment:
    """One parameter to set. `type` None: the text comes from a form and takes the parameter's own type."""

    name: str
    value: Value | str
    type: ValueType | None


@dataclass(frozen=True, slots=True)
class Command:
    """What a caller wants set, in this order, on each of `nodes` (None: the hub's only controllable thing)."""

    nodes: tuple[NodeRef, ...] | None
    assignments: tuple[Assignment, ...]
    tokens: Tokens = field(default_factory=Tokens)


_SHIFTS: tuple[tuple[FieldTypes, str], ...] = (
    (FieldTypes.HISTORICAL_SECOND, "%f"),
    (FieldTypes.HISTORICAL_MINUTE, "%S%f"),
    (FieldTypes.HISTORICAL_HOUR, "%M%S%f"),
    (FieldTypes.HISTORICAL_DAY, "%H%M%S%f"),
)


def historical_types(moment: dt.datetime) -> FieldTypes:
    """The historical types of a value stored at `moment` (XEP-0323 section 4.4): 10:00:00 is a second, minute and
    hour value; what lies on no shift is `other`."""
    types = FieldTypes(0)
    for shift, zeros in _SHIFTS:
        if set(moment.strftime(zeros)) != {"0"}:
            break
        types |= shift
    if FieldTypes.HISTORICAL_DAY in types:
        if moment.isoweekday() == 1:
            types |= FieldTypes.HISTORICAL_WEEK
        if moment.day == 1:
            types |= FieldTypes.HISTORICAL_MONTH
            if moment.month in (1, 4, 7, 10):
                types |= FieldTypes.HISTORICAL_QUARTER
            if moment.month == 1:
                types |= FieldTypes.HISTORICAL_YEAR
    return types or FieldTypes.HISTORICAL_OTHER


MIN, MAX, MEAN, COUNT = "min", "max", "mean", "count"
ROLLED = {MIN: FieldTypes.PEAK, MAX: FieldTypes.PEAK, MEAN: FieldTypes.COMPUTED, COUNT: FieldTypes.COMPUTED}
"""What a roll-up tells of a field beside its last value, and of which type that is (XEP-0323 section 4.4)."""


def rolled_name(field: str, what: str) -> str:
    """The field that carries it: `temperature, mean`."""
    return f"{field}, {what}"


def base_name(name: str) -> str:
    """`temperature` of `temperature` and of `temperature, mean`."""
    base, comma, what = name.rpartition(", ")
    return base if comma and what in ROLLED else name
