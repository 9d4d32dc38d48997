"""Pods in files: those that stand there themselves, and those that a workload's template makes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from secrets_svc.core.errors import InvalidArgument

#: Where a workload has its pod template.
_TEMPLATES = {
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "PodTemplate": ("template",),
}
#: Bytes. A manifest is not larger than what the API server takes.
_MAX_FILE = 3 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FoundPod:
    """A pod as plain data, and what it stands in, e.g. ``Deployment web``."""

    document: dict[str, Any]
    origin: str
    namespace: str | None


def read_pods(path: Path) -> list[FoundPod]:
    """All pods in a file of YAML or JSON documents (``-``: the standard input).

    :raises InvalidArgument: it can't be read, isn't YAML, or has no pods.
    """
    import sys

    import yaml

    try:
        text = sys.stdin.buffer.read(_MAX_FILE + 1) if str(path) == "-" else _read(path)
        documents = list(yaml.load_all(text, _plain_loader()))  # a SafeLoader
    except OSError:
        raise InvalidArgument(f"{path} can't be read") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        raise InvalidArgument(f"{path} is not valid YAML") from None
    pods = [pod for document in _flatten(documents) for pod in _pods_in(document)]
    if not pods:
        raise InvalidArgument(f"{path} has no pod, nor anything with a pod template")
    return pods


def _plain_loader() -> Any:
    """YAML as Kubernetes reads it: as JSON, which has no dates (``creationTimestamp`` is a text)."""
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {  # noqa: RUF012  # as the base class has it
            first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
            for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
        }

    return Loader


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_MAX_FILE + 1)
    if len(content) > _MAX_FILE:
        raise InvalidArgument(f"{path} is over {_MAX_FILE} bytes")
    return content


def _flatten(documents: list[Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for document in documents:
        if isinstance(document, dict) and document.get("kind") == "List":
            found += [item for item in document.get("items") or [] if isinstance(item, dict)]
        elif isinstance(document, dict):
            found.append(document)
    return found


def _pods_in(document: dict[str, Any]) -> list[FoundPod]:
    kind = document.get("kind")
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    origin = f"{kind} {metadata.get('name') or metadata.get('generateName') or '(no name)'}"
    namespace = metadata.get("namespace")
    namespace = namespace if isinstance(namespace, str) else None
    if kind == "Pod":
        return [FoundPod(document, origin, namespace)]
    path = _TEMPLATES.get(kind) if isinstance(kind, str) else None
    if path is None:
        return []
    template: Any = document
    for part in path:
        template = template.get(part) if isinstance(template, dict) else None
    if not isinstance(template, dict):
        raise InvalidArgument(f"{origin} has no pod template at {'.'.join(path)}")
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    return [FoundPod(pod, origin, namespace)]
