"""What a value must be like, checked before it goes anywhere (I8). Pure."""

from __future__ import annotations

import json

from secrets_svc.core.errors import InvalidArgument, TooLarge, Unsupported
from secrets_svc.core.naming import storage_name
from secrets_svc.core.ports import Capabilities
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue

#: Bytes. A Kubernetes Secret holds so much in all its data (``core/v1`` MaxSecretSize).
MAX_FILE = 1_048_576
#: Bytes of one ``NAME=value`` string with its final NUL: Linux's MAX_ARG_STRLEN, see execve(2).
MAX_ENV_STRING = 131_072


def check_value(ref: SecretRef, value: SecretValue, type: SecretType, capabilities: Capabilities) -> None:
    """Raise unless a store with ``capabilities`` can hold ``value`` under ``ref`` and ``type`` allows it.

    :raises TooLarge: over the store's limit. :raises InvalidArgument: not of its type, or its name too long.
    :raises Unsupported: empty, where the store can't hold that.
    """
    storage_name(ref)
    if len(value) > capabilities.max_value:
        raise TooLarge(
            f"the value of secret {ref} has {len(value)} bytes, over the limit of {capabilities.max_value}"
        )
    if len(value) == 0 and not capabilities.empty_value:
        raise Unsupported(f"the value of secret {ref} is empty, which this store can't hold")
    objection = docker_config_objection(value) if type is SecretType.IMAGE_PULL else None
    if objection is not None:
        raise InvalidArgument(f"the value of image-pull secret {ref} {objection}")


def docker_config_objection(value: SecretValue) -> str | None:
    """Why images can't be pulled with ``value``; ``None`` where they can.

    It must be what Kubernetes takes as ``kubernetes.io/dockerconfigjson``, with at least one registry: JSON
    in UTF-8 without a byte order mark, and without the numbers that only Python reads.
    """
    try:
        config = json.loads(value.reveal_bytes().decode(), parse_constant=_refuse_constant)
        auths = config["auths"]
        well_formed = isinstance(auths, dict) and bool(auths) and all(map(_is_auth, auths.values()))
    except (ValueError, TypeError, KeyError, RecursionError):
        well_formed = False
    if well_formed:
        return None
    return (
        'is not a docker config: JSON in UTF-8 with a non-empty "auths", e.g. '
        '{"auths": {"REGISTRY": {"auth": "…"}}}'
    )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _is_auth(entry: object) -> bool:
    return isinstance(entry, dict) and bool(entry)


def env_objection(value: SecretValue) -> str | None:
    """Why ``value`` can't be an environment variable; ``None`` where it can."""
    data = value.reveal_bytes()
    if b"\x00" in data:
        return "it holds a NUL byte, which no environment variable can; ask for it as a file"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "it is not UTF-8, which Kubernetes wants of environment variables; ask for it as a file"
    return None


def env_string_excess(env_name: str, size: int) -> int:
    """By how many bytes ``env_name=value`` and its NUL go over Linux's limit; 0 or less where it fits."""
    return len(env_name) + 1 + size + 1 - MAX_ENV_STRING
