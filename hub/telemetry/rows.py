"""A reading as a row of a database, and back: what seldom changes apart from what changes each time.

Rules of this file
* Sans-IO. A row is exact: the reading that comes back is the one that went in, to the millisecond.
* The shape of a reading (its thing, and everything about its fields but their values) is a text that many rows share;
  a thing that is configured in another way gets another shape, and its old rows keep theirs.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from devices.base import ValueType
from hub.things.model import Field, FieldTypes, NodeRef, Quality, Reading, Trouble
from hub.things.values import parse_text, to_text

BETWEEN = "\x1f"  # between two values: no XML, so no value, can have it
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MILLISECOND = dt.timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Row:
    """`at`: milliseconds since 1970; `quality`: the bits of `Quality`, which all fields of a reading share."""

    shape: str
    at: int
    quality: int
    texts: str

    @property
    def size(self) -> int:
        """Bytes it takes in a store, about."""
        return 16 + len(self.texts.encode())


def to_ms(moment: dt.datetime) -> int:
    return (moment - EPOCH) // MILLISECOND


def to_moment(at: int) -> dt.datetime:
    return EPOCH + at * MILLISECOND


class Shapes:
    """Makes rows of readings and readings of rows; each shape is written and read once."""

    def __init__(self) -> None:
        self._texts: dict[tuple[Any, ...], str] = {}
        self._read: dict[str, tuple[NodeRef, tuple[Field, ...] | None]] = {}

    def row(self, item: Reading | Trouble) -> Row:
        if isinstance(item, Trouble):
            return Row(json.dumps([item.node.node_id, None]), to_ms(item.timestamp), 0, item.text)
        key = (item.node.node_id, *((f.name, f.type, f.types, f.unit, f.writable, f.data_type, f.module, f.string_ids)
                                    for f in item.fields))  # fmt: skip
        shape = self._texts.get(key)
        if shape is None:
            fields = [describe(field) for field in item.fields]
            shape = self._texts[key] = json.dumps([item.node.node_id, fields], ensure_ascii=False)
        texts = BETWEEN.join(to_text(field.value) for field in item.fields)
        return Row(shape, to_ms(item.timestamp), item.fields[0].quality.value, texts)

    def item(self, row: Row) -> Reading | Trouble:
        """Raises ValueError for a row that nobody can have written."""
        node, prototypes = self._shape(row.shape)
        if prototypes is None:
            return Trouble(node, to_moment(row.at), row.texts)
        texts = row.texts.split(BETWEEN)
        quality = Quality(row.quality)
        fields = tuple(
            Field(f.name, parse_text(f.type, text), f.type, f.types, quality, f.unit, f.writable, f.data_type,
                  f.module, f.string_ids)
            for f, text in zip(prototypes, texts, strict=True)
        )  # fmt: skip
        return Reading(node, to_moment(row.at), fields)

    def thing(self, shape: str) -> str:
        return self._shape(shape)[0].node_id

    def fields(self, shape: str) -> tuple[Field, ...]:
        """The fields of a shape; their values mean nothing."""
        return self._shape(shape)[1] or ()

    def _shape(self, shape: str) -> tuple[NodeRef, tuple[Field, ...] | None]:
        if shape not in self._read:
            name, fields = json.loads(shape)
            self._read[shape] = (NodeRef(name), None if fields is None else tuple(map(described, fields)))
        return self._read[shape]


def describe(field: Field) -> list[Any]:
    """Everything about a field but its value and quality."""
    return [field.name, field.type.value, field.types.value, field.unit, field.writable, field.data_type,
            field.module, field.string_ids]  # fmt: skip


def described(parts: list[Any]) -> Field:
    name, type_, types, unit, writable, data_type, module, string_ids = parts
    return Field(name, Decimal(0), ValueType(type_), FieldTypes(types), Quality.AUTOMATIC_READOUT, unit, writable,
                 data_type, module, string_ids)  # fmt: skip
