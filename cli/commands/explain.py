"""`secret explain`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.output import OutputFormat, Table, escape, kind_of, metadata_json, print_document, rfc3339
from cli.parameters import command, scope_options, server_options
from cli.scopes import ScopeOptions
from cli.session import open_session
from secrets_svc.core.errors import NotFound
from secrets_svc.core.secret import validate_name

if TYPE_CHECKING:
    from secrets_svc.client.answers import Explanation, Step, Winner


_REASONS = {
    "hit": "wins: the narrowest that is there",
    "shadowed": "a narrower one wins",
    "absent": "not there",
    "hidden": "a narrower one wins, and you may not look here",
}
_FACTS = ("type", "version", "size", "created_at", "updated_at", "created_by", "updated_by", "read_only")
_UNSEEN = "; you may not look further"


@command("explain", "secret explain db-password -p shop -d production")
@click.argument("name")
@scope_options
@server_options
def explain(
    *,
    name: str,
    scope: ScopeOptions,
    output: OutputFormat,
    context: str | None,
    timeout: float,
) -> None:
    """Say which scope a task of that project and domain gets a name from, and why.

    Scopes are looked through from the narrowest to the widest. If it is in none, the exit code is 3.
    Of a wider scope that you may not look into, you are told whether it wins, and nothing more.
    """
    validate_name(name)
    session = open_session(scope, context_name=context, timeout=timeout, usage=f"secret explain {name}")
    found = session.client.explain(name, session.parts)
    if output is OutputFormat.TABLE:
        table = Table(("SCOPE", "OUTCOME", "STORE", "VERSION", "TYPE", "UPDATED", "WHY"))
        table.write(_row(step) for step in found.steps)
    elif output is OutputFormat.NAME:
        click.echo(found.winner.ref.name if found.winner else "", nl=found.winner is not None)
    else:
        print_document(_document(found), output)
    if found.winner is None:
        tried = ", ".join(step.scope for step in found.steps)
        raise NotFound(f'secret "{name}" is nowhere a task of {session.place} looks: {escape(tried)}')


def _row(step: Step) -> tuple[object, ...]:
    updated = "" if step.updated_at is None else rfc3339(step.updated_at)
    why = _REASONS.get(step.outcome, "")
    if step.outcome == "hit" and step.version is None:
        why += _UNSEEN
    kind = "" if step.type is None else kind_of(step.type, read_only=step.read_only)
    return step.scope, step.outcome, step.store, step.version or "", kind, updated, why


def _document(found: Explanation) -> dict[str, Any]:
    return {
        "name": found.name,
        "organization": found.organization,
        "domain": found.domain,
        "project": found.project,
        "winner": None if found.winner is None else _winner(found.winner),
        "steps": [_step(step) for step in found.steps],
    }


def _winner(winner: Winner) -> dict[str, Any]:
    if winner.metadata is not None:
        return metadata_json(winner.metadata)
    scope = winner.ref.scope
    told = {
        "name": winner.ref.name,
        "organization": scope.organization,
        "domain": scope.domain,
        "project": scope.project,
    }
    return {**told, **dict.fromkeys(_FACTS)}


def _step(step: Step) -> dict[str, Any]:
    return {
        "level": step.level,
        "scope": step.scope,
        "outcome": step.outcome,
        "store": step.store,
        "version": step.version,
        "type": step.type,
        "updated_at": None if step.updated_at is None else rfc3339(step.updated_at),
        "read_only": None if step.version is None else step.read_only,
    }
