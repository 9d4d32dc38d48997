"""Which store of this machine a command is to look after."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from secrets_svc.core.errors import NotFound, Unsupported

if TYPE_CHECKING:
    from secrets_svc.core.maintenance import Maintainable
    from secrets_svc.runtime.stores import Store

SettingsFile = Annotated[
    Path | None, typer.Option("--settings", metavar="FILE", help="The server's settings, if it has any.")
]
StateFolder = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="State folder; else the settings' or the context's."),
]


def chosen_state(settings_file: Path | None, state: Path | None, context: str | None = None) -> Path:
    """The state folder that is meant."""
    from cli.context import load_context
    from secrets_svc.runtime.files import default_state_folder
    from secrets_svc.runtime.settings_source import load_settings

    configured = load_settings(settings_file, os.environ).state.folder
    remembered = load_context(context).state if state is None and configured is None else None
    chosen = state or configured or (Path(remembered) if remembered else default_state_folder(os.environ))
    return chosen.absolute()


def maintained_store(
    settings_file: Path | None, state: Path | None, *, is_there: bool = True
) -> tuple[Store, Maintainable]:
    """The configured store that lies in files of ours.

    :param is_there: its state folder must be there.
    :raises Unsupported: there is none. :raises NotFound: there is no such folder.
    """
    from secrets_svc.core.maintenance import Maintainable
    from secrets_svc.runtime.hardening import harden_process
    from secrets_svc.runtime.settings_source import load_settings
    from secrets_svc.runtime.stores import configured_stores

    harden_process()
    state = chosen_state(settings_file, state)
    stores = configured_stores(load_settings(settings_file, os.environ), state).by_name.values()
    for store in stores:
        if isinstance(store.backend, Maintainable):
            if is_there and not store.state.is_dir():
                raise NotFound(f"there is no state folder {store.state}: say which with --state")
            return store, store.backend
    names = ", ".join(f'"{store.name}"' for store in stores)
    raise Unsupported(f"store {names} is looked after by its own service, not from here")
