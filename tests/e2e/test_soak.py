"""Some minutes of mixed faults: no code but those that pass, well again by itself, and nothing piles up.

``SOAK_SECONDS`` says for how long; ``make soak`` takes ten minutes.
"""

from __future__ import annotations

import os
import random
import statistics
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_table import RECOVERY
from harness import Server
from soaking import PROJECTS, Cost, Soak, failing_stores

SECONDS = float(os.environ.get("SOAK_SECONDS") or 120)
#: The share of it after which all threads and caches are there.
WARM_UP = 0.4
#: MiB however long it takes: caches fill up, and malloc's free memory lies scattered.
MORE_MIB = 8.0
#: MiB a minute in the last half, of a run with as many minutes as it takes to tell a slope from noise.
SLOPE, MINUTES = 0.6, 10
MORE_FILES = 5


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 180)
def test_it_is_well_after_all_of_it(launch: Callable[..., Server], tmp_path: Path) -> None:
    elsewhere = tmp_path / "stores"
    elsewhere.mkdir()
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    with failing_stores(elsewhere) as (proxies, settings, environment):
        server = launch(settings, **environment).start()
        soak = Soak(server, proxies, random.Random(seed))
        try:
            soak.until_well(30)
            soak.fail_for(SECONDS * WARM_UP)
            soak.until_well(RECOVERY)
            before = soak.cost()
            soak.fail_for(SECONDS * (1 - WARM_UP))
            recovery = soak.until_well(RECOVERY)
            after = soak.cost()
            soak.check()
        finally:
            soak.end()
        show(soak, before, after, recovery)
        assert after.mib - before.mib <= MORE_MIB, (before, after)
        if len(soak.memory) >= MINUTES:
            assert slope(soak.memory) <= SLOPE, soak.memory
        assert after.files - before.files <= MORE_FILES, (before, after)
        assert all(soak.came[project].codes["ok"] > SECONDS for project in PROJECTS), soak.came
        assert "Traceback" not in server.log
        assert server.stop() == 0


def slope(memory: list[float]) -> float:
    """MiB a minute, in the last half of the minutes."""
    last = memory[len(memory) // 2 :]
    return statistics.linear_regression(range(len(last)), last).slope


def show(soak: Soak, before: Cost, after: Cost, recovery: float) -> None:
    """As in docs/benchmarks.md."""
    print(f"\n### {SECONDS:.0f} s of mixed faults\n")
    print(
        "| project's store | answered well | refused, and well when repeated | p99 of those answered well |"
    )
    print("|---|---|---|---|")
    for project, store in PROJECTS.items():
        came = soak.came[project]
        refused = ", ".join(f"{code} {count:,}" for code, count in sorted(came.codes.items()) if code != "ok")
        p99 = sorted(came.seconds)[len(came.seconds) * 99 // 100] * 1000
        print(f"| `{store}` | {came.codes['ok']:,} | {refused or 'none'} | {p99:.0f} ms |")
    print(
        f"\n{soak.faults.total()} faults of {len(soak.faults)} kinds; all well again {recovery:.1f} s after "
        f"the last.\nResident memory after warm-up / at the end: {before.mib:.1f} / {after.mib:.1f} MiB "
        f"({after.mib - before.mib:+.1f}); open files: {before.files} / {after.files} "
        f"({after.files - before.files:+d}).\nResident memory after each minute: "
        f"{', '.join(f'{mib:.1f}' for mib in soak.memory)} MiB."
        + (f" In the last half {slope(soak.memory):+.2f} MiB a minute." if len(soak.memory) > 3 else "")
    )
