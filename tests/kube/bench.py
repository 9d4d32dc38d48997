"""Measurements in a real cluster, as the tables of docs/benchmarks.md (``make bench-kube``).

Chapters: ``start`` (root: a node), ``storm``, ``memory``. Each has a cluster of its own; load is bounded in
count, and all of it stays on this machine.
"""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from installation import INJECTOR, REQUEST, Installation, Server, pod
from kit import Cluster, Node, Pods, python
from kit import pod as runnable

from secrets_svc.core.naming import storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

READER = "the-stores-own-user"
LABELS = {"managed": "true", "project": "shop", "domain": "production"}
ROUNDS = 9
STORM = 1000
SECRETS = 5
THREADS = 48
FOREIGN_SECRETS = 10_000
FOREIGN_PODS = 2_000


def main() -> None:
    """The chapters that are named on the command line, or all."""
    chapters: dict[str, Callable[[], None]] = {"start": start, "storm": storm, "memory": memory}
    for name in sys.argv[1:] or chapters:
        chapters[name]()


@contextmanager
def installed() -> Iterator[Installation]:
    """A cluster with the product."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-kube-") as folder,
        Cluster() as cluster,
        Installation(cluster, Path(folder)) as installation,
    ):
        yield installation


def start() -> None:
    """Seconds from the pod's POST to the first line of its container, with and without secrets."""
    with installed() as installation, Node(installation.cluster):
        namespace = installation.namespace("shop", "production")
        names = [installation.create(b"value-%d" % number) for number in range(SECRETS)]
        requests = [
            {"name": name, "env": f"S{number}", "file": f"f{number}"} for number, name in enumerate(names)
        ]
        by_hand(installation, namespace)
        kinds: dict[str, dict[str, Any]] = {
            "no secrets": {},
            "a hand-made Secret, env and volume": {"secret": "by-hand"},
            f"{SECRETS} secrets of ours, env and file each": {"annotations": {REQUEST: json.dumps(requests)}},
        }
        pods = Pods(installation.cluster, namespace)
        rounds = [
            {
                kind: started(pods, f"p-{number}-{index}", **how)
                for index, (kind, how) in enumerate(kinds.items())
            }
            for number in range(ROUNDS + 2)
        ][2:]
    print("### From a pod's POST to its container's first line (seconds, one at a time)\n")
    print("| pod | median | min | max | added to the median |\n|---|---|---|---|---|")
    plain = statistics.median(each["no secrets"] for each in rounds)
    for kind in kinds:
        seconds = [each[kind] for each in rounds]
        middle = statistics.median(seconds)
        added = (middle - plain) * 1000
        print(f"| {kind} | {middle:.3f} | {min(seconds):.3f} | {max(seconds):.3f} | {added:+.0f} ms |")
    print(f"\nMedians of {ROUNDS} rounds, the kinds in turn.\n")


def by_hand(installation: Installation, namespace: str) -> None:
    """What somebody without us would make."""
    body = {"metadata": {"name": "by-hand"}, "immutable": True, "stringData": {"value": "x"}}
    installation.api("POST", f"/api/v1/namespaces/{namespace}/secrets", body).ok()


