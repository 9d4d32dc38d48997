"""Where everything lies. Policies are made of the same.

    <prefix>/<organization>/<domain or _>/<project or _>/<name>    secrets
    <prefix>/_operations/<time>/<digest of an operation id>        what repeated calls are told by
    <prefix>/_writer/key                                           what operations are compared under

Organizations are DNS labels, so nothing of theirs begins with ``_``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

NONE = "_"
OPERATIONS = "_operations"
WRITER = "_writer"
#: Seconds of the folders of operations: an operation is remembered for at least so long.
BUCKET = 7200


@dataclass(frozen=True, slots=True)
class Paths:
    """Paths of one store; each is used behind ``<mount>/data/``, ``<mount>/subkeys/`` and so on."""

    mount: str
    prefix: str

    def secret(self, ref: SecretRef) -> str:
        """Of a secret."""
        return "/".join((self.prefix, *_levels(ref.scope), ref.name))

    def ref_of(self, parts: tuple[str, ...]) -> SecretRef | None:
        """The secret behind ``(organization, domain, project, name)`` as they are named in paths."""
        try:
            organization, domain, project, name = parts
            scope = Scope(organization, _some(domain), _some(project))
            return SecretRef(scope, name)
        except (InvalidArgument, ValueError):
            return None

    def folder(self, *parts: str) -> str:
        """Of a level of scopes."""
        return "/".join((self.prefix, *parts))

    def operation(self, bucket: int, operation_id: str) -> str:
        """Of the record of an operation."""
        digest = hashlib.sha256(operation_id.encode()).hexdigest()
        return f"{self.prefix}/{OPERATIONS}/{bucket}/{digest}"

    @property
    def key(self) -> str:
        """Of the key that operations are compared under."""
        return f"{self.prefix}/{WRITER}/key"


def _levels(scope: Scope) -> tuple[str, str, str]:
    return scope.organization, scope.domain or NONE, scope.project or NONE


def _some(part: str) -> str | None:
    return None if part == NONE else part
