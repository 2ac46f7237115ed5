"""The installer and the dashboard, which not everybody has; what is as with the gateway is tested there."""

from __future__ import annotations

import os

from tests.systemd.pi import CHECKOUT, DASHBOARD, DASHBOARD_LINK, DASHBOARD_UNIT, Pi, fails


def test_without_its_configuration_it_is_not_enabled(pi: Pi) -> None:
    done = pi.install()
    assert done.returncode == 0, done.stderr
    assert (pi.root / DASHBOARD_UNIT).read_text() == (CHECKOUT / "systemd/hub-dashboard.service").read_text()
    assert not os.path.lexists(pi.root / DASHBOARD_LINK)
    assert "source[pi,gateway,mqtt]" in pi.log.read_text()


def test_with_its_configuration_it_is_enabled_and_has_what_it_imports(pi: Pi) -> None:
    pi.write("etc/hub/dashboard.toml", DASHBOARD)
    done = pi.install()
    assert done.returncode == 0, done.stderr
    assert (pi.root / DASHBOARD_LINK).is_symlink()
    assert "The dashboard is enabled: `sudo systemctl restart hub-dashboard` starts it" in done.stdout
    assert "source[pi,gateway,mqtt,dashboard]" in pi.log.read_text()


def test_a_broken_configuration_stops_neither_the_installation_nor_the_node(pi: Pi) -> None:
    pi.write("etc/hub/dashboard.toml", DASHBOARD.replace("hubs =", "hbus ="))
    done = pi.install()
    fails(done, 1, "the dashboard is enabled, not started", "mend /etc/hub/dashboard.toml")
    assert "dashboard.hbus" in done.stderr


def test_uninstalling_takes_it_away(pi: Pi) -> None:
    pi.write("etc/hub/dashboard.toml", DASHBOARD)
    pi.install()
    assert pi.install("--uninstall").returncode == 0
    assert not os.path.lexists(pi.root / DASHBOARD_LINK) and not (pi.root / DASHBOARD_UNIT).exists()
    assert (pi.root / "etc/hub/dashboard.toml").exists()
