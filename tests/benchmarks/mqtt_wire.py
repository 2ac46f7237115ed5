"""What MQTT takes for the same readings: paho-mqtt, a relay that counts, and a real mosquitto behind it."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt

from hub.demo.prosody import free_port
from tests.benchmarks.measure import Child
from tests.helpers import wait_until

BROKER = "listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"


@dataclass(frozen=True)
class Cost:
    """Bytes per reading: what the publisher writes and reads, and what the subscriber does. TCP and TLS excluded."""

    publisher_out: float
    publisher_in: float
    subscriber_in: float
    subscriber_out: float


class Relay:
    """Takes one connection and counts its bytes both ways."""

    def __init__(self, target: int) -> None:
        self.out = self.back = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._target = target
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(("127.0.0.1", self._target))
        threading.Thread(target=self._pump, args=(far, near, "back"), daemon=True).start()
        self._pump(near, far, "out")

    def _pump(self, source: socket.socket, sink: socket.socket, name: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                setattr(self, name, getattr(self, name) + len(data))
                sink.sendall(data)

    def close(self) -> None:
        self._listener.close()


def measure(folder: Path, topic: str, readings: Sequence[dict[str, object]], qos: int) -> Cost:
    """Publish `readings` as JSON, one by one, to one subscriber of one broker."""
    port = free_port()
    config = folder / f"wire-{qos}.conf"
    config.write_text(BROKER.format(port=port))
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        raise RuntimeError("mosquitto is not installed")
    broker = Child([program, "-c", str(config)], folder / f"wire-{qos}.log")
    try:
        broker.wait_for_log("running")
        return _measure(port, topic, readings, qos)
    finally:
        broker.stop()


def _measure(port: int, topic: str, readings: Sequence[dict[str, object]], qos: int) -> Cost:
    arrived: list[bytes] = []
    relays = Relay(port), Relay(port)
    publisher, subscriber = (mqtt.Client(mqtt.CallbackAPIVersion.VERSION2) for _ in relays)
    subscriber.on_message = lambda _client, _data, message: arrived.append(message.payload)
    try:
        for client, relay in zip((publisher, subscriber), relays, strict=True):
            client.connect("127.0.0.1", relay.port, keepalive=3600)
            client.loop_start()
            wait_until(client.is_connected, "MQTT is connected")
        subscriber.subscribe(topic, qos)
        wait_until(lambda: relays[1].back >= 9, "the broker has taken the subscription")  # CONNACK and SUBACK
        before = [(relay.out, relay.back) for relay in relays]
        for number, reading in enumerate(readings, 1):
            publisher.publish(topic, json.dumps(reading, separators=(",", ":")), qos)
            wait_until(lambda wanted=number: len(arrived) >= wanted, "the reading has arrived")
        wait_until(lambda: not publisher.want_write() and not subscriber.want_write(), "all is written")
        spent = [((relay.out - out) / len(readings), (relay.back - back) / len(readings))
                 for relay, (out, back) in zip(relays, before, strict=True)]  # fmt: skip
        return Cost(spent[0][0], spent[0][1], spent[1][1], spent[1][0])
    finally:
        for client in (publisher, subscriber):
            client.disconnect()
            client.loop_stop()
        for relay in relays:
            relay.close()
