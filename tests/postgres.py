"""A private PostgreSQL: own folder, a Unix socket only, gone with us. Where we are root it runs as somebody else."""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

import psycopg

from hub.demo.prosody import PR_SET_PDEATHSIG
from tests.helpers import wait_until

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0
ACCOUNTS = ("postgres", "nobody")  # whom it runs as where we are root


class Postgres:
    """A context manager. `stop` and `start` it in between."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hub-pg-"))  # short: a socket's path has 107 characters
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._shared = ""
        self._account = _account()

    def __enter__(self) -> Self:
        if self._account:
            user = pwd.getpwnam(self._account["user"])
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        try:
            self._run("initdb", "--auth=trust", "--username=hub", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
                      "--pgdata", str(self.folder / "data"))  # fmt: skip
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def url(self, name: str = "postgres") -> str:
        return f"postgresql://hub@/{name}?host={self.folder}"

    def schema(self) -> str:
        """The URL of a new, empty schema in a database for all of them: all that a store needs, and quickly made."""
        self._shared = self._shared or self.database()
        name = f"s{next(self._numbers)}"
        with psycopg.connect(self._shared, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self._shared}&options=-csearch_path%3D{name}"

    def database(self, encoding: str = "UTF8") -> str:
        """The URL of a new, empty one. It does not sort by code points, where the server is made for such."""
        name = f"d{next(self._numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            locale = "C" if encoding != "UTF8" else "C.UTF-8"
            extra = f"ENCODING '{encoding}' LC_COLLATE '{locale}' LC_CTYPE '{locale}' TEMPLATE template0"
            icu = " LOCALE_PROVIDER icu ICU_LOCALE 'en'" if encoding == "UTF8" and _has_icu(connection) else ""
            connection.execute(f"CREATE DATABASE {name} {extra}{icu}".encode())
        return self.url(name)

    def start(self) -> None:
        """Returns when it accepts connections."""
        with (self.folder / "said").open("wb") as said:
            self._process = subprocess.Popen(
                [_program("postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder), "-h", "",
                 "-c", "fsync=off", "-c", "max_connections=60", "-c", "shared_buffers=16MB"],
                stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True, cwd="/",
                preexec_fn=_end_fast_with_parent, **self._account,
            )  # fmt: skip
        wait_until(self._is_there, "PostgreSQL's start", START_TIMEOUT_S)

    def _is_there(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"PostgreSQL ended: {(self.folder / 'said').read_text(errors='replace')[-2000:]}")
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self.url()):
            return True
        return False

    def stop(self, with_: signal.Signals = signal.SIGINT) -> None:
        """SIGINT: at once but in order. SIGQUIT: as after a crash. Gone when this returns."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(with_)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def dump(self, url: str) -> str:
        """As `pg_dump` has it, as statements alone."""
        text = self._run("pg_dump", "--inserts", "--no-owner", "--dbname", url)
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("\\", "--"))]
        return "\n".join(lines) + "\n"

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run([_program(program), *arguments], capture_output=True, text=True, check=False, cwd="/",
                              stdin=subprocess.DEVNULL, timeout=START_TIMEOUT_S, **self._account)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


def _end_fast_with_parent() -> None:
    """As `hub.demo.prosody.end_with_parent`; to PostgreSQL, SIGTERM means to wait for its clients."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def _has_icu(connection: psycopg.Connection[Any]) -> bool:
    found = connection.execute("SELECT 1 FROM pg_collation WHERE collprovider = 'i' LIMIT 1").fetchone()
    return connection.info.server_version >= 150_000 and found is not None


def _account() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    for name in ACCOUNTS:
        with contextlib.suppress(KeyError):
            return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}
    raise AssertionError(f"PostgreSQL does not run as root, and there is no account of {', '.join(ACCOUNTS)}")


def _program(name: str) -> str:
    """Debian keeps the server's programs outside of PATH."""
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: -int(folder.parent.name))
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *map(str, newest)]))
    assert found is not None, f"{name} is not installed: `sudo apt-get install postgresql`"
    return found
