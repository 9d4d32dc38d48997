"""What hostile pods can make the injector keep: resident memory, measured in a process of its own.

Every case sends what no two pods have in common, as much as fills the caches, and then as much again.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from admissions import Kit, pod, review

#: MiB that the caches may take, and what the allocator may add when as much comes again.
MOST = 128
NOISE = 24

MAIN = [{"name": "main"}]
SIDECARS = [{"name": f"c{number}"} for number in range(16)]
NAMED = [container["name"] for container in SIDECARS]


def asking(number: int, count: int, **fields: Any) -> list[dict[str, Any]]:
    """Requests that no other pod has."""
    return [{"name": "there", "env": f"V{number}_{each}", **fields} for each in range(count)]


def in_namespace_of_nobody(number: int) -> bytes:
    return review(pod([{"name": "there"}]), namespace=f"namespace-{number}")


def claiming(number: int) -> bytes:
    claim = pod([{"name": "there"}])
    claim["metadata"]["labels"] = {"secrets-svc.internal/project": f"p{number}"}
    return review(claim)


def padded(number: int) -> bytes:
    """An annotation as long as it may be, with little in it."""
    return review(pod(json.dumps(asking(number, 1)) + " " * 65_000))


def deep_files(number: int) -> bytes:
    return review(pod([{"name": "there", "file": f"{number}/{'x' * 200}/{each}"} for each in range(256)]))


def other_shapes(number: int) -> bytes:
    return review(pod([{"name": "there"}], containers=MAIN * (1 + number)))


#: Each with the number of reviews that fill what they can fill.
CASES: dict[str, tuple[Callable[[int], bytes], int]] = {
    "annotations": (lambda n: review(pod(asking(n, 1))), 4000),
    "long annotations": (padded, 200),
    "many requests": (lambda n: review(pod(asking(n, 256))), 400),
    "requests of many containers": (
        lambda n: review(pod(asking(n, 100, containers=NAMED), containers=SIDECARS)),
        400,
    ),
    "files": (deep_files, 300),
    "shapes": (other_shapes, 400),
    "pods of very many containers": (
        lambda n: review(
            pod(asking(0, 1, containers=["main"]), containers=[*MAIN, *[{"name": "other"}] * (900 + n)])
        ),
        80,
    ),
    "absent names": (lambda n: review(pod([{"name": f"n{n}-{each}"} for each in range(256)])), 300),
    "optional absent names": (
        lambda n: review(pod([{"name": f"n{n}-{each}", "optional": True} for each in range(256)])),
        300,
    ),
    "namespaces": (in_namespace_of_nobody, 6000),
    "claims": (claiming, 6000),
    "users": (lambda n: review(pod([{"name": "there"}]), userInfo={"username": f"{n}" * 1000}), 4000),
    "dry runs": (lambda n: review(pod(asking(n, 1)), dryRun=True), 3000),
}


def resident() -> float:
    """MiB of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def answer(kit: Kit, bodies: Iterator[bytes]) -> None:
    for body in bodies:
        [reply] = kit.handler.answer([body])
        if isinstance(reply, Awaitable):
            await reply
        kit.audit.clear()


def growth(case: str) -> list[float]:
    """MiB that this process grew by, each time that so many reviews came."""
    make, count = CASES[case]
    kit = Kit()
    kit.reader.put("there", b"value")
    warm = (review(pod([{"name": "there", "env": f"WARM_{number}"}])) for number in range(50))
    asyncio.run(answer(kit, warm))
    numbers = itertools.count()
    found = [resident()]
    for _ in range(2):
        asyncio.run(answer(kit, (make(next(numbers)) for _ in range(count))))
        found.append(resident())
    return [after - before for before, after in itertools.pairwise(found)]


@pytest.mark.parametrize("case", CASES)
def test_what_is_kept_is_bounded(case: str) -> None:
    support = Path(__file__).parents[2] / "support"
    done = subprocess.run(
        [sys.executable, __file__, case],
        env={**os.environ, "PYTHONPATH": f"{support}:{Path(__file__).parents[3]}"},
        capture_output=True,
        timeout=100,
        check=True,
    )
    first, again = json.loads(done.stdout)
    assert first < MOST
    assert again < NOISE


if __name__ == "__main__":
    print(json.dumps(growth(sys.argv[1])))
