"""Which namespace is spoken by which codec. A new dialect is one file and one line here.

Three families are spoken today: the XSF's retracted texts, their author's successors under two names (`nf`, `ieee`),
and the name under which the Neuro-Foundation publishes the same schemas now (`nfi`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from xml.etree.ElementTree import Element

from hub.stanzas import control_nf, control_xmpp, sensor_data_nf, sensor_data_xmpp
from hub.things.model import Answer, ReadoutRequest


class SensorDataCodec(Protocol):
    """What every sensor data dialect can do; see `sensor_data_xmpp.SensorData` for what each method promises."""

    @property
    def namespace(self) -> str: ...
    @property
    def answers_in_iq(self) -> bool: ...
    def decode_request(self, element: Element) -> ReadoutRequest: ...
    def decode_cancel(self, element: Element) -> str: ...
    def encode_accepted(self, id_: str, queued: bool) -> Element: ...
    def encode_started(self, id_: str) -> Element: ...
    def encode_cancelled(self, id_: str) -> Element | None: ...
    def encode_answer(self, answer: Answer) -> list[Element]: ...
    def encode_request(self, request: ReadoutRequest) -> Element: ...
    def encode_cancel(self, id_: str) -> Element: ...
    def decode_answer(self, element: Element) -> Answer | None: ...


_SENSOR_DATA: tuple[SensorDataCodec, ...] = (
    sensor_data_xmpp.SensorData(),
    sensor_data_nf.SensorData("urn:nf:iot:sd:1.0"),
    sensor_data_nf.SensorData("urn:ieee:iot:sd:1.0"),
    sensor_data_nf.SensorData("urn:nfi:iot:sd:1.0"),
)
_CONTROL: tuple[control_xmpp.Control, ...] = (
    control_xmpp.Control(),
    control_nf.Control("urn:nf:iot:ctr:1.0"),
    control_nf.Control("urn:ieee:iot:ctr:1.0"),
    control_nf.Control("urn:nfi:iot:ctr:1.0"),
)

SENSOR_DATA: Mapping[str, SensorDataCodec] = {codec.namespace: codec for codec in _SENSOR_DATA}
CONTROL: Mapping[str, control_xmpp.Control] = {codec.namespace: codec for codec in _CONTROL}

TELEMETRY = sensor_data_xmpp.SensorData()
"""What telemetry is published in: every subscriber gets the same bytes, so one dialect has to be chosen."""
