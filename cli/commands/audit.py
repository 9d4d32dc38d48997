"""`secret audit`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from cli.audit_files import Filter, complete_end, follow, last_events, open_audit_file, parse_since
from cli.context import load_context
from cli.output import OutputFormat, Table, note
from cli.parameters import audit_output_option, command
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.state_folder import audit_file_of

_HEADINGS = ("AT", "SURFACE", "ACTION", "ACTOR", "OUTCOME", "SECRETS", "REQUEST")


@command(
    "audit",
    "secret audit --since 1h --name db-password",
    "secret audit --outcome permission_denied --follow",
    "secret audit -o json --limit 1000 | jq .actor",
)
@click.option("--since", metavar="TIME", help="Not before: 90s, 15m, 1h, 7d ago, or an RFC 3339 time.")
@click.option("--name", metavar="NAME", help="Only what is about the secret of this name.")
@click.option("--actor", metavar="ACTOR", help="Only what this one did.")
@click.option("--action", metavar="ACTION", help="Only this, e.g. create, admit, read.")
@click.option("--outcome", metavar="CODE", help="Only with this outcome: ok, begun or the code of an error.")
@click.option(
    "--limit", type=click.IntRange(1), default=50, show_default=True, metavar="N", help="The last N."
)
@click.option("--follow", "following", is_flag=True, help="Go on with what happens next, until Ctrl-C.")
@click.option("--file", metavar="FILE", help="Audit file; that of the context's state folder by default.")
@click.option("--context", metavar="NAME", help="Context to use [env: SECRET_CONTEXT].")
@audit_output_option
def audit(
    *,
    since: str | None,
    name: str | None,
    actor: str | None,
    action: str | None,
    outcome: str | None,
    limit: int,
    following: bool,
    file: str | None,
    context: str | None,
    output: OutputFormat,
) -> None:
    """Show who did what: calls of the API, admissions, reads by `secret run`; the newest last.

    Reads the audit file of a server on this machine. With -o json, an event a line, as it stands in the file.
    """
    wanted = Filter(parse_since(since) if since else None, name, actor, action, outcome)
    path = _path(file, context)
    stream = open_audit_file(path)
    try:
        end = complete_end(stream)
        events, illegible = last_events(stream, end, wanted, limit)
        table = Table(_HEADINGS)
        _print(events, output, table)
        if illegible:
            note(f"{illegible} lines of {path} are not events")
        if following:
            for event in follow(path, stream, end):
                if wanted.matches(event):
                    _print([event], output, table)
    finally:
        stream.close()


def _path(file: str | None, context: str | None) -> Path:
    if file is not None:
        return Path(file)
    state = load_context(context).state
    if state is None:
        raise InvalidArgument(
            'no state folder is known: this reads the audit file of a "secret serve all" on this machine; '
            "name one with --file"
        )
    return audit_file_of(Path(state))


def _print(events: list[dict[str, Any]], form: OutputFormat, table: Table) -> None:
    if form is OutputFormat.JSON:
        sys.stdout.writelines(json.dumps(event) + "\n" for event in events)
    else:
        table.write(_row(event) for event in events)
    sys.stdout.flush()


def _row(event: dict[str, Any]) -> tuple[object, ...]:
    secrets = event.get("secrets")
    named = [_secret(s) for s in secrets if isinstance(s, dict)] if isinstance(secrets, list) else []
    keys = ("at", "surface", "action", "actor", "outcome")
    return *(event.get(key, "") for key in keys), ", ".join(named), event.get("request_id", "")


def _secret(secret: dict[str, Any]) -> str:
    project, domain, organization = (secret.get(key) for key in ("project", "domain", "organization"))
    if project and domain:
        where = f" ({project}/{domain})"
    elif project or domain:
        where = f" (project {project})" if project else f" (domain {domain})"
    else:
        where = f" ({organization})" if organization else ""
    return f"{secret.get('name', '')}{where}"
