"""``secret serve``: run the service, or one of its roles."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from secrets_svc.core.errors import InvalidArgument, SecretsError

if TYPE_CHECKING:
    from cli.context import Context
    from cli.serving.all import Running
    from cli.serving.injector import RunningInjector
    from secrets_svc.runtime.settings import Settings

app = options.new_app()

SettingsFile = Annotated[
    Path | None, typer.Option("--settings", metavar="FILE", help="Settings in TOML; see docs/settings.md.")
]
StateFolder = Annotated[
    Path | None, typer.Option("--state", metavar="DIR", help="State folder, instead of the settings'.")
]


@app.callback()
def roles() -> None:
    """Run the service, or one of its roles."""


@app.command("all")
def serve_all(
    settings_file: SettingsFile = None,
    state: StateFolder = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            "--namespace",
            metavar="NAMESPACE=PROJECT/DOMAIN",
            help="A namespace and what it stands for; may be repeated.",
        ),
    ] = None,
    context: Annotated[
        str, typer.Option("--write-context", metavar="NAME", help="CLI context to write; empty for none.")
    ] = "local",
) -> None:
    """Every role in one process: API, embedded store, admission webhook. No cluster, no root.

    The first start makes keys, an admin token and a CLI context, so that the next terminal just works.
    Ctrl-C stops it; the next start finds everything again.

    Example: secret serve all --namespace shop-production=shop/production
    """
    from cli.serving.all import serve_all as run
    from secrets_svc.runtime.files import default_state_folder
    from secrets_svc.runtime.settings_source import load_settings

    settings = _with_namespaces(load_settings(settings_file, os.environ), namespace or [])
    folder = state or settings.state.folder or default_state_folder(os.environ)
    run(settings, folder.absolute(), announce=lambda running: _announce(running, context))


@app.command("injector")
def serve_injector(settings_file: SettingsFile = None, state: StateFolder = None) -> None:
    """The admission webhook of a cluster, as a process of its own. May run in several replicas.

    Needs [injector.cluster] in the settings and, for its store, the reader's identity only.

    Example: secret serve injector --settings /etc/secrets-svc/injector.toml
    """
    from cli.serving.injector import serve_injector as run
    from secrets_svc.runtime.files import default_state_folder
    from secrets_svc.runtime.settings_source import load_settings

    settings = load_settings(settings_file, os.environ)
    folder = state or settings.state.folder or default_state_folder(os.environ)
    run(settings, folder.absolute(), announce=_announce_injector)


def _announce_injector(running: RunningInjector) -> None:
    lines = [f"webhook   {running.url}"]
    if running.ca is not None:
        lines.append(f"CA        {running.ca}")
    lines.append(f"state     {running.state}")
    typer.echo("\n".join([*lines, "ready; Ctrl-C stops"]), err=True)


def _with_namespaces(settings: Settings, pairs: list[str]) -> Settings:
    from secrets_svc.core.scope import validate_label
    from secrets_svc.runtime.settings import NamespaceSettings

    given = dict(settings.injector.namespaces)
    for pair in pairs:
        namespace, equals, scope = pair.partition("=")
        project, slash, domain = scope.partition("/")
        if not (equals and slash):
            raise InvalidArgument("--namespace takes NAMESPACE=PROJECT/DOMAIN")
        validate_label("namespace", namespace)
        known = {"project": validate_label("project", project), "domain": validate_label("domain", domain)}
        given[namespace] = NamespaceSettings(**known)
    injector = settings.injector.model_copy(update={"namespaces": given})
    return settings.model_copy(update={"injector": injector})


def _announce(running: Running, context_name: str) -> None:
    behind = "" if running.has_cluster else "  (admissions are answered; there is no cluster behind this)"
    lines = [
        f"API       {running.endpoint}",
        *([f"gRPC      {running.grpc}"] if running.grpc is not None else []),
        f"webhook   {running.injector}{behind}",
        f"state     {running.state}",
    ]
    if context_name:
        try:
            lines.append(_write_context(running, context_name))
        except (SecretsError, OSError) as error:
            reason = error.message if isinstance(error, SecretsError) else "it can't be written"
            lines.append(f'context   not written: {reason}; --write-context "" leaves it out')
    typer.echo("\n".join([*lines, "ready; Ctrl-C stops"]), err=True)


def _write_context(running: Running, name: str) -> str:
    """Write how to reach this server; the line that says so.

    What the user put beside it stays, and a context of another server isn't taken over.
    """
    from cli.context import Context, config_path, read_configuration, save_context

    known = read_configuration(config_path())
    state = str(running.state)
    taken = {each for each, context in known.contexts.items() if _is_of_another(context, running)}
    wanted = name
    names = (wanted, *(f"{wanted}-{number}" for number in range(2, len(taken) + 3)))
    name = next(each for each in names if each not in taken)
    old = known.contexts.get(name, Context())
    context = Context(
        endpoint=running.endpoint,
        token_file=str(running.token_file),
        injector=running.injector,
        ca_file=old.ca_file,
        injector_ca=_injector_ca(running, old),
        state=state,
        organization=running.organization,
        project=old.project,
        domain=old.domain,
    )
    save_context(name, context, make_current=known.current is None)
    hint = "secret list" if known.current in (None, name) else f"secret list --context {name}"
    beside = "" if name == wanted else f' ("{wanted}" is another server\'s)'
    return f'context   "{name}" written{beside}: in another terminal type  {hint}'


def _injector_ca(running: Running, old: Context) -> str | None:
    """Our own authority; for a certificate that was brought, what the user put there."""
    if running.injector_ca is not None:
        return str(running.injector_ca)
    from secrets_svc.core.state_folder import TLS_FOLDER

    ours = str(running.state / TLS_FOLDER / "ca.pem")
    return old.injector_ca if old.injector_ca != ours else None


def _is_of_another(context: Context, running: Running) -> bool:
    """Whether ``context`` leads to another server: by its state folder, else by its endpoint."""
    if context.state is not None:
        return context.state != str(running.state)
    return context.endpoint not in (None, running.endpoint)
