"""A pod's request answered for one process on this machine: the same decisions, without a cluster.

Used by ``secret run``. Names, paths, refusals and limits are the injector's own, by the same code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from injector.delivery.staging import ValueFacts
from injector.dialects import ours
from injector.fit import value_misfit
from injector.keys import REQUEST
from injector.layout import lay_out
from injector.refusals import absence_of, refuse_secrets
from injector.requests import Claim, PodRequests, SecretRequest
from injector.review import Pod
from secrets_svc.core.audit import AuditSecret
from secrets_svc.core.errors import InvalidArgument, NotFound, SecretsError
from secrets_svc.core.scope import Scope
from secrets_svc.core.value import SecretValue
from secrets_svc.data.limits import env_objection
from secrets_svc.data.reading import ScopedReading


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A file below the task's folder. ``mode`` is ``None`` for the default."""

    path: str
    value: SecretValue
    mode: int | None


@dataclass(frozen=True, slots=True)
class TaskSecrets:
    """What a process is to get."""

    env: dict[str, SecretValue] = field(default_factory=dict)
    files: tuple[TaskFile, ...] = ()
    audit: tuple[AuditSecret, ...] = ()
    absent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TaskRequest:
    """What a process asks for, and the scope that its pod claims."""

    requests: tuple[SecretRequest, ...]
    claim: Claim


def request_of_options(requests: list[SecretRequest]) -> TaskRequest:
    """Requests typed one by one, held to the rules of a pod's.

    :raises InvalidArgument: two of them want one place.
    """
    return TaskRequest(PodRequests(requests).items, Claim())


def request_of_pod(document: dict[str, Any], container: str | None) -> TaskRequest:
    """What one container of ``document`` (a Pod as plain data) asks for.

    :param container: its name; may be left out where the pod has one only.
    :raises InvalidArgument: the pod asks for nothing, can't be understood, or has no such container.
    """
    try:
        pod = msgspec.json.decode(msgspec.json.encode(document), type=Pod)
    except (msgspec.MsgspecError, TypeError, ValueError):  # ValueError: half of a character
        raise InvalidArgument("that is not a pod") from None
    requests = ours.parse(pod.metadata)
    if not requests:
        raise InvalidArgument(f"the pod has no annotation {REQUEST}: it asks for nothing")
    names = [share.container.name for share in lay_out(pod, requests).shares]
    if not names:
        raise InvalidArgument("the pod has no containers")
    chosen = container or (names[0] if len(names) == 1 else None)
    if chosen not in names:
        raise InvalidArgument(f"name one of the pod's containers with --container: {', '.join(names)}")
    share = requests.wanted(chosen)
    wanted = sorted({*share.env, *share.files})
    return TaskRequest(tuple(requests.items[index] for index in wanted), ours.claim(pod.metadata))


async def gather_secrets(
    task: TaskRequest, scope: Scope, reading: ScopedReading, *, read: list[AuditSecret] | None = None
) -> TaskSecrets:
    """Look everything up in ``scope`` and read it.

    :param read: gets what was read, also where the whole is refused.
    :raises Refused: something is missing, can't be what is asked of it, or the store failed.
    """
    read = [] if read is None else read
    env: dict[str, SecretValue] = {}
    files: list[TaskFile] = []
    absent: list[SecretRequest] = []
    looked_into = reading.stores_of(scope)
    for request in task.requests:
        try:
            version = await reading.resolve_and_read(scope, request.selector)
        except SecretsError as error:
            store = error.store or looked_into
            raise refuse_secrets(error, [request], scope=scope, store=store, detail=error.message) from error
        if version is None:
            absent.append(request)
            continue
        store = reading.store_of(version.ref.scope)
        read.append(AuditSecret.of(version.ref, version=version.token, store=store, field=request.field))
        facts = ValueFacts(len(version.value), env_objection(version.value))
        unfit = value_misfit(request, facts)
        if unfit is not None:
            raise refuse_secrets(unfit, [request], scope=scope, store=store, detail=unfit.message)
        if request.env is not None:
            env[request.env] = version.value
        if request.file is not None:
            files.append(TaskFile(request.file, version.value, request.mode))
    missing = [request for request in absent if not request.optional]
    if missing:
        lacking = NotFound("")
        raise refuse_secrets(lacking, missing, scope=scope, store=looked_into, detail=absence_of(missing))
    return TaskSecrets(env, tuple(files), tuple(read), tuple(request.name for request in absent))
