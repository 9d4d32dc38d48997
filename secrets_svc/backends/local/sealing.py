"""Sealing (HPKE, RFC 9180) and signing (Ed25519, RFC 8032). Pure; the only module here that reveals values.

HPKE in base mode with X25519, HKDF-SHA256 and AES-256-GCM: anybody with the public key can seal, which is why
an entry counts only with the writer's signature. What an entry is (name, token, type, generation) is HPKE's
``info``: a sealed value opens nowhere else.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from secrets_svc.core.value import SecretValue

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_VALUE = "secrets-svc local store: value, form 1"
#: What a signature is over: a secret's entry, or an earlier version of one. Neither passes for the other.
ENTRY = "secrets-svc local store: entry, form 1"
EARLIER = "secrets-svc local store: earlier version, form 1"


class DoesNotVerify(Exception):
    """Signature, digest or seal don't fit."""


def unambiguous(*parts: str | bytes | int) -> bytes:
    """``parts`` so joined that no other parts give the same bytes: each behind its kind and its length."""
    joined = bytearray()
    for part in parts:
        kind, content = _content(part)
        joined += kind + len(content).to_bytes(8, "big") + content
    return bytes(joined)


def _content(part: str | bytes | int) -> tuple[bytes, bytes]:
    if isinstance(part, str):
        return b"s", part.encode()
    return (b"b", part) if isinstance(part, bytes) else (b"i", str(part).encode())


def seal(
    value: SecretValue, key: X25519PublicKey, *, name: str, token: str, type: str, generation: str
) -> bytes:
    """``value`` for the holder of the private key alone."""
    return _SUITE.encrypt(value.reveal_bytes(), key, info=unambiguous(_VALUE, name, token, type, generation))


def open_sealed(
    sealed: bytes, key: X25519PrivateKey, *, name: str, token: str, type: str, generation: str
) -> SecretValue:
    """The value.

    :raises DoesNotVerify: it was sealed to another key, for another entry, or altered.
    """
    try:
        return SecretValue(
            _SUITE.decrypt(sealed, key, info=unambiguous(_VALUE, name, token, type, generation))
        )
    except InvalidTag:
        raise DoesNotVerify from None


def digest_of(sealed: bytes) -> bytes:
    """SHA-256 of a sealed value: what the signature covers, so that checking it needs no value."""
    return hashlib.sha256(sealed).digest()


def sign(key: Ed25519PrivateKey, fields: tuple[str | bytes | int, ...], *, form: str = ENTRY) -> bytes:
    """The signature over the fields of an entry of that form, in order."""
    return key.sign(unambiguous(form, *fields))


def fingerprint(signature: bytes, fields: tuple[str | bytes | int, ...], *, form: str = ENTRY) -> bytes:
    """Stands for a signature and what it is over, in 32 bytes."""
    return hashlib.sha256(unambiguous(form, signature, *fields)).digest()


def verify(
    key: Ed25519PublicKey, signature: bytes, fields: tuple[str | bytes | int, ...], *, form: str = ENTRY
) -> None:
    """Return if ``signature`` was made over ``fields``; else raise :class:`DoesNotVerify`."""
    try:
        key.verify(signature, unambiguous(form, *fields))
    except InvalidSignature:
        raise DoesNotVerify from None
