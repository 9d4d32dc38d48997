"""A secret as it is in Secrets Manager, without its value. What AWS answers is hostile until checked here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from secrets_svc.backends.aws import names
from secrets_svc.backends.aws.faults import nonsense
from secrets_svc.backends.aws.notes import Note, is_among, is_ours, pending, refusals
from secrets_svc.backends.aws.versions import CREATE, DELETE, UNKNOWN_BIRTH, VersionId
from secrets_svc.core.errors import Spoilt
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType

Stages = Mapping[str, frozenset[str]]

_VERSION = re.compile(r"[A-Za-z0-9_-]{32,64}")
#: What AWS puts behind the name, so that a secret created again has another ARN.
_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:(.+)-([A-Za-z0-9]{6})")
_OUTSIDE = "somebody (outside this service)"


@dataclass(frozen=True, slots=True)
class Held:
    """What DescribeSecret tells of a secret.

    :ivar key: end of its ARN: another one whenever the secret is created anew.
    :ivar current: id of the current version. :ivar stages: labels of each version that has any.
    :ivar deleted: its deletion is scheduled.
    """

    ref: SecretRef
    key: str
    current: str | None
    stages: Stages
    tags: Mapping[str, str]
    deleted: bool
    created_at: datetime
    changed_at: datetime

    @classmethod
    def of(cls, answer: Mapping[str, Any], ref: SecretRef, name: str) -> Held:
        """From an answer of DescribeSecret, or an item of ListSecrets.

        :raises Unavailable: that is no such answer.
        """
        stages = stages_of(answer)
        current = [version for version, labels in stages.items() if names.CURRENT in labels]
        created_at = _moment(answer.get("CreatedDate"))
        return cls(
            ref,
            key_of(answer, name),
            current[0] if current else None,
            stages,
            _tags(answer.get("Tags")),
            answer.get("DeletedDate") is not None,
            created_at,
            max(created_at, _moment(answer.get("LastChangedDate") or answer.get("CreatedDate"))),
        )

    @property
    def is_ours(self) -> bool:
        """Its tags say that it is this secret of this service."""
        return names.are_of(dict(self.tags), self.ref)

    @property
    def is_tombstone(self) -> bool:
        """What is current says that it was deleted."""
        found = VersionId.parse(self.current or "")
        return found is not None and found.verb == DELETE

    @property
    def is_there(self) -> bool:
        """It can be read.

        :raises Unavailable: it is ours and has no version that is current.
        """
        if not self.is_ours or self.deleted or self.is_tombstone:
            return False
        if self.current is None:
            raise spoilt(self.ref, "has no version that is current")
        return True

    def token(self, version: str) -> str:
        """Never the same for two different values: versions don't change, and ARNs don't come back."""
        return f"{version}.{self.key}"

    def version_of(self, token: str) -> str | None:
        """The version that a token stands for; ``None`` if it is no token of this secret."""
        version, dot, key = token.rpartition(".")
        return version if dot and key == self.key and _VERSION.fullmatch(version) else None

    def notes(self, version: str) -> Iterator[Note]:
        """What is noted of a version, by labels and, of the first one, by tags."""
        for label in sorted(self.stages.get(version, ())):
            note = Note.parse(label)
            if note is not None:
                yield note
        first = _first(self.tags, version)
        if first is not None:
            yield first

    def written(self, version: str) -> Note | None:
        """What is noted of the writing of a version."""
        return next((note for note in self.notes(version) if not note.is_rollback), None)

    def versions(self) -> set[str]:
        """All that something is known of: they have labels, or are the first one."""
        first = self.tags.get(names.VERSION)
        return {*self.stages, *([first] if first else [])}

    def is_pending(self, version: str, operation: str) -> bool:
        """Whether that operation has not made it current."""
        if version == self.current:
            return False
        return pending(operation) in self.stages.get(version, ()) or is_among(operation, self.refused)

    def never_current(self, version: str) -> bool:
        """Whether it was put and not made current, by an operation of ours or a rotation of AWS's."""
        found = VersionId.parse(version)
        if found is not None:
            return self.is_pending(version, found.operation)
        return version != self.current and names.PENDING in self.stages.get(version, ())

    @property
    def refused(self) -> frozenset[str]:
        """Operations whose versions never were: see :class:`.notes.Refusals`."""
        found = (refusals(label) for labels in self.stages.values() for label in labels)
        return frozenset(operation for each in found if each is not None for operation in each.operations)

    @property
    def born(self) -> str:
        """Which life of the secret this is: see :mod:`.versions`. Of what others wrote: that of before."""
        for label in (names.CURRENT, names.PREVIOUS):
            for version, labels in self.stages.items():
                found = VersionId.parse(version)
                if label in labels and found is not None:
                    return found.born
        return max(self._births(), default=(None, UNKNOWN_BIRTH))[1]

    def _births(self) -> Iterator[tuple[datetime, str]]:
        for version in self.versions():
            found, note = VersionId.parse(version), self.written(version)
            if found is not None and found.verb == CREATE and note is not None:
                yield note.at, found.born

    def birth(self, born: str) -> tuple[str, Note] | None:
        """The version that a life began with, and what is noted of it."""
        for version in self.versions():
            found = VersionId.parse(version)
            note = self.written(version) if found and found.verb == CREATE and found.born == born else None
            if note is not None:
                return version, note
        return None

    def metadata(self) -> SecretMetadata:
        """Of what is current."""
        assert self.current is not None, "asked for what is there"
        found = self.as_written(self.current)
        last = max(self.notes(self.current), key=lambda note: note.at, default=None)
        if last is None:
            return replace(found, updated_at=max(found.created_at, self.changed_at), updated_by=_OUTSIDE)
        return replace(found, updated_at=last.at, updated_by=last.by)

    def as_written(self, version: str) -> SecretMetadata:
        """Of a version, as it was when it was written."""
        note = self.written(version)
        parsed = VersionId.parse(version)
        born = parsed.born if parsed is not None else self.born
        _, birth = self.birth(born) or (None, None)
        created_at = birth.at if birth else self.created_at
        created_by = birth.by if birth else "unknown"
        return SecretMetadata(
            ref=self.ref,
            type=self._type(note, birth),
            version=self.token(version),
            created_at=created_at,
            updated_at=note.at if note else created_at,
            created_by=created_by,
            updated_by=note.by if note else created_by,
            size=note.size if note else None,
        )

    def _type(self, *noted: Note | None) -> SecretType:
        found = next((note.type for note in noted if note is not None and note.type is not None), None)
        if found is not None:
            return found
        try:
            return SecretType(self.tags.get(names.TYPE, ""))
        except ValueError:
            raise spoilt(self.ref, f"has no type in tag {names.TYPE}") from None

    def own_labels(self) -> Iterator[tuple[str, str]]:
        """Each of ours, with the version that it is on."""
        for version, labels in self.stages.items():
            yield from ((version, label) for label in sorted(labels) if is_ours(label))

    def with_version(self, version: str, *labels: str) -> Held:
        """As it is once that version was made current."""
        stages = {each: found - {names.CURRENT, *labels} for each, found in self.stages.items()}
        stages[version] = stages.get(version, frozenset()) | {names.CURRENT, *labels}
        return replace(self, current=version, stages=stages)


