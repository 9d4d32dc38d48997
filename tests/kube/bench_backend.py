"""Measures the kubernetes backend with 5,000 secrets, as the table of docs/benchmarks.md.

``PYTHONPATH=tests/kube .venv/bin/python tests/kube/bench_backend.py``: a cluster of its own, two minutes.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from kit import Cluster
from kubernetes_store import Store, create, delete, some_ref, update

from secrets_svc.core.ports import SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

SECRETS = 5_000
DOMAINS = ("development", "staging", "production")
PROJECTS = tuple(f"p-{number}" for number in range(16))
PROJECT = Scope("flyte", "production", "p-3")
ROUNDS = 40


def main() -> None:
    """Fill a namespace, then print the table."""
    with Cluster() as cluster:
        store = Store(cluster, cluster.namespace())
        writer, refs = store.writer(), _refs()
        began = time.perf_counter()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda ref: create(writer, ref, b"x" * 100), refs))
        rate = SECRETS / (time.perf_counter() - began)
        print("| what | p50 ms | p99 ms |\n|---|---|---|")
        _writes(writer, refs[0])
        _reads(store, refs)
        _lists(writer)
        print(f"\n{rate:.0f} creates/s by 8 callers at once.")
        store.close()


def _refs() -> list[SecretRef]:
    scopes = [Scope("flyte", domain, project) for domain in DOMAINS for project in PROJECTS]
    return [SecretRef(scopes[number % len(scopes)], f"n-{number}") for number in range(SECRETS)]


def _writes(writer: SecretWriter, kept: SecretRef) -> None:
    made = [some_ref() for _ in range(ROUNDS)]
    turns = iter(made * 3)
    _row("create", lambda: create(writer, next(turns)))
    _row("update", lambda: update(writer, next(turns), b"y"))
    _row("delete", lambda: delete(writer, next(turns)))
    _row("describe", lambda: writer.describe(kept))


def _reads(store: Store, refs: list[SecretRef]) -> None:
    reader = store.reader()
    absent = [
        SecretRef(scope, "absent") for scope in (PROJECT, Scope("flyte", project="p-3"), Scope("flyte"))
    ]
    _row("resolve 1 name that is there", lambda: reader.resolve(refs[:1]))
    _row("resolve 1 name in 4 scopes, there in one", lambda: reader.resolve([refs[0], *absent]))
    _row("resolve 40", lambda: reader.resolve(refs[:40]))
    _row("resolve 200", lambda: reader.resolve(refs[:200]))
    token = reader.resolve(refs[:1])[refs[0]].token
    _row("read", lambda: reader.read(refs[0], token))


def _lists(writer: SecretWriter) -> None:
    for within, limit in ((Scope("flyte"), 100), (Scope("flyte"), 1000), (PROJECT, 1000)):
        pages = _pages(writer, within, limit)
        _print(f"page of {limit} of {within}: {len(pages)} pages", pages)


def _pages(writer: SecretWriter, within: Scope, limit: int) -> list[float]:
    taken, cursor = [], None
    while True:
        began = time.perf_counter()
        page = writer.list(within, limit=limit, cursor=cursor)
        taken.append(time.perf_counter() - began)
        cursor = page.cursor
        if cursor is None:
            return taken


def _row(what: str, call: Callable[[], object]) -> None:
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    _print(what, taken)


def _print(what: str, taken: list[float]) -> None:
    milliseconds = sorted(1e3 * each for each in taken)
    last = milliseconds[int(len(milliseconds) * 0.99)]
    print(f"| {what} | {statistics.median(milliseconds):.1f} | {last:.1f} |", flush=True)


if __name__ == "__main__":
    main()
