"""Clusters of KubeRay: a pod template for the head, and one for each group of workers."""

from __future__ import annotations

from secrets_svc.task import objects, rules
from secrets_svc.task.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HEAD = "head"


def add_to_cluster(
    cluster: dict[str, Any], add: Callable[[Any], None], parts: tuple[str, ...] | None
) -> None:
    """For a RayCluster."""
    _add(objects.go(cluster, "spec"), add, parts)


def add_to_job(job: dict[str, Any], add: Callable[[Any], None], parts: tuple[str, ...] | None) -> None:
    """For a RayJob that makes its cluster. The pod that only submits the job asks for nothing."""
    _add(objects.go(job, "spec", "rayClusterSpec"), add, parts)


def add_to_cron_job(job: dict[str, Any], add: Callable[[Any], None], parts: tuple[str, ...] | None) -> None:
    """For a RayCronJob, whose template is a RayJob's ``spec``."""
    _add(objects.go(job, "spec", "jobTemplate", "rayClusterSpec"), add, parts)


def add_to_service(
    service: dict[str, Any], add: Callable[[Any], None], parts: tuple[str, ...] | None
) -> None:
    """For a RayService."""
    _add(objects.go(service, "spec", "rayClusterConfig"), add, parts)


KINDS = {
    "RayCluster": add_to_cluster,
    "RayJob": add_to_job,
    "RayCronJob": add_to_cron_job,
    "RayService": add_to_service,
}


def _add(spec: dict[str, Any], add: Callable[[Any], None], parts: tuple[str, ...] | None) -> None:
    templates = {HEAD: objects.go(spec, "headGroupSpec", "template")}
    groups = spec.get("workerGroupSpecs") or []
    if not isinstance(groups, list):
        raise InvalidRequest("workerGroupSpecs must be a list")
    for group in groups:
        name = objects.get(group, "groupName")
        if not isinstance(name, str) or name in templates:
            raise InvalidRequest(
                'each of workerGroupSpecs must have a groupName of its own, other than "head"'
            )
        templates[name] = objects.go(group, "template")
    for part in templates if parts is None else parts:
        if part not in templates:
            raise InvalidRequest(f"there is no part {rules.shown(part)}; there: {', '.join(templates)}")
        add(objects.inside(templates[part], "metadata"))
