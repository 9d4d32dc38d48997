"""What a secret is: its name, its reference, its type and its metadata."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope, shown

MAX_NAME = 128
_NAME = re.compile(r"[-a-zA-Z0-9_]{1,128}")
_VERSION = re.compile(r"[!-~]{1,256}")
_FIELD = re.compile(r"[-._@:/ a-zA-Z0-9]{1,253}")


def validate_name(text: object) -> str:
    """Return ``text`` if it is a legal, case-sensitive name of a secret.

    :raises InvalidArgument: with the rule.
    """
    if isinstance(text, str) and _NAME.fullmatch(text):
        return text
    raise InvalidArgument(
        f"secret name {shown(text)} is not valid: letters, digits, '-' and '_', 1 to {MAX_NAME} characters"
    )


def validate_version(text: object) -> str:
    """Return ``text`` if it can be a version token. Raises ``InvalidArgument``."""
    if isinstance(text, str) and _VERSION.fullmatch(text):
        return text
    raise InvalidArgument(
        f"version {shown(text)} is not valid: as secret history shows it, 1 to 256 characters without spaces"
    )


def validate_field(text: object) -> str:
    """Return ``text`` if it can name a field of a document. Raises ``InvalidArgument``."""
    if isinstance(text, str) and _FIELD.fullmatch(text):
        return text
    raise InvalidArgument(
        f"field {shown(text)} is not valid: letters, digits, spaces and any of -._@:/, 1 to 253 characters"
    )


class Selector(NamedTuple):
    """What is asked for by a name: the current version and the whole value, unless it says otherwise.

    :param version: a version token; the secret itself is found by its name as ever.
    :param field: of the JSON document that the value is.
    """

    name: str
    version: str | None = None
    field: str | None = None


class SecretType(enum.StrEnum):
    """What a value is for. Fixed at create."""

    GENERIC = "generic"
    IMAGE_PULL = "image-pull"

    @classmethod
    def parse(cls, text: str) -> SecretType:
        """From any of the names that clients use (``regular``, ``image_pull``, ``image-pull-secret`` too).

        :raises InvalidArgument: for any other word.
        """
        try:
            return cls(_TYPE_ALIASES.get(text, text))
        except ValueError:
            raise InvalidArgument(f"type {shown(text)} is not known: generic or image-pull") from None


_TYPE_ALIASES = {"regular": "generic", "image_pull": "image-pull", "image-pull-secret": "image-pull"}


@dataclass(frozen=True, slots=True)
class SecretRef:
    """A secret's full name: scope and name."""

    scope: Scope
    name: str
    # References are keys of every look-up of an admission: their hash is made once.
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        validate_name(self.name)
        object.__setattr__(self, "_hash", hash((self.scope, self.name)))

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        return f'"{self.name}" in {self.scope}'


@dataclass(frozen=True, slots=True)
class SecretMetadata:
    """All that is known of a secret without its value.

    :param version: the store's version token: opaque, and never the same for two different values.
    :param size: bytes, where the store can tell without reading the value.
    :param read_only: whether it is one that its store only reads.
    """

    ref: SecretRef
    type: SecretType
    version: str
    created_at: datetime
    updated_at: datetime
    created_by: str
    updated_by: str
    size: int | None = None
    read_only: bool = False