def key_of(answer: Mapping[str, Any], name: str) -> str:
    """End of the ARN in an answer about the secret of that name.

    :raises Unavailable: it is about another, or none.
    """
    arn = answer.get("ARN")
    match = _ARN.fullmatch(arn) if isinstance(arn, str) else None
    if match is None or answer.get("Name") != name or match[1] != name:
        raise nonsense("that is not about the secret that was asked for")
    return match[2]


def spoilt(ref: SecretRef, why: str) -> Spoilt:
    """For what is ours by its tags, and isn't whole."""
    return Spoilt(
        f"secret {ref} {why}: it was changed outside this service; repair or delete it with AWS's tools"
    )


def stages_of(answer: Mapping[str, Any]) -> Stages:
    """Labels of versions in an answer of DescribeSecret, or an item of ListSecrets.

    :raises Unavailable: that is no such answer.
    """
    versions = answer.get("VersionIdsToStages", answer.get("SecretVersionsToStages"))
    stages = _stages(versions)
    if sum(names.CURRENT in labels for labels in stages.values()) > 1:
        raise nonsense("several versions are current")
    return stages


def moment_of(answer: Mapping[str, Any], name: str) -> datetime:
    """The time of that name in an answer. :raises Unavailable: there is none."""
    return _moment(answer.get(name))


def _stages(versions: Any) -> Stages:
    if versions is None:
        return {}
    if not isinstance(versions, dict):
        raise nonsense("versions are no map")
    found = {}
    for version, labels in versions.items():
        if not (_VERSION.fullmatch(version) and isinstance(labels, list)):
            raise nonsense("versions are no versions")
        found[version] = frozenset(label for label in labels if isinstance(label, str))
    return found


def _tags(tags: Any) -> dict[str, str]:
    found = {}
    for tag in tags if isinstance(tags, list) else ():
        key, value = (tag.get("Key"), tag.get("Value", "")) if isinstance(tag, dict) else (None, None)
        if isinstance(key, str) and isinstance(value, str):
            found[key] = value
    return found


def _moment(at: Any) -> datetime:
    if not isinstance(at, datetime):
        raise nonsense("there is no date")
    return at.astimezone(UTC)


def _first(tags: Mapping[str, str], version: str) -> Note | None:
    """What tags note of the first version."""
    found = VersionId.parse(version)
    if found is None or tags.get(names.VERSION) != version:
        return None
    parts = (found.verb, found.operation, found.intent)
    return Note.of_tags(tags, *parts)
