"""`secret login`."""

from __future__ import annotations

import os
import re
import sys

import click

from cli.context import Context, save_context, validate_context_name
from cli.output import escape
from cli.parameters import SECONDS, command
from cli.session import DEFAULT_TIMEOUT, connect
from cli.values import prompt_hidden, read_file
from secrets_svc.client.http import checked_address
from secrets_svc.client.scopes import ScopeParts
from secrets_svc.core.value import SecretValue

_MAX_TOKEN = 64 * 1024


@command(
    "login",
    "secret login https://secrets.example.com",
    "secret login https://secrets.example.com --token-file token --name prod -p shop -d production",
)
@click.argument("url")
@click.option(
    "--token-file",
    metavar="FILE",
    help='File with the token, read at every call from then on; "-" is the standard input.',
)
@click.option("--name", help="What to call the context; the server's host by default.")
@click.option(
    "--ca-file", metavar="FILE", help="Authorities to trust instead of the system's [env: SECRET_CA_FILE]."
)
@click.option("--project", "-p", metavar="PROJECT", help="Default for --project from then on.")
@click.option("--domain", "-d", metavar="DOMAIN", help="Default for --domain from then on.")
@click.option(
    "--timeout",
    type=SECONDS,
    default=DEFAULT_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the server.",
)
def login(
    *,
    url: str,
    token_file: str | None,
    name: str | None,
    ca_file: str | None,
    project: str | None,
    domain: str | None,
    timeout: float,
) -> None:
    """Point this command to a server: checks the token and keeps both as the current context.

    Without --token-file you are asked for the token, which isn't shown, or it is read from a pipe. -p and -d
    become the context's defaults.
    """
    address = checked_address(url)
    default = re.sub(r"[^-._:A-Za-z0-9]", "-", address.host).lstrip("-._:") or "server"
    name = validate_context_name(name or default)
    ScopeParts(None, domain or None, project or None).as_dict()  # refused before anybody types a token
    ca_file = ca_file or os.environ.get("SECRET_CA_FILE") or None
    context = Context(
        endpoint=url.rstrip("/"),
        token=_token(token_file, url),
        token_file=os.path.abspath(token_file) if token_file not in {None, "-"} and token_file else None,
        ca_file=os.path.abspath(ca_file) if ca_file is not None else None,
        project=project,
        domain=domain,
    )
    client = connect(context, timeout)
    found = client.whoami()
    path = save_context(name, context._replace(organization=found.organization))
    click.echo(f'logged in as {escape(found.principal)} at {client.address}; context "{name}" in {path}')


def _token(token_file: str | None, url: str) -> SecretValue | None:
    """The token itself, or ``None`` where a file keeps it."""
    if token_file not in {None, "-"}:
        return None
    if token_file is None and sys.stdin is not None and sys.stdin.isatty():
        return prompt_hidden(f"token for {escape(url)}: ")
    return SecretValue(read_file("-", limit=_MAX_TOKEN).strip())
