"""``secret check``: say what an admission would answer to a pod."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.errors import from_refusal
from cli.output import OutputFormat, Table, escape, note, print_document
from secrets_svc.core.errors import InvalidArgument, SecretsError, Unavailable, by_code

if TYPE_CHECKING:
    from cli.admission import Verdict
    from cli.pods import FoundPod

app = options.new_app()

#: What an admission answers to a pod in a namespace.
Ask = Callable[[dict[str, Any], str], "Verdict"]


@app.command()
def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help='Pods or workloads (YAML, JSON); "-" is stdin.')
    ],
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Where it would be created."),
    ] = None,
    output: options.Output = OutputFormat.TABLE,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Ask the cluster of your kubeconfig, with a dry run there.")
    ] = False,
    kubeconfig: Annotated[
        str | None,
        typer.Option("--kubeconfig", metavar="FILE", help="Instead of KUBECONFIG or ~/.kube/config."),
    ] = None,
    kube_context: Annotated[
        str | None, typer.Option("--kube-context", metavar="NAME", help="Context in the kubeconfig.")
    ] = None,
    username: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="USERNAME", help="Who would create it: what a proof by creator goes by."
        ),
    ] = None,
    context: options.ContextName = None,
    timeout: options.Timeout = 10.0,
) -> None:
    """Say what an admission would answer to a pod, without creating it: a dry run.

    Asks the webhook of the CLI's context by itself, or with --cluster the API server with everything that its
    admission does, as whoever you are there. Prints where each secret would go; with -o yaml or -o json the
    pod as it would become, which holds references, never values. The exit code of a refusal is that of its
    code.

    Examples:

    secret check pod.yaml -n shop-production

    secret check deployment.yaml -o yaml

    secret check deployment.yaml -n shop-production --cluster
    """
    if cluster and username is not None:
        raise InvalidArgument(
            "--as is for a webhook; a cluster knows you by your kubeconfig: impersonate there"
        )
    if cluster:
        ask = _asking_cluster(kubeconfig, kube_context, timeout)
    else:
        ask = _asking_webhook(context, username, timeout)
    _check_all(file, namespace, ask, output)


def _check_all(file: Path, namespace: str | None, ask: Ask, output: OutputFormat) -> None:
    from cli.pods import read_pods

    pods = read_pods(file)
    refusals: list[SecretsError] = []
    allowed: list[dict[str, Any]] = []
    for pod in pods:
        where = namespace or pod.namespace
        if where is None:
            raise InvalidArgument(f"{pod.origin} names no namespace: say which with --namespace")
        verdict = ask(pod.document, where)
        _print(pod, verdict, output)
        if verdict.pod is None:
            kind = by_code().get(verdict.code, Unavailable)
            refusals.append(from_refusal(kind, verdict.message, pod.origin))
        elif output in {OutputFormat.JSON, OutputFormat.YAML}:
            allowed.append(verdict.pod)
    if allowed:
        one = allowed[0] if len(pods) == 1 else {"apiVersion": "v1", "kind": "List", "items": allowed}
        print_document(one, output)
    _raise_first(refusals)


def _asking_webhook(context: str | None, username: str | None, timeout: float) -> Ask:
    from cli.admission import ask_webhook
    from cli.context import load_context

    settings = load_context(context)
    url = settings.injector
    if url is None:
        raise Unavailable(
            'no webhook is configured; start one with "secret serve all", set injector in the context, or '
            "ask a cluster with --cluster"
        )
    return lambda pod, namespace: ask_webhook(
        url, ca_file=settings.injector_ca, pod=pod, namespace=namespace, username=username, timeout=timeout
    )


def _asking_cluster(kubeconfig: str | None, kube_context: str | None, timeout: float) -> Ask:
    from cli.admission import ask_cluster

    return lambda pod, namespace: ask_cluster(
        kubeconfig, kube_context, pod=pod, namespace=namespace, timeout=timeout
    )


def _raise_first(refusals: list[SecretsError]) -> None:
    for further in refusals[1:]:
        note(f"{further.code}: {further.message}")
    if refusals:
        raise refusals[0]


def _print(pod: FoundPod, verdict: Verdict, output: OutputFormat) -> None:
    for warning in verdict.warnings:
        note(warning)
    if output is OutputFormat.NAME:
        typer.echo(f"{escape(pod.origin)}: {escape(verdict.code) if verdict.pod is None else 'allowed'}")
    elif output is OutputFormat.TABLE and verdict.pod is not None:
        _print_table(pod, verdict.pod)


def _print_table(pod: FoundPod, become: dict[str, Any]) -> None:
    import json

    from injector.keys import STATUS

    entries: list[dict[str, Any]] = json.loads(become["metadata"].get("annotations", {}).get(STATUS, "[]"))
    typer.echo(f"{escape(pod.origin)}: allowed" + ("" if entries else ", unchanged: it asks for nothing"))
    rows = [
        [
            entry.get("name", ""),
            entry.get("scope", "absent"),
            entry.get("version", ""),
            _places("env", entry),
            _places("file", entry) or ("pulls images" if entry.get("image_pull") else ""),
        ]
        for entry in entries
    ]
    Table(["SECRET", "FOUND IN", "VERSION", "ENV", "FILE"]).write(rows)


def _places(kind: str, entry: dict[str, Any]) -> str:
    """One or several, as the status has them."""
    places = entry.get(kind, [])
    return ", ".join(f"{kind} {place}" for place in ([places] if isinstance(places, str) else places))
