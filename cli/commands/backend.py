"""``secret backend``: which kinds of stores there are, and the rights they need."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import click
import typer

from cli import options
from cli.maintenance import SettingsFile, StateFolder, chosen_state
from cli.output import OutputFormat, Table, print_document
from cli.scopes import ScopeOptions, choose_filter

if TYPE_CHECKING:
    from secrets_svc.core.ports import Backend

app = options.new_app()


class Role(StrEnum):
    """The two sides of a store."""

    WRITER = "writer"
    READER = "reader"


@app.callback()
def backend() -> None:
    """See which kinds of stores there are, and what rights they need."""


@app.command("list")
def list_backends(output: options.Output = OutputFormat.TABLE) -> None:
    """List the installed backends and what each can do.

    One whose client library isn't installed is listed with what to install.

    Example: secret backend list
    """
    from secrets_svc.backends import registry
    from secrets_svc.core.errors import Unsupported

    rows: list[dict[str, Any]] = []
    for name in sorted(registry.installed()):
        try:
            rows.append(_capabilities(registry.load(name)))
        except Unsupported as error:
            rows.append({"name": name, "usable": False, "summary": error.message})
    if output is OutputFormat.NAME:
        for row in rows:
            click.echo(row["name"])
    elif output is OutputFormat.TABLE:
        table = Table(("BACKEND", "LARGEST", "VERSIONS", "ROLLBACK", "IDENTITIES", "WHAT IT IS"))
        table.write(_row(row) for row in rows)
    else:
        print_document({"items": rows}, output)


def _capabilities(found: Backend) -> dict[str, Any]:
    can = found.capabilities
    return {
        "name": found.name,
        "usable": True,
        "summary": found.summary,
        "max_value": can.max_value,
        "empty_value": can.empty_value,
        "durable": can.durable,
        "consistency": can.consistency,
        "separate_identities": can.separate_identities,
        "versions": can.versions,
        "versions_unset": can.versions if can.versions_unset is None else can.versions_unset,
        "rollback": can.rollback,
        "recovery": can.recovery,
    }


def _row(row: dict[str, Any]) -> tuple[object, ...]:
    if not row["usable"]:
        return row["name"], "", "", "", "", row["summary"]
    identities = "two" if row["separate_identities"] else "not separable"
    rollback = "yes" if row["rollback"] else "no"
    least, most = row["versions_unset"], row["versions"]
    versions = most if least == most else f"{least} to {most}"
    return row["name"], row["max_value"], versions, rollback, identities, row["summary"]


@app.command()
def policy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A configured store, or a backend.")],
    role: Annotated[Role, typer.Option("--role", help="Which side.")],
    settings: SettingsFile = None,
) -> None:
    """Print the least rights that the writer or the reader of a store needs.

    In the language of the store's own service, made of the same names and paths as the calls. A store of
    that name in the settings counts first; else the backend with its default settings is meant.

    Example: secret backend policy vault --role reader
    """
    from secrets_svc.core.abilities import PrintsPolicy
    from secrets_svc.core.errors import Unsupported

    found, chosen = _meant(name, settings)
    if not isinstance(found, PrintsPolicy):
        raise Unsupported(
            f'backend "{found.name}" has no rights of its own: its files have an owner and modes'
        )
    click.echo(found.policy(chosen, role=role.value).rstrip("\n"))


@app.command()
def copy(
    source: Annotated[
        str, typer.Option("--from", metavar="STORE", help="A store in the settings: it is read.")
    ],
    target: Annotated[str, typer.Option("--to", metavar="STORE", help="Another one: it is written.")],
    project: options.Project = None,
    domain: options.Domain = None,
    org_wide: options.OrgWide = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what is there with another value.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")
    ] = False,
    at_once: Annotated[
        int, typer.Option("--at-once", min=1, max=32, metavar="N", help="Secrets that are copied at once.")
    ] = 4,
    output: options.Output = OutputFormat.TABLE,
    settings: SettingsFile = None,
    state: StateFolder = None,
) -> int:
    """Copy secrets from one store to another; without a scope all of them. The source stays as it is.

    Needs the writer's and the reader's identity of both stores: one lists, one reads, one writes, one reads
    back. Each copy is compared with its source. May be interrupted: what is there already with the same value
    is passed over the next time. Routes are not looked at; lead them to the new store when all is there.

    Example: secret backend copy --from here --to company -p shop --settings both.toml
    """
    from cli.context import load_context
    from cli.copying import Task, copy_between
    from secrets_svc.runtime.hardening import harden_process
    from secrets_svc.runtime.settings_source import load_settings

    harden_process()
    scope = ScopeOptions(None, project, domain, org_wide)
    parts = choose_filter(scope, environ=os.environ, context=load_context(None))
    task = Task(source, target, parts, org_wide, overwrite, dry_run, at_once)
    return copy_between(task, load_settings(settings, os.environ), chosen_state(settings, state), output)


def _meant(name: str, settings_file: Any) -> tuple[Backend, Any]:
    from secrets_svc.backends import registry
    from secrets_svc.runtime.settings_source import load_settings
    from secrets_svc.runtime.stores import configured_stores

    loaded = load_settings(settings_file, os.environ)
    if settings_file is not None or name in loaded.stores:
        stores = configured_stores(loaded, chosen_state(settings_file, None)).by_name
        of_kind = [store for store in stores.values() if store.backend.name == name]
        store = stores.get(name) or (of_kind[0] if len(of_kind) == 1 else None)
        if store is not None:
            return store.backend, store.settings
    found = registry.load(name)
    return found, found.settings_model.model_construct()
