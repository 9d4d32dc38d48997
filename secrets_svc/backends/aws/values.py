"""A value as the API takes it, and back: text as text, so that others can read it; anything else as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from secrets_svc.backends.aws.faults import nonsense
from secrets_svc.core.errors import InvalidArgument, TooLarge
from secrets_svc.core.secret import SecretRef
from secrets_svc.core.value import SecretValue

#: Bytes of a value (Secrets Manager quotas).
MAX_VALUE = 65_536

#: What lies where a deleted secret's value was: that is not current while the secret can be got back.
TOMBSTONE = SecretValue(b"deleted by secrets-svc")


def check(ref: SecretRef, value: SecretValue) -> None:
    """Raise unless Secrets Manager can hold it."""
    if len(value) > MAX_VALUE:
        raise TooLarge(f"the value of secret {ref} has {len(value)} bytes, over the limit of {MAX_VALUE}")
    if len(value) == 0:
        raise InvalidArgument(f"the value of secret {ref} is empty: AWS Secrets Manager can't hold that")


def parameters(value: SecretValue) -> dict[str, Any]:
    """Of CreateSecret and PutSecretValue."""
    data = value.reveal_bytes()
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"SecretBinary": data}
    return {"SecretBinary": data} if "\x00" in text else {"SecretString": text}


def value_in(answer: Mapping[str, Any]) -> SecretValue:
    """In an answer of GetSecretValue. :raises Unavailable: there is none."""
    text, data = answer.get("SecretString"), answer.get("SecretBinary")
    if isinstance(data, bytes) and text is None:
        return SecretValue(data)
    if not isinstance(text, str) or data is not None:
        raise nonsense("there is no value, or two")
    try:
        return SecretValue(text.encode())
    except UnicodeEncodeError:
        pass
    raise nonsense("a value is no text")
