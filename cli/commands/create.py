"""`secret create`."""

from __future__ import annotations

import click

from cli.output import OutputFormat
from cli.parameters import (
    command,
    dry_run_option,
    new_secret_options,
    scope_options,
    server_options,
    value_options,
)
from cli.scopes import ScopeOptions
from cli.session import open_session
from cli.writing import Sources, store_all
from secrets_svc.core.secret import SecretMetadata, SecretType
from secrets_svc.core.value import SecretValue


@command(
    "create",
    "secret create db-password -p shop -d production",
    "secret create tls-key -p shop -f key.pem",
    "some-command | secret create api-key --org-wide --strip-newline",
    "secret create --from-env-file prod.env -p shop -d production",
)
@click.argument("name", required=False)
@value_options
@new_secret_options
@scope_options
@dry_run_option
@server_options
def create(
    *,
    name: str | None,
    file: str | None,
    strip_newline: bool,
    refused: str | None,
    env_file: str | None,
    type_name: str | None,
    scope: ScopeOptions,
    dry_run: bool,
    output: OutputFormat,
    context: str | None,
    timeout: float,
) -> None:
    """Store a new secret.

    Without -f you are asked for the value, which isn't shown, or it is read from a pipe. Bytes are stored as
    they are. A value is never an argument.
    """
    sources = Sources("create", name, file, env_file, strip_newline, refused, scope)
    sources.check()
    kind = SecretType.parse(type_name or "generic")
    session = open_session(scope, context_name=context, timeout=timeout, usage=sources.usage)

    def write(each: str, secret: SecretValue) -> tuple[str, SecretMetadata]:
        return "created", session.client.create(each, session.parts, secret, type=kind, dry_run=dry_run)

    store_all(sources, write, form=output, dry_run=dry_run)
