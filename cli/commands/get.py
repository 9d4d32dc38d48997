"""`secret get`."""

from __future__ import annotations

import click

from cli.output import OutputFormat, Table, kind_of, metadata_json, print_document
from cli.parameters import command, scope_options, server_options
from cli.scopes import ScopeOptions
from cli.session import open_session
from secrets_svc.core.secret import validate_name


@command("get", "secret get db-password -p shop -d production", "secret get api-key --org-wide -o json")
@click.argument("name")
@scope_options
@server_options
def get(
    *,
    name: str,
    scope: ScopeOptions,
    output: OutputFormat,
    context: str | None,
    timeout: float,
) -> None:
    """Show what is known of a secret, exactly at that scope.

    Values are never shown, to nobody. To use one: secret run -p PROJECT -d DOMAIN --env NAME -- COMMAND.
    Which scope a task would get it from: secret explain NAME.
    """
    validate_name(name)
    session = open_session(scope, context_name=context, timeout=timeout, usage=f"secret get {name}")
    metadata = session.client.describe(name, session.parts)
    document = metadata_json(metadata)
    if output is OutputFormat.NAME:
        click.echo(metadata.ref.name)
    elif output is OutputFormat.TABLE:
        size = "unknown" if metadata.size is None else f"{metadata.size} byte{'s' * (metadata.size != 1)}"
        words = {**document, "scope": metadata.ref.scope, "size": size}
        words["type"] = kind_of(metadata.type, read_only=metadata.read_only)
        keys = ("name", "scope", "organization", "type", "version", "size", "created_at", "created_by")
        Table().write((key.replace("_", " "), words[key]) for key in (*keys, "updated_at", "updated_by"))
    else:
        print_document(document, output)
