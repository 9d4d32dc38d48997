"""``secret check``: say what an admission would answer to a pod."""

from __future__ import annotations

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
    context: options.ContextName = None,
    timeout: options.Timeout = 10.0,
) -> None:
    """Say what an admission would answer to a pod, without creating it: a dry run of the webhook.

    Prints where each secret would go; with -o yaml or -o json the pod as it would become, which holds
    references, never values. The exit code of a refusal is that of its code.

    Examples:

    secret check pod.yaml -n shop-production

    secret check deployment.yaml -o yaml
    """
    from cli.admission import ask_webhook
    from cli.context import load_context
    from cli.pods import read_pods

    settings = load_context(context)
    if settings.injector is None:
        raise Unavailable(
            'no webhook is configured; start one with "secret serve all", or set injector in the context'
        )
    pods = read_pods(file)
    refusals: list[SecretsError] = []
    patched: list[dict[str, Any]] = []
    for pod in pods:
        where = namespace or pod.namespace
        if where is None:
            raise InvalidArgument(f"{pod.origin} names no namespace: say which with --namespace")
        verdict = ask_webhook(
            settings.injector,
            ca_file=settings.injector_ca,
            pod=pod.document,
            namespace=where,
            timeout=timeout,
        )
        _print(pod, verdict, output)
        if not verdict.allowed:
            kind = by_code().get(verdict.code, Unavailable)
            refusals.append(from_refusal(kind, verdict.message, pod.origin))
        elif output in {OutputFormat.JSON, OutputFormat.YAML}:
            patched.append(_patched(pod, verdict))
    if patched:
        one = patched[0] if len(pods) == 1 else {"apiVersion": "v1", "kind": "List", "items": patched}
        print_document(one, output)
    _raise_first(refusals)


def _raise_first(refusals: list[SecretsError]) -> None:
    for further in refusals[1:]:
        note(f"{further.code}: {further.message}")
    if refusals:
        raise refusals[0]


def _print(pod: FoundPod, verdict: Verdict, output: OutputFormat) -> None:
    for warning in verdict.warnings:
        note(warning)
    if output is OutputFormat.NAME:
        typer.echo(f"{escape(pod.origin)}: {'allowed' if verdict.allowed else escape(verdict.code)}")
    elif output is OutputFormat.TABLE and verdict.allowed:
        _print_table(pod, verdict)


def _patched(pod: FoundPod, verdict: Verdict) -> dict[str, Any]:
    import jsonpatch

    try:
        found: dict[str, Any] = jsonpatch.apply_patch(pod.document, list(verdict.patch))
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise Unavailable(f"the webhook's patch does not fit {pod.origin}") from error
    return found


def _print_table(pod: FoundPod, verdict: Verdict) -> None:
    import json

    from injector.keys import STATUS

    pointer = "/metadata/annotations/" + STATUS.replace("/", "~1")
    text = next((op["value"] for op in verdict.patch if op.get("path") == pointer), "[]")
    entries: list[dict[str, Any]] = json.loads(text)
    typer.echo(f"{escape(pod.origin)}: allowed" + ("" if entries else ", unchanged: it asks for nothing"))
    rows = [
        [
            entry.get("name", ""),
            entry.get("scope", "absent"),
            entry.get("version", ""),
            f"env {entry['env']}" if "env" in entry else "",
            f"file {entry['file']}" if "file" in entry else "",
        ]
        for entry in entries
    ]
    Table(["SECRET", "FOUND IN", "VERSION", "ENV", "FILE"]).write(rows)
