"""Which scope a command line means: options before environment before context. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from secrets_svc.client.scopes import ScopeParts
from secrets_svc.core.errors import InvalidArgument

if TYPE_CHECKING:
    from cli.context import Context


class ScopeOptions(NamedTuple):
    """What was typed. An empty text means "none", also where environment or context have a default."""

    organization: str | None = None
    project: str | None = None
    domain: str | None = None
    org_wide: bool = False


def choose_scope(
    options: ScopeOptions, *, environ: Mapping[str, str], context: Context, usage: str
) -> ScopeParts:
    """The scope that is meant; the organization's own only where it is asked for explicitly.

    :param usage: the command line so far (``secret get db-password``), for the message.
    :raises InvalidArgument: options that contradict each other, an illegal part, or no scope at all.
    """
    parts = choose_filter(options, environ=environ, context=context)
    if parts.project is None and parts.domain is None and not options.org_wide:
        raise InvalidArgument(
            f'no scope is given; type "{usage} --project PROJECT --domain DOMAIN", '
            f'or "{usage} --org-wide" for the whole organization'
        )
    return parts


def choose_filter(options: ScopeOptions, *, environ: Mapping[str, str], context: Context) -> ScopeParts:
    """Like :func:`choose_scope`, for commands that only look: without any scope, it is all there is.

    :raises InvalidArgument: options that contradict each other, or an illegal part.
    """
    organization = options.organization or context.organization
    if options.org_wide:
        if options.project or options.domain:
            raise InvalidArgument("--org-wide is the whole organization: leave --project and --domain out")
        return ScopeParts(organization)
    project = _first(options.project, environ.get("SECRET_PROJECT"), context.project)
    domain = _first(options.domain, environ.get("SECRET_DOMAIN"), context.domain)
    return ScopeParts(organization, domain=domain, project=project)


def _first(*candidates: str | None) -> str | None:
    """The first that is given, ``None`` if that is an empty text."""
    return next((text for text in candidates if text is not None), None) or None
