"""Names of what is staged: nobody without the installation's key can tell them beforehand (DESIGN.md §7)."""

from __future__ import annotations

import hmac

from injector.keys import RESERVED
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import Resolved

_KEY_ID = "secrets-svc key id 1"
_LEASE = "secrets-svc lease 1"
_SECRET = "secrets-svc secret 1"  # noqa: S105  # separates the uses of one key


def lease_name(key: bytes, *, namespace_uid: str, store: str, resolved: Resolved) -> str:
    """The lease for one version of a secret, or a field of it, in one life of a namespace: the same on every
    replica.

    :param key: the installation's.
    """
    ref = storage_name(resolved.ref)
    field = () if resolved.field is None else (resolved.field,)
    return _name(key, _LEASE, namespace_uid, store, ref, resolved.type, resolved.token, *field)


def secret_name(key: bytes, *, lease_uid: str) -> str:
    """The Secret that belongs to the lease with that uid."""
    return _name(key, _SECRET, lease_uid)


def key_id(key: bytes) -> str:
    """Tells installation keys apart, and nothing about them."""
    return _name(key, _KEY_ID).removeprefix(RESERVED)[:16]


def _name(key: bytes, *parts: str) -> str:
    text = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    return RESERVED + hmac.digest(key, text, "sha256").hex()[:40]
