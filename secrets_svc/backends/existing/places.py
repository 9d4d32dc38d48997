"""What a store must be able to do where existing secrets lie, and what it finds there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope
from secrets_svc.core.templates import PathTemplate
from secrets_svc.core.value import SecretValue


@dataclass(frozen=True, slots=True)
class Found:
    """What is at a path, without its value.

    :param token: never the same for two different values there.
    """

    token: str
    created_at: datetime
    updated_at: datetime


class Document(Protocol):
    """A value that may have fields."""

    def whole(self) -> SecretValue:
        """All of it. Raises ``InvalidArgument`` where that makes no sense."""

    def field(self, name: str) -> SecretValue:
        """One field. Raises ``InvalidArgument`` where there is none that could be a value."""


class Places(Protocol):
    """One identity's view of a store; raises only :mod:`secrets_svc.core.errors`, from any thread."""

    def look(self, path: str) -> Found | None:
        """What is at ``path``; no value moves. ``None`` only where the store says that nothing is there."""

    def read(self, path: str) -> tuple[str, Document] | None:
        """The current version's token, and what it holds."""

    def listed(self, template: PathTemplate, within: Scope) -> Iterator[tuple[str, Found | None]]:
        """Paths that may be of ``within``, in any order; with what is there, where the list tells."""

    def close(self) -> None:
        """Let go of connections. May be repeated."""


class TextDocument:
    """A value in one piece, whose fields are those of the JSON object that it may be."""

    def __init__(self, value: SecretValue) -> None:
        self._value = value

    def whole(self) -> SecretValue:
        """See :class:`Document`."""
        return self._value

    def field(self, name: str) -> SecretValue:
        """See :class:`Document`."""
        try:
            parsed = json.loads(self._value.reveal_bytes())
        except (ValueError, RecursionError):
            parsed = None
        if not isinstance(parsed, dict):
            raise InvalidArgument('its value is no JSON object, so that it has no fields: leave "field" out')
        return field_of(parsed, name)


class JsonDocument:
    """A JSON object."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def whole(self) -> SecretValue:
        """See :class:`Document`: compact JSON."""
        try:
            text = json.dumps(self._fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        except ValueError:
            raise InvalidArgument("its value has a number that JSON has no form for") from None
        return _encoded(text, "its value")

    def field(self, name: str) -> SecretValue:
        """See :class:`Document`."""
        return field_of(self._fields, name)


def field_of(fields: Mapping[str, Any], name: str) -> SecretValue:
    """``name`` as a value: text as it is, the digits of a whole number.

    :raises InvalidArgument: there is none, or it is something else.
    """
    if name not in fields:
        raise InvalidArgument(f'its value has no field "{name}"')
    found = fields[name]
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    if not isinstance(found, str):
        raise InvalidArgument(f'field "{name}" of its value is neither text nor a whole number')
    return _encoded(found, f'field "{name}" of its value')


def _encoded(text: str, what: str) -> SecretValue:
    try:
        return SecretValue(text.encode())
    except UnicodeEncodeError:
        pass
    raise InvalidArgument(f"{what} is no text: it has half of a character")
