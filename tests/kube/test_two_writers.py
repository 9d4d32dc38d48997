"""Two writers of one Kubernetes Secret: what was acknowledged is there, everything else is a conflict."""

from __future__ import annotations

import os

import pytest
from kit import Cluster
from kubernetes_store import Store
from two_writers import race

from secrets_svc.backends.kubernetes import BACKEND

#: Rounds of continuous integration; ``make soak`` has 1,000.
ROUNDS = 200


@pytest.mark.timeout(3600)
@pytest.mark.slow
def test_no_acknowledged_update_is_lost(cluster: Cluster, namespace: str) -> None:
    store = Store(cluster, namespace)
    rounds = int(os.environ.get("SOAK_ROUNDS") or ROUNDS)
    kept = BACKEND.capabilities.versions
    print("\nkubernetes: ", end="")
    race((store.writer(), store.writer()), store.reader(), rounds, kept=kept)
