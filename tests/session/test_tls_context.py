"""What TLS insists on, whatever the account says."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from hub.errors import LinkError
from hub.session.client import Account, tls_context

JID = "greenhouse@example.org"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate and its key."""
    openssl = shutil.which("openssl")
    assert openssl, "openssl makes the certificates of these tests, as it makes those of the demo"
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=example.org", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return certificate, key


def insists(context: ssl.SSLContext) -> bool:
    return (
        context.verify_mode is ssl.CERT_REQUIRED
        and context.check_hostname
        and context.minimum_version >= ssl.TLSVersion.TLSv1_2
    )


def test_certificates_and_names_are_verified_and_old_tls_is_refused() -> None:
    context = tls_context(Account(JID))
    assert insists(context)
    assert context.protocol is ssl.PROTOCOL_TLS_CLIENT


def test_a_named_ca_is_trusted_instead_of_the_systems(made: tuple[Path, Path]) -> None:
    context = tls_context(Account(JID, ca_file=made[0]))
    assert insists(context)
    assert len(context.get_ca_certs()) == 1


def test_a_certificate_of_our_own_changes_nothing_else(made: tuple[Path, Path]) -> None:
    assert insists(tls_context(Account(JID, certificate=made[0], key=made[1])))
    assert insists(tls_context(Account(JID, certificate=made[0], key=made[1], ca_file=made[0], allow_plain=True)))


@pytest.mark.parametrize("content", [None, b"", b"not a certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
@pytest.mark.parametrize("which", ["ca_file", "certificate", "key"])
def test_a_file_that_cannot_be_used_is_named(
    made: tuple[Path, Path], tmp_path: Path, which: str, content: bytes | None
) -> None:
    bad = tmp_path / "bad.pem"
    if content is not None:
        bad.write_bytes(content)
    files = {"certificate": made[0], "key": made[1], "ca_file": None} | {which: bad}
    with pytest.raises(LinkError, match=r"bad\.pem"):
        tls_context(Account(JID, **files))


def test_a_key_that_does_not_belong_to_the_certificate_is_refused(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    openssl = shutil.which("openssl")
    assert openssl
    subprocess.run([openssl, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(other)],
                   check=True, capture_output=True, timeout=60)  # fmt: skip
    with pytest.raises(LinkError):
        tls_context(Account(JID, certificate=made[0], key=other))


def test_a_password_goes_by_scram_only_unless_the_account_says_otherwise() -> None:
    plain = {"PLAIN"}
    assert all(name.startswith("SCRAM-SHA-") for name in Account(JID, "secret").mechanisms())
    assert Account(JID, "secret", allow_plain=True).mechanisms() - Account(JID, "secret").mechanisms() == plain
    assert Account(JID, certificate=Path("c"), key=Path("k"), allow_plain=True).mechanisms() == {"EXTERNAL"}
