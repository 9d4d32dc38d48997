"""`secret history`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.output import OutputFormat, Table, print_document, rfc3339
from cli.parameters import command, scope_options, server_options
from cli.scopes import ScopeOptions
from cli.session import open_session
from secrets_svc.core.secret import validate_name

if TYPE_CHECKING:
    from secrets_svc.core.abilities import VersionInfo


@command("history", "secret history db-password -p shop -d production")
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@scope_options
@server_options
def history(
    *,
    name: str,
    limit: int,
    scope: ScopeOptions,
    output: OutputFormat,
    context: str | None,
    timeout: float,
) -> None:
    """Show the versions of a secret, newest first, exactly at that scope (never a value).

    Not every store keeps earlier versions: secret backend list says how many. What came before a delete is
    not shown.
    """
    validate_name(name)
    session = open_session(scope, context_name=context, timeout=timeout, usage=f"secret history {name}")
    versions = session.client.history(name, session.parts, limit=limit)
    if output is OutputFormat.TABLE:
        table = Table(("VERSION", "CREATED", "BY", "SIZE", ""))
        table.write(_row(each) for each in versions)
    elif output is OutputFormat.NAME:
        for each in versions:
            click.echo(each.version)
    else:
        print_document({"items": [_document(each) for each in versions]}, output)


def _row(each: VersionInfo) -> tuple[object, ...]:
    remark = "current" if each.current else "" if each.readable else "no longer kept"
    size = "" if each.size is None else each.size
    return each.version, rfc3339(each.created_at), each.created_by or "", size, remark


def _document(each: VersionInfo) -> dict[str, Any]:
    return {
        "version": each.version,
        "created_at": rfc3339(each.created_at),
        "created_by": each.created_by,
        "current": each.current,
        "readable": each.readable,
        "size": each.size,
    }
