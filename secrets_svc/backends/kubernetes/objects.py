"""A secret as a Kubernetes Secret, and back. What the API server answers is hostile until checked here."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from secrets_svc.backends.kubernetes import names
from secrets_svc.backends.kubernetes.marks import Mark
from secrets_svc.backends.kubernetes.provenance import data_keys, last_change, moment, outsider
from secrets_svc.backends.kubernetes.versions import Note, is_key, key_of, parse
from secrets_svc.core.errors import Conflict, InvalidArgument, Spoilt, Unavailable
from secrets_svc.core.naming import parse_storage_name
from secrets_svc.core.secret import SecretMetadata, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.kube.api import Object
from secrets_svc.kube.informer import Metadata


@dataclass(frozen=True, slots=True)
class Held:
    """A secret as it is in the namespace.

    :ivar mark: the operation that wrote it last. :ivar terminating: somebody's finalizer alone keeps it.
    :ivar earlier: versions that are kept, newest first. :ivar keys: data keys of earlier versions, whether
        anything is told of them or not. :ivar annotations: names of all that there are.
    """

    metadata: SecretMetadata
    uid: str
    resource_version: str
    mark: Mark | None
    terminating: bool
    earlier: tuple[Note, ...]
    keys: frozenset[str]
    annotations: frozenset[str]


def new_object(name: str, metadata: SecretMetadata, value: SecretValue, mark: Mark) -> Object:
    """To be created. :param name: storage name."""
    return {
        "metadata": {"name": names.object_name(name), **labels_and_annotations(name, metadata, mark)},
        "type": "Opaque",
        "data": _data(name, value),
    }


def _data(name: str, value: SecretValue) -> dict[str, str]:
    return {name: encoded(value)}


def encoded(value: SecretValue) -> str:
    """As an object holds it."""
    return base64.b64encode(value.reveal_bytes()).decode()


def labels_and_annotations(name: str, metadata: SecretMetadata, mark: Mark | None) -> Object:
    """What says all of a secret but its value.

    :param name: storage name. :param mark: of the operation that writes the value, if one does.
    """
    annotations = {
        names.NAME: name,
        names.TYPE: metadata.type.value,
        names.CREATED_AT: metadata.created_at.isoformat(),
        names.CREATED_BY: metadata.created_by,
        names.UPDATED_AT: metadata.updated_at.isoformat(),
        names.UPDATED_BY: metadata.updated_by,
    }
    if mark is not None:
        annotations[names.OPERATION] = mark.text()
    if metadata.size is not None:
        annotations[names.SIZE] = str(metadata.size)
    return {"labels": names.labels_of(metadata.ref.scope), "annotations": annotations}


def is_strangers(object_: Object, name: str) -> bool:
    """Whether it was never a secret of this service or Flyte's: it only has the name that one would have.

    One that lost all labels has its data key yet, which the API server tells beside the metadata too.

    :param name: storage name. :raises Unavailable: it is another object, or none.
    """
    found = _identified(object_, name)
    of_ours = any(key.startswith(names.PREFIX) for key in (*found.labels, *found.annotations))
    return names.MANAGED not in found.labels and not of_ours and name not in _all_keys(object_)


def _all_keys(object_: Object) -> frozenset[str]:
    """Data keys that the server tells of, and those of a whole object."""
    data = object_.get("data")
    return data_keys(object_) | frozenset(data if isinstance(data, dict) else ())


def held(object_: Object, name: str) -> Held:
    """What the object says, which must be the one of storage name ``name``. Metadata are enough.

    :raises Unavailable: it was spoilt, or is another.
    """
    found = _identified(object_, name)
    if found.labels.get(names.MANAGED) != names.MANAGED_VALUE:
        raise not_ours(name, f"has no label {names.MANAGED}={names.MANAGED_VALUE}")
    if found.annotations.get(names.NAME, name) != name:
        raise not_ours(name, "tells another name in its annotations")
    told = data_keys(object_)
    if not all(map(is_key, told - {name})):
        raise not_ours(name, "has a data key that is not the secret's")
    notes = _notes(found.annotations, name)
    return Held(
        _metadata(object_, found, name),
        found.uid,
        found.resource_version,
        Mark.parse(found.annotations.get(names.OPERATION, "")),
        found.terminating,
        # Others may have taken a value away and left what is told of it.
        tuple(note for note in notes if not told or note.key in told),
        frozenset({*told, *(note.key for note in notes)} - {name}),
        frozenset(found.annotations),
    )


def _identified(object_: Object, name: str) -> Metadata:
    found = Metadata.of(object_)
    if found.name != names.object_name(name) or not found.uid or not found.resource_version:
        raise Unavailable("the API server doesn't answer as it should: that is another object")
    return found


def storage_name_of(object_: Object) -> str | None:
    """The storage name that an object of a list was made for; ``None`` where it can't be told.

    Flyte's service writes it as a data key only, which the server tells of among the managed fields.
    """
    found = Metadata.of(object_)
    for name in (found.annotations.get(names.NAME), *data_keys(object_)):
        if name is not None and names.object_name(name) == found.name:
            return name
    return None


def value_of(object_: Object, name: str) -> SecretValue:
    """The value in a whole object.

    :raises Unavailable: there is another data key, or what no API server sends.
    """
    found = _value(object_, name, name)
    if found is None:
        raise not_ours(name, "has another data key than the secret's own, or none")
    return found


def earlier_value_of(object_: Object, name: str, version: str) -> SecretValue | None:
    """The value of an earlier version, if it is in a whole object. Raises as :func:`value_of`."""
    return _value(object_, name, key_of(version))


def _value(object_: Object, name: str, key: str) -> SecretValue | None:
    data = object_.get("data", {})
    if not isinstance(data, dict) or not all(each == name or is_key(each) for each in data):
        raise not_ours(name, "has another data key than the secret's own")
    if key not in data:
        return None
    try:
        return SecretValue(base64.b64decode(data[key], validate=True))
    except (ValueError, TypeError):
        raise Unavailable("the API server doesn't answer as it should: a value is not base64") from None


def not_ours(name: str, why: str) -> Spoilt:
    """For what lies where a secret would be. It is never written to."""
    return Spoilt(
        f'Secret "{names.object_name(name)}", where {_shown(name)} rests, {why}: '
        "it was made or changed outside this service and is left as it is; repair or delete it with kubectl"
    )


def taken(name: str) -> Conflict:
    """For what a stranger has put where a secret is to be created."""
    return Conflict(
        f"{_shown(name)} can't be created: somebody else's Secret \"{names.object_name(name)}\" is in its "
        "place and is left as it is; look at it with kubectl, and delete it if nobody needs it"
    )


def _shown(name: str) -> str:
    try:
        return f"secret {parse_storage_name(name)}"
    except InvalidArgument:
        return "a secret"


def _metadata(object_: Object, found: Metadata, name: str) -> SecretMetadata:
    try:
        ref = parse_storage_name(name)
    except InvalidArgument:
        raise not_ours(name, "has a name that no secret can have") from None
    outside = outsider(object_, name)
    noted = found.annotations
    born = moment(object_["metadata"].get("creationTimestamp")) or datetime.fromtimestamp(0, UTC)
    created_at = _time(noted, names.CREATED_AT, name) or born
    updated_at = _time(noted, names.UPDATED_AT, name) or created_at
    created_by = noted.get(names.CREATED_BY) or str(outside or "unknown")
    updated_by = noted.get(names.UPDATED_BY) or created_by
    if outside is not None:
        # Our annotations speak of the value before.
        updated_at = max(updated_at, outside.at or updated_at)
        updated_by = str(outside)
    return SecretMetadata(
        ref=ref,
        type=_type(noted, name),
        # The time tells apart what has one uid and resource version before and after etcd was restored.
        version=f"{found.uid}.{found.resource_version}.{last_change(object_)}",
        created_at=created_at,
        updated_at=updated_at,
        created_by=created_by,
        updated_by=updated_by,
        size=_size(noted, name) if outside is None else None,
    )


def _notes(noted: Mapping[str, str], name: str) -> tuple[Note, ...]:
    notes = parse(noted.get(names.VERSIONS, "[]"))
    if notes is None:
        raise not_ours(name, f"has no list of versions in annotation {names.VERSIONS}")
    return notes


def _time(noted: Mapping[str, str], key: str, name: str) -> datetime | None:
    if key not in noted:
        return None
    found = moment(noted[key])
    if found is None:
        raise not_ours(name, f"has no time in annotation {key}")
    return found.astimezone(UTC)


def _type(noted: Mapping[str, str], name: str) -> SecretType:
    try:
        return SecretType(noted.get(names.TYPE, SecretType.GENERIC))
    except ValueError:
        raise not_ours(name, f"has an unknown type in annotation {names.TYPE}") from None


def _size(noted: Mapping[str, str], name: str) -> int | None:
    text = noted.get(names.SIZE)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise not_ours(name, f"has no size in annotation {names.SIZE}")
    return int(text)
