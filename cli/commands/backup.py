"""``secret backup``: copy the state folder while the service runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.maintenance import SettingsFile, StateFolder, maintained_store
from cli.output import counted, note
from secrets_svc.core.errors import InvalidArgument

app = options.new_app()


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="New file to write, mode 0600.")],
    settings: SettingsFile = None,
    state: StateFolder = None,
) -> None:
    """Save secrets, keys, token and certificates of the local store to one file, while servers go on.

    Whoever has the file can open every secret in it: guard it like the secrets themselves.

    Example: secret backup /media/safe/secrets-2030-01-31.tar
    """
    from cli.records import audited

    store, backend = maintained_store(settings, state)
    target = target.absolute()
    if not target.parent.is_dir():
        raise InvalidArgument(f"there is no folder {target.parent}")

    def undo() -> str:
        try:
            target.unlink(missing_ok=True)
        except OSError:
            return f"the backup {target} is there without one and can't be removed: do that yourself"
        return f"{target} was removed again, nothing is saved"

    with audited(store.state, "backup", unrecorded=undo):
        report = backend.backup(store.settings, state=store.state, target=target)
    typer.echo(f"{counted(report.secrets, 'secret')} saved to {report.target} ({report.size} bytes)")
    note(report.notice)
