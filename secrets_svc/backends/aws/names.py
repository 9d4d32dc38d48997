"""Every name and tag that this backend reads or writes, in one place."""

from __future__ import annotations

import re

from secrets_svc.core.naming import storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

DOMAIN = "secrets-svc.internal"

# Tags. The first ones say whose a secret is; without each of them it is somebody else's.
MANAGED = f"{DOMAIN}/managed"
MANAGED_VALUE = "true"
ORGANIZATION = f"{DOMAIN}/organization"
NAME = f"{DOMAIN}/name"
DOMAIN_TAG = f"{DOMAIN}/domain"
PROJECT = f"{DOMAIN}/project"
# These speak of the first version, whose id is in VERSION: written with it, and never again.
VERSION = f"{DOMAIN}/version"
TYPE = f"{DOMAIN}/type"
SIZE = f"{DOMAIN}/size"
CREATED_AT = f"{DOMAIN}/created-at"
CREATED_BY = f"{DOMAIN}/created-by"

OWN_TAGS = frozenset(
    {MANAGED, ORGANIZATION, NAME, DOMAIN_TAG, PROJECT, VERSION, TYPE, SIZE, CREATED_AT, CREATED_BY}
)

# Staging labels of AWS's own.
CURRENT = "AWSCURRENT"
PREVIOUS = "AWSPREVIOUS"
PENDING = "AWSPENDING"

#: In names, tags and labels these stand for themselves; anything else as "=" and two digits a byte.
_PLAIN = re.compile(r"[A-Za-z0-9._@/-]")
_ESCAPED = re.compile(r"(?:[A-Za-z0-9._@/-]|=[0-9A-F]{2})*")
_ELLIPSIS = "=E2=80=A6"


def secret_name(prefix: str, ref: SecretRef) -> str:
    """Of a secret. :raises InvalidArgument: over 253 bytes without the prefix."""
    return prefix + storage_name(ref)


def name_prefix(prefix: str, within: Scope, *, exact: bool) -> str:
    """What the names of all secrets in a scope begin with; others' names may, too."""
    found = f"{prefix}u__org__{within.organization}__domain__"
    if within.domain is None and not exact:
        return found
    found += f"{within.domain or ''}__project__"
    if within.project is None and not exact:
        return found
    return f"{found}{within.project or ''}__key__"


def every_name(prefix: str) -> str:
    """What the names of all secrets of a store begin with."""
    return f"{prefix}u__org__"


def tags_of(ref: SecretRef) -> dict[str, str]:
    """That say whose a secret is."""
    scope = ref.scope
    tags = {MANAGED: MANAGED_VALUE, ORGANIZATION: scope.organization, NAME: ref.name}
    if scope.domain is not None:
        tags[DOMAIN_TAG] = scope.domain
    if scope.project is not None:
        tags[PROJECT] = scope.project
    return tags


def are_of(tags: dict[str, str], ref: SecretRef) -> bool:
    """Whether the tags say that it is this very secret of ours."""
    keys = (MANAGED, ORGANIZATION, DOMAIN_TAG, PROJECT, NAME)
    return {key: tags[key] for key in keys if key in tags} == tags_of(ref)


def escaped(text: str, limit: int) -> str:
    """``text`` in characters that tags and labels take. What is too long ends in an ellipsis."""
    parts = [_escape(character) for character in text]
    if sum(map(len, parts)) <= limit:
        return "".join(parts)
    kept, room = [], limit - len(_ELLIPSIS)
    for part in parts:
        room -= len(part)
        if room < 0:
            break
        kept.append(part)
    return "".join((*kept, _ELLIPSIS))


def unescaped(text: str) -> str | None:
    """Of :func:`escaped`; ``None`` for anything else."""
    if not _ESCAPED.fullmatch(text):
        return None
    raw = re.sub(r"=(..)", lambda found: chr(int(found[1], 16)), text)
    try:
        return raw.encode("latin-1").decode()
    except UnicodeDecodeError:
        return None


def _escape(character: str) -> str:
    if _PLAIN.fullmatch(character):
        return character
    return "".join(f"={byte:02X}" for byte in character.encode("utf-8", "replace"))
