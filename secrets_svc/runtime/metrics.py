"""Metrics in Prometheus' text form. Labels are verbs and codes: never names, never values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

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

    def watch_stores(self, side: str, states: Callable[[], Mapping[str, str]]) -> None:
        """Show how stores fare.

        :param side: ``writer`` or ``reader``. :param states: by store, in a word.
        """
        self._registry.register(_StoreStates(side, states))

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


class _StoreStates(Collector):
    """``1`` beside the state that each store is in when somebody looks."""

    def __init__(self, side: str, states: Callable[[], Mapping[str, str]]) -> None:
        self._name = f"secrets_svc_store_{side}_state"
        self._states = states

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """The family alone: what is in it is asked for later."""
        yield self._family()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See ``Collector``."""
        family = self._family()
        for store, state in self._states().items():
            family.add_metric([store, state], 1)
        yield family

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._name, "The state of each store's circuit.", labels=["store", "state"])


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
