"""Certificates for tests: good ones, and one for every way to be bad. Keys are made once."""

from __future__ import annotations

import datetime as dt
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NOW = dt.datetime(2026, 5, 1, 12, 0, tzinfo=dt.UTC)
START, END = NOW - dt.timedelta(days=1), NOW + dt.timedelta(days=90)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

SHA256_RSA = bytes.fromhex("06092a864886f70d01010b")
WEAKER = {"SHA1": bytes.fromhex("06092a864886f70d010105"), "MD5": bytes.fromhex("06092a864886f70d010104")}


@cache
def rsa_key(name: str = "one", bits: int = 2048, exponent: int = 65537) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(exponent, bits)


def certificate(
    key: PrivateKey | None = None, start: dt.datetime = START, end: dt.datetime = END,
    hash_: hashes.HashAlgorithm | None = None,
) -> bytes:  # fmt: skip
    """Self-signed, as DER."""
    key = key or rsa_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "thing")])
    signed_with = None if isinstance(key, ed25519.Ed25519PrivateKey) else hash_ or hashes.SHA256()
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(start).not_valid_after(end).sign(key, signed_with)
    )  # fmt: skip
    return made.public_bytes(Encoding.DER)


def pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def key_pem(key: PrivateKey | None = None) -> bytes:
    return (key or rsa_key()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
