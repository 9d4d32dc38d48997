"""All measurements, as the tables of docs/benchmarks.md (``make bench``).

Ours is measured against a floor in the same run, in turns; quote ratios, for absolute figures drift with the
machine. CPU is user and system time of all threads of the server process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from bulkheads import bulkheads
from measuring import CONNECTIONS, REQUESTS, load, median
from pods import flytes_marks, review
from servers import Measured, floor, ours

ROUNDS = 7
STORED = 100_000


def main() -> None:
    """The chapters that are named on the command line, or all."""
    chapters: dict[str, Callable[[], None]] = {
        "admissions": admissions,
        "flyte": flyte,
        "sizes": sizes,
        "start": start_up,
        "stored": stored,
        "bulkheads": bulkheads,
    }
    for name in sys.argv[1:] or chapters:
        chapters[name]()


def admissions() -> None:
    """Warm admissions against servers that allow everything."""
    body = review(secrets=4, kilobytes=10.7)
    with ours() as service, floor("uvicorn") as asgi, floor("own") as own:
        create(service, 4)
        servers = {"ours": service, "floor: uvicorn, raw ASGI": asgi, "floor: our own HTTP": own}
        for server in servers.values():
            load(server, body, requests=400)
        rounds = [{name: load(server, body) for name, server in servers.items()} for _ in range(ROUNDS)]
    print(f"### Warm admissions: {len(body) / 1000:.1f} kB pod, 4 secrets, TLS, {CONNECTIONS} connections\n")
    print("| server | CPU µs per admission | per second and core | p99 µs | our rate / its | our p99 / its |")
    print("|---|---|---|---|---|---|")
    for name in servers:
        cpu = median(each[name][0] for each in rounds)
        p99 = median(each[name][1] for each in rounds)
        rate = median(each[name][0] / each["ours"][0] for each in rounds)
        slower = median(each["ours"][1] / each[name][1] for each in rounds)
        print(f"| {name} | {cpu:.0f} | {1e6 / cpu:,.0f} | {p99:.0f} | {rate:.2f} | {slower:.1f} |")
    print(f"\nMedians of {ROUNDS} rounds of {REQUESTS} admissions each, the servers in turn.\n")


def flyte() -> None:
    """Warm admissions of Flyte's pods against those of our own dialect."""
    bodies = {
        "our dialect": review(secrets=4, kilobytes=10.7),
        "Flyte's": review(secrets=4, kilobytes=10.7, marks=flytes_marks),
    }
    with ours("[injector.flyte]\n") as service:
        create(service, 4)
        for body in bodies.values():
            load(service, body, requests=400)
        rounds = [{name: load(service, body) for name, body in bodies.items()} for _ in range(ROUNDS)]
    print("### Warm admissions of Flyte's pods: 10.7 kB pod, 4 secrets\n")
    print("| dialect | CPU µs per admission | p99 µs | cost / our dialect's |\n|---|---|---|---|")
    for name in bodies:
        cpu = median(each[name][0] for each in rounds)
        p99 = median(each[name][1] for each in rounds)
        ratio = median(each[name][0] / each["our dialect"][0] for each in rounds)
        print(f"| {name} | {cpu:.0f} | {p99:.0f} | {ratio:.2f} |")
    print(f"\nMedians of {ROUNDS} rounds of {REQUESTS} admissions each, one server, the dialects in turn.\n")


def sizes() -> None:
    """Cost by number of secrets and by size of pod."""
    with ours() as service:
        create(service, 100)
        print("### Cost by secrets and by size of pod (CPU µs per warm admission)\n")
        print("| secrets | pod kB | CPU µs | per secret | per kB |")
        print("|---|---|---|---|---|")
        for secrets, kilobytes in ((1, 10.7), (10, 10.7), (100, 22.0), (4, 2.8), (4, 10.7), (4, 60.0)):
            body = review(secrets=secrets, kilobytes=kilobytes)
            load(service, body, requests=200)
            cpu = median(load(service, body, requests=2000)[0] for _ in range(5))
            size = len(body) / 1000
            print(f"| {secrets} | {size:.1f} | {cpu:.0f} | {cpu / secrets:.0f} | {cpu / size:.1f} |")
    print()


def start_up() -> None:
    """The command line against a bare interpreter."""
    with ours() as service:
        create(service, 1)
        environment = {k: v for k, v in service.environment.items() if k != "PYTHONDONTWRITEBYTECODE"}
        secret = str(Path(sys.executable).parent / "secret")
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "secret --help": [secret, "--help"],
            "secret get": [secret, "get", "secret-0", "-p", "shop", "-d", "production"],
        }
        rounds = [{name: wall(command, environment) for name, command in commands.items()} for _ in range(21)]
    print("### Start of the command line\n")
    print("| command | wall ms | ratio |")
    print("|---|---|---|")
    for name in commands:
        ratio = median(each[name] / each["python -c pass"] for each in rounds[1:])
        print(f"| `{name}` | {median(each[name] for each in rounds[1:]) * 1000:.0f} | {ratio:.1f} |")
    print("\nMedians of 20 rounds, the commands in turn.\n")


def stored() -> None:
    """A hundred thousand secrets."""
    with ours() as service:
        api = Api(service)
        create(service, 1)
        api.page(None, 1000)
        before = service.resident_mib()
        begun = time.perf_counter()
        for number in range(STORED):
            api.create(number)
        took = time.perf_counter() - begun
        times: list[float] = []
        cursor: str | None = None
        while True:
            page_begun = time.perf_counter()
            cursor = api.page(cursor, 1000)
            times.append(time.perf_counter() - page_begun)
            if cursor is None:
                break
        after = service.resident_mib()
    print(f"### {STORED:,} secrets in `local`\n")
    print("| what | figure |\n|---|---|")
    print(f"| creates/s, one client after the other | {STORED / took:,.0f} |")
    first, last = median(times[:10]) * 1000, median(times[-11:-1]) * 1000
    print(f"| page of 1,000: first ten / last ten pages | {first:.0f} ms / {last:.0f} ms |")
    print(
        f"| resident memory before / after | {before:.0f} MiB / {after:.0f} MiB ({after - before:+.0f}) |\n"
    )


class Api:
    """A client that keeps one connection."""

    def __init__(self, service: Measured) -> None:
        parts = urlsplit(service.endpoint)
        self._connection = HTTPConnection(parts.hostname or "", parts.port)
        token = (service.state / "admin-token").read_text().strip()
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def create(self, number: int) -> None:
        """One of many."""
        body = {"name": f"many-{number}", "project": f"p{number % 97}", "value": {"text": f"value-{number}"}}
        self._ask("POST", "/v1/secrets", json.dumps(body), 201)

    def page(self, cursor: str | None, limit: int) -> str | None:
        """The cursor of the next page."""
        query = f"?limit={limit}" + (f"&cursor={cursor}" if cursor else "")
        answer = json.loads(self._ask("GET", "/v1/secrets" + query, None, 200))
        return str(answer["next_cursor"]) if answer["next_cursor"] else None

    def _ask(self, method: str, path: str, body: str | None, expected: int) -> bytes:
        self._connection.request(method, path, body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != expected:
            raise SystemExit(f"{method} {path}: {answer.status} {content[:200]!r}")
        return content


def create(service: Measured, count: int) -> None:
    """Secrets that the pods ask for."""
    for number in range(count):
        service.cli("create", f"secret-{number}", "-p", "shop", "-d", "production", stdin=b"value")


def wall(command: Sequence[str], environment: dict[str, str]) -> float:
    """Seconds that ``command`` takes."""
    begun = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


if __name__ == "__main__":
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    main()
