"""``secret keys``: look after the keys of the local store."""

from __future__ import annotations

import sys

import typer

from cli import options
from cli.maintenance import SettingsFile, StateFolder, maintained_store
from cli.output import counted, note

app = options.new_app()


@app.callback()
def keys() -> None:
    """Look after the keys of the local store."""


@app.command()
def rotate(settings: SettingsFile = None, state: StateFolder = None) -> int:
    """Make new keys and seal every value with them; versions stay, servers go on meanwhile.

    May be interrupted: the next call finishes the work. Old keys are removed once nothing needs them.

    Example: secret keys rotate
    """
    from cli.records import audited

    store, backend = maintained_store(settings, state)
    watched = sys.stderr.isatty()

    def progress(done: int, total: int) -> None:
        if watched:
            sys.stderr.write(f"\r{done} of {total} sealed anew")

    done = "all values are sealed with new keys, but that is not on record; repeating it is safe"
    with audited(store.state, "rotate", unrecorded=lambda: done):
        report = backend.rotate_keys(store.settings, state=store.state, progress=progress)
    if watched:
        sys.stderr.write("\n")
    if report.resumed:
        note("an earlier rotation had been interrupted; this finished it")
    typer.echo(f"{counted(report.resealed, 'value')} sealed with new keys ({report.generation})")
    for name in report.damaged:
        note(f"{name} does not verify: it was changed outside this service, and is left as it is")
    return 1 if report.damaged else 0
