"""A thing: what it measures, what it can be told, its newest values and its trouble.

Rules of this file
* Sans-IO: values and moments come in as arguments; nothing here reads a clock or a chip.
* A value that is old never looks fresh: each keeps the moment at which it was measured, and when the part fails its
  values are marked, not renewed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from devices.base import BadData, DeviceError, FieldSpec, NotResponding, ParameterSpec, Value
from hub.things.model import Field, FieldTypes, NodeRef, Quality, Reading, Trouble
from hub.things.values import is_legal, mended


@dataclass(frozen=True)
class Description:
    """What of a thing is fixed by its driver and configuration."""

    name: str
    label: str = ""
    fields: tuple[FieldSpec, ...] = ()
    parameters: tuple[ParameterSpec, ...] = ()
    module: str = ""
    string_ids: Mapping[str, str] = field(default_factory=dict)


class Thing:
    def __init__(self, description: Description) -> None:
        self.describe(description)
        self.node = NodeRef(description.name)
        self.values: dict[str, Value] = {}
        self.measured: dt.datetime | None = None
        """When `values` were measured; None before the first reading."""
        self.trouble: Trouble | None = None
        self._quality = Quality.AUTOMATIC_READOUT

    def describe(self, description: Description) -> None:
        """Take a new description of the same thing; its values stay."""
        self.description = description
        self.parameters: Mapping[str, ParameterSpec] = {p.name: p for p in description.parameters}
        self.specs: Mapping[str, FieldSpec] = {spec.name: spec for spec in description.fields}
        self._prototypes = {spec.name: self._prototype(spec) for spec in description.fields}

    @property
    def name(self) -> str:
        return self.description.name

    def measured_at(self, raw: Mapping[str, Any], now: dt.datetime, doubtful: bool = False) -> None:
        """Take a driver's raw values; `doubtful`: nobody has told the clock the time yet. A value that its field cannot
        have is dropped and becomes the thing's trouble; the others are good. Names the driver did not declare are its
        bug and are refused with BadData."""
        if not isinstance(raw, Mapping):
            raise BadData(f"the driver reports {raw!r}, which is no values by name")
        good: dict[str, Value] = {}
        bad: list[str] = []
        for name, value in raw.items():
            try:
                good[name] = self.specs[name].value(value)
                if isinstance(value, str) and not is_legal(value):
                    del good[name]
                    bad.append(f"{name}: has control characters, which no XML can carry")
            except KeyError:
                raise BadData(f"the driver reports {name!r}, which it does not declare") from None
            except BadData as error:
                bad.append(str(error))
        self.values = good
        self.measured = now
        self._quality = Quality.AUTOMATIC_READOUT | (Quality.TIME_OFFSET if doubtful else Quality(0))
        self.trouble = Trouble(self.node, now, mended("; ".join(bad))) if bad else None

    def failed(self, error: DeviceError, now: dt.datetime) -> bool:
        """The part could not be read. True when this is news: it worked before, or fails in another way."""
        text = mended(str(error))
        news = self.trouble is None or self.trouble.text != text
        self.trouble = Trouble(self.node, now, text)
        self._quality = Quality.MISSING if isinstance(error, NotResponding) else Quality.ERROR
        return news

    def reading(self, names: Iterable[str] = (), types: FieldTypes = FieldTypes.PRESENT) -> Reading | None:
        """The newest values that match, None when there are none. `names` empty: all."""
        if self.measured is None:
            return None
        wanted = set(names)
        fields = tuple(
            self._field(name, value)
            for name, value in self.values.items()
            if (not wanted or name in wanted) and self._prototypes[name].types & types
        )
        return Reading(self.node, self.measured, fields) if fields else None

    def _field(self, name: str, value: Value) -> Field:
        like = self._prototypes[name]
        return Field(
            name, value, like.type, like.types, self._quality, like.unit, like.writable, like.data_type, like.module,
            like.string_ids,
        )  # fmt: skip

    def _prototype(self, spec: FieldSpec) -> Field:
        """Everything about a field but its value, made once."""
        string_ids = self.description.string_ids.get(spec.name, "")
        return Field(
            name=spec.name,
            value="",
            type=spec.type,
            types=FieldTypes[spec.category.upper()],
            unit=spec.unit,
            writable=spec.name in self.parameters if self.parameters else None,
            data_type=spec.data_type,
            module=self.description.module if string_ids else "",
            string_ids=string_ids,
        )
