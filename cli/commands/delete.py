"""`secret delete`."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import click

from cli.output import OutputFormat, note, print_document
from cli.parameters import command, dry_run_option, scope_options, server_options
from cli.scopes import ScopeOptions
from cli.session import Session, open_session
from secrets_svc.core.errors import InvalidArgument, NotFound, SecretsError
from secrets_svc.core.secret import validate_name


@command(
    "delete",
    "secret delete db-password -p shop -d production",
    "secret delete old-key older-key --org-wide --yes --ignore-not-found",
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
@click.option(
    "--purge", is_flag=True, help="Leave nothing that the store could bring back, also of one deleted before."
)
@click.option("--ignore-not-found", is_flag=True, help="A secret that isn't there is no error.")
@scope_options
@dry_run_option
@server_options
def delete(
    *,
    names: tuple[str, ...],
    yes: bool,
    purge: bool,
    ignore_not_found: bool,
    scope: ScopeOptions,
    dry_run: bool,
    output: OutputFormat,
    context: str | None,
    timeout: float,
) -> None:
    """Remove secrets, exactly at that scope. Asks first.

    Tasks that start from then on get the value of a wider scope, or are refused if there is none. Some
    stores can bring a deleted secret back for a while (secret backend list -o json); --purge leaves nothing.
    """
    unique = list(dict.fromkeys(validate_name(name) for name in names))
    usage = f"secret delete {' '.join(unique)}"
    session = open_session(scope, context_name=context, timeout=timeout, usage=usage)
    if not (yes or dry_run):
        _ask(unique, session.place, "purge" if purge else "delete")
    how = _How(purge, dry_run, ignore_not_found)
    results = [
        _delete(session, name, output, how, progress=(at, len(unique))) for at, name in enumerate(unique)
    ]
    if output in {OutputFormat.JSON, OutputFormat.YAML}:
        print_document(results, output)


class _How(NamedTuple):
    purge: bool
    dry_run: bool
    missing_ok: bool


def _ask(names: list[str], place: str, verb: str) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidArgument("there is no terminal to ask at: add --yes")
    sys.stderr.write(f"{verb} {', '.join(names)} in {place}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        sys.stderr.write("nothing was deleted\n")
        raise click.exceptions.Exit(1)


def _delete(
    session: Session,
    name: str,
    form: OutputFormat,
    how: _How,
    *,
    progress: tuple[int, int],
) -> dict[str, Any]:
    deleted = True
    try:
        session.client.delete(name, session.parts, dry_run=how.dry_run, purge=how.purge)
    except SecretsError as error:
        if not (how.missing_ok and isinstance(error, NotFound)):
            if progress[0]:
                sys.stderr.write(
                    f"stopped at {name}: {progress[0]} of {progress[1]} secrets are dealt with\n"
                )
            raise
        deleted = False
        note(f"{name} is not in {session.place}")
    if deleted and form is OutputFormat.TABLE:
        ending = " (nothing was deleted)" if how.dry_run else ""
        done, would = ("purged", "would purge") if how.purge else ("deleted", "would delete")
        sys.stdout.write(f"{would if how.dry_run else done} {name} in {session.place}{ending}\n")
    elif deleted and form is OutputFormat.NAME:
        sys.stdout.write(f"{name}\n")
    parts = {"organization": session.parts.organization, "domain": session.parts.domain}
    return {"name": name, **parts, "project": session.parts.project, "deleted": deleted and not how.dry_run}
