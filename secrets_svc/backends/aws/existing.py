"""Secrets that are in Secrets Manager already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from secrets_svc.backends.aws import names
from secrets_svc.backends.aws.api import Api
from secrets_svc.backends.aws.calls import listed
from secrets_svc.backends.aws.faults import Refused
from secrets_svc.backends.aws.held import key_of, moment_of, stages_of
from secrets_svc.backends.aws.values import value_in
from secrets_svc.backends.existing.places import Document, Found, TextDocument
from secrets_svc.core.errors import Unavailable
from secrets_svc.core.scope import Scope
from secrets_svc.core.templates import PathTemplate

_ABSENT = "ResourceNotFoundException"
_STATE = "InvalidRequestException"
#: Characters of a name (API_CreateSecret).
_MAX_NAME = 512


class AwsPlaces:
    """See :class:`secrets_svc.backends.existing.places.Places`. Paths are whole names.

    :param api: closed with this.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    def look(self, path: str) -> Found | None:
        """See the port."""
        answer = self._about(path, "DescribeSecret", "look at", _ABSENT)
        return None if answer is None or answer.get("DeletedDate") is not None else _found(answer, path)

    def read(self, path: str) -> tuple[str, Document] | None:
        """See the port."""
        answer = self._about(path, "GetSecretValue", "read", _ABSENT, _STATE)
        if answer is None:
            return None
        version = answer.get("VersionId")
        if not isinstance(version, str):
            raise Unavailable("AWS Secrets Manager doesn't answer as it should: there is no version")
        return _token(answer, path, version), TextDocument(value_in(answer))

    def listed(self, template: PathTemplate, within: Scope) -> Iterator[tuple[str, Found | None]]:
        """See the port."""
        for item in listed(self._api, template.beginning(within)):
            path = item.get("Name")
            if isinstance(path, str) and template.ref_of(path, within.organization) is not None:
                found = _found(item, path)
                if found is not None:
                    yield path, found

    def close(self) -> None:
        """See the port."""
        self._api.close()

    def _about(self, path: str, operation: str, verb: str, *expected: str) -> Mapping[str, Any] | None:
        if len(path) > _MAX_NAME:
            return None  # what would be too long can't be there
        try:
            return self._api.call(
                operation, {"SecretId": path}, what=f"{verb} an existing secret", expected=expected
            )
        except Refused:
            return None


def _found(answer: Mapping[str, Any], path: str) -> Found | None:
    """``None`` where no version is current."""
    current = [version for version, labels in stages_of(answer).items() if names.CURRENT in labels]
    if not current:
        return None
    created_at = moment_of(answer, "CreatedDate")
    changed_at = moment_of(answer, "LastChangedDate") if answer.get("LastChangedDate") else created_at
    return Found(_token(answer, path, current[0]), created_at, max(created_at, changed_at))


def _token(answer: Mapping[str, Any], path: str, version: str) -> str:
    """A secret that is created anew has another key."""
    return f"{version}.{key_of(answer, path)}"
