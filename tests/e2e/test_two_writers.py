"""Two writers, one secret, many rounds: what was acknowledged is there, everything else is a conflict.

On moto: AWS itself would stop it, with ``quota_exceeded``, at some hundred versions of a day.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from places import Place, ready
from two_writers import race

#: Rounds of continuous integration, so that none takes half a minute; ``make soak`` has 1,000 of each.
ROUNDS = {"memory": 1000, "local": 1000, "vault": 200, "aws": 100}


#: Of what the AWS store refused, at least so many are told from what was acknowledged (docs/backends.md).
TOLD_APART = {"aws": 66}


def rounds_of(backend: str) -> int:
    """As many as ``SOAK_ROUNDS`` says."""
    return int(os.environ.get("SOAK_ROUNDS") or ROUNDS[backend])


def run(place: Place) -> None:
    print(f"\n{place.backend}: ", end="")
    race(
        (place.writer(), place.writer()),
        place.reader(),
        rounds_of(place.backend),
        kept=place.kind().capabilities.versions,
        told_apart=TOLD_APART.get(place.backend),
    )


@pytest.mark.timeout(3600)
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["local", "vault", "aws"])
def test_no_acknowledged_update_is_lost(backend: str, tmp_path: Path) -> None:
    with ready(backend, tmp_path) as place:
        run(place)


def test_nor_in_memory(tmp_path: Path) -> None:
    run(Place("memory", {}, str(tmp_path)))
