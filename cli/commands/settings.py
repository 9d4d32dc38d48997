"""``secret settings``: show the settings and what they mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cli import options

app = options.new_app()


@app.callback()
def settings() -> None:
    """Show the settings of the server and what they mean."""


@app.command()
def reference() -> None:
    """Print every setting with its meaning and default, as Markdown (docs/settings.md).

    Example: secret settings reference | less
    """
    from secrets_svc.runtime.settings_reference import reference as page

    typer.echo(page(), nl=False)


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Settings in TOML; else SECRETS_SVC_SETTINGS.")
    ] = None,
    ask_stores: Annotated[
        bool, typer.Option("--ask-stores", help="Also whether the stores have what is needed.")
    ] = False,
) -> None:
    """Say whether a server would start with these settings, the environment's included.

    The files and the API's address that they name are looked at too; nothing is made. With --ask-stores the
    writer and the reader of each store ask it for what it has; a start does that beside its work.

    Example: secret settings check settings.toml
    """
    from cli.serving.readiness import check_start
    from secrets_svc.core.errors import Unavailable
    from secrets_svc.runtime.files import default_state_folder
    from secrets_svc.runtime.probing import lacking
    from secrets_svc.runtime.settings_source import load_settings
    from secrets_svc.runtime.stores import configured_stores

    loaded = load_settings(file, os.environ)
    state = loaded.state.folder or default_state_folder(os.environ)
    stores = configured_stores(loaded, state)
    check_start(loaded, state)
    if ask_stores and (lines := lacking(stores)):
        raise Unavailable("the settings are valid, but " + "; ".join(lines))
    typer.echo("the settings are valid")
