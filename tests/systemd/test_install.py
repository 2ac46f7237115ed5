"""The installer, run for real into a folder: of a made-up machine (`pi`), with a node."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.systemd.pi import CHECKOUT, ELF_32, GATEWAY, GATEWAY_EXAMPLE, GATEWAY_LINK, GATEWAY_UNIT, INSTALL, Pi, fails

# ---------------------------------------------------------------- what this machine can do


def test_a_64_bit_pi_with_everything_off(pi: Pi) -> None:
    said = pi.report()
    assert said["machine"] == "Raspberry Pi 4 Model B Rev 1.4"
    assert said["programs"].startswith("64-bit: everything comes ready built")
    assert said["pin lib."] == "lgpio, ready built from PyPI"
    assert said["pins"] == "yes"
    assert "`sudo raspi-config nonint do_i2c 0`" in said["I2C"]
    assert "`sudo raspi-config nonint do_spi 0`" in said["SPI"]
    assert "`dtoverlay=w1-gpio` to /boot/firmware/config.txt" in said["1-Wire"]
    assert said["clock"] == "set by the network"
    assert said["memory"].startswith("1872 MiB")


def test_buses_that_are_on(pi: Pi) -> None:
    pi.write("dev/i2c-1", "")
    pi.write("dev/spidev0.0", "")
    (pi.root / "sys/bus/w1/devices").mkdir(parents=True)
    said = pi.report()
    assert (said["I2C"], said["SPI"], said["1-Wire"]) == ("on", "on", "on")


def test_buses_that_wait_for_a_restart(pi: Pi) -> None:
    pi.write("boot/firmware/config.txt", "dtparam=i2c_arm=on\ndtparam=spi=on\ndtoverlay=w1-gpio,gpiopin=4\n")
    said = pi.report()
    assert all("sudo reboot" in said[bus] and "switched on in" in said[bus] for bus in ("I2C", "SPI", "1-Wire"))


@pytest.mark.parametrize("line", ["#dtparam=i2c_arm=on", "dtparam=i2c_arm=off", "dtparam=i2c_arm_baudrate=400000"])
def test_a_line_that_switches_nothing_on(pi: Pi, line: str) -> None:
    pi.write("boot/firmware/config.txt", f"{line}\n")
    assert "do_i2c 0" in pi.report()["I2C"]


def test_without_raspi_config_the_lines_are_for_config_txt(pi: Pi) -> None:
    pi.remove("usr/bin/raspi-config")
    pi.remove("boot/firmware/config.txt")
    pi.write("boot/config.txt", "")
    said = pi.report()
    assert "`dtparam=i2c_arm=on` to /boot/config.txt" in said["I2C"]
    assert "`dtparam=spi=on` to /boot/config.txt" in said["SPI"]


def test_32_bit_programs_under_a_64_bit_kernel(pi: Pi) -> None:
    """A Pi 4 with the 32-bit system: `uname -m` says aarch64."""
    pi.write("bin/sh", ELF_32)
    said = pi.report()
    assert "works the same" in said["programs"]
    assert "about 10 minutes" in said["programs"]
    assert said["pin lib."] == "lgpio, from piwheels or built here"
    assert pi.report(OFFERS="yes")["pin lib."] == "lgpio, from the package python3-lgpio"


def test_the_smallest_pi(pi: Pi) -> None:
    pi.write("proc/device-tree/model", "Raspberry Pi Zero W Rev 1.1\0")
    pi.write("proc/cpuinfo", "model name\t: ARMv6-compatible processor rev 7 (v6l)\n")
    pi.write("proc/meminfo", "MemTotal:          191794 kB\n")
    pi.write("bin/sh", ELF_32)
    said = pi.report(FREE_KIB="600000")
    assert "about 45 minutes" in said["programs"]
    assert "TIGHT" in said["memory"]
    assert said["disk"] == "585 MiB free: it may take up to 900"


def test_a_machine_that_is_no_pi(pi: Pi) -> None:
    pi.remove("proc/device-tree/model")
    pi.remove("dev/gpiochip0")
    said = pi.report()
    assert said["machine"].startswith("not a Raspberry Pi")
    assert said["pins"].startswith("NONE")
    assert said["I2C"] == "none"


def test_nothing_can_be_read(tmp_path: Path, pi: Pi) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    pi.root = empty
    said = pi.report(FREE_KIB="x")
    assert "NOT supported" in said["system"]
    assert "neither" in said["programs"]
    assert said["memory"] == "unknown"
    assert said["clock"].startswith("NOT set")


def test_a_python_that_is_too_old(pi: Pi) -> None:
    assert pi.report(OLD_PYTHON="yes")["Python"] == "3.9: TOO OLD, it takes 3.11 or newer"


# ---------------------------------------------------------------- install


def test_first_install(pi: Pi) -> None:
    done = pi.install()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("What this machine can do:")  # before anything is done
    assert "still the example" in done.stdout
    assert (pi.root / "opt/hub").resolve() == pi.root / "opt/hub-a"
    assert (pi.root / "usr/local/bin/hub").readlink() == Path("/opt/hub/bin/hub")
    unit = pi.root / "etc/systemd/system/hub-node.service"
    assert unit.read_text() == (CHECKOUT / "systemd/hub-node.service").read_text()
    assert (unit.parent / "multi-user.target.wants/hub-node.service").is_symlink()
    assert (pi.root / "etc/udev/rules.d/60-hub.rules").exists()
    example = (pi.root / "etc/hub/hub.toml").read_text()
    assert "[xmpp]" in example and "[things." in example
    assert (pi.root / "etc/hub/greenhouse.password").read_bytes() == b""
    for name, mode in (("hub", 0o750), ("hub/hub.toml", 0o640), ("hub/greenhouse.password", 0o640)):
        assert pi.mode(f"etc/{name}") == mode
        if os.geteuid() == 0:
            assert pi.owner(f"etc/{name}") == (0, pi.number_of("hub"))
    groups = (pi.root / "etc/group").read_text()
    assert all(re.search(rf"^{group}:[^:]*:\d+:hub$", groups, re.M) for group in ("gpio", "i2c", "spi"))
    assert list((pi.root / "var/tmp").iterdir()) == []
    said = pi.log.read_text()
    assert "procps" in said
    assert re.search(r"^pip install .*source\[pi,gateway,mqtt\]$", said, re.M)


def test_the_second_time_changes_only_the_program(pi: Pi) -> None:
    assert pi.install().returncode == 0
    before = {name: what for name, what in pi.tree().items() if not name.startswith("opt/")}
    assert pi.install().returncode == 0
    assert {name: what for name, what in pi.tree().items() if not name.startswith("opt/")} == before
    assert (pi.root / "opt/hub").resolve() == pi.root / "opt/hub-b"
    assert pi.install().returncode == 0
    assert (pi.root / "opt/hub").resolve() == pi.root / "opt/hub-a"


GOOD = """\
[xmpp]
jid = "cellar@example.org"
password_file = "/etc/hub/cellar.password"
[things.lamp]
driver = "simulated"
"""


def test_what_a_person_wrote_stays(pi: Pi) -> None:
    pi.install()
    pi.write("etc/hub/hub.toml", GOOD)
    (pi.root / "etc/hub/hub.toml").chmod(0o600)
    done = pi.install()
    assert done.returncode == 0, done.stderr
    assert (pi.root / "etc/hub/hub.toml").read_text() == GOOD
    assert pi.mode("etc/hub/hub.toml") == 0o600
    assert "put the password into /etc/hub/cellar.password" in done.stdout
    pi.write("etc/hub/cellar.password", "secret\n")
    done = pi.install()
    assert (pi.root / "etc/hub/cellar.password").read_text() == "secret\n"
    assert "`sudo systemctl restart hub-node` starts it" in done.stdout


def test_a_configuration_that_is_broken_is_not_started(pi: Pi) -> None:
    pi.install()
    pi.write("etc/hub/hub.toml", GOOD.replace("simulated", "simulatd"))
    done = pi.install()
    fails(done, 1, "not started", "/etc/hub/hub.toml")
    assert "things.lamp.driver" in done.stderr


def test_a_password_file_elsewhere_is_left_alone(pi: Pi) -> None:
    pi.install()
    pi.write("etc/hub/hub.toml", GOOD.replace("/etc/hub/cellar", "/etc/hub/../cellar"))
    assert pi.install().returncode == 0
    assert not (pi.root / "etc/cellar.password").exists()


def test_dry_run_does_nothing(pi: Pi) -> None:
    before = pi.tree()
    done = pi.install("--dry-run")
    assert done.returncode == 0, done.stderr
    assert pi.tree() == before
    assert pi.log.read_text() == ""
    for said in ("would run: apt_get install", "would run: systemd-sysusers", "would point: /opt/hub to hub-a",
                 "would write: /etc/systemd/system/hub-node.service", "would write: /etc/hub/hub.toml",
                 "would write: /etc/systemd/system/hub-gateway.service", "would write: /etc/hub/gateway.toml.example",
                 f"pip install {CHECKOUT}[pi,gateway,mqtt]",
                 "would not enable: hub-gateway, as there is no /etc/hub/gateway.toml"):  # fmt: skip
        assert said in done.stdout
    assert "enable hub-gateway.service" not in done.stdout


# ---------------------------------------------------------------- other ways to install


def test_no_apt(pi: Pi) -> None:
    assert pi.install("--no-apt").returncode == 0
    assert "apt-get" not in pi.log.read_text()


def test_destdir_is_the_root_too(pi: Pi) -> None:
    subprocess.run(
        ["sh", str(INSTALL), "--no-apt", "--python", str(pi.stubs / "python3")],
        env=pi.environment() | {"DESTDIR": str(pi.root)},
        stdin=subprocess.DEVNULL, capture_output=True, timeout=90, check=True,
    )  # fmt: skip
    assert (pi.root / "opt/hub/bin/hub").exists()


# ---------------------------------------------------------------- what can go wrong


def test_a_system_it_does_not_know(pi: Pi) -> None:
    pi.write("etc/os-release", 'PRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\nID=debian\nVERSION_ID="11"\n')
    before = pi.tree()
    fails(pi.install(), 1, "Debian GNU/Linux 11", "Debian 12 or newer")
    assert pi.tree() == before


def test_raspberry_pi_os_32_bit_calls_itself_raspbian(pi: Pi) -> None:
    pi.write("etc/os-release", 'PRETTY_NAME="Raspbian GNU/Linux 12 (bookworm)"\nID=raspbian\nVERSION_ID="12"\n')
    assert pi.install("--dry-run").returncode == 0


def test_a_full_disk(pi: Pi) -> None:
    before = pi.tree()
    fails(pi.install(FREE_KIB="90000"), 1, "only 87 MiB", "200", "make room")
    assert pi.tree() == before


def test_apt_fails(pi: Pi) -> None:
    fails(pi.install(APT_FAILS="yes"), 1, "apt-get could not install", "run this again")
    assert not (pi.root / "opt").exists()
    assert not (pi.root / "etc/hub").exists()


def test_an_old_python(pi: Pi) -> None:
    fails(pi.install(OLD_PYTHON="yes"), 1, "3.9", "3.11 or newer")
    assert not (pi.root / "etc/hub").exists()


def test_no_network_leaves_the_old_version_in_use(pi: Pi) -> None:
    pi.install()
    before = pi.tree()
    fails(pi.install(PIP_FAILS="Could not find a version"), 1, "is the network there?")
    assert pi.tree() == before
    assert "gcc" not in pi.log.read_text()


def test_what_cannot_be_built_gets_a_compiler(pi: Pi) -> None:
    done = pi.install(PIP_FAILS="ERROR: Failed building wheel for msgspec")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^apt-get .*install.* gcc ", pi.log.read_text(), re.M)


def test_what_cannot_be_built_without_apt(pi: Pi) -> None:
    fails(pi.install("--no-apt", PIP_FAILS="ERROR: Failed building wheel for msgspec"), 1, "sudo apt-get install gcc")
    assert not (pi.root / "opt/hub-a").exists()


def test_a_program_that_does_not_run_is_not_taken_into_use(pi: Pi) -> None:
    pi.install()
    before = pi.tree()
    fails(pi.install(HUB_BROKEN="yes"), 1, "does not run", "stays in use")
    assert pi.tree() == before


def test_cut_off_in_the_middle(pi: Pi) -> None:
    """Ctrl-C in the long part: nothing stays behind, and the old version stays in use."""
    pi.install()
    before = pi.tree()
    process = subprocess.Popen(
        ["sh", str(INSTALL), "--root", str(pi.root), "--python", str(pi.stubs / "python3")],
        env=pi.environment(PIP_SLEEPS="yes"), start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 30
    while "sleeping" not in pi.log.read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(30) == 143
    assert pi.tree() == before


def test_a_run_that_lost_power_is_no_hindrance(pi: Pi) -> None:
    pi.write("opt/hub-a/half", "")
    (pi.root / "opt/hub.new").symlink_to("hub-a")
    assert pi.install().returncode == 0
    assert not (pi.root / "opt/hub-a/half").exists()
    assert not os.path.lexists(pi.root / "opt/hub.new")


def test_something_else_is_in_opt_hub(pi: Pi) -> None:
    pi.write("opt/hub/precious", "mine")
    fails(pi.install(), 1, "move it away")
    assert (pi.root / "opt/hub/precious").read_text() == "mine"


def test_somebody_elses_command_stays(pi: Pi) -> None:
    pi.write("usr/local/bin/hub", "mine")
    assert pi.install().returncode == 0
    assert pi.install("--uninstall").returncode == 0
    assert (pi.root / "usr/local/bin/hub").read_text() == "mine"


def test_without_sudo(pi: Pi) -> None:
    fails(pi.run(INSTALL, UID="1000"), 1, "sudo sh systemd/install.sh")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["--purge"], "--uninstall"), (["--frobnicate"], "--help"), (["--root"], "value")],
)
def test_wrong_options(pi: Pi, arguments: list[str], word: str) -> None:
    fails(pi.run(INSTALL, *arguments), 2, word)


def test_a_root_that_is_not_there(pi: Pi) -> None:
    fails(pi.run(INSTALL, "--root", str(pi.root / "nowhere")), 1, "not a folder")


def test_help_is_the_head_of_the_file(pi: Pi) -> None:
    done = pi.run(INSTALL, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Puts the hub on a Raspberry Pi")
    assert all(option in done.stdout for option in ("--dry-run", "--uninstall", "--purge", "--no-apt", "--root"))
    assert "set -eu" not in done.stdout


# ---------------------------------------------------------------- uninstall


def installed(pi: Pi) -> None:
    pi.write("etc/hub/gateway.toml", GATEWAY)
    assert pi.install().returncode == 0
    pi.write("var/lib/hub/outputs.json", "{}")
    pi.write("var/lib/hub-gateway/schemas/a.xsd", "<a/>")
    pi.write(f"{GATEWAY_UNIT}.d/mine.conf", "[Service]\nMemoryMax=1G\n")
    pi.write("etc/systemd/system/hub-node.service.d/mine.conf", "[Service]\nWatchdogSec=5s\n")


KEPT = ("etc/hub/hub.toml", "etc/hub/greenhouse.password", "var/lib/hub/outputs.json",
        "etc/systemd/system/hub-node.service.d/mine.conf", "etc/hub/gateway.toml", GATEWAY_EXAMPLE,
        "var/lib/hub-gateway/schemas/a.xsd", f"{GATEWAY_UNIT}.d/mine.conf")  # fmt: skip
GONE = ("opt/hub", "opt/hub-a", "opt/hub-b", "usr/local/bin/hub", "etc/systemd/system/hub-node.service",
        "etc/systemd/system/multi-user.target.wants/hub-node.service", "etc/udev/rules.d/60-hub.rules", GATEWAY_UNIT,
        GATEWAY_LINK)  # fmt: skip


def test_uninstall_keeps_what_a_person_wrote(pi: Pi) -> None:
    installed(pi)
    done = pi.install("--uninstall")
    assert done.returncode == 0, done.stderr
    assert not [name for name in GONE if os.path.lexists(pi.root / name)]
    assert all((pi.root / name).exists() for name in KEPT)
    assert "Kept: /etc/hub" in done.stdout
    assert pi.install("--uninstall").returncode == 0  # nothing left to do is no error
    assert pi.install().returncode == 0  # and it comes back as it was
    assert all((pi.root / name).exists() for name in KEPT)


def test_purge_takes_everything(pi: Pi) -> None:
    installed(pi)
    done = pi.install("--uninstall", "--purge")
    assert done.returncode == 0, done.stderr
    assert not [name for name in GONE + KEPT if os.path.lexists(pi.root / name)]
    assert not (pi.root / "etc/hub").exists()
    assert not (pi.root / "var/lib/hub").exists() and not (pi.root / "var/lib/hub-gateway").exists()
    if os.geteuid() == 0:
        assert "hub:" not in (pi.root / "etc/passwd").read_text()
        assert not re.search(r"^hub:", (pi.root / "etc/group").read_text(), re.M)
    else:
        assert "only root can take it out" in done.stderr


def test_uninstall_dry_run(pi: Pi) -> None:
    installed(pi)
    before = pi.tree()
    done = pi.install("--uninstall", "--purge", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert pi.tree() == before
    assert "would remove: /etc/hub" in done.stdout
