"""`secret whoami`."""

from __future__ import annotations

import click

from cli.context import load_context
from cli.output import OutputFormat, Table, escape, print_document
from cli.parameters import command, server_options
from cli.session import connect


@command("whoami", "secret whoami -o json")
@server_options
def whoami(
    *,
    output: OutputFormat,
    context: str | None,
    timeout: float,
) -> None:
    """Show whom the server takes you for, and what you may do where."""
    client = connect(load_context(context), timeout)
    found = client.whoami()
    if output is OutputFormat.NAME:
        click.echo(escape(found.principal))
    elif output is OutputFormat.TABLE:
        rows = [
            ("server", client.address),
            ("principal", found.principal),
            ("organization", found.organization),
        ]
        roles = [f"{role} in {scope}" for role, scope in found.bindings] or ["none"]
        Table().write([*rows, *(("role", role) for role in roles)])
    else:
        bindings = [{"role": role, "scope": scope} for role, scope in found.bindings]
        document = {
            "server": str(client.address),
            "principal": found.principal,
            "organization": found.organization,
            "bindings": bindings,
        }
        print_document(document, output)
