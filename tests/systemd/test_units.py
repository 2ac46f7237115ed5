"""The unit as systemd itself sees it (systemd-analyze), and as the code it starts needs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from hub.cli import dashboard as dashboard_command
from hub.cli import gateway as gateway_command
from hub.cli import hub
from hub.cli import node as node_command
from hub.cli import provisioning as provisioning_command
from hub.gateway.limits import Limits
from hub.gateway.server import FILES_PER_CONNECTION, OTHER_FILES
from hub.services import audit
from hub.session import link
from hub.things import sampler

CHECKOUT = Path(__file__).parents[2]
FOLDER = CHECKOUT / "systemd"
UNIT = FOLDER / "hub-node.service"
GATEWAY = FOLDER / "hub-gateway.service"
PROVISIONING = FOLDER / "hub-provisioning.service"
DASHBOARD = FOLDER / "hub-dashboard.service"
EACH = pytest.mark.parametrize("file", [UNIT, GATEWAY, PROVISIONING, DASHBOARD], ids=lambda file: file.stem)
MAX_EXPOSURE = 2.0


def settings(unit: Path = UNIT) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def only(key: str, unit: Path = UNIT) -> str:
    (value,) = settings(unit)[key]
    return value


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *arguments]
    if os.geteuid() != 0 and not Path("/run/systemd").is_dir():
        # It wants that folder, and where systemd does not run only root could make it: give it a /run of its own
        own_run = 'mount -t tmpfs tmpfs /run && exec "$@"'
        command = ["unshare", "--map-root-user", "--mount", "sh", "-c", own_run, "sh", *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A root folder with systemd's own units, and the programs that ours calls."""
    own = next(path for path in (Path("/usr/lib/systemd/system"), Path("/lib/systemd/system")) if path.is_dir())
    shutil.copytree(own, tmp_path / "usr/lib/systemd/system", symlinks=True)
    (tmp_path / "lib").symlink_to("usr/lib")
    for program in ("opt/hub/bin/hub", "bin/kill"):
        file = tmp_path / program
        file.parent.mkdir(parents=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    return tmp_path


def verify(machine: Path, text: str, name: str = UNIT.name) -> subprocess.CompletedProcess[str]:
    unit = machine / "etc/systemd/system" / name
    unit.parent.mkdir(parents=True)
    unit.write_text(text)
    return analyze("verify", "--man=no", f"--root={machine}", name)


@EACH
def test_systemd_finds_nothing_wrong_with_the_unit(machine: Path, file: Path) -> None:
    done = verify(machine, file.read_text(), file.name)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("WatchdogSec=60s", "WatchdogSeconds=60s"),
        ("ProtectSystem=strict", "ProtectSystem=stricter"),
        ("/opt/hub/bin/hub", "/opt/hub/bin/hubb"),
    ],
)
def test_what_is_wrong_would_be_found(machine: Path, right: str, wrong: str) -> None:
    done = verify(machine, UNIT.read_text().replace(right, wrong, 1))
    assert wrong.rpartition("=")[2] in done.stderr or wrong.partition("=")[0] in done.stderr


