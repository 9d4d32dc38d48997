"""`secret list`."""

from __future__ import annotations

import click

from cli.output import ListPrinter, OutputFormat, kind_of, metadata_json, note, rfc3339
from cli.parameters import command, scope_options, server_options
from cli.scopes import ScopeOptions
from cli.session import open_session
from secrets_svc.client.scopes import ScopeParts
from secrets_svc.core.errors import Unavailable
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata

_PAGE = 500


@command(
    "list", "secret list -p shop", "secret list --org-wide --exact", "secret list -p shop --exact -o name"
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="At most so many; all by default.")
@click.option("--all", "everything", is_flag=True, help="All of them (the default).")
@click.option("--exact", is_flag=True, help="Only what is stored at the scope itself, not what is inside it.")
@scope_options
@server_options
def list_secrets(
    *,
    limit: int | None,
    everything: bool,
    exact: bool,
    scope: ScopeOptions,
    output: OutputFormat,
    context: str | None,
    timeout: float,
) -> None:
    """List secrets: those inside a project, a domain or both; without any, all of the organization.

    The order is stable, and a page is printed as soon as it is there. With -o name a name that is in several
    scopes comes once; with --exact too, these are the names that secret delete finds at the same scope.
    """
    if everything and limit is not None:
        raise click.UsageError("--all and --limit exclude each other")
    session = open_session(scope, context_name=context, timeout=timeout, usage="secret list", looking=True)
    printer = ListPrinter(output, ("NAME", "SCOPE", "TYPE", "VERSION", "UPDATED"))
    inside = 0
    left = limit
    cursors: set[str] = set()
    cursor: str | None = None
    while True:
        size = _PAGE if left is None else min(left, _PAGE)
        page = session.client.list(session.parts, exact=exact, limit=size, cursor=cursor)
        items = page.items if left is None else page.items[:left]
        printer.write([(metadata_json(item), _row(item)) for item in items])
        inside += sum(not _is_at(item.ref.scope, session.parts) for item in items)
        left = None if left is None else left - len(items)
        cursor = page.cursor
        if cursor is None or left == 0:
            break
        if cursor in cursors:
            raise Unavailable(f"{session.client.address} leads in circles: its listing has no end")
        cursors.add(cursor)
    count = printer.close()
    if count == 0:
        click.echo(f"no secrets in {session.place}", err=True)
    elif inside and output is OutputFormat.NAME:
        # "… -o name | xargs secret delete …" would look for them at the scope itself.
        note(f"{inside} of {count} secrets are inside {session.place}, not at it: --exact leaves those out")


def _is_at(scope: Scope, parts: ScopeParts) -> bool:
    return (scope.domain, scope.project) == (parts.domain, parts.project)


def _row(item: SecretMetadata) -> tuple[object, ...]:
    return (
        item.ref.name,
        item.ref.scope,
        kind_of(item.type, read_only=item.read_only),
        item.version,
        rfc3339(item.updated_at),
    )
