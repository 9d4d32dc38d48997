"""Earlier versions of what is there now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from secrets_svc.backends.aws.calls import Calls
from secrets_svc.backends.aws.held import Held
from secrets_svc.backends.aws.versions import DELETE, VersionId
from secrets_svc.core.abilities import VersionInfo
from secrets_svc.core.errors import NotFound


def history(held: Held, made: Mapping[str, datetime]) -> tuple[VersionInfo, ...]:
    """The versions of this life of the secret, newest first.

    :param made: when AWS says that each version was made.
    """
    versions = set(made) | ({held.current} if held.current else set())
    found = [_info(held, version, made) for version in versions if belongs(held, version, made)]
    return tuple(sorted(found, key=lambda each: (each.created_at, each.current, each.version), reverse=True))


def belongs(held: Held, version: str, made: Mapping[str, datetime]) -> bool:
    """Whether it has been current in this life of the secret."""
    if version == held.current:
        return True
    if held.never_current(version):
        return False
    parsed, born = VersionId.parse(version), held.born
    if parsed is not None:
        return parsed.born == born and parsed.verb != DELETE
    # Somebody else's: by the clock of AWS, which made both.
    birth = held.birth(born)
    return birth is None or birth[0] not in made or (version in made and made[version] >= made[birth[0]])


def target(calls: Calls, held: Held, token: str) -> str:
    """The version that ``token`` stands for, if it belongs to what is there and has a value still.

    :raises NotFound: otherwise; the message says which.
    """
    version = held.version_of(token)
    if version is None:
        raise NotFound(f"secret {held.ref} has no such version")
    made = calls.versions(held.ref) if version != held.current else {}
    if not belongs(held, version, made):
        raise NotFound(f"secret {held.ref} has no such version since it was created")
    if version != held.current and version not in made:
        raise NotFound(f"that version of secret {held.ref} is no longer kept: AWS removes old ones")
    return version


def _info(held: Held, version: str, made: Mapping[str, datetime]) -> VersionInfo:
    note = held.written(version)
    return VersionInfo(
        version=held.token(version),
        created_at=note.at if note else made.get(version, held.changed_at),
        created_by=note.by if note else None,
        current=version == held.current,
        size=note.size if note else None,
    )
