"""A private ejabberd on loopback: own folder, own Erlang node without epmd, TLS required, gone with us."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from hub.demo.prosody import Address, end_with_parent, free_port, make_certificates

START_TIMEOUT_S = 40.0
STOP_TIMEOUT_S = 10.0

CONFIG = """\
hosts: ["localhost"]
loglevel: info
certfiles: ["{folder}/cert.pem", "{folder}/key.pem"]
ca_file: "{folder}/ca.pem"
listen:
  -
    port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    starttls: true
    starttls_required: true
    zlib: true
    max_stanza_size: 262144
    access: all
  -
    port: {direct_port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    tls: true
    access: all
{components}auth_method: [internal]
auth_password_format: plain
disable_sasl_mechanisms: ["PLAIN", "X-OAUTH2"]
modules:
  mod_caps: {{}}
  mod_disco: {{}}
  mod_ping: {{}}
  mod_pubsub:
    plugins: ["flat", "pep"]
  mod_roster: {{}}
  mod_stream_mgmt: {{}}
"""


COMPONENTS = """\
  -
    port: {port}
    ip: "127.0.0.1"
    module: ejabberd_service
    access: all
    hosts:
"""


class Ejabberd:
    """As `hub.demo.prosody.Prosody`: a context manager with known accounts, to be stopped, started and frozen."""

    domain = "localhost"

    def __init__(self, folder: Path, components: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.components = dict(components or {})
        self.component_port = free_port()
        self.address = Address("127.0.0.1", free_port())
        self.direct_tls_port = free_port()
        self.ca_file = folder / "ca.pem"
        self.passwords: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._node_port = free_port()
        self._node = f"hub{secrets.token_hex(4)}@localhost"

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        make_certificates(self.folder, "localhost")
        (self.folder / "ejabberd.yml").write_text(
            CONFIG.format(folder=self.folder, port=self.address.port, direct_port=self.direct_tls_port,
                          components=self._component_lines())
        )
        for name in ("spool", "logs", "home"):
            (self.folder / name).mkdir()
        (self.folder / "inetrc").write_text('{lookup,["file","native"]}.\n{host,{127,0,0,1},["localhost"]}.\n')
        cookie = self.folder / "home/.erlang.cookie"
        cookie.write_text(secrets.token_hex(16))
        cookie.chmod(0o400)
        self._scripts()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

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

    def register(self, user: str, password: str | None = None) -> str:
        """Make an account, or give it another password; returns it (a random one when none is given)."""
        password = password or secrets.token_urlsafe(16)
        done = self._control("register", user, "localhost", password)
        if done.returncode:  # it is there already
            done = self._control("change_password", user, "localhost", password)
        assert done.returncode == 0, done.stdout + done.stderr
        return password

    def populate(self, *users: str) -> Self:
        for user in users:
            self.passwords[user] = self.register(user)
        return self

    # ------------------------------------------------------------------ inside

    def _component_lines(self) -> str:
        if not self.components:
            return ""
        hosts = [f'      "{name}":\n        password: "{secret}"\n' for name, secret in self.components.items()]
        return COMPONENTS.format(port=self.component_port) + "".join(hosts)

    def _scripts(self) -> None:
        """Debian's script wants the user ejabberd. For the server it gives way to Erlang, so that the process we
        started is the one we end."""
        found = shutil.which("ejabberdctl", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert found is not None, "ejabberd is not installed: `sudo apt-get install ejabberd`"
        script = Path(found).read_text().replace("INSTALLUSER=ejabberd", 'INSTALLUSER=""', 1)
        last = 'as_current_user) "$@" ;;'
        assert last in script
        for name, text in (("control", script), ("serve", script.replace(last, 'as_current_user) exec "$@" ;;'))):
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o755)

    @property
    def _environment(self) -> Mapping[str, str]:
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder / "home"), "LC_ALL": "C.UTF-8",
            "ERL_DIST_PORT": str(self._node_port), "INET_DIST_INTERFACE": "127.0.0.1", "ERL_OPTIONS": "+S 1",
            "EJABBERD_PID_PATH": str(self.folder / "pid"),
        }  # fmt: skip

    def _command(self, script: str, *arguments: str) -> list[str]:
        folder = str(self.folder)
        return [f"{folder}/{script}", "--config-dir", folder, "--config", f"{folder}/ejabberd.yml", "--spool",
                f"{folder}/spool", "--logs", f"{folder}/logs", "--node", self._node, *arguments]  # fmt: skip

    def _control(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._command("control", *arguments), env=self._environment, stdin=subprocess.DEVNULL, cwd=self.folder,
            capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False,
        )  # fmt: skip

    def start(self) -> None:
        """Returns when it accepts connections."""
        with (self.folder / "said").open("wb") as said:
            self._process = subprocess.Popen(
                self._command("serve", "foreground"), env=self._environment, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                start_new_session=True, preexec_fn=end_with_parent,
            )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection((self.address.host, self.address.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.stop()
        raise AssertionError(f"ejabberd did not start: {(self.folder / 'said').read_text(errors='replace')[-2000:]}")
