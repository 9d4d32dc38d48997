"""Metrics in Prometheus' text form. Labels are verbs and codes: never names, never values."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, generate_latest

from secrets_svc.core.audit import AuditEvent, AuditSink


class Metrics:
    """An installation's counters."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._events = Counter(
            "secrets_svc_events",
            "Audited calls and admissions by how they ended.",
            ["surface", "action", "outcome"],
            registry=self._registry,
        )
        self._children: dict[tuple[str, str, str], Counter] = {}

    def count(self, event: AuditEvent) -> None:
        """Count one event."""
        key = (event.surface, event.action, event.outcome)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._events.labels(*key)
        child.inc()

    def text(self) -> bytes:
        """What ``/metrics`` answers."""
        return generate_latest(self._registry)


class CountingSink(AuditSink):
    """Counts what it hands on, so that counts and audit records agree by construction."""

    def __init__(self, sink: AuditSink, metrics: Metrics) -> None:
        self._sink = sink
        self._metrics = metrics

    def record_all(self, events: Sequence[AuditEvent]) -> None:
        """Hand on, then count."""
        self._sink.record_all(events)
        for event in events:
            self._metrics.count(event)