@EACH
def test_exposure_is_at_most_two(file: Path) -> None:
    done = analyze("security", "--offline=true", "--no-pager", str(file))
    found = re.search(rf"Overall exposure level for {re.escape(file.name)}: (\d+\.\d+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= MAX_EXPOSURE


def test_pins_and_buses_are_let_through_and_nothing_else() -> None:
    """The names are those of /proc/devices: spidev registers itself as "spi" (drivers/spi/spidev.c)."""
    assert only("DevicePolicy") == "closed"
    assert settings()["DeviceAllow"] == ["char-gpiochip rw", "char-i2c rw", "char-spi rw"]
    assert settings().get("PrivateDevices", ["no"]) == ["no"]  # would hide them
    # A class that the kernel does not know yet when the service starts is not let through at all
    loaded = {name for value in settings()["Wants"] for name in re.findall(r"modprobe@(\w+)\.service", value)}
    assert loaded == {"i2c_dev", "spidev"}
    ordered = " ".join(settings()["After"])
    assert all(f"modprobe@{name}.service" in ordered for name in loaded)


def test_what_the_system_driver_reads_is_there() -> None:
    assert only("ProcSubset") == "all"


def test_lgpio_can_make_its_pipe() -> None:
    """It makes one in the working directory when it is imported."""
    assert only("WorkingDirectory") == f"/run/{only('RuntimeDirectory')}"


def test_the_command_is_the_one_we_have() -> None:
    program, command, option, config = only("ExecStart").split()
    scripts = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["scripts"]
    assert Path(program).name in scripts
    assert hub.get_command(None, command) is node_command.node  # type: ignore[arg-type]  # it needs no context
    assert option in [name for parameter in node_command.node.params for name in parameter.opts]
    assert Path(config) == node_command.DEFAULT_CONFIG
    assert program.removesuffix("/bin/hub") == "/opt/hub"
    assert 'mv -fT "$ROOT/opt/hub.new" "$ROOT/opt/hub"' in (FOLDER / "install.sh").read_text()


def test_the_gateways_command_is_the_one_we_have() -> None:
    program, command, config = only("ExecStart", GATEWAY).split()
    assert program == only("ExecStart").split()[0]
    assert hub.get_command(None, command) is gateway_command.gateway  # type: ignore[arg-type]  # as above
    assert Path(config).parent == Path("/etc") / only("ConfigurationDirectory", GATEWAY)


def test_the_provisioning_servers_command_is_the_one_we_have() -> None:
    program, command, config = only("ExecStart", PROVISIONING).split()
    assert program == only("ExecStart").split()[0]
    group = hub.get_command(None, command)  # type: ignore[arg-type]  # as above
    assert group is provisioning_command.provisioning
    assert Path(config) == provisioning_command.DEFAULT_CONFIG
    assert only("Restart", PROVISIONING) == "always"
    seconds = re.fullmatch(r"(\d+)s", only("TimeoutStopSec", PROVISIONING))
    assert seconds is not None and int(seconds[1]) >= 2 * (link.CLOSE_TIMEOUT_S + audit.PATIENCE_S)


def test_the_dashboards_command_is_the_one_we_have() -> None:
    program, command, option, config = only("ExecStart", DASHBOARD).split()
    assert program == only("ExecStart").split()[0]
    group = hub.get_command(None, command)  # type: ignore[arg-type]  # as above
    assert group is dashboard_command.dashboard
    assert option in [name for parameter in dashboard_command.dashboard.params for name in parameter.opts]
    assert Path(config) == dashboard_command.DEFAULT_CONFIG
    assert only("Restart", DASHBOARD) == "always"


def test_there_is_time_to_tell_the_gateways_clients() -> None:
    seconds = re.fullmatch(r"(\d+)s", only("TimeoutStopSec", GATEWAY))
    assert seconds is not None and int(seconds[1]) >= 2 * Limits().drain_timeout
    assert int(only("LimitNOFILE", GATEWAY)) >= Limits().connections * FILES_PER_CONNECTION + OTHER_FILES
    assert only("Restart", GATEWAY) == "always"


def test_there_is_time_for_the_safe_states() -> None:
    """Outputs are written and closed, all at once; then comes the goodbye. Half of the time is left for a slow Pi."""
    seconds = re.fullmatch(r"(\d+)s", only("TimeoutStopSec"))
    assert seconds is not None
    assert int(seconds[1]) >= 2 * (2 * sampler.STOP_TIMEOUT_S + link.CLOSE_TIMEOUT_S)
    assert only("KillMode") == "mixed"


def test_it_comes_back_for_ever() -> None:
    assert only("Restart") == "always"
    assert only("StartLimitIntervalSec") == "0"


def test_it_needs_no_network_to_start() -> None:
    assert "network-online.target" not in " ".join(settings()["After"] + settings()["Wants"])


def test_user_and_groups_are_made_by_the_installer() -> None:
    made = [line.split() for line in (FOLDER / "hub.sysusers").read_text().splitlines() if not line.startswith("#")]
    groups = {words[1] for words in made if words[0] == "g"}
    assert only("User") in {words[1] for words in made if words[0] == "u"}
    assert set(only("SupplementaryGroups").split()) == groups
    assert {(words[1], words[2]) for words in made if words[0] == "m"} == {(only("User"), group) for group in groups}
    assert set(re.findall(r'GROUP="(\w+)"', (FOLDER / "hub.rules").read_text())) == groups


SCRIPTS = [FOLDER / "install.sh", FOLDER / "machine.sh", CHECKOUT / "tests/run", CHECKOUT / ".ci/run"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.relative_to(CHECKOUT)))
def test_shell_is_sound(script: Path) -> None:
    done = subprocess.run(
        ["shellcheck", "--external-sources", "--source-path", str(CHECKOUT), str(script)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_ci_can_be_started() -> None:
    assert (CHECKOUT / ".ci/run").stat().st_mode & 0o111 == 0o111


def test_the_kernel_may_be_asked_whether_its_clock_is_kept() -> None:
    """adjtimex(2): without it a Pi that nobody has told the time yet would mark no reading. It can only be asked: to
    set anything takes a capability."""
    filters = settings()["SystemCallFilter"]
    denied = next(number for number, line in enumerate(filters) if line.startswith("~@privileged"))
    assert any({"adjtimex", "clock_adjtime", "clock_adjtime64"} <= set(line.split()) for line in filters[denied + 1 :])
    assert only("ProtectClock") == "no" and only("CapabilityBoundingSet") == ""
