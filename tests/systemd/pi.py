"""A made-up machine to install on: fake hardware, stand-ins for apt and pip, systemd's own tools as they are.

The stand-in for Python makes a venv whose `hub` is this checkout's, so that `hub check` says what it really says.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
INSTALL = CHECKOUT / "systemd/install.sh"
MACHINE = CHECKOUT / "systemd/machine.sh"

PYTHON = f"""\
#!/bin/sh
if [ "$1" = -c ]; then
    [ -z "$STUB_OLD_PYTHON" ] || exec {sys.executable} -c "import sys; sys.version_info = (3, 9, 2); $2"
    exec {sys.executable} "$@"
fi
for last in "$@"; do :; done   # -m venv … DIR
rm -rf "$last"; mkdir -p "$last/bin"
cat >"$last/bin/pip" <<'PIP'
#!/bin/sh
echo "pip $*" >>"$STUB_LOG"
while [ "$1" != --log ]; do shift; done
if [ -n "$STUB_PIP_SLEEPS" ]; then echo sleeping >>"$STUB_LOG"; sleep 60; fi
if [ -n "$STUB_PIP_FAILS" ] && [ ! -e "$STUB_LOG.compiler" ]; then
    echo "$STUB_PIP_FAILS" | tee "$2" >&2
    exit 1
fi
PIP
cat >"$last/bin/hub" <<'HUB'
#!/bin/sh
[ -z "$STUB_HUB_BROKEN" ] || {{ echo "ImportError" >&2; exit 1; }}
[ "$1" != --version ] || exit 0
PYTHONPATH={CHECKOUT} exec {sys.executable} -m hub "$@"
HUB
ln -s {sys.executable} "$last/bin/python"
chmod 755 "$last/bin/pip" "$last/bin/hub"
"""
APT_GET = """\
#!/bin/sh
echo "apt-get $*" >>"$STUB_LOG"
case "$*" in *gcc*) : >"$STUB_LOG.compiler" ;; esac
case "$*" in *install*) [ -z "$STUB_APT_FAILS" ] || exit 100 ;; esac
"""
APT_CACHE = """\
#!/bin/sh
echo "$2:"
if [ -n "$STUB_OFFERS" ]; then echo "  Candidate: 0.2.2-1"; else echo "  Candidate: (none)"; fi
"""
DF = '#!/bin/sh\necho Filesystem\necho "/dev/root 30000000 1 ${STUB_FREE_KIB:-20000000} 1% /"\n'
ID = '#!/bin/sh\nif [ -n "$STUB_UID" ]; then echo "$STUB_UID"; else exec /usr/bin/id "$@"; fi\n'

ELF_64 = b"\x7fELF\x02\x01\x01"
ELF_32 = b"\x7fELF\x01\x01\x01"


class Pi:
    """A made-up machine: its root folder and its programs."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.log = folder / "log"
        self.log.touch()
        self.stubs = folder / "stubs"
        self.write("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
        self.write("proc/cpuinfo", "model name\t: ARMv7 Processor rev 3 (v7l)\n")
        self.write("proc/meminfo", "MemTotal:         1917940 kB\n")
        self.write("etc/os-release", 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n')
        self.write("bin/sh", ELF_64)
        self.write("usr/bin/raspi-config", "")
        self.write("boot/firmware/config.txt", "#dtparam=i2c_arm=on\n[all]\n")
        self.write("dev/gpiochip0", "")
        self.write("run/systemd/timesync/synchronized", "")
        stubs = {"python3": PYTHON, "apt-get": APT_GET, "apt-cache": APT_CACHE, "df": DF, "id": ID}
        for name, text in stubs.items():
            file = self.stubs / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
            file.chmod(0o755)

    def write(self, name: str, content: str | bytes) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    def remove(self, name: str) -> None:
        (self.root / name).unlink()

    def environment(self, **stubs: str) -> dict[str, str]:
        return {
            "PATH": f"{self.stubs}:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "STUB_LOG": str(self.log),
            **{f"STUB_{key}": value for key, value in stubs.items()},
        }

    def run(self, script: Path, *arguments: str, **stubs: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(script), *arguments], env=self.environment(**stubs), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    def install(self, *arguments: str, **stubs: str) -> subprocess.CompletedProcess[str]:
        return self.run(INSTALL, "--root", str(self.root), "--python", str(self.stubs / "python3"), *arguments, **stubs)

    def report(self, **stubs: str) -> dict[str, str]:
        """The report by its first words; lines that go on are joined."""
        done = self.run(MACHINE, "--root", str(self.root), "--python", str(self.stubs / "python3"), **stubs)
        assert (done.returncode, done.stderr) == (0, "")
        text = re.sub(r"\n {12}", " ", done.stdout)
        return {line[2:11].strip(): line[12:] for line in text.splitlines()[1:]}

    def tree(self) -> Mapping[str, tuple[str, bytes]]:
        """Everything below the root: mode, and content or target."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            mode = stat.filemode(path.lstat().st_mode)
            if path.is_symlink():
                content = str(path.readlink()).encode()
            elif not path.is_file():
                content = b""
            elif os.access(path, os.R_OK):
                content = path.read_bytes()
            else:  # the shadow files, when we are not root
                content = str((path.stat().st_size, path.stat().st_mtime_ns)).encode()
            found[str(path.relative_to(self.root))] = (mode, content)
        return found

    def mode(self, name: str) -> int:
        return stat.S_IMODE((self.root / name).stat().st_mode)

    def owner(self, name: str) -> tuple[int, int]:
        of = (self.root / name).stat()
        return of.st_uid, of.st_gid

    def number_of(self, group: str) -> int:
        for line in (self.root / "etc/group").read_text().splitlines():
            if line.startswith(f"{group}:"):
                return int(line.split(":")[2])
        raise AssertionError(f"no group {group}")


def fails(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """One sentence, the last of what was said, with these words in it."""
    assert done.returncode == code, done.stdout + done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("install.sh: ")
    for word in words:
        assert word in last


# ---------------------------------------------------------------- a gateway on it

GATEWAY = """\
[gateway.domains."example.org"]
certificate = "/etc/hub/example.org.pem"
key = "/etc/hub/example.org.key"
server = "127.0.0.1:5522"
"""
GATEWAY_UNIT = "etc/systemd/system/hub-gateway.service"
GATEWAY_LINK = "etc/systemd/system/multi-user.target.wants/hub-gateway.service"
GATEWAY_EXAMPLE = "etc/hub/gateway.toml.example"


# ---------------------------------------------------------------- a provisioning server on it

PROVISIONING = """\
[provisioning]
jid = "provisioning.example.org"
server = "127.0.0.1:5347"
secret_file = "/etc/hub/provisioning.secret"
"""
PROVISIONING_UNIT = "etc/systemd/system/hub-provisioning.service"
PROVISIONING_LINK = "etc/systemd/system/multi-user.target.wants/hub-provisioning.service"


# ---------------------------------------------------------------- a dashboard on it

DASHBOARD = """\
[xmpp]
jid = "dashboard@example.org"
password_file = "/etc/hub/dashboard.password"
[dashboard]
hubs = ["greenhouse@example.org"]
"""
DASHBOARD_UNIT = "etc/systemd/system/hub-dashboard.service"
DASHBOARD_LINK = "etc/systemd/system/multi-user.target.wants/hub-dashboard.service"
