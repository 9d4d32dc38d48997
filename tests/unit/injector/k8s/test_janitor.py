"""Which staged Secrets a pod needs."""

from __future__ import annotations

from typing import Any

import pytest

from injector.k8s.janitor import staged_names


@pytest.mark.parametrize(
    "spec",
    [
        {
            "containers": [
                {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "ss-1", "key": "value"}}}]}
            ]
        },
        {"initContainers": [{"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "ss-1"}}}]}]},
        {"ephemeralContainers": [{"envFrom": [{"secretRef": {"name": "ss-1"}}]}]},
        {"containers": [{"envFrom": [{"configMapRef": {"name": "ss-2"}}, {"secretRef": {"name": "ss-1"}}]}]},
        {"volumes": [{"name": "v", "secret": {"secretName": "ss-1"}}]},
        {
            "volumes": [
                {"name": "v", "projected": {"sources": [{"configMap": {}}, {"secret": {"name": "ss-1"}}]}}
            ]
        },
        {"imagePullSecrets": [{"name": "ss-1"}, {"name": "other"}]},
    ],
)
def test_wherever_the_kubelet_looks(spec: dict[str, Any]) -> None:
    assert list(staged_names({"spec": spec})) == ["ss-1"]


@pytest.mark.parametrize(
    "pod",
    [
        {},
        {"spec": None},
        {"spec": {"containers": None, "volumes": [{"name": "v", "secret": None, "projected": None}]}},
        {"spec": {"containers": [{"env": [{"name": "ss-1", "value": "ss-1"}], "envFrom": [{}]}]}},
        {"spec": {"volumes": [{"name": "ss-1", "emptyDir": {}}, {"projected": {"sources": None}}]}},
    ],
)
def test_nothing_else_counts(pod: dict[str, Any]) -> None:
    assert list(staged_names(pod)) == []
