"""Event subscriptions as the Neuro-Foundation writes them: `urn:nf:iot:events:1.0`, and the same words in two more
namespaces.

The structure is that of the XSF's text; the names are shorter, ids are strings, and a current value may be of any type.
A subscription without nodes names none of a concentrator's. Its page gives the intervals as xs:dateTime, its example
and every peer write durations: durations are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from hub.stanzas import events_xmpp, sensor_data_nf


class Events(events_xmpp.Events):
    """The codec of this dialect for one of its namespaces, with that of its sensor data."""

    field_element, name_attribute = "f", "n"
    by, up, down, current = "by", "up", "dn", "v"
    shortest, longest = "minInt", "maxInt"
    also: ClassVar[Mapping[str, str]] = {}
    current_is_number = False

    def __init__(self, namespace: str, sensor_data: str) -> None:
        self.namespace, self.sensor_data = namespace, sensor_data
        self._requests = sensor_data_nf.SensorData(sensor_data)
