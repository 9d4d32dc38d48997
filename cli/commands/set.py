"""`secret set`."""

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
from cli.session import Session, open_session
from cli.writing import Sources, store_all
from secrets_svc.core.errors import AlreadyExists, InvalidArgument, NotFound
from secrets_svc.core.secret import SecretMetadata, SecretType
from secrets_svc.core.value import SecretValue


@command(
    "set",
    "secret set db-password -p shop -d production",
    "secret set --from-env-file prod.env -p shop -d production",
)
@click.argument("name", required=False)
@value_options
@new_secret_options
@scope_options
@dry_run_option
@server_options
def set_secret(
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
    """Create a secret, or update it if it is there, and say which it was.

    Without -f you are asked for the value, which isn't shown, or it is read from a pipe.
    """
    sources = Sources("set", name, file, env_file, strip_newline, refused, scope)
    sources.check()
    kind = SecretType.parse(type_name) if type_name is not None else None
    session = open_session(scope, context_name=context, timeout=timeout, usage=sources.usage)

    def write(each: str, secret: SecretValue) -> tuple[str, SecretMetadata]:
        return _set(session, each, secret, kind, dry_run=dry_run)

    store_all(sources, write, form=output, dry_run=dry_run)


def _set(
    session: Session, name: str, value: SecretValue, kind: SecretType | None, *, dry_run: bool
) -> tuple[str, SecretMetadata]:
    try:
        if kind is not None:
            _check_type(session.client.describe(name, session.parts), kind)
        return "updated", session.client.update(name, session.parts, value, dry_run=dry_run)
    except NotFound:
        pass
    try:
        made = kind or SecretType.GENERIC
        return "created", session.client.create(name, session.parts, value, type=made, dry_run=dry_run)
    except AlreadyExists:  # somebody else was quicker
        if kind is not None:
            _check_type(session.client.describe(name, session.parts), kind)
        return "updated", session.client.update(name, session.parts, value, dry_run=dry_run)


def _check_type(there: SecretMetadata, kind: SecretType) -> None:
    if there.type is not kind:
        raise InvalidArgument(
            f"secret {there.ref} is of type {there.type}, which stays as it was created; delete it first, "
            "or leave --type out"
        )
