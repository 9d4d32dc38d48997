"""``secret restore``: bring a copy of the state folder back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.maintenance import SettingsFile, StateFolder, audited, maintained_store

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
    store, backend = maintained_store(settings, state)
    report = backend.restore(source.absolute(), state=store.state)
    with audited(store.state, "restore"):
        pass  # what was brought back has an audit file from now on
    typer.echo(f"{report.secrets} secrets brought back to {report.state}")
