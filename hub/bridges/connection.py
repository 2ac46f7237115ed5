"""One MQTT connection that comes back. The only file that knows paho-mqtt, and it loads it when it is made.

paho's client is driven from asyncio's loop by its interface for other loops (`loop_read`, `loop_write`, `loop_misc`):
no thread of its own, so its callbacks run where everything else does. Only what blocks, to find and reach the broker
and to agree on TLS, is done in a thread, before paho gets the socket.

Rules of this file
* Every connection is a new client with a clean session. What was under way on the old one is forgotten, by us and by
  the broker: a command that waited there while we were away must not be carried out late, and what we had to say is
  said anew by `board.py`.
* A packet beyond `MAX_PACKET` is not read. With MQTT 5 the broker is told and does not send it; with 3.1.1 it ends the
  connection, before any of it is kept.
* Nothing that goes wrong here ends the node: it is said once per reason, and tried again with back-off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from hub.config.mqtt import Mqtt as Settings
from hub.errors import LinkError

log = logging.getLogger(__name__)

MAX_PACKET = 262_144  # bytes, in
CHUNK = 65_536
CONNECT_TIMEOUT_S = 10.0  # each of: to reach the broker, TLS, its answer
STEADY_S = 10.0  # a connection that has lasted so long has worked: the next wait is short again
LEAVE_TIMEOUT_S = 2.0
READS_AT_A_TIME = 50  # packets, before others have their turn

T = TypeVar("T")


@dataclass(frozen=True)
class Message:
    """`retained`: kept by the broker from earlier, or meant to be kept. `duplicate`: we had it on this connection."""

    topic: str
    payload: bytes
    retained: bool = False
    duplicate: bool = False


@dataclass(frozen=True)
class Will:
    topic: str
    payload: bytes


class Waits(Protocol):
    """How long before the next attempt."""

    def wait(self) -> float: ...
    def reset(self) -> None: ...


class Listener(Protocol):
    def came_up(self) -> None: ...
    def went_down(self) -> None: ...
    def heard(self, message: Message) -> None: ...


class Connection:
    """`run` it; while `up`, `publish` and `subscribe`. Raises LinkError when paho-mqtt is not installed."""

    def __init__(self, settings: Settings, client_id: str, will: Will, waits: Waits, listener: Listener) -> None:
        try:
            import paho.mqtt.client as paho
        except ImportError:
            raise LinkError("[mqtt] needs paho-mqtt: `pip install 'xmpp-iot-hub[mqtt]'`") from None

        class Client(paho.Client):
            """Takes a socket that is connected already."""

            given: Any = None

            def _create_socket(self) -> Any:
                return self.given

        self._paho, self._client_class = paho, Client
        self._settings = settings
        self._client_id, self._will = client_id, will
        self._waits, self._listener = waits, listener
        self._client: Any = None
        self._socket: _Socket | None = None
        self._writing = False
        self._answers: dict[int, asyncio.Future[None]] = {}
        self._greeted: asyncio.Future[None] | None = None
        self._lost: asyncio.Future[str] | None = None
        self._said = ""
        self._complained = False
        self._leaving = False
        self.up = False

    @property
    def is_v5(self) -> bool:
        return self._settings.protocol == "5"

    # ------------------------------------------------------------------ life

    async def run(self) -> None:
        """Connects and stays connected until it is cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                why = await self._session()
            except Exception as error:
                log.exception("MQTT: a bug in the connection")
                why = repr(error)
            if clock() - began >= STEADY_S:
                self._waits.reset()
            if why != self._said and not self._leaving:
                log.warning("MQTT: no connection to %s: %s; trying again", self._settings.broker, why)
                self._said = why
            await asyncio.sleep(self._waits.wait())

    async def leave(self) -> None:
        """Say goodbye: the broker must not publish the will. What was published before is written first."""
        self._leaving = True
        if self.up:
            self._client.disconnect()
            self._arrange_writing()
            assert self._lost is not None
            await asyncio.wait({self._lost}, timeout=LEAVE_TIMEOUT_S)

    async def _session(self) -> str:
        """One connection, from the first packet to its end; returns why it ended, or could not begin."""
        loop = asyncio.get_running_loop()
        self._greeted, self._lost = loop.create_future(), loop.create_future()
        try:
            password = _password(self._settings)
            raw = await _in_thread(lambda: _open(self._settings))
        except (OSError, LinkError) as error:
            return _words(error)
        self._socket = _Socket(raw)
        try:
            self._client = self._make_client(self._socket, password)
            self._start()
            either: set[asyncio.Future[Any]] = {self._greeted, self._lost}
            await asyncio.wait(either, timeout=CONNECT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
            if self._lost.done():
                return self._lost.result()
            if not self._greeted.done():
                return "it does not answer"
            self._came_up()
            return await self._watch(self._lost)
        finally:
            self._end()

    def _start(self) -> None:
        host, port = self._settings.address
        more: dict[str, Any] = {}
        if self.is_v5:
            from paho.mqtt.packettypes import PacketTypes
            from paho.mqtt.properties import Properties

            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho has no types here
            properties.MaximumPacketSize = MAX_PACKET
            more = {"clean_start": True, "properties": properties}
        assert self._socket is not None
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)
        self._client.connect(host, port, int(self._settings.keepalive), **more)
        self._arrange_writing()

    def _came_up(self) -> None:
        self.up = True
        self._said = ""
        self._complained = False
        log.info("MQTT: connected to %s", self._settings.broker)
        self._listener.came_up()

    async def _watch(self, lost: asyncio.Future[str]) -> str:
        """paho's own clock: pings, and a broker that does not answer them."""
        tick = max(1.0, self._settings.keepalive / 4)
        while not lost.done():
            await asyncio.wait({lost}, timeout=tick)
            if not lost.done():
                if self._client.loop_misc():
                    self._settle(lost, "it is gone")
                self._arrange_writing()
        return lost.result()

    def _end(self) -> None:
        was_up, self.up = self.up, False
        assert self._socket is not None
        self._unwatch(self._socket)
        self._socket.close()
        self._client = None
        for answer in self._answers.values():
            answer.cancel()
        self._answers.clear()
        if was_up:
            self._listener.went_down()

    # ------------------------------------------------------------------ what others ask for

    def publish(
        self, topic: str, payload: bytes, retain: bool = False, expiry: int | None = None
    ) -> asyncio.Future[None]:
        """Done when the broker has taken it; cancelled when the connection ends before. Only while `up`. `expiry`: with
        MQTT 5, seconds after which the broker gives it to nobody any more."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self.up:
            answer.cancel()
            return answer
        properties = None
        if expiry is not None and self.is_v5:
            from paho.mqtt.packettypes import PacketTypes
            from paho.mqtt.properties import Properties

            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho has no types here
            properties.MessageExpiryInterval = expiry
        info = self._client.publish(topic, payload, self._settings.qos, retain, properties)
        self._arrange_writing()
        if info.rc:  # it is gone, and we are about to be told
            answer.cancel()
        elif info.is_published():  # QoS 0, already written
            answer.set_result(None)
        else:
            self._answers[info.mid] = answer
        return answer

    def subscribe(self, topic: str, commands: bool = False, qos: int | None = None) -> None:
        """`commands`: with MQTT 5, none that the broker has kept, and those that it shall keep are told apart."""
        if not self.up:
            return
        qos = self._settings.qos if qos is None else qos
        if self.is_v5:
            from paho.mqtt.subscribeoptions import SubscribeOptions as Options

            handling = Options.RETAIN_DO_NOT_SEND if commands else Options.RETAIN_SEND_ON_SUBSCRIBE
            options = Options(qos, True, commands, handling)
            self._client.subscribe(topic, options=options)
        else:
            self._client.subscribe(topic, qos)
        self._arrange_writing()

    def unsubscribe(self, topic: str) -> None:
        if self.up:
            self._client.unsubscribe(topic)
            self._arrange_writing()

    # ------------------------------------------------------------------ paho

    def _make_client(self, sock: _Socket, password: str | None) -> Any:
        paho = self._paho
        version = paho.MQTTv5 if self.is_v5 else paho.MQTTv311
        clean = None if self.is_v5 else True
        client = self._client_class(paho.CallbackAPIVersion.VERSION2, self._client_id, clean, None, version,
                                    reconnect_on_failure=False)  # fmt: skip
        client.given = sock
        client.will_set(self._will.topic, self._will.payload, 1, retain=True)
        if self._settings.user is not None:
            client.username_pw_set(self._settings.user, password)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_socket_close = lambda *_: self._unwatch(sock)
        return client

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        assert self._greeted is not None and self._lost is not None
        if not reason.is_failure:
            self._settle(self._greeted, None)
            return
        is_old = "protocol version" in str(reason).lower()
        hint = ' (does it know MQTT 5? else set protocol = "3.1.1")' if is_old else ""
        self._settle(self._lost, f"it refuses us: {reason}{hint}")

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        assert self._lost is not None
        too_large = self._socket.too_large if self._socket is not None else 0
        text = f"a packet of {too_large} bytes was refused (at most {MAX_PACKET})" if too_large else str(reason)
        self._settle(self._lost, text)

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        try:
            heard = Message(message.topic, bytes(message.payload), bool(message.retain), bool(message.dup))
        except UnicodeDecodeError:
            return  # a topic that is no text can be none of ours
        try:
            self._listener.heard(heard)
        except Exception:  # what one message does must not end the connection
            log.exception("MQTT: a bug: a message on %r could not be handled", heard.topic)

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
        if reason.is_failure and not self._complained:
            log.warning("MQTT: the broker did not take a publication (said once a connection): %s", reason)
            self._complained = True
        answer = self._answers.pop(mid, None)
        if answer is not None:
            self._settle(answer, None)

    def _on_subscribe(self, _client: Any, _data: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        for reason in reasons:
            if reason.is_failure:
                log.warning("MQTT: the broker does not let us hear a topic: %s", reason)

    @staticmethod
    def _settle(future: asyncio.Future[T], result: T) -> None:
        if not future.done():
            future.set_result(result)

    # ------------------------------------------------------------------ the socket in asyncio's loop

    def _readable(self) -> None:
        sock, client = self._socket, self._client
        for _ in range(READS_AT_A_TIME):
            if client is None or client.loop_read() or client is not self._client:
                return
            if sock is None or sock.closed or not sock.pending():
                break
        else:
            asyncio.get_running_loop().call_soon(self._readable)  # the selector knows nothing of what is read already
        self._arrange_writing()

    def _arrange_writing(self) -> None:
        sock = self._socket
        if sock is None or sock.closed or self._client is None:
            return
        loop, wanted = asyncio.get_running_loop(), self._client.want_write()
        if wanted and not self._writing:
            loop.add_writer(sock.fileno(), self._writable)
        elif not wanted and self._writing:
            loop.remove_writer(sock.fileno())
        self._writing = wanted

    def _writable(self) -> None:
        self._client.loop_write()
        self._arrange_writing()

    def _unwatch(self, sock: _Socket) -> None:
        if not sock.closed:
            loop = asyncio.get_running_loop()
            loop.remove_reader(sock.fileno())
            loop.remove_writer(sock.fileno())
        self._writing = False


class _Socket:
    """What paho uses of a socket, with a bound on what it may want at once and without a system call per byte."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self._read = b""
        self._at = 0
        self.too_large = 0
        self.closed = False

    def recv(self, size: int) -> bytes:
        if size > MAX_PACKET:
            self.too_large = size
            raise ConnectionError("a packet that is too large")
        if self._at == len(self._read):
            self._read, self._at = self._raw.recv(CHUNK), 0
        part = self._read[self._at : self._at + size]
        self._at += len(part)
        return part

    def pending(self) -> bool:
        """Whether there is something to read that the operating system does not know of."""
        return self._at < len(self._read) or (isinstance(self._raw, ssl.SSLSocket) and self._raw.pending() > 0)

    def send(self, data: bytes) -> int:
        return self._raw.send(data)

    def fileno(self) -> int:
        return self._raw.fileno()

    def setblocking(self, flag: bool) -> None:
        self._raw.setblocking(flag)

    def close(self) -> None:
        self.closed = True
        self._raw.close()


