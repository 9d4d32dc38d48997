"""Builds the injector from settings. The only module here that sees ``secrets_svc.runtime``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from injector.delivery.memory import InMemoryStaging
from injector.handler import AdmissionHandler
from injector.proofs import NamespaceMap
from injector.requests import Claim
from injector.server import InjectorRoutes
from secrets_svc.core.audit import AuditSink
from secrets_svc.runtime.metrics import Metrics
from secrets_svc.runtime.settings import Settings
from secrets_svc.runtime.stores import Store


@dataclass(frozen=True, slots=True)
class Injector:
    """The injector of one process, joined."""

    routes: InjectorRoutes
    close: Callable[[], None]


def build_injector(settings: Settings, *, store: Store, audit: AuditSink, metrics: Metrics) -> Injector:
    """The injector without a cluster: proof by namespace map, staging in memory.

    :param store: where values are. :param audit: gets one event a decision.
    """
    wanted = settings.injector
    reading = store.open_reading(deadline=wanted.deadline * 0.8, max_staleness=wanted.max_staleness)
    known = {namespace: Claim(entry.project, entry.domain) for namespace, entry in wanted.namespaces.items()}
    handler = AdmissionHandler(
        reading=reading,
        staging=InMemoryStaging(store=store.name),
        proofs=[NamespaceMap(settings.organization.name, known)],
        audit=audit,
        deadline=wanted.deadline,
    )
    routes = InjectorRoutes(handler=handler, ready=reading.is_answering, metrics=metrics.text)
    return Injector(routes, reading.close)
