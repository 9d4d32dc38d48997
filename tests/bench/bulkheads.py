"""What pods of one store notice of another that hangs."""

from __future__ import annotations

import contextlib
import json
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

PAIRS = 14
REQUESTS = 1500
CONNECTIONS = 4
#: Pods that need the store that may hang, each second: few, lest they load the machine while it is well.
BESIDE = 5


def bulkheads() -> None:
    """Admissions that need the one store while the other is well, and while it hangs, in turns."""
    pairs: list[dict[bool, dict[str, Any]]] = []
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
        for number in range(PAIRS):
            pair: dict[bool, dict[str, Any]] = {}
            for hangs in (False, True) if number % 2 else (True, False):
                others.until_well()
                pair[hangs] = run_while_hanging(service, proxy, others) if hangs else run(service)
            refused += others.refused
            pairs.append(pair)
    show(pairs, refused)


def run_while_hanging(service: Measured, proxy: FaultProxy, others: Others) -> dict[str, Any]:
    """From the moment at which pods of the other store wait."""
    with proxy.failing("black hole"):
        others.until_hanging()
        return run(service)


def show(pairs: list[dict[bool, dict[str, Any]]], refused: int) -> None:
    """The table."""
    print(
        f"### Bulkheads: of two `vault` stores one hangs; pods that need the other, {CONNECTIONS} at once\n"
    )
    print("| | other store well: µs | other store hangs: µs | ratio | its quartiles |")
    print("|---|---|---|---|---|")
    for figure in ("p50", "p99"):
        well, sick = (median(pair[hangs][figure] for pair in pairs) for hangs in (False, True))
        ratios = sorted(pair[True][figure] / pair[False][figure] for pair in pairs)
        low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
        print(f"| {figure} | {well:.0f} | {sick:.0f} | {median(ratios):.2f} | {low:.2f} to {high:.2f} |")
    print(
        f"\nMedians of {PAIRS} pairs of runs of {REQUESTS:,} pods, in turns; the ratio is that of a pair."
        f"\nBeside them {BESIDE} pods a second need the store that hangs: {refused:,} of them were refused.\n"
    )


def run(service: Measured) -> dict[str, Any]:
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
