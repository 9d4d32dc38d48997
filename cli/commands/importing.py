"""``secret import``: take over secrets that another service wrote."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.maintenance import SettingsFile, StateFolder, chosen_state
from cli.output import OutputFormat

app = options.new_app()


@app.callback(no_args_is_help=True)
def import_() -> None:
    """Take over secrets that another service wrote."""


@app.command()
def flyte(
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="STORE", help="A store of Kubernetes Secrets in the settings."),
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Do it; without this it is only said what would be done.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --apply: don't ask.")] = False,
    image_pull: Annotated[
        list[str] | None,
        typer.Option("--image-pull", metavar="NAME", help="It is for pulling images. Repeatable."),
    ] = None,
    kubeconfig: Annotated[
        Path | None,
        typer.Option("--kubeconfig", metavar="FILE", help="Instead of KUBECONFIG or ~/.kube/config."),
    ] = None,
    kube_context: Annotated[
        str | None, typer.Option("--kube-context", metavar="NAME", help="Context in the kubeconfig.")
    ] = None,
    output: options.Output = OutputFormat.TABLE,
    settings: SettingsFile = None,
    state: StateFolder = None,
) -> int:
    """Take over what Flyte's own service wrote on Kubernetes, in place.

    Labels and annotations are added, in one write for each Secret; values stay where they are, and nobody
    reads one. Flyte's own webhook goes on reading the same Secrets. Without --apply nothing is written. May
    be interrupted and repeated. It is done as whoever you are for the cluster.

    Examples:

    secret import flyte --settings settings.toml

    secret import flyte --settings settings.toml --apply --image-pull registry
    """
    from cli.kubeconfigs import own_kubeconfig
    from cli.taking_over import Task, take_over
    from secrets_svc.core.errors import InvalidArgument
    from secrets_svc.runtime.settings_source import load_settings

    if yes and not apply:
        raise InvalidArgument("--yes answers the question of --apply: give both")
    own = own_kubeconfig(kubeconfig, kube_context)
    task = Task(store, apply, yes, own, kube_context, frozenset(image_pull or ()))
    return take_over(task, load_settings(settings, os.environ), chosen_state(settings, state), output)
