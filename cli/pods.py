"""Pods in files: those that stand there themselves, and those that a workload's template makes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.manifests import read_manifests
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


@dataclass(frozen=True, slots=True)
class FoundPod:
    """A pod as plain data, and what it stands in, e.g. ``Deployment web``."""

    document: dict[str, Any]
    origin: str
    namespace: str | None


def read_pods(path: Path) -> list[FoundPod]:
    """All pods in a file of YAML or JSON documents (``-``: the standard input).

    :raises InvalidArgument: it can't be read, isn't YAML that could be JSON, or has no pods.
    """
    documents = read_manifests(path)
    pods = [pod for document in _flatten(documents) for pod in _pods_in(document)]
    if not pods:
        raise InvalidArgument(f"{path} has no pod, nor anything with a pod template")
    return pods


def _flatten(documents: list[Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for document in documents:
        if isinstance(document, dict) and document.get("kind") == "List":
            items = document.get("items")
            found += [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
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
