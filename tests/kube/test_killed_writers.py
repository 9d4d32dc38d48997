"""A writer of Kubernetes Secrets dies at any moment: every secret is whole, and listed if it is there."""

from __future__ import annotations

import random

import pytest
from killed_writers import kill_writers
from kit import Cluster
from places import Place

KILLS = 8


@pytest.mark.slow
def test_nothing_is_half_done(cluster: Cluster, namespace: str) -> None:
    settings = {"kubeconfig": str(cluster.admin_kubeconfig), "namespace": namespace, "versions": 5}
    place = Place("kubernetes", settings, str(cluster.admin_kubeconfig.parent))
    kill_writers(place, KILLS, random.SystemRandom().randrange(2**32))
