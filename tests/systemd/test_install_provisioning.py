"""The installer and the provisioning server, which not everybody has; what is as with the gateway is tested there."""

from __future__ import annotations

import os

from tests.systemd.pi import CHECKOUT, PROVISIONING, PROVISIONING_LINK, PROVISIONING_UNIT, Pi, fails


def test_without_its_configuration_it_is_not_enabled(pi: Pi) -> None:
    done = pi.install()
    assert done.returncode == 0, done.stderr
    assert (pi.root / PROVISIONING_UNIT).read_text() == (CHECKOUT / "systemd/hub-provisioning.service").read_text()
    assert not os.path.lexists(pi.root / PROVISIONING_LINK)
    assert "source[pi,gateway,mqtt]" in pi.log.read_text()


def test_with_its_configuration_it_is_enabled_and_has_what_it_imports(pi: Pi) -> None:
    pi.write("etc/hub/provisioning.toml", PROVISIONING)
    done = pi.install()
    assert done.returncode == 0, done.stderr
    assert (pi.root / PROVISIONING_LINK).is_symlink()
    assert "The provisioning server is enabled: `sudo systemctl restart hub-provisioning` starts it" in done.stdout
    assert "source[pi,gateway,mqtt,provisioning,postgres]" in pi.log.read_text()


def test_a_broken_configuration_stops_neither_the_installation_nor_the_node(pi: Pi) -> None:
    pi.write("etc/hub/provisioning.toml", PROVISIONING.replace("secret_file", "secret_fiel"))
    done = pi.install()
    fails(done, 1, "the provisioning server is enabled, not started", "mend /etc/hub/provisioning.toml")
    assert "provisioning.secret_fiel" in done.stderr


def test_uninstalling_takes_it_away(pi: Pi) -> None:
    pi.write("etc/hub/provisioning.toml", PROVISIONING)
    pi.install()
    assert pi.install("--uninstall").returncode == 0
    assert not os.path.lexists(pi.root / PROVISIONING_LINK) and not (pi.root / PROVISIONING_UNIT).exists()
    assert (pi.root / "etc/hub/provisioning.toml").exists()
