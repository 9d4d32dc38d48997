"""``secret restore``: bring a copy of the state folder back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.maintenance import SettingsFile, StateFolder, maintained_store
from cli.output import counted
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.state_folder import AUDIT_FILE

app = options.new_app()


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help='A file that "secret backup" wrote.')],
    settings: SettingsFile = None,
    state: StateFolder = None,
) -> None:
    """Bring a backup back into an empty state folder that no server uses: all of it or nothing.

    Every secret is verified and opened before anything is put in place.

    Example: secret restore /media/safe/secrets-2030-01-31.tar --state ~/restored
    """
    from cli.records import recorded_first
    from secrets_svc.runtime.settings_source import load_settings

    store, backend = maintained_store(settings, state, is_there=False)
    if not source.is_file():
        raise InvalidArgument(f"there is no file {source}")
    folder = store.state.resolve()
    audit_file = load_settings(settings, os.environ).audit.file or folder / AUDIT_FILE
    with recorded_first("restore", state=folder, audit_file=audit_file):
        report = backend.restore(source.absolute(), state=store.state)
    typer.echo(f"{counted(report.secrets, 'secret')} brought back to {report.state}")
