"""Scopes: organization, domain, project; and the one chain in which they are looked through."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from secrets_svc.core.errors import InvalidArgument

# RFC 1123 label, lower case: what Kubernetes takes for a namespace. No "_", which makes names reversible.
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
MAX_LABEL = 63


def validate_label(kind: str, text: object) -> str:
    """Return ``text`` if it is a lower-case DNS label of at most 63 characters.

    :param kind: what it is ("project"), for the message.
    :raises InvalidArgument: with the rule; the text itself is shown escaped and shortened.
    """
    if isinstance(text, str) and len(text) <= MAX_LABEL and _LABEL.fullmatch(text):
        return text
    raise InvalidArgument(
        f"{kind} {shown(text)} is not valid: lower-case letters, digits and '-', beginning and ending with a "
        f"letter or digit, 1 to {MAX_LABEL} characters"
    )


def shown(text: object) -> str:
    """``text`` for a message: quoted, printable ASCII only, at most 64 characters of it."""
    if not isinstance(text, str):
        return f"of type {type(text).__name__}"
    cut = text if len(text) <= 64 else text[:61] + "..."
    return '"' + cut.encode("unicode_escape").decode() + '"'


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a secret lives.

    With both parts it is one project in one domain; with one of them all of that project or domain; with
    neither the whole organization. Invalid parts raise :class:`InvalidArgument`.
    """

    organization: str
    domain: str | None = None
    project: str | None = None

    def __post_init__(self) -> None:
        validate_label("organization", self.organization)
        if self.domain is not None:
            validate_label("domain", self.domain)
        if self.project is not None:
            validate_label("project", self.project)

    @property
    def level(self) -> str:
        """``project-domain``, ``project``, ``domain`` or ``organization``."""
        if self.project is not None:
            return "project-domain" if self.domain is not None else "project"
        return "domain" if self.domain is not None else "organization"

    def __str__(self) -> str:
        return in_words(self.organization, self.domain, self.project)

    def covers(self, other: Scope) -> bool:
        """Whether ``other`` lies inside this scope (a scope covers itself)."""
        return (
            self.organization == other.organization
            and self.domain in (None, other.domain)
            and self.project in (None, other.project)
        )


def in_words(organization: str | None, domain: str | None, project: str | None) -> str:
    """A scope as people read it, such as ``project-domain shop/production``.

    :param organization: may be ``None`` where another part is there, which says it all to people.
    """
    if project is not None and domain is not None:
        return f"project-domain {project}/{domain}"
    if project is not None:
        return f"project {project}"
    return f"domain {domain}" if domain is not None else f"organization {organization}"


@lru_cache(maxsize=4096)
def precedence_chain(scope: Scope) -> tuple[Scope, ...]:
    """The scopes in which a name is looked for on behalf of ``scope``, narrowest first.

    project+domain → project (all its domains) → domain → organization; parts that ``scope`` lacks are left
    out. This is the only place where the order is written down (I4).
    """
    organization, domain, project = scope.organization, scope.domain, scope.project
    candidates = (
        scope if project is not None and domain is not None else None,
        Scope(organization, project=project) if project is not None else None,
        Scope(organization, domain=domain) if domain is not None else None,
        Scope(organization),
    )
    return tuple(candidate for candidate in candidates if candidate is not None)
