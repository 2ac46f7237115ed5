"""X.509 certificates behind tokens (XEP-0324 section 3.1.3): which are good enough, and challenges to who holds the
private key. The only file that imports `cryptography`; the node uses its half of it (`KeyPair`).

Rules of this file
* A certificate stands for its key and nothing else: nobody's signature on it is followed, so a self-signed one is as
  good as any, and its names are not believed.
* What is expired, not yet valid, weak or odd is refused with the reason. A certificate that only a lenient reader
  understands counts as malformed.
* A challenge is random bytes under RSA with OAEP, SHA-1 in the hash and the mask. The text says only "encrypted using
  the public certificate"; this is what its author's software does today (Waher.Networking.XMPP.Provisioning), and what
  his Tokens.md asks for. Its older versions used PKCS #1 v1.5, which we do not: whoever decrypts that on demand tells
  strangers about his messages. SHA-1 is no weakness here; OAEP does not need collision resistance.
* Only RSA keys can be asked: there is no agreed way to encrypt for others, and a private one would help nobody.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import warnings
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import SignatureAlgorithmOID

from hub.errors import BadRequest, NotSupported

MAX_BYTES: Final = 16 * 1024  # of a certificate
MIN_BITS: Final = 2048  # of an RSA modulus; NIST SP 800-131A
MAX_BITS: Final = 8192  # more is work for us, and no gain
MIN_EXPONENT: Final = 65537  # FIPS 186-5 appendix A.1.1; smaller ones have been broken by sloppy padding
MAX_EXPONENT: Final = 1 << 256  # same
CHALLENGE_BYTES: Final = 32

_GOOD_HASHES: Final = (
    hashes.SHA256, hashes.SHA384, hashes.SHA512, hashes.SHA3_256, hashes.SHA3_384, hashes.SHA3_512,
)  # fmt: skip
_HASHLESS: Final = (SignatureAlgorithmOID.ED25519, SignatureAlgorithmOID.ED448)
_PEM: Final = b"-----BEGIN "

_OAEP: Final = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that is good enough. `der`: the whole of it. Made by `read`."""

    der: bytes
    expires: dt.datetime
    key: rsa.RSAPublicKey

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the whole, in hex: by which people and stores know it."""
        return hashlib.sha256(self.der).hexdigest()

    def encrypt(self, challenge: bytes) -> bytes:
        """For whoever has the private key."""
        return self.key.encrypt(challenge, _OAEP)


def read(data: bytes, now: dt.datetime) -> Certificate:
    """One certificate, as DER or PEM. Raises BadRequest when it is malformed, expired, not yet valid, weak or odd,
    NotSupported when its key cannot be asked."""
    if len(data) > MAX_BYTES:
        raise BadRequest(f"a certificate has at most {MAX_BYTES} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded = _load(data)
            start, end = loaded.not_valid_before_utc, loaded.not_valid_after_utc
            key = loaded.public_key()
            signed_with = _hash_of(loaded)
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm, Warning) as error:
        raise BadRequest(f"this is no X.509 certificate in DER or PEM: {error}") from None
    if now < start:
        raise BadRequest(f"the certificate is not valid before {start:%Y-%m-%d %H:%M} UTC")
    if now >= end:
        raise BadRequest(f"the certificate expired at {end:%Y-%m-%d %H:%M} UTC")
    if signed_with:
        raise BadRequest(f"the certificate is signed with {signed_with}, which is too weak: SHA-256 or better")
    if not isinstance(key, rsa.RSAPublicKey):
        raise NotSupported("only a certificate with an RSA key can answer a challenge, and this one has another")
    _check_strength(key)
    return Certificate(loaded.public_bytes(Encoding.DER), end, key)


def _load(data: bytes) -> x509.Certificate:
    if not data.lstrip().startswith(_PEM):
        return x509.load_der_x509_certificate(data)
    found = x509.load_pem_x509_certificates(data)
    if len(found) != 1:
        raise ValueError(f"there are {len(found)} in it, and one is wanted")
    return found[0]


def _hash_of(certificate: x509.Certificate) -> str:
    """The hash in its signature if that is too weak, else ""."""
    if certificate.signature_algorithm_oid in _HASHLESS:
        return ""
    used = certificate.signature_hash_algorithm
    return "" if isinstance(used, _GOOD_HASHES) else used.name.upper() if used is not None else "nothing known"


def _check_strength(key: rsa.RSAPublicKey) -> None:
    if not MIN_BITS <= key.key_size <= MAX_BITS:
        raise BadRequest(f"an RSA key of {key.key_size} bits is not taken: {MIN_BITS} to {MAX_BITS}")
    exponent = key.public_numbers().e
    if not MIN_EXPONENT <= exponent < MAX_EXPONENT or exponent % 2 == 0:
        raise BadRequest("the public exponent of the RSA key is unsafe: 65537 is what is used")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """What answers challenges: a certificate and its private key. Made by `read_pair`."""

    certificate: bytes
    """As DER: what a server is sent."""
    key: rsa.RSAPrivateKey

    def decrypt(self, challenge: bytes) -> bytes:
        """Raises BadRequest when it was not encrypted for this certificate."""
        try:
            return self.key.decrypt(challenge, _OAEP)
        except ValueError:
            raise BadRequest("this challenge is not for our certificate") from None


def read_pair(certificate: bytes, key: bytes, now: dt.datetime) -> KeyPair:
    """From PEM (the certificate also from DER); the key without a password. Raises BadRequest, NotSupported."""
    good = read(certificate, now)
    try:
        loaded = load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadRequest(f"the private key cannot be read ({error}): PEM without a password is what is taken") from None
    if not isinstance(loaded, rsa.RSAPrivateKey) or loaded.public_key() != good.key:
        raise BadRequest("the private key does not belong to the certificate")
    return KeyPair(good.der, loaded)
