"""Requests in whatever makes pods: objects of Kubernetes, Argo Workflows, Spark and Ray."""

from __future__ import annotations

import copy

from secrets_svc.task import argo, objects, ray, spark
from secrets_svc.task.annotations import claim
from secrets_svc.task.errors import InvalidRequest
from secrets_svc.task.requests import together

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any, TypeVar

    from secrets_svc.task.requests import Request

    Workload = TypeVar("Workload")
    Add = Callable[[Any], None]

#: Where the objects of Kubernetes itself have the template of their pods.
_TEMPLATES = {
    "Pod": (),
    "PodTemplateSpec": (),
    "PodTemplate": ("template",),
    "Job": ("spec", "template"),
    "JobTemplateSpec": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
}
#: Others, whose pods may be of several parts.
_IN_PARTS: dict[str, Callable[..., None]] = {**argo.KINDS, **spark.KINDS, **ray.KINDS}


def with_secrets(
    workload: Workload,
    requests: Iterable[Request],
    *,
    project: str | None = None,
    domain: str | None = None,
    parts: Sequence[str] | None = None,
) -> Workload:
    """A copy of ``workload`` whose pods ask for ``requests`` too; ``workload`` itself stays as it is.

    ``workload`` is a dict with a ``kind``, a pod template, or a model of a Kubernetes client. What its pods
    ask for already stays, and the same request again is no other one.

    :param project: the scope that the pods claim to be in, with ``domain``; by default their
        namespace's.
    :param parts: only these of the workload's pods: names of Argo's templates; ``driver`` and ``executor`` of
        Spark; ``head`` and names of worker groups of Ray. By default all.
    :raises InvalidRequest: the injector would refuse it, or ``workload`` makes no pods that are known here.
    """
    made, labels = together(requests), claim(project, domain)
    kind = objects.kind_of(workload)
    result: Workload = _copied(workload)

    def add(metadata: Any) -> None:
        objects.add(metadata, made, labels)

    try:
        if kind in _TEMPLATES:
            _refuse_parts(parts, kind)
            add(objects.inside(objects.go(result, *_TEMPLATES[kind]), "metadata"))
        elif kind in _IN_PARTS and isinstance(workload, dict):
            _IN_PARTS[kind](result, add, _checked(parts))
        else:
            raise InvalidRequest(_unknown(kind))
    except InvalidRequest as error:
        raise type(error)(f"{kind or 'workload'}: {error.message}") from None
    return result


def _copied(part: Any) -> Any:
    """As ``deepcopy``, but what stands at two places comes twice: one of them may get more than the other."""
    if not isinstance(part, (dict, list)):
        return copy.deepcopy(part)
    result: Any = copy.copy(part)  # of whatever class it is
    for key, each in part.items() if isinstance(part, dict) else enumerate(part):
        result[key] = _copied(each)
    return result


def _refuse_parts(parts: Sequence[str] | None, kind: str) -> None:
    if parts is not None:
        raise InvalidRequest(f"a {kind} has one kind of pods: leave parts out")


def _checked(parts: Sequence[str] | None) -> tuple[str, ...] | None:
    if parts is None:
        return None
    if isinstance(parts, str) or not parts or not all(isinstance(part, str) for part in parts):
        raise InvalidRequest("parts must be a list of names; leave it out for all of them")
    return tuple(dict.fromkeys(parts))


def _unknown(kind: str | None) -> str:
    known = ", ".join(sorted({*_TEMPLATES, *_IN_PARTS}))
    found = "has no kind" if kind is None else "this kind is not known here"
    return f"{found}; known are {known}. For others put what pod_request gives into their pods' metadata"
