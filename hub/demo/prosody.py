"""A private Prosody on loopback: own folder, own certificate authority, TLS required, free ports, gone with us.

It is a real server with a real configuration, started as a child process that the kernel ends when we die, however we
die. The demo runs on it, and so do the tests.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hub.errors import HubError

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 5.0
PR_SET_PDEATHSIG = 1

CONFIG = """\
-- Made by hub for one run; the settings that matter for a hub:
-- * nagle off: with it on, stream management stalls every stanza by 40 ms
-- * no rate limit: the packaged 10 kB/s would throttle a node that catches up
{as_root}
pidfile = "{folder}/prosody.pid"
data_path = "{folder}/data"
certificates = "{folder}"
plugin_paths = {{}}
modules_enabled = {{ "roster"; "saslauth"; "tls"; "disco"; "pep"; "smacks"; "ping"; "presence"; "message"; "iq" }}
modules_disabled = {{ "s2s"; "posix" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
s2s_ports = {{}}
component_ports = {{ {component_port} }}
component_interfaces = {{ "127.0.0.1" }}
c2s_require_encryption = true
allow_unencrypted_plain_auth = false
authentication = "internal_hashed"
password_hash = "SHA-256"
disable_sasl_mechanisms = {{ "PLAIN" }}
network_settings = {{ nagle = false }}
smacks_hibernation_time = 300
limits = {{ c2s = {{ rate = "10mb/s"; burst = "10s" }} }}
log = {{ {level} = "{folder}/prosody.log" }}
storage = "internal"
ssl = {{ key = "{folder}/key.pem"; certificate = "{folder}/cert.pem" }}
VirtualHost "{domain}"
Component "pubsub.{domain}" "pubsub"
    admins = {{ {admins} }}
{components}
"""
COMPONENT = """\
Component "{name}"
    component_secret = "{secret}"
"""


@dataclass(frozen=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Prosody:
    """`start` it, `register` accounts, `stop` it; or use it as a context manager. `folder` None: a temporary one.
    `components`: those it takes on `component_port` (XEP-0114), with their secrets."""

    def __init__(
        self, domain: str = "localhost", folder: Path | None = None, debug: bool = False,
        components: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.domain = domain
        self.folder = folder or Path(tempfile.mkdtemp(prefix="hub-prosody-"))
        self._temporary = folder is None
        self._debug = debug
        self.address = Address("127.0.0.1", free_port())
        self.component_port = free_port()
        self.components = dict(components or {})
        self.ca_file = self.folder / "ca.pem"
        self._config = self.folder / "prosody.cfg.lua"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Prosody:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.remove()

    def start(self) -> None:
        """Returns when it accepts connections. Raises HubError with what to do when it does not."""
        if shutil.which("prosody") is None:
            raise HubError("Prosody is not installed: `sudo apt-get install prosody`")
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.ca_file.exists():
            make_certificates(self.folder, self.domain)
        self._write_config()
        with (self.folder / "stderr.log").open("wb") as stderr:
            self._process = subprocess.Popen(
                ["prosody", "-F", "--config", str(self._config)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we end it in our own time
                preexec_fn=end_with_parent,
            )  # fmt: skip
        self._wait_until_it_listens(self._process)

    def register(self, user: str, password: str | None = None) -> str:
        """Make an account; returns its password (a random one when none is given)."""
        password = password or secrets.token_urlsafe(16)
        as_root = ["--root"] if os.geteuid() == 0 else []
        done = subprocess.run(
            ["prosodyctl", *as_root, "--config", str(self._config), "register", user, self.domain, password],
            capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise HubError(f"prosodyctl could not register {user}: {(done.stderr or done.stdout).strip()}")
        return password

    def stop(self) -> None:
        """Gone when this returns; its data stay in the folder for another start."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def freeze(self) -> None:
        """Stop answering without closing a connection, as a dead network does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        with contextlib.suppress(OSError):
            return (self.folder / "prosody.log").read_text(errors="replace")
        return ""

    def _write_config(self) -> None:
        (self.folder / "data").mkdir(exist_ok=True)
        admins = "; ".join(f'"{user}@{self.domain}"' for user in ("greenhouse", "node"))
        components = "".join(COMPONENT.format(name=name, secret=secret) for name, secret in self.components.items())
        self._config.write_text(
            CONFIG.format(
                as_root="run_as_root = true" if os.geteuid() == 0 else "",
                folder=self.folder, port=self.address.port, component_port=self.component_port,
                domain=self.domain, admins=admins, components=components, level="debug" if self._debug else "info",
            )
        )

    def _wait_until_it_listens(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection((self.address.host, self.address.port), 1):
                return
            time.sleep(0.02)  # it opens its port about 0.1 s after the start
        self.stop()
        said = (self.folder / "stderr.log").read_text(errors="replace").strip() or self.log()[-1000:]
        raise HubError(f"Prosody did not start: {said}")


def make_certificates(folder: Path, domain: str) -> None:
    """A certificate authority of our own (`ca.pem`) and a certificate for `domain` (`cert.pem`, `key.pem`)."""
    names = f"subjectAltName=DNS:{domain},DNS:pubsub.{domain},IP:127.0.0.1"
    (folder / "san.cnf").write_text(f"{names}\nbasicConstraints=CA:FALSE\n")
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650",
             "-subj", "/CN=hub private CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign")  # fmt: skip
    _openssl(folder, "req", *key, "-keyout", "key.pem", "-out", "req.pem", "-subj", f"/CN={domain}")
    _openssl(folder, "x509", "-req", "-in", "req.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
             "-out", "cert.pem", "-days", "3650", "-extfile", "san.cnf")  # fmt: skip


def _openssl(folder: Path, *arguments: str) -> None:
    try:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        raise HubError("openssl is not installed: `sudo apt-get install openssl`") from None
    except subprocess.CalledProcessError as error:
        raise HubError(f"openssl failed: {error.stderr.strip()}") from None


HELD_PORTS = 256
_held: deque[int] = deque()


def free_port() -> int:
    """A port on loopback for a server that sets SO_REUSEADDR, which all do; nobody else gets it meanwhile, until so
    many more were asked for that its server has long been listening.

    A bound socket that does not listen keeps the kernel from giving the port to anybody who asks for any; that it may
    be bound again is said only after it was bound, or the kernel would give it to the next of us.
    """
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port: int = sock.getsockname()[1]
    _held.append(sock.detach())
    if len(_held) > HELD_PORTS:
        os.close(_held.popleft())
    return port


def end_with_parent() -> None:
    """In a child, before exec: the kernel sends SIGTERM when the parent dies, also when it is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
