"""The installer and the gateway, which not everybody has."""

from __future__ import annotations

import os

from tests.systemd.pi import CHECKOUT, GATEWAY, GATEWAY_EXAMPLE, GATEWAY_LINK, GATEWAY_UNIT, Pi, fails


def test_without_its_configuration_the_gateway_is_not_enabled(pi: Pi) -> None:
    done = pi.install()
    assert done.returncode == 0, done.stderr
    assert (pi.root / GATEWAY_UNIT).read_text() == (CHECKOUT / "systemd/hub-gateway.service").read_text()
    assert not os.path.lexists(pi.root / GATEWAY_LINK)
    assert "[gateway.domains." in (pi.root / GATEWAY_EXAMPLE).read_text()
    assert pi.mode(GATEWAY_EXAMPLE) == 0o640
    if os.geteuid() == 0:
        assert pi.owner(GATEWAY_EXAMPLE) == (0, pi.number_of("hub"))
    assert not (pi.root / "etc/hub/gateway.toml").exists()
    assert "gateway" not in done.stdout


def test_with_its_configuration_the_gateway_is_enabled(pi: Pi) -> None:
    pi.write("etc/hub/gateway.toml", GATEWAY)
    done = pi.install()
    assert done.returncode == 0, done.stderr
    assert (pi.root / GATEWAY_LINK).is_symlink()
    assert "`sudo systemctl restart hub-gateway` starts it" in done.stdout
    assert (pi.root / "etc/hub/gateway.toml").read_text() == GATEWAY
    before = {name: what for name, what in pi.tree().items() if not name.startswith("opt/")}
    assert pi.install().returncode == 0  # once more
    assert {name: what for name, what in pi.tree().items() if not name.startswith("opt/")} == before


def test_a_gateway_whose_configuration_is_gone_is_no_longer_enabled(pi: Pi) -> None:
    pi.write("etc/hub/gateway.toml", GATEWAY)
    pi.install()
    pi.remove("etc/hub/gateway.toml")
    assert pi.install().returncode == 0
    assert not os.path.lexists(pi.root / GATEWAY_LINK)


def test_a_gateway_that_is_still_the_example(pi: Pi) -> None:
    pi.install()
    (pi.root / GATEWAY_EXAMPLE).rename(pi.root / "etc/hub/gateway.toml")
    done = pi.install()
    assert done.returncode == 0, done.stderr
    assert "The gateway is enabled, not started: /etc/hub/gateway.toml is still the example" in done.stdout
    assert (pi.root / GATEWAY_EXAMPLE).exists()


def test_a_gateway_whose_configuration_is_broken(pi: Pi) -> None:
    """It stops neither the installation nor the node."""
    pi.write("etc/hub/gateway.toml", GATEWAY.replace("key =", "kye ="))
    done = pi.install()
    fails(done, 1, "the gateway is enabled, not started", "mend /etc/hub/gateway.toml")
    assert "gateway.domains.example.org.kye" in done.stderr
    assert "Installed and enabled, not started: /etc/hub/hub.toml is still the example" in done.stdout


def test_dry_run_with_a_gateway(pi: Pi) -> None:
    pi.write("etc/hub/gateway.toml", GATEWAY)
    before = pi.tree()
    done = pi.install("--dry-run")
    assert done.returncode == 0, done.stderr
    assert pi.tree() == before
    assert f"would run: systemctl --root={pi.root} --quiet enable hub-gateway.service" in done.stdout
    assert "would not enable: hub-gateway" not in done.stdout
