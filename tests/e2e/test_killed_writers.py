"""A writer dies at any moment: every secret is whole, and listed if it is there."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from killed_writers import kill_writers
from places import ready

KILLS = {"local": 20, "vault": 10, "aws": 10}


@pytest.mark.slow
@pytest.mark.parametrize("backend", KILLS)
def test_nothing_is_half_done(backend: str, tmp_path: Path) -> None:
    with ready(backend, tmp_path) as place:
        kill_writers(place, KILLS[backend], random.SystemRandom().randrange(2**32))