def started(pods: Pods, name: str, *, secret: str = "", annotations: dict[str, str] | None = None) -> float:
    """Seconds until the container's first line."""
    fields: dict[str, Any] = {}
    spec: dict[str, Any] = {}
    if secret:
        reference = {"secretKeyRef": {"name": secret, "key": "value"}}
        fields = {
            "env": [{"name": "S0", "valueFrom": reference}],
            "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        }
        spec = {"volumes": [{"name": "v", "secret": {"secretName": secret}}]}
    container = python("-c", "import time; print(time.monotonic())", **fields)
    body = runnable(name, container, annotations=annotations, **spec)
    begun = time.monotonic()
    told = float(pods.output(body))
    pods.delete(name)
    return told - begun


def storm() -> None:
    """Many pods at once, nothing staged yet: over the local store, and over one of Kubernetes Secrets."""
    print(f"### {STORM:,} pods with {SECRETS} secrets each at once, nothing staged before\n")
    print("| what | `local` | `kubernetes` |\n|---|---|---|")
    with installed() as installation:
        names = [installation.create(b"value-%d" % number) for number in range(SECRETS)]
        local = weather(installation, installation.serve("injector"), names)
    with installed() as installation:
        installation.cluster.namespace("flyte")
        names = [flytes_secret(installation, number) for number in range(SECRETS)]
        config = installation.cluster.kubeconfig_for(READER, groups=["system:masters"])
        store = f'[stores.cluster]\nbackend = "kubernetes"\nkubeconfig = "{config}"\n'
        server = installation.serve("injector", store=store, state=installation.folder / "other")
        remote = weather(installation, server, names)
    for what, of_local in local.items():
        print(f"| {what} | {of_local} | {remote[what]} |")
    print()


def flytes_secret(installation: Installation, number: int) -> str:
    """A secret as Flyte's own service writes them; its name."""
    name = f"s-{number}"
    key = storage_name(SecretRef(Scope("flyte", "production", "shop"), name))
    digest = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    labels = {f"app.flyte.org/{part}": value for part, value in LABELS.items()}
    body = {"metadata": {"name": digest, "labels": labels}, "stringData": {key: f"value-{number}"}}
    installation.api("POST", "/api/v1/namespaces/flyte/secrets", body).ok()
    return name


def weather(installation: Installation, server: Server, names: list[str]) -> dict[str, str]:
    """What a storm of pods does."""
    installation.lead_to(server)
    namespace = installation.namespace("shop", "production")
    requests = [{"name": name} for name in names]
    before, looked = len(injectors(installation)), len(look_ups(installation))
    begun = time.monotonic()
    with ThreadPoolExecutor(THREADS) as threads:
        numbers = range(STORM)
        answers = list(
            threads.map(lambda n: installation.submit(namespace, pod(f"p-{n}", requests)).status, numbers)
        )
    took = time.monotonic() - begun
    calls = Counter(injectors(installation)[before:])
    looks = look_ups(installation)[looked:]
    writes = calls["create secrets"] + calls["patch leases"]
    latency = statistics.median(seconds for _, seconds in looks) if looks else 0.0
    most = max(Counter(name for name, _ in looks).values(), default=0)
    return {
        "refused": str(sum(status != 201 for status in answers)),
        "pods per second, the API server's work included": f"{STORM / took:,.0f}",
        "staged writes per distinct version (2 is the least)": f"{writes / SECRETS:.1f}",
        "all calls of the injector's identity meanwhile": str(sum(calls.values())),
        "most look-ups of one name and scope in the store": str(most) if looks else "inline",
        "duration ÷ latency of a look-up, + 2": f"{took / latency + 2:,.0f}" if looks else "",
    }


def look_ups(installation: Installation) -> list[tuple[str, float]]:
    """Which Secrets the store's own user asked for so far, and how many seconds each took."""
    events = [
        event
        for event in installation.cluster.audit()
        if event["user"].get("username") == READER
        and event["stage"] == "ResponseComplete"
        and event.get("objectRef", {}).get("resource") == "secrets"
    ]
    return [(event["objectRef"].get("name", ""), _seconds(event)) for event in events]


def _seconds(event: dict[str, Any]) -> float:
    began, ended = (
        datetime.fromisoformat(event[field]) for field in ("requestReceivedTimestamp", "stageTimestamp")
    )
    return (ended - began).total_seconds()


def injectors(installation: Installation) -> list[str]:
    """Verb and resource of the injector's calls so far."""
    events = [event for event in installation.cluster.audit() if event["user"].get("username") == INJECTOR]
    return [
        f"{event['verb']} {event.get('objectRef', {}).get('resource')}"
        for event in events
        if event["stage"] == "ResponseComplete"
        and event.get("objectRef", {}).get("name") != "secrets-svc-janitor"
    ]


def memory() -> None:
    """The injector's memory beside many objects that aren't its own."""
    with installed() as installation:
        server = installation.serve("injector")
        installation.lead_to(server)
        warm(installation)
        before = resident_mib(server)
        crowd(installation)
        warm(installation)
        time.sleep(15)  # a round of the janitor's, whatever it looks at
        after = resident_mib(server)
    print(f"### The injector beside {FOREIGN_SECRETS:,} foreign Secrets and {FOREIGN_PODS:,} pods\n")
    print("| | resident memory |\n|---|---|")
    print(f"| before | {before:.1f} MiB |\n| after | {after:.1f} MiB ({after - before:+.1f}) |\n")


def warm(installation: Installation) -> None:
    """Some admissions, so that everything is loaded."""
    namespace = installation.namespace("shop", "production")
    name = installation.create(b"x")
    for number in range(200):
        installation.submit(namespace, pod(f"p-{number}", [{"name": name}]), query="?dryRun=All").ok()
        if number % 20 == 0:
            installation.admitted(namespace, pod(f"p-{number}", [{"name": name}]))


def crowd(installation: Installation) -> None:
    """Everybody else's objects."""
    namespace = installation.namespace()
    value = {"value": "x" * 1000}

    def secret(number: int) -> None:
        body = {"metadata": {"name": f"s-{number}"}, "stringData": value}
        installation.api("POST", f"/api/v1/namespaces/{namespace}/secrets", body).ok()

    def plain_pod(number: int) -> None:
        installation.admitted(namespace, pod(f"p-{number}", None))

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(secret, range(FOREIGN_SECRETS)))
        list(threads.map(plain_pod, range(FOREIGN_PODS)))


def resident_mib(server: Server) -> float:
    """Resident memory of a server."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
