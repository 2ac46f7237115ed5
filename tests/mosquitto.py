"""A private mosquitto on loopback: own folder, own certificate authority, gone with us; and a client to look with."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho

from hub.demo.prosody import end_with_parent, free_port, make_certificates
from tests.helpers import until, wait_until

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
USER, PASSWORD = "greenhouse", "s3cret pass"

OPEN = "listener {port} 127.0.0.1\nallow_anonymous true\n"
"""Anybody, without TLS."""
LOCKED = """\
listener {port} 127.0.0.1
allow_anonymous false
password_file {folder}/passwords
cafile {folder}/ca.pem
certfile {folder}/cert.pem
keyfile {folder}/key.pem
"""
"""TLS and a password."""
CERTIFIED = LOCKED + "require_certificate true\n"
"""TLS, a password and a client certificate."""


class Mosquitto:
    """A context manager; may be killed, frozen and started again. Without persistence: a start begins with nothing."""

    def __init__(self, folder: Path, config: str = OPEN) -> None:
        self.folder = folder
        self.port = free_port()
        self.ca_file = folder / "ca.pem"
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def broker(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        text = self._config.format(port=self.port, folder=self.folder) + "persistence false\nlog_type all\n"
        if os.geteuid() == 0:
            text += "user root\n"  # its own user could not read our folder
        (self.folder / "mosquitto.conf").write_text(text)
        if "cafile" in text:
            make_certificates(self.folder, "localhost")
            self._make_password()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when it accepts connections."""
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program is not None, "mosquitto is not installed: `sudo apt-get install mosquitto`"
        with (self.folder / "said").open("ab") as said:
            self._process = subprocess.Popen(
                [program, "-c", str(self.folder / "mosquitto.conf")],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True, preexec_fn=end_with_parent,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.01)
        self.stop()
        raise AssertionError(f"mosquitto did not start: {self.said()[-2000:]}")

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """Dead at once, without a goodbye."""
        process, self._process = self._process, None
        assert process is not None
        process.kill()
        process.wait()

    def freeze(self) -> None:
        """Stop answering without closing a connection, as a dead network does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def said(self) -> str:
        return (self.folder / "said").read_text(errors="replace")

    def _make_password(self) -> None:
        (self.folder / "passwords").touch(mode=0o600)
        (self.folder / "password").write_text(PASSWORD + "\n")
        subprocess.run(["mosquitto_passwd", "-b", str(self.folder / "passwords"), USER, PASSWORD], check=True,
                       capture_output=True, timeout=30)  # fmt: skip


@dataclass(frozen=True)
class Heard:
    topic: str
    payload: bytes
    retained: bool

    @property
    def text(self) -> str:
        return self.payload.decode()


class Onlooker:
    """A client of the tests: paho's own thread, everything it hears in `heard`. It shares no line with the hub's."""

    def __init__(self, broker: Mosquitto, *filters: str, tls: bool = False, certificate: bool = False) -> None:
        self.heard: list[Heard] = []
        self._broker, self._filters = broker, filters or ("#",)
        self._subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        if tls:
            key = str(broker.folder / "key.pem") if certificate else None
            self._client.tls_set(str(broker.ca_file), str(broker.folder / "cert.pem") if key else None, key)
            self._client.username_pw_set(USER, PASSWORD)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._broker.port)
        self._client.loop_start()
        assert self._subscribed.wait(START_TIMEOUT_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe([(each, 1) for each in self._filters])

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self.heard.append(Heard(message.topic, bytes(message.payload), message.retain))

    def publish(self, topic: str, payload: str | bytes, retain: bool = False, qos: int = 1) -> None:
        """Returns when the broker has it."""
        info = self._client.publish(topic, payload, qos, retain)
        wait_until(info.is_published, f"{topic} is published")

    def send(self, topic: str, payload: str, qos: int = 0) -> None:
        """Nobody waits."""
        self._client.publish(topic, payload, qos)

    def last(self, topic: str) -> str | None:
        return next((each.text for each in reversed(self.heard) if each.topic == topic), None)

    def all(self, topic: str) -> list[str]:
        return [each.text for each in self.heard if each.topic == topic]

    async def until(self, topic: str, wanted: Callable[[str], object] | str, timeout: float = 20.0) -> str:
        """The newest payload of `topic` once it is `wanted`."""

        def holds() -> bool:
            last = self.last(topic)
            return last is not None and bool(last == wanted if isinstance(wanted, str) else wanted(last))

        try:
            await until(holds, f"{topic} is as wanted", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}; there was {self.heard[-10:]}") from None
        found = self.last(topic)
        assert found is not None
        return found
