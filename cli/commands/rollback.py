"""`secret rollback`."""

from __future__ import annotations

import click

from cli.output import OutputFormat, escape, metadata_json, print_document
from cli.parameters import command, scope_options, server_options
from cli.scopes import ScopeOptions
from cli.session import open_session
from secrets_svc.core.secret import validate_name


@command("rollback", "secret rollback db-password -p shop -d production --to 5f1d0c5e")
@click.argument("name")
@click.option("--to", required=True, metavar="VERSION", help="One that secret history shows.")
@click.option("--if-version", metavar="VERSION", help="Only if this is still the version that is there.")
@scope_options
@server_options
def rollback(
    *,
    name: str,
    to: str,
    if_version: str | None,
    scope: ScopeOptions,
    output: OutputFormat,
    context: str | None,
    timeout: float,
) -> None:
    """Make an earlier version of a secret current again, exactly at that scope.

    Nobody reads the value for that, so it takes a store that can move it by itself: secret backend list says
    which. Pods that start from then on get it.
    """
    validate_name(name)
    session = open_session(scope, context_name=context, timeout=timeout, usage=f"secret rollback {name}")
    found = session.client.rollback(name, session.parts, to=to, expected=if_version)
    if output is OutputFormat.TABLE:
        click.echo(f"rolled back {name} in {found.ref.scope} (version {escape(found.version)})")
    elif output is OutputFormat.NAME:
        click.echo(name)
    else:
        print_document(metadata_json(found), output)
