"""`secret update`."""

from __future__ import annotations

import click

from cli.output import OutputFormat
from cli.parameters import command, dry_run_option, scope_options, server_options, value_options
from cli.scopes import ScopeOptions
from cli.session import open_session
from cli.writing import Sources, store_all
from secrets_svc.core.secret import SecretMetadata
from secrets_svc.core.value import SecretValue


@command(
    "update",
    "secret update db-password -p shop -d production",
    "secret update tls-key -p shop -f key.pem --if-version 0b9c1f6e2d4a48c7b35f90ad17e86c21",
)
@click.argument("name")
@value_options
@click.option("--if-version", metavar="VERSION", help="Only if this is still the version that is there.")
@scope_options
@dry_run_option
@server_options
def update(
    *,
    name: str,
    file: str | None,
    strip_newline: bool,
    refused: str | None,
    if_version: str | None,
    scope: ScopeOptions,
    dry_run: bool,
    output: OutputFormat,
    context: str | None,
    timeout: float,
) -> None:
    """Replace the value of a secret that is there, exactly at that scope; its type stays.

    Without -f you are asked for the value, which isn't shown, or it is read from a pipe.
    """
    sources = Sources("update", name, file, None, strip_newline, refused, scope)
    sources.check()
    session = open_session(scope, context_name=context, timeout=timeout, usage=sources.usage)

    def write(each: str, secret: SecretValue) -> tuple[str, SecretMetadata]:
        found = session.client.update(each, session.parts, secret, expected=if_version, dry_run=dry_run)
        return "updated", found

    store_all(sources, write, form=output, dry_run=dry_run)
