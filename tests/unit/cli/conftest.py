"""A control plane in memory behind the standard library's HTTP server, and the command against it."""

from __future__ import annotations

import base64
import json
import os
import pty
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from cli.main import main

TOKEN = "tok-4711-canary"
ROOT = Path(__file__).resolve().parents[3]
#: Makes the terminal on stdin the controlling one, so that /dev/tty is it.
AT_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@dataclass
class ControlPlane:
    """What the server knows, and what it was asked."""

    url: str = ""
    secrets: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    values: dict[tuple[Any, ...], bytes] = field(default_factory=dict)
    calls: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    #: Answers to give instead, first come first served: status and document.
    instead: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    page: int = 2

    def answer(
        self, method: str, path: str, query: dict[str, str], body: dict[str, Any]
    ) -> tuple[int, dict[str, Any] | None]:
        if self.instead:
            return self.instead.pop(0)
        dry = query.get("dry_run") == "true"
        if path == "/v1/whoami":
            bindings = [{"role": "admin", "scope": "organization acme"}]
            return 200, {"principal": "ann", "organization": "acme", "bindings": bindings}
        if path == "/v1/secrets" and method == "GET":
            return self.listing(query)
        name = path.rpartition("/")[2] if path != "/v1/secrets" else body["name"]
        where = body if path == "/v1/secrets" else query
        key = (name, "acme", where.get("domain"), where.get("project"))
        if path.startswith("/v1/explain/"):
            return self.explain(key)
        there = self.secrets.get(key)
        if method == "POST":
            if there is not None:
                return problem(409, "already_exists", f'secret "{name}" is there already')
            return (200 if dry else 201), self.store(key, body.get("type", "generic"), body["value"], dry)
        if there is None:
            return problem(404, "not_found", f'there is no secret "{name}" there')
        if method == "DELETE":
            if not dry:
                del self.secrets[key]
            return 204, None
        if method == "PUT":
            expected = query.get("if-match")
            if expected is not None and expected != f'"{there["version"]}"':
                return problem(412, "conflict", "another version is current")
            return 200, self.store(key, there["type"], body["value"], dry)
        return 200, there

    def store(self, key: tuple[Any, ...], kind: str, value: dict[str, str], dry: bool) -> dict[str, Any]:
        data = base64.b64decode(value["base64"])
        found = {
            "name": key[0],
            "organization": key[1],
            "domain": key[2],
            "project": key[3],
            "type": kind,
            "version": "" if dry else f"v{len(self.calls)}",
            "size": len(data),
            "created_at": "2026-01-02T03:04:05.678901Z",
            "updated_at": "2026-01-02T03:04:05.678901Z",
            "created_by": "ann",
            "updated_by": "ann",
            "read_only": False,
        }
        if not dry:
            self.secrets[key], self.values[key] = found, data
        return found

    def listing(self, query: dict[str, str]) -> tuple[int, dict[str, Any]]:
        names = sorted(self.secrets, key=str)
        start = int(query.get("cursor", "0"))
        end = start + min(int(query["limit"]), self.page)
        items = [self.secrets[key] for key in names[start:end]]
        return 200, {"items": items, "next_cursor": str(end) if end < len(names) else None}

    def explain(self, key: tuple[Any, ...]) -> tuple[int, dict[str, Any]]:
        winner = self.secrets.get(key)
        step = {"level": "project", "scope": f"project {key[3]}", "outcome": "hit" if winner else "absent"}
        step["store"] = "local"
        facts = {name: winner[name] if winner else None for name in ("version", "type", "updated_at")}
        document = {"name": key[0], "organization": key[1], "domain": key[2], "project": key[3]}
        return 200, {**document, "winner": winner, "steps": [{**step, **facts}]}


def problem(status: int, code: str, detail: str) -> tuple[int, dict[str, Any]]:
    return status, {"code": code, "detail": detail, "status": status, "request_id": "r-1"}


def handler_of(plane: ControlPlane) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            query = dict(parse_qsl(parts.query))
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else {}
            if (expected := self.headers.get("If-Match")) is not None:
                query["if-match"] = expected
            plane.calls.append((self.command, parts.path, query))
            plane.tokens.append(self.headers.get("Authorization"))
            status, document = plane.answer(self.command, parts.path, query, body)
            data = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            kind = "application/json" if status < 400 else "application/problem+json"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = handle_any

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture
def plane() -> Iterator[ControlPlane]:
    found = ControlPlane()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(found))
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and none of the developer's own configuration."""
    for variable in list(os.environ):
        if variable.startswith(("SECRET_", "_SECRET_", "XDG_", "NO_COLOR")):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def connected(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> ControlPlane:
    """The environment points to the control plane."""
    monkeypatch.setenv("SECRET_ENDPOINT", plane.url)
    monkeypatch.setenv("SECRET_TOKEN", TOKEN)
    return plane


@dataclass
class Result:
    code: int
    out: str
    err: str


@pytest.fixture
def secret(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run a command line in this process."""

    def run(*arguments: str) -> Result:
        capsys.readouterr()
        code = main(list(arguments))
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


@pytest.fixture
def process() -> Callable[..., Result]:
    """Run a command line in a process of its own, with what is piped in."""

    def run(*arguments: str, stdin: bytes | None = b"", **environ: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, **environ},
            timeout=30,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def terminal() -> Callable[..., Result]:
    """Run a command line at a terminal: waits for each text and types the answer to it."""

    def run(*arguments: str, dialogue: list[tuple[str, bytes]]) -> Result:
        master, slave = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", AT_TERMINAL, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            start_new_session=True,
        )
        os.close(slave)
        seen = b""
        try:
            for waited_for, typed in dialogue:
                seen = _read_until(master, seen, waited_for.encode())
                time.sleep(0.05)  # until echo is off: getpass prints its prompt just before
                os.write(master, typed)
            seen = _read_until(master, seen, None)
            return Result(process.wait(30), seen.decode(), "")
        finally:
            process.kill()
            process.wait()
            os.close(master)

    return run


def _read_until(master: int, seen: bytes, text: bytes | None) -> bytes:
    """Read on until ``text`` has come (after what was there), or to the end."""
    start = len(seen)
    deadline = time.monotonic() + 20
    while text is None or text not in seen[start:]:
        if not select.select([master], [], [], deadline - time.monotonic())[0]:
            raise AssertionError(f"waited for {text!r}, saw {seen!r}")
        try:
            block = os.read(master, 65536)
        except OSError:  # the other side is closed
            return seen
        if not block:
            return seen
        seen += block
    return seen
