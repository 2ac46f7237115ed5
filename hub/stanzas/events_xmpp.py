"""Event subscriptions (`iot-events`, ProtoXEP 0.0.1), `urn:xmpp:iot:events`: a request for sensor data with conditions.

"Much of the syntax of this subscribe element coincides with that of the req element", so the codec of sensor data reads
and writes that much of it. What is accepted, and what is sent later, is sensor data.

Deviations: `changeBy` and `maxInternval` are accepted where the schema says `changedBy` and `maxInterval` (an example
of the text writes them so); months and years, which have no length, are refused in durations.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import ClassVar
from xml.etree.ElementTree import Element

from devices.base import ValueType
from hub.errors import BadRequest
from hub.stanzas import sensor_data_nf, sensor_data_xmpp, xml
from hub.things.subscription import Condition, Subscription
from hub.things.values import parse_text, to_text

NAMESPACE = "urn:xmpp:iot:events"
MAX_CURRENT = 1000  # characters


class Events:
    """The codec of this dialect."""

    namespace = NAMESPACE
    sensor_data = sensor_data_xmpp.NAMESPACE
    """The namespace of the answer, and of what is sent later."""
    field_element, name_attribute = "field", "name"
    by, up, down, current = "changedBy", "changedUp", "changedDown", "currentValue"
    shortest, longest, oldest, at_once = "minInterval", "maxInterval", "maxAge", "req"
    also: ClassVar[Mapping[str, str]] = {"changedBy": "changeBy", "maxInterval": "maxInternval"}
    """What is written for what."""
    current_is_number = True
    _requests: sensor_data_xmpp.SensorData | sensor_data_nf.SensorData = sensor_data_xmpp.SensorData()

    def decode_subscribe(self, element: Element) -> Subscription:
        """`<subscribe/>`. Raises BadRequest."""
        fields = [self._condition(child) for name, child in xml.children(element) if name == self.field_element]
        return Subscription(
            replace(self._requests.decode_request(element), start=None, end=None, when=None),
            tuple(c for c in fields if (c.up, c.down, c.current) != (None, None, None)),
            self._duration(element, self.shortest),
            self._duration(element, self.longest),
            self._duration(element, self.oldest),
            xml.flag(element, self.at_once),
        )

    def decode_unsubscribe(self, element: Element) -> str:
        """`<unsubscribe/>`: the id of the subscription. Raises BadRequest."""
        return self._requests.decode_cancel(element)

    def encode_subscribe(self, subscription: Subscription) -> Element:
        element = self._in_our_words(self._requests.encode_request(subscription.request), "subscribe")
        conditions = {condition.name: condition for condition in subscription.conditions}
        for child in element:
            condition = conditions.get(child.get(self.name_attribute, ""))
            if child.tag == self._tag(self.field_element) and condition is not None:
                self._put_condition(child, condition)
        for name, value in (
            (self.shortest, subscription.min_interval),
            (self.longest, subscription.max_interval),
            (self.oldest, subscription.max_age),
        ):
            if value is not None:
                element.set(name, to_text(value))
        if subscription.at_once:
            element.set(self.at_once, "true")
        return element

    def encode_unsubscribe(self, id_: str) -> Element:
        return self._in_our_words(self._requests.encode_cancel(id_), "unsubscribe")

    # ------------------------------------------------------------------ parts of it

    def _condition(self, element: Element) -> Condition:
        either = self._change(element, self.by)
        up, down = self._change(element, self.up), self._change(element, self.down)
        current = element.get(self.current)
        if current is not None and len(current) > MAX_CURRENT:
            raise BadRequest(f"{self.current} has at most {MAX_CURRENT} characters")
        if current is not None and self.current_is_number:
            self._number(self.current, current)
        if either is not None:  # "the other two attributes are ignored"
            up = down = either
        return Condition(xml.required(element, self.name_attribute), up, down, current)

    def _put_condition(self, element: Element, condition: Condition) -> None:
        if condition.up is not None and condition.up == condition.down:
            element.set(self.by, to_text(condition.up))
        else:
            for name, limit in ((self.up, condition.up), (self.down, condition.down)):
                if limit is not None:
                    element.set(name, to_text(limit))
        if condition.current is not None:
            element.set(self.current, condition.current)

    def _change(self, element: Element, name: str) -> Decimal | None:
        text = self._either(element, name)
        if text is None:
            return None
        value = self._number(name, text)
        if value <= 0:
            raise BadRequest(f"{name}={text[:40]!r} has to be more than 0")
        return value

    @staticmethod
    def _number(name: str, text: str) -> Decimal:
        try:
            value = parse_text(ValueType.NUMERIC, text)
        except ValueError as error:
            raise BadRequest(f"{name}: {error}") from None
        assert isinstance(value, Decimal)
        return value

    def _duration(self, element: Element, name: str) -> dt.timedelta | None:
        text = self._either(element, name)
        if text is None:
            return None
        try:
            value = parse_text(ValueType.DURATION, text)
        except ValueError as error:
            raise BadRequest(f"{name}: {error}") from None
        assert isinstance(value, dt.timedelta)
        return value

    def _either(self, element: Element, name: str) -> str | None:
        return element.get(name, element.get(self.also.get(name, name)))

    def _in_our_words(self, element: Element, name: str) -> Element:
        """What the codec of sensor data has written, in this namespace."""
        for each in element.iter():
            each.tag = self._tag(xml.local(each))
        element.tag = self._tag(name)
        return element

    def _tag(self, name: str) -> str:
        return f"{{{self.namespace}}}{name}"
