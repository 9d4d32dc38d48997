"""Two writers, one secret, many rounds: what was acknowledged is there, everything else is a conflict."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from places import Place, ready
from two_writers import race

#: Rounds of continuous integration, so that none takes half a minute; ``make soak`` has 1,000 of each.
ROUNDS = {"memory": 1000, "local": 1000, "vault": 200, "aws": 100}


#: Of one secret, where the store keeps a history: AWS keeps a hundred versions, also of what was refused.
OF_EACH = {"aws": 45}


def rounds_of(backend: str) -> int:
    """As many as ``SOAK_ROUNDS`` says."""
    return int(os.environ.get("SOAK_ROUNDS") or ROUNDS[backend])


def run(place: Place) -> None:
    rounds = rounds_of(place.backend)
    began = time.monotonic()
    race(
        (place.writer(), place.writer()),
        place.reader(),
        rounds,
        kept=min(place.kind().capabilities.versions, 100),
        of_each=OF_EACH.get(place.backend, rounds),
    )
    print(f"{place.backend}: {time.monotonic() - began:.1f} s")


@pytest.mark.timeout(1200)
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["local", "vault", "aws"])
def test_no_acknowledged_update_is_lost(backend: str, tmp_path: Path) -> None:
    with ready(backend, tmp_path) as place:
        run(place)


def test_nor_in_memory(tmp_path: Path) -> None:
    run(Place("memory", {}, str(tmp_path)))
