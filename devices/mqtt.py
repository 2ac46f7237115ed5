"""A foreign device on an MQTT broker (zigbee2mqtt, Tasmota …): its messages as fields, its commands as parameters.

Reference: OASIS MQTT 3.1.1 and 5.0 for topics; what the payloads mean is in the configuration, from the device's own
documentation (zigbee2mqtt "MQTT Topics and Messages", Tasmota "MQTT" and "JSON Status Responses").

    [things.plug]
    driver = "mqtt"
    topic = "zigbee2mqtt/plug"
    availability = { topic = "zigbee2mqtt/plug/availability", path = "state" }
    fields.output = { type = "boolean", path = "state" }
    fields.power = { unit = "W", decimals = 1 }
    parameters.output = { topic = "zigbee2mqtt/plug/set", path = "state" }

A `path` names keys and list positions from the outside in, with dots between: `ENERGY.Power`, `sensors.0.value`;
without one it is the field's own name, and `""` is the whole payload as text. Nothing in it is carried out.

Rules of this file
* A payload that is not what was promised is a trouble of the fields that it was for, until the next good one.
* A value keeps the moment at which it was heard. One older than `stale` is not reported, one that the broker kept
  (retained) only if `retained` says so: nobody knows its age.
* An output is told, and then has to say itself that it did: a command counts when its field reads back within
  `confirm`. One that was away is told its state again when it is back, within a minute.
* An interlock relies on a value for three intervals: `interval` has to be as long as the device's own.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

from devices import base
from devices.base import (
    BadData,
    DeviceError,
    Duration,
    FieldSpec,
    NotHeard,
    NotResponding,
    OutputDriver,
    ParameterSpec,
    Value,
    ValueType,
    Within,
)
from devices.fake import FakeBroker, SimulatedBuses
from devices.mqtt_payloads import Broken, Field, NotThere, Parameter, Topic, decode, encode, value_at

PUBLISH_S = 2.0  # for the broker to take a command

HOUR, TWO_SECONDS = Duration(3600), Duration(2)

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Availability:
    """`availability`: where the device, or the broker for it, says whether it is there."""

    topic: Topic
    path: str = ""
    online: str = "online"


# --------------------------------------------------------------------------- the driver


@dataclass(frozen=True)
class _Held:
    """The newest of a field: the value, or what was wrong with it, and when it came."""

    value: Any
    at: float
    wall: dt.datetime


def _wall_clock() -> dt.datetime:
    now = dt.datetime.now(dt.UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class MqttThing(OutputDriver):
    """See the top of the file. `off` and `on` are those of all its boolean parameters."""

    NAMES = ("mqtt",)
    TITLE = "Foreign device on an MQTT broker: zigbee2mqtt, Tasmota and others"
    DATASHEET = "OASIS MQTT 3.1.1 and 5.0; zigbee2mqtt, MQTT Topics and Messages; Tasmota, JSON Status Responses"
    PARAMETERS = ()
    STATES: ClassVar[Mapping[str, Mapping[str, Value]]] = {"off": {}, "on": {}}

    @dataclass(frozen=True, kw_only=True)
    class Config(base.Config):
        fields: dict[str, Field] = dataclasses.field(hash=False)
        parameters: dict[str, Parameter] = dataclasses.field(default_factory=dict, hash=False)
        topic: Topic | None = None
        availability: Availability | None = None
        stale: Duration = HOUR
        confirm: Annotated[Duration, Within(0.1, 2.5, "s")] = TWO_SECONDS
        retained: bool = False

        def problems(self) -> Mapping[str, str]:
            if not self.fields:
                return {"fields": "at least one field"}
            if self.stale < 1:
                return {"stale": "at least 1s"}
            for kind, names in (("fields", self.fields), ("parameters", self.parameters)):
                for name in names:
                    if not _NAME.fullmatch(name):
                        return {f"{kind}.{name}": "a name of letters, digits, _ . - (at most 64)"}
            for name, field in self.fields.items():
                if field.topic is None and self.topic is None:
                    return {f"fields.{name}.topic": "a topic, here or for all fields of the thing"}
            for name, parameter in self.parameters.items():
                if wrong := self._wrong_with(name, parameter):
                    return {f"parameters.{name}": wrong}
            return {}

        def _wrong_with(self, name: str, parameter: Parameter) -> str:
            back = parameter.field or name
            field = self.fields.get(back)
            if field is None:
                return f"one with a field {back!r} that reads it back, or `field` to name another"
            alike = {parameter.type, field.type} == {"string", "enum"}
            if field.type != parameter.type and not alike:
                return f"of the type of its field {back!r}: {field.type}"
            if parameter.topic == (field.topic or self.topic):
                return "published on another topic than its field is heard on: an echo would confirm every command"
            return ""

        def claims(self) -> frozenset[str]:
            paths = {name: name if p.path is None else p.path for name, p in self.parameters.items()}
            return frozenset(f"mqtt {p.topic} {paths[name]}" for name, p in self.parameters.items())

    def __init__(
        self,
        config: Config,
        buses: Any,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], dt.datetime] = _wall_clock,
    ) -> None:
        super().__init__(config, buses)
        self._clock, self._wall = clock, wall
        self._specs = {name: _spec(name, field) for name, field in config.fields.items()}
        self._parameters = tuple(_parameter(name, p) for name, p in config.parameters.items())
        self._news = threading.Condition()
        self._held: dict[str, _Held] = {}
        self._online: bool | None = None
        self._ends: list[Callable[[], None]] = []
        self._commanded = False

    @property
    def fields(self) -> tuple[FieldSpec, ...]:
        return tuple(self._specs.values())

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        return self._parameters

    @property
    def states(self) -> Mapping[str, Mapping[str, Value]]:
        switches = [p.name for p in self._parameters if p.type is ValueType.BOOLEAN]
        return {"off": dict.fromkeys(switches, False), "on": dict.fromkeys(switches, True)}

    @property
    def lane(self) -> str:
        return f"mqtt-{id(self)}"

    def open_with(self, initial: Mapping[str, Value]) -> None:
        self.close()
        bus = self.buses.mqtt()
        self._commanded = bool(initial)
        topics = dict.fromkeys(field.topic or self.config.topic for field in self.config.fields.values())
        if self.config.availability is not None:
            topics[self.config.availability.topic] = None
        self._ends = [bus.listen(topic, self._heard) for topic in topics]
        if not initial:
            return
        self._publish(initial)
        if not self._is_confirmed(initial):
            raise NotResponding("the device does not say that it took its state: is it there, are its topics right?")

    def write(self, values: Mapping[str, Value]) -> None:
        if not self._ends:
            raise NotResponding("the part is not open")
        self._publish(values)
        self._is_confirmed(values)  # what was not taken shows when it is read back

    def read(self) -> Mapping[str, Any]:
        with self._news:
            if not self._ends:
                raise NotResponding("the part is not open")
            if not self.buses.mqtt().connected:
                raise self._silence("the MQTT broker is away")
            if self._online is False:
                raise self._silence("the device is offline, by its availability topic")
            oldest = self._clock() - self.config.stale
            fresh = {name: held for name, held in self._held.items() if held.at >= oldest}
            if not fresh:
                ever = "yet" if not self._held else f"for {self.config.stale}"
                raise self._silence(f"nothing has been heard from the device {ever}")
            self.measured = max(held.wall for held in fresh.values())
            values = {name: held.value for name, held in fresh.items() if held.value is not None}
            old = Broken(f"nothing for {self.config.stale}")
            return {**values, **{name: old for name in self._held if name not in fresh}}

    def close(self) -> None:
        ends, self._ends = self._ends, []
        for end in ends:
            try:
                end()
            except DeviceError:
                continue  # there is nothing left to end
        with self._news:
            # Whoever opens it again wants news: what was true before may not be any more
            self._held.clear()
            self._online = None

    def _silence(self, text: str) -> NotResponding:
        """An output is closed and told its state again when it is back; what only speaks is listened to further."""
        return NotResponding(text) if self._commanded else NotHeard(text)

    # ------------------------------------------------------------------ in

    def _heard(self, topic: str, payload: bytes, retained: bool) -> None:
        availability = self.config.availability
        with self._news:
            if availability is not None and topic == availability.topic:
                self._online = _says(availability, payload)
            if not retained or self.config.retained:
                for name, field in self.config.fields.items():
                    if topic == (field.topic or self.config.topic):
                        self._take(name, field, payload)
            self._news.notify_all()
        self.notify()

    def _take(self, name: str, field: Field, payload: bytes) -> None:
        value: Any
        try:
            value = decode(payload, name if field.path is None else field.path, field)
        except NotThere:
            return
        except BadData as error:
            value = Broken(str(error))
        self._held[name] = _Held(value, self._clock(), self._wall())

    # ------------------------------------------------------------------ out

    def _publish(self, values: Mapping[str, Value]) -> None:
        for name, value in values.items():
            parameter = self.config.parameters[name]
            payload = encode(parameter, name if parameter.path is None else parameter.path, value)
            self.buses.mqtt().publish(parameter.topic, payload, PUBLISH_S)

    def _is_confirmed(self, values: Mapping[str, Value]) -> bool:
        with self._news:
            return self._news.wait_for(lambda: all(map(self._reads, values, values.values())), self.config.confirm)

    def _reads(self, name: str, value: Value) -> bool:
        back = self.config.parameters[name].field or name
        held = self._held.get(back)
        try:
            return held is not None and self._specs[back].value(held.value) == self._specs[back].value(value)
        except BadData:
            return False

    @staticmethod
    def fake(config: Config, buses: SimulatedBuses) -> StandIn:
        return StandIn(config, buses.mqtt())


def _says(availability: Availability, payload: bytes) -> bool:
    try:
        return bool(value_at(payload, availability.path) == availability.online)
    except (BadData, NotThere):
        return False


def _spec(name: str, field: Field) -> FieldSpec:
    number = field.type == "numeric"
    return FieldSpec(name, ValueType(field.type), field.unit, field.decimals if number else 0, field.minimum,
                     field.maximum, field.category)  # fmt: skip


def _parameter(name: str, parameter: Parameter) -> ParameterSpec:
    return ParameterSpec(name, ValueType(parameter.type), parameter.unit, parameter.minimum, parameter.maximum,
                         parameter.options, parameter.label, field=parameter.field)  # fmt: skip


class StandIn:
    """A device that does what it is told and says so; `values` are its state, by field."""

    def __init__(self, config: MqttThing.Config, broker: FakeBroker) -> None:
        self._config, self._broker = config, broker
        self.values: dict[str, Value] = {name: _first(field) for name, field in config.fields.items()}
        for name, parameter in config.parameters.items():
            broker.listen(parameter.topic, partial(self._told, name))
        broker.devices.append(self.report)

    def report(self) -> None:
        for name, field in self._config.fields.items():
            path = name if field.path is None else field.path
            on, off = ("ON" if field.on is None else field.on), ("OFF" if field.off is None else field.off)
            topic = field.topic or self._config.topic
            assert topic is not None
            self._broker.publish(topic, encode(Parameter(topic=topic, on=on, off=off), path, self.values[name]))

    def _told(self, name: str, topic: str, payload: bytes, retained: bool) -> None:
        parameter = self._config.parameters[name]
        back = Field(type=parameter.type, on=parameter.on, off=parameter.off)
        try:
            value = decode(payload, name if parameter.path is None else parameter.path, back)
        except (BadData, NotThere):
            return
        if value is not None:
            self.values[parameter.field or name] = value
            self.report()


def _first(field: Field) -> Value:
    if field.type == "boolean":
        return False
    if field.type in ("string", "enum"):
        return "idle"
    if field.type == "dateTime":
        return dt.datetime(2026, 1, 1, 8, 0, tzinfo=dt.UTC)
    return 0 if field.minimum is None else int(field.minimum)


DRIVERS = (MqttThing,)
