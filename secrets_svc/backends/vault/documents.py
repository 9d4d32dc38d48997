"""A secret as a document and back. Metadata ride in names of keys of ``meta``, seen without values."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from secrets_svc.core.errors import InvalidArgument, Spoilt
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

TEXT, BINARY, META = "value", "value_base64", "meta"
FORM = "1"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a document, as the server keeps account of it.

    :param gone: it was deleted or destroyed. :param destroyed: nobody can bring it back.
    """

    number: int
    created_time: str
    gone: bool = False
    destroyed: bool = False

    @property
    def token(self) -> str:
        """Numbers begin anew after a document's metadata were deleted; the time doesn't."""
        return f"{self.number}-{self.created_time}"

    @property
    def at(self) -> datetime:
        """When it was written, to the microsecond."""
        return moment(self.created_time)


def moment(text: str) -> datetime:
    """Of the server's RFC 3339 with up to nine digits. Raises ``ValueError``."""
    head, dot, rest = text.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    zone = rest[len(digits) :] if dot else ""
    parsed = datetime.fromisoformat(
        (f"{head}.{digits[:6]:0<6}{zone}" if dot else head).replace("Z", "+00:00")
    )
    if parsed.tzinfo is None:
        raise ValueError("no time zone")
    return parsed.astimezone(UTC)


def version_of(metadata: object) -> Version:
    """From the ``metadata`` of an answer.

    :raises Spoilt: no server says such a thing.
    """
    try:
        assert isinstance(metadata, Mapping)
        number, created = metadata["version"], metadata["created_time"]
        assert type(number) is int
        assert number > 0
        assert isinstance(created, str)
        moment(created)
        destroyed = metadata["destroyed"] is not False
        gone = bool(metadata["deletion_time"]) or destroyed
    except (AssertionError, KeyError, ValueError):
        raise Spoilt("the server doesn't answer as it should: that is no version") from None
    return Version(number, created, gone, destroyed)


@dataclass(frozen=True, slots=True)
class Held:
    """What is at a path, without its value.

    :param meta: what its names of keys say; ``None`` where it isn't a document of ours.
    """

    version: Version
    meta: Mapping[str, str] | None

    @property
    def is_ours(self) -> bool:
        """Whether this service wrote it."""
        return self.meta is not None and self.meta.get("form") == FORM

    @property
    def is_there(self) -> bool:
        """Whether it is a secret that isn't deleted."""
        return not self.version.gone and self.is_ours and not self.is_deleted

    @property
    def is_deleted(self) -> bool:
        """Whether it is a tombstone of ours."""
        return self.is_ours and "deleted" in (self.meta or {})

    @property
    def operation(self) -> str | None:
        """Path of the record of the operation that wrote it."""
        return (self.meta or {}).get("op")

    @property
    def first(self) -> int:
        """The number of the first version since it was created."""
        text = (self.meta or {}).get("first", "")
        return int(text) if text.isascii() and text.isdigit() else self.version.number

    def metadata(self, ref: SecretRef) -> SecretMetadata:
        """Of the secret.

        :raises Spoilt: it was changed by somebody else.
        """
        meta = self.meta or {}
        try:
            size = meta["size"]
            updated_at = self.version.at
            return SecretMetadata(
                ref=ref,
                type=SecretType.parse(meta["type"]),
                version=self.version.token,
                created_at=moment(meta["created_at"]) if "created_at" in meta else updated_at,
                updated_at=updated_at,
                created_by=meta["created_by"],
                updated_by=meta["updated_by"],
                size=int(size),
            )
        except (KeyError, ValueError, InvalidArgument):
            raise spoilt(ref) from None


def spoilt(ref: SecretRef) -> Spoilt:
    """For a document that we wrote and somebody else changed."""
    return Spoilt(
        f"secret {ref}: what lies at its path was changed outside this service; write it as it was, or "
        "delete it, with the server's own tools"
    )


def held(data: object) -> Held:
    """From the answer of ``subkeys``."""
    assert_mapping(data)
    assert isinstance(data, Mapping)
    version = version_of(data.get("metadata"))
    subkeys = data.get("subkeys")
    return Held(version, _meta_of(subkeys))


def assert_mapping(data: object) -> None:
    """:raises Spoilt: it isn't an object."""
    if not isinstance(data, Mapping):
        raise Spoilt("the server doesn't answer as it should: that is no object")


def _meta_of(document: object) -> dict[str, str] | None:
    if not isinstance(document, Mapping) or not isinstance(document.get(META), Mapping):
        return None
    pairs = (name.partition("=") for name in document[META] if isinstance(name, str))
    return {name: value for name, _, value in pairs}


def new_meta(*, type: SecretType, size: int, actor: str, operation: str) -> dict[str, str]:
    """For a secret that is created; its ``first`` version's number is still to be told."""
    meta = {"form": FORM, "type": type.value, "size": str(size), "created_by": actor, "updated_by": actor}
    return meta | {"op": operation}


def next_meta(before: Held, *, at: datetime, size: int, actor: str, operation: str) -> dict[str, str]:
    """For a secret that is updated. :param at: when it was created."""
    created = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    kept = dict(before.meta or {})
    return kept | {"size": str(size), "updated_by": actor, "op": operation, "created_at": created}


def tombstone(operation: str) -> dict[str, Any]:
    """What is written before versions are deleted, so that whoever writes at that moment notices."""
    return {META: _names({"form": FORM, "deleted": "", "op": operation})}


def document(meta: Mapping[str, str], value: SecretValue) -> dict[str, Any]:
    """As it is written: whichever form of the value is shorter, and carries its exact bytes."""
    data = value.reveal_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    encoded = base64.b64encode(data).decode()
    if text is not None and len(json.dumps(text)) <= len(encoded) + 64:
        return {TEXT: text, META: _names(meta)}
    return {BINARY: encoded, META: _names(meta)}


def _names(meta: Mapping[str, str]) -> dict[str, None]:
    return {f"{name}={value}": None for name, value in meta.items()}


def read_document(data: object, ref: SecretRef) -> tuple[Held, SecretValue]:
    """From the answer of ``data``.

    :raises Spoilt: there is no value, or two.
    """
    assert_mapping(data)
    assert isinstance(data, Mapping)
    version = version_of(data.get("metadata"))
    body = data.get("data")
    found = Held(version, _meta_of(body))
    if not isinstance(body, Mapping) or not found.is_there:
        return found, SecretValue(b"")
    try:
        if TEXT in body and BINARY not in body:
            return found, SecretValue(body[TEXT].encode("utf-8"))
        if BINARY in body and TEXT not in body:
            return found, SecretValue(base64.b64decode(body[BINARY], validate=True))
    except (ValueError, TypeError, AttributeError):
        pass
    raise spoilt(ref)
