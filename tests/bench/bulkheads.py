"""What pods of one store notice of another that hangs."""

from __future__ import annotations

import contextlib
import json
import math
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import admissions
from fault_proxy import FaultProxy
from measuring import latencies, median
from servers import HERE, Measured, ours
from two_stores import SPARED, STRICKEN, two_stores

#: By name.
Figures = dict[str, Any]
ROUNDS = 12
REQUESTS = 1500
CONNECTIONS = 4
#: What the p99 may be multiplied by; and how often a run may say that it is more though it isn't.
GOAL = 1.10
CHANCE = 0.02
#: Pods that need the store that may hang, each second: few, lest they load the machine while it is well.
BESIDE = 5


def bulkheads() -> None:
    """Admissions that need the one store: while the other is well, hangs, and is well again, in turns."""
    rounds: list[tuple[Figures, Figures, Figures]] = []
    refused = 0
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        two_stores(Path(folder)) as (proxy, settings),
        ours(settings) as service,
        beside(service, Path(folder)) as others,
    ):
        for project in (SPARED, STRICKEN):
            service.cli("create", "db", "-p", project, "-d", "production", stdin=b"value")
        run(service)
        others.until_well()
        before = run(service)
        for _ in range(ROUNDS):
            hanging = run_while_hanging(service, proxy, others)
            refused += others.refused
            others.until_well()
            after = run(service)
            rounds.append((before, hanging, after))
            before = after
    show(rounds, refused)
    if is_beyond(ratios_of("p99", rounds), GOAL):
        raise SystemExit(f"the p99 is more than {GOAL:.2f} times what it is while the other store is well")


def run_while_hanging(service: Measured, proxy: FaultProxy, others: Others) -> Figures:
    """From the moment at which pods of the other store wait."""
    with proxy.failing("black hole"):
        others.until_hanging()
        return run(service)


def show(rounds: list[tuple[Figures, Figures, Figures]], refused: int) -> None:
    """The table."""
    print(
        f"### Bulkheads: of two `vault` stores one hangs; pods that need the other, {CONNECTIONS} at once\n"
    )
    print("| | other store well: µs | other store hangs: µs | ratio | its quartiles | noise |")
    print("|---|---|---|---|---|---|")
    for figure in ("p50", "p99"):
        well = median(after[figure] for _, _, after in rounds)
        sick = median(hanging[figure] for _, hanging, _ in rounds)
        ratios = ratios_of(figure, rounds)
        noise = [after[figure] / before[figure] for before, _, after in rounds]
        print(
            f"| {figure} | {well:.0f} | {sick:.0f} | {median(ratios):.2f} | {quartiles(ratios)} "
            f"| {quartiles(noise)} |"
        )
    print(
        f"\nMedians of {ROUNDS} rounds, in each of which {REQUESTS:,} pods come while the other store\n"
        "hangs, between two runs in which it is well: the ratio is to the mean of these, noise that of the\n"
        f"one to the other, its quartiles. Beside them {BESIDE} pods a second need the store that hangs:\n"
        f"{refused:,} of them were refused.\n"
    )


def ratios_of(figure: str, rounds: list[tuple[Figures, Figures, Figures]]) -> list[float]:
    """Of each round: while the other store hangs, to the mean of the two runs around it."""
    return [hanging[figure] / math.sqrt(before[figure] * after[figure]) for before, hanging, after in rounds]


def is_beyond(ratios: list[float], goal: float) -> bool:
    """Whether that many ratios above ``goal`` are more than chance makes of a median that is within it."""
    above, tries = sum(ratio > goal for ratio in ratios), len(ratios)
    by_chance = sum(math.comb(tries, more) for more in range(above, tries + 1)) / 2**tries
    return by_chance < CHANCE


def quartiles(ratios: list[float]) -> str:
    """The middle half."""
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{low:.2f} to {high:.2f}"


def run(service: Measured) -> Figures:
    """Latencies of pods of the store that stays well."""
    return latencies(service, asking(SPARED), requests=REQUESTS, connections=CONNECTIONS)


def asking(project: str) -> bytes:
    """A pod of that project."""
    return admissions.review(admissions.pod([{"name": "db"}]), namespace=f"{project}-production")


class Others:
    """Pods that need the store that may hang, as they are told of each second."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._news = threading.Condition()
        self._last: dict[str, int] = {}
        self.refused = 0
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def until_well(self) -> None:
        """A second in which all were let in."""
        self._await(lambda: not self._last.get("refused") and self._last.get("allowed", 0) >= BESIDE - 1)

    def until_hanging(self) -> None:
        """Some wait, and none is let in."""
        self.refused = 0
        self._await(lambda: self._last.get("waiting", 0) >= BESIDE // 2)

    def _await(self, told: Any) -> None:
        with self._news:
            self._last = {}
            if not self._news.wait_for(told, 60):
                raise SystemExit(f"the other store's pods: {self._last}")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._news:
                self._last = json.loads(line)
                self.refused += self._last.get("refused", 0)
                self._news.notify_all()


@contextlib.contextmanager
def beside(service: Measured, folder: Path) -> Iterator[Others]:
    """The other pods come as long as this lasts."""
    body = folder / "pod.json"
    body.write_bytes(asking(STRICKEN))
    command = [sys.executable, str(HERE / "trickle.py"), service.url, str(service.ca), str(BESIDE), str(body)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Others(process)
    finally:
        process.terminate()
        process.wait(20)
