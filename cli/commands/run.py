"""``secret run``: run a command with secrets in its environment or files."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.maintenance import SettingsFile
from cli.scopes import ScopeOptions
from cli.task_files import FILES_VARIABLE
from secrets_svc.core.errors import InvalidArgument, Unsupported

if TYPE_CHECKING:
    from cli.context import Context
    from cli.task_scopes import PodPlace
    from injector.local_task import TaskRequest, TaskSecrets

app = options.new_app()


@app.command(context_settings={"allow_interspersed_args": False})
def run(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND [ARGUMENT]...", show_default=False)],
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env", metavar="NAME[=VAR]", help="Secret NAME in variable VAR (default: as in pods)."
        ),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("--file", metavar="NAME[=PATH]", help=f"Secret NAME in file ${FILES_VARIABLE}/PATH."),
    ] = None,
    pod: Annotated[
        Path | None,
        typer.Option("--pod", metavar="FILE", help="Take the request of this pod (YAML or JSON)."),
    ] = None,
    container: Annotated[
        str | None, typer.Option("--container", metavar="NAME", help="Which container of the pod.")
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Where the pod would be created."),
    ] = None,
    project: options.Project = None,
    domain: options.Domain = None,
    organization: options.Organization = None,
    org_wide: options.OrgWide = False,
    context: options.ContextName = None,
    settings: SettingsFile = None,
) -> int:
    """Run a command with secrets in its environment or files, found as a pod of the scope finds them.

    Files lie in a private folder, in memory where there is such a place, and are removed at the end. Signals
    and the exit code are the command's own. What was read is in the audit file. It is read from the store on
    this machine, or from those that --settings configures, with the identity that the file names for readers.

    Examples:

    secret run -p shop -d production --env db-password -- ./migrate

    secret run -p shop -d production --file tls-key=key.pem -- sh -c 'serve --key $SECRET_FILES/key.pem'

    secret run --pod pod.yaml -n shop-production -- ./task
    """
    from cli.context import load_context
    from cli.task_reading import read_task
    from cli.task_scopes import scope_of_task

    chosen = load_context(context)
    state = _state_of(chosen)
    if pod is None:
        task, place = _typed_task(env or [], file or [], container or namespace), None
    else:
        if env or file:
            raise InvalidArgument("--pod brings its own request: leave --env and --file out")
        task, place = _task_of_pod(pod, container, namespace)
    scope = scope_of_task(ScopeOptions(organization, project, domain, org_wide), chosen, place)
    return _run_with(read_task(state, task, scope, settings), command)


def _run_with(secrets: TaskSecrets, command: list[str]) -> int:
    """The command's exit code, or its end by the same signal."""
    from cli.task_environment import GIVEN_VARIABLE, environment_of
    from cli.task_files import task_folder
    from cli.task_process import end_like, run_command, signals_held

    for name in secrets.absent:
        sys.stderr.write(f'note: optional secret "{name}" is absent\n')
    with signals_held() as before, task_folder(secrets.files, os.environ) as (folder, in_memory):
        if not in_memory:
            sys.stderr.write("note: there is no folder in memory here; the files are on a disk meanwhile\n")
        environment = {**os.environb, **environment_of(secrets, folder)}
        environment.pop(b"SECRET_TOKEN", None)  # ours, not the task's
        environment.pop(GIVEN_VARIABLE.encode(), None)
        code = run_command(command, environment, before)
    return end_like(code)


def _task_of_pod(file: Path, container: str | None, namespace: str | None) -> tuple[TaskRequest, PodPlace]:
    from cli.pods import read_pods
    from cli.task_scopes import PodPlace
    from injector.local_task import request_of_pod

    pods = read_pods(file)
    if len(pods) != 1:
        raise InvalidArgument(f"{file} has {len(pods)} pods; a task is one")
    task = request_of_pod(pods[0].document, container)
    return task, PodPlace(task.claim, namespace or pods[0].namespace)


def _typed_task(env: list[str], file: list[str], of_a_pod: str | None) -> TaskRequest:
    from injector.local_task import request_of_options

    if of_a_pod is not None:
        raise InvalidArgument("--container and --namespace are about a pod: name one with --pod")
    if not env and not file:
        raise InvalidArgument("say which secrets: --env NAME, --file NAME, or --pod FILE")
    return request_of_options([*map(_env_request, env), *map(_file_request, file)])


def _env_request(text: str) -> Any:
    from injector.dialects.ours import default_env, validate_env
    from injector.requests import SecretRequest

    name, variable = _split(text, "--env")
    if variable is None:
        return SecretRequest(name, env=default_env(name))
    try:
        return SecretRequest(name, env=validate_env(variable))
    except InvalidArgument:
        # What stands there may be a value, typed as other tools have it: it isn't repeated.
        raise InvalidArgument(
            f"--env {name}=…: what follows is the name of a variable (letters, digits and '_'), not a value"
        ) from None


def _file_request(text: str) -> Any:
    from injector.dialects.ours import validate_path
    from injector.requests import SecretRequest

    name, path = _split(text, "--file")
    try:
        return SecretRequest(name, file=validate_path(name if path is None else path))
    except InvalidArgument:
        raise InvalidArgument(
            f"--file {name}=…: what follows is a relative path without '..', where the file is to be"
        ) from None


def _split(text: str, option: str) -> tuple[str, str | None]:
    from secrets_svc.core.secret import validate_name

    name, equals, place = text.partition("=")
    try:
        return validate_name(name), place if equals else None
    except InvalidArgument as error:
        raise InvalidArgument(f"{option}: {error.message}") from None


def _state_of(context: Context) -> Path:
    """Where the reader's key lies."""
    if context.state is None:
        raise Unsupported(
            "only a reader can run a task with secrets: this machine has no state folder in its context. "
            'Start "secret serve all" here; against a remote server values stay in its cluster'
        )
    return Path(context.state)
