"""What an operation id stands for: how a store tells a repeat from another intent under the same id."""

from __future__ import annotations

import hmac
import json

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.secret import SecretType
from secrets_svc.core.value import SecretValue


def fingerprint(
    key: bytes,
    *,
    verb: str,
    name: str,
    value: SecretValue | None = None,
    type: SecretType | None = None,
    expected: str | None = None,
    to: str | None = None,
) -> bytes:
    """32 bytes that are equal only for equal intents, and tell nothing to whoever lacks ``key``.

    A plain digest would do for comparing, but whoever finds it could try values out against it.

    :param key: the store's writer's own, at least 32 bytes of chance. :param name: the storage name.
    :param expected: the version that the caller wants to be current. :param to: the one to make current.
    """
    made = hmac.new(key, digestmod="sha256")
    # ASCII without a NUL, so that nothing of a value can pass for anything in front of it.
    said = [verb, name, type, expected] + ([] if to is None else [to])
    made.update(json.dumps(said).encode() + b"\x00")
    if value is not None:
        made.update(value.reveal_bytes())
    return made.digest()


def used_for_another() -> InvalidArgument:
    """For an id that comes again with another intent."""
    return InvalidArgument(
        "this operation id (Idempotency-Key) was used before, for another secret, verb, value, type or "
        "expected version: take a new one"
    )