def _open(settings: Settings) -> socket.socket:
    """A connected socket, with TLS where that is asked for. Blocks. Raises OSError and LinkError."""
    context = _context(settings) if settings.tls else None
    host, port = settings.address
    raw = socket.create_connection((host, port), CONNECT_TIMEOUT_S)
    try:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return raw if context is None else context.wrap_socket(raw, server_hostname=host)
    except BaseException:
        raw.close()
        raise


def _context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ca_file and str(settings.ca_file))
    except OSError as error:
        raise LinkError(f"mqtt.ca_file cannot be used: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.certificate is not None:
        try:
            context.load_cert_chain(settings.certificate, settings.key, password=_no_passphrase)
        except (OSError, ValueError) as error:
            raise LinkError(f"mqtt.certificate and mqtt.key cannot be used: {error}") from error
    return context


def _no_passphrase() -> str:
    """Asked for by a key that has one; a service has nobody to ask."""
    raise ValueError("the key is encrypted; a service cannot ask for its passphrase")


def _password(settings: Settings) -> str | None:
    """Read anew for every connection, so that a changed one is taken. Raises LinkError."""
    if settings.password_file is None:
        return None
    try:
        return settings.password_file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise LinkError(f"mqtt.password_file cannot be read: {error}") from error


def _words(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}): see ca_file and the name in broker"
    return str(error) or type(error).__name__


async def _in_thread(call: Callable[[], T]) -> T:
    """In a daemon thread: a name service that hangs must not hold the process back when it ends."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.done():
            if isinstance(result, socket.socket):
                result.close()  # nobody waits for it any more
        elif error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # no error: it is the result

    def work() -> None:
        result, error = None, None
        try:
            result = call()
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="MQTT connect", daemon=True).start()
    return await future
