"""Which certificates are good enough, and that a challenge is what others can answer."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import BadRequest, NotSupported, RequestError
from hub.provisioning.certificates import MAX_BYTES, read, read_pair
from tests.provisioning.keys import END, NOW, SHA256_RSA, START, WEAKER, certificate, key_pem, pem, rsa_key

SECOND = dt.timedelta(seconds=1)


def test_der_and_pem_are_the_same_certificate() -> None:
    der = certificate()
    for data in (der, pem(der), b"\n" + pem(der)):
        good = read(data, NOW)
        assert (good.der, good.expires) == (der, END)
    assert len(read(der, NOW).fingerprint) == 64


@pytest.mark.parametrize(("data", "now", "error", "said"), [
    (certificate(), END, BadRequest, "expired at 2026-07-30"),
    (certificate(), START - SECOND, BadRequest, "not valid before 2026-04-30"),
    (certificate(rsa_key(bits=1024)), NOW, BadRequest, "1024 bits"),
    (certificate(rsa_key(bits=1536)), NOW, BadRequest, "1536 bits"),
    (certificate(rsa_key(exponent=3)), NOW, BadRequest, "exponent"),
    (certificate(hash_=hashes.SHA224()), NOW, BadRequest, "signed with SHA224"),
    (certificate().replace(SHA256_RSA, WEAKER["SHA1"]), NOW, BadRequest, "signed with SHA1"),
    (certificate().replace(SHA256_RSA, WEAKER["MD5"]), NOW, BadRequest, "signed with MD5"),
    (certificate(ec.generate_private_key(ec.SECP256R1())), NOW, NotSupported, "with an RSA key"),
    (certificate(ed25519.Ed25519PrivateKey.generate()), NOW, NotSupported, "with an RSA key"),
    (b"", NOW, BadRequest, "no X.509"),
    (b"BASE-64 ENCODED PUBLIC X.509 CERTIFICATE", NOW, BadRequest, "no X.509"),
    (b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", NOW, BadRequest, "no X.509"),
    (pem(certificate()) * 2, NOW, BadRequest, "there are 2"),
    (certificate() + b"x", NOW, BadRequest, "no X.509"),
    (certificate()[:-1], NOW, BadRequest, "no X.509"),
    (key_pem(), NOW, BadRequest, "no X.509"),
    (b"0" * (MAX_BYTES + 1), NOW, BadRequest, "at most"),
])  # fmt: skip
def test_what_is_not_good_enough_is_refused_with_the_reason(
    data: bytes, now: dt.datetime, error: type[RequestError], said: str
) -> None:
    with pytest.raises(error, match=said):
        read(data, now)


@pytest.mark.parametrize("now", [START, END - SECOND])
def test_the_first_and_last_moment_are_good(now: dt.datetime) -> None:
    assert read(certificate(), now).expires == END


@given(at=st.integers(0, 700), byte=st.integers(0, 255), cut=st.integers(0, 20))
def test_a_broken_certificate_is_an_error_of_the_peer(at: int, byte: int, cut: int) -> None:
    der = bytearray(certificate())
    der[at % len(der)] = byte
    try:
        read(bytes(der[: len(der) - cut]), NOW).encrypt(bytes(32))
    except RequestError as error:
        assert str(error)


def test_only_the_private_key_answers() -> None:
    challenge = read(certificate(), NOW).encrypt(b"random bytes")
    assert read_pair(certificate(), key_pem(), NOW).decrypt(challenge) == b"random bytes"
    other = rsa_key("two")
    with pytest.raises(BadRequest, match="not for our certificate"):
        read_pair(certificate(other), key_pem(other), NOW).decrypt(challenge)
    with pytest.raises(BadRequest, match="not for our certificate"):
        read_pair(certificate(), key_pem(), NOW).decrypt(b"BASE-64 ENCODED CHALLENGE")


def test_a_challenge_in_the_older_padding_is_not_answered() -> None:
    challenge = rsa_key().public_key().encrypt(b"random bytes", padding.PKCS1v15())
    with pytest.raises(BadRequest):
        read_pair(certificate(), key_pem(), NOW).decrypt(challenge)


def test_another_program_answers_it(tmp_path: Path) -> None:
    """OpenSSL's default OAEP is what the .NET peer calls OaepSHA1."""
    (tmp_path / "key.pem").write_bytes(key_pem())
    answer = subprocess.run(
        ["openssl", "pkeyutl", "-decrypt", "-inkey", tmp_path / "key.pem", "-pkeyopt", "rsa_padding_mode:oaep"],
        input=read(pem(certificate()), NOW).encrypt(b"random bytes"), capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert answer == b"random bytes"


@pytest.mark.parametrize(("key", "said"), [
    (key_pem(rsa_key("two")), "does not belong"),
    (key_pem(ec.generate_private_key(ec.SECP256R1())), "does not belong"),
    (b"nonsense", "PEM without a password"),
    (pem(certificate()), "PEM without a password"),
])  # fmt: skip
def test_a_key_that_does_not_fit_is_said(key: bytes, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        read_pair(certificate(), key, NOW)
