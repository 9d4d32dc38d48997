"""Builds the injector from settings. The only module here that sees ``secrets_svc.runtime``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from injector.delivery.memory import InMemoryStaging
from injector.delivery.staging import Staging
from injector.dialects import Dialect, ours
from injector.handler import AdmissionHandler
from injector.proofs import Creator, Engine, NamespaceLabels, NamespaceMap, NamespaceTemplate
from injector.requests import Claim, SecretRequest
from injector.server import InjectorRoutes
from injector.trust import Namespaces, Proof
from secrets_svc.core.audit import AuditSink
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import validate_name
from secrets_svc.runtime.files import read_private
from secrets_svc.runtime.metrics import Metrics
from secrets_svc.runtime.probing import Probing
from secrets_svc.runtime.settings import ClusterSettings, CreatorSettings, FlytePodsSettings, Settings
from secrets_svc.runtime.stores import Stores

#: Bytes of an installation's key.
MIN_KEY = 32


@dataclass(frozen=True, slots=True)
class Injector:
    """The injector of one process, joined."""

    routes: InjectorRoutes
    close: Callable[[], None]


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """Where pods are: how they are believed, and where their secrets are put."""

    proofs: list[Proof]
    staging: Staging
    ready: Callable[[], bool]
    close: Callable[[], None]


def build_injector(settings: Settings, *, stores: Stores, audit: AuditSink, metrics: Metrics) -> Injector:
    """The injector: for the cluster that the settings name, or without one, staging in memory.

    :param stores: where values are. :param audit: gets one event a decision.
    :raises InvalidArgument: the settings make no sense.
    """
    wanted = settings.injector
    with ExitStack() as undo:
        reading = stores.open_reading(
            deadline=wanted.deadline * 0.8,
            max_staleness=wanted.max_staleness,
            last_known_good=wanted.last_known_good,
        )
        undo.callback(reading.close)
        where = _laptop() if wanted.cluster is None else _cluster(settings, wanted.cluster, reading.store_of)
        undo.callback(where.close)
        handler = AdmissionHandler(
            reading=reading,
            staging=where.staging,
            dialects=_dialects(wanted.flyte),
            proofs=[*_namespace_map(settings), *where.proofs, *_flyte_proofs(settings)],
            pulls=_pulls(wanted.image_pull_secrets),
            audit=audit,
            deadline=wanted.deadline,
        )
        metrics.watch_stores("reader", reading.states)
        probing = Probing("reader", reading.probes())
        undo.callback(probing.close)
        routes = InjectorRoutes(
            handler=handler,
            ready=lambda: where.ready() and reading.is_answering(),
            metrics=metrics.text,
            states=lambda: probing.beside(reading.states()),
            certified_only=wanted.client_ca is not None,
        )
        probing.start()
        return Injector(routes, undo.pop_all().close)


def _namespace_map(settings: Settings) -> list[Proof]:
    namespaces = settings.injector.namespaces
    known = {name: Claim(entry.project, entry.domain) for name, entry in namespaces.items()}
    return [NamespaceMap(settings.organization.name, known)] if known else []


def _dialects(flyte: FlytePodsSettings | None) -> list[Dialect]:
    if flyte is None:
        return [ours]
    from injector.dialects.flyte import FlyteDialect, Groups

    return [ours, FlyteDialect(env_prefix=flyte.env_prefix, groups=Groups(flyte.groups))]


def _pulls(names: Sequence[str]) -> list[SecretRequest]:
    """Optional: a secret that is deleted shall not stop all pods."""
    try:
        known = [validate_name(name) for name in dict.fromkeys(names)]
    except InvalidArgument as error:
        raise InvalidArgument(f"injector.image_pull_secrets: {error.message}") from error
    return [SecretRequest(name, optional=True, attach=True) for name in known]


def _flyte_proofs(settings: Settings) -> list[Proof]:
    flyte, organization = settings.injector.flyte, settings.organization.name
    if flyte is None or flyte.preset is None:
        return []
    from injector import engines

    cluster = settings.injector.cluster
    if flyte.preset == "flyte2":
        username = engines.flyte2_account(flyte.namespace, flyte.release)
        if cluster is not None and username in [each.username for each in cluster.creators]:
            return []
        return [Creator(organization, {username: engines.flyte2(flyte.task_namespaces)})]
    if cluster is not None and cluster.namespace_template is not None:
        return []
    return [NamespaceTemplate(organization, engines.NAMESPACE_TEMPLATE, flyte.domains)]


def _laptop() -> _Surroundings:
    return _Surroundings([], InMemoryStaging(), lambda: True, lambda: None)


def _cluster(settings: Settings, wanted: ClusterSettings, store_of: Callable[[Scope], str]) -> _Surroundings:
    from injector.k8s.cluster import Cluster
    from secrets_svc.kube.api import connect

    cluster = Cluster(
        connect(wanted.kubeconfig, context=wanted.context),
        store_of=store_of,
        key=_installation_key(wanted.installation_key, "installation_key"),
        previous_keys=[
            _installation_key(file, f"previous_installation_keys[{index}]")
            for index, file in enumerate(wanted.previous_installation_keys)
        ],
        namespace=wanted.namespace,
        call_timeout=settings.injector.deadline * 0.8,
        lease_duration=wanted.lease_duration,
    )
    proofs = _cluster_proofs(wanted, settings.organization.name, cluster.namespaces)
    cluster.start()
    return _Surroundings(proofs, cluster.staging, cluster.is_ready, cluster.close)


def _installation_key(file: Path, name: str) -> bytes:
    field = f"injector.cluster.{name}"
    key = read_private(file, field)
    if len(key) < MIN_KEY:
        raise InvalidArgument(f"{field}: file {file} has fewer than {MIN_KEY} bytes")
    return key


def _cluster_proofs(wanted: ClusterSettings, organization: str, namespaces: Namespaces) -> list[Proof]:
    proofs: list[Proof] = []
    if wanted.namespace_labels:
        proofs.append(NamespaceLabels(organization, namespaces))
    if wanted.namespace_template is not None:
        proofs.append(NamespaceTemplate(organization, wanted.namespace_template, wanted.domains))
    if wanted.creators:
        proofs.append(Creator(organization, {each.username: _engine(each) for each in wanted.creators}))
    return proofs


def _engine(creator: CreatorSettings) -> Engine:
    return Engine(frozenset(creator.namespaces), creator.project_label, creator.domain_label)
