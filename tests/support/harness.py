"""A real ``secret serve all`` for tests: its own state folder, HOME and ports, and ways to talk to it.

    server = Server(tmp_path, settings='[server]\\nbody_deadline = 2\\n')
    server.start()
    reply = server.call("GET", "/v1/whoami")
    done = server.cli("list", "-o", "json")
    server.stop()

Nothing of the caller's environment reaches the processes but PATH.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

#: Seconds. A start takes about one; a loaded machine may need more.
START_TIMEOUT = 30.0
#: Seconds that a server gets to stop by itself. Its own grace for requests under way is 10.
STOP_TIMEOUT = 15.0

_READY = "ready; Ctrl-C stops"
_PROJECTS = itertools.count(1)


def new_project() -> str:
    """A project that no other test uses."""
    return f"p{next(_PROJECTS)}"


class NotStarted(AssertionError):
    """The server ended or stayed silent; the text has its exit code and standard error."""


@dataclass(frozen=True)
class Reply:
    """An HTTP answer; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)


@dataclass
class Server:
    """One installation on this machine; it can be started, stopped, killed and started again.

    :param folder: where all of it lies; made if need be.
    :param settings: TOML of further settings; tables ``server`` and ``injector`` may be among them.
    :param environ: further variables of the server's process.
    :param prefix: what goes in front of the server's command line.
    """

    folder: Path
    settings: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None
    _lines: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        """The state folder."""
        return self.folder / "state"

    @property
    def settings_file(self) -> Path:
        """The settings file."""
        return self.folder / "settings.toml"

    @property
    def log_file(self) -> Path:
        """All that its processes wrote to standard error, one start after the other."""
        return self.folder / "server.stderr"

    @property
    def stdout_file(self) -> Path:
        """All that its processes wrote to standard output."""
        return self.folder / "server.stdout"

    @property
    def audit_file(self) -> Path:
        """The audit file."""
        return self.state / "audit.jsonl"

    @property
    def endpoint(self) -> str:
        """``http://HOST:PORT`` of the API, as announced."""
        return self._lines["API"]

    @property
    def grpc(self) -> str:
        """``HOST:PORT`` of gRPC, as announced."""
        return self._lines["gRPC"]

    @property
    def webhook(self) -> str:
        """URL of the admission webhook, as announced."""
        return self._lines["webhook"]

    @property
    def ca_file(self) -> Path:
        """What to trust for :attr:`webhook`."""
        return self.state / "tls" / "ca.pem"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the API."""
        host, _, port = self.endpoint.partition("://")[2].rpartition(":")
        return host, int(port)

    @property
    def token(self) -> str:
        """The admin's."""
        return (self.state / "admin-token").read_text().strip()

    @property
    def pid(self) -> int:
        """Of the running server."""
        assert self.process is not None
        return self.process.pid

    @property
    def log(self) -> str:
        """The content of :attr:`log_file`."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def environment(self) -> dict[str, str]:
        """Of every process that belongs to it."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "SECRET_CONFIG": str(self.folder / "config.toml"),
            "LANG": "C.UTF-8",
            **self.environ,
        }

    def prepare(self) -> None:
        """Make the folders and the settings file."""
        for name in ("home", "run"):
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self.settings_file.write_text(with_free_ports(self.settings))

    def command(self, *arguments: str) -> list[str]:
        """The command line of ``serve all``."""
        named = ["--settings", str(self.settings_file), "--state", str(self.state)]
        return [*self.prefix, sys.executable, "-m", "cli.main", "serve", "all", *named, *arguments]

    def launch(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the process and don't wait."""
        self.prepare()
        with self.log_file.open("ab") as log, self.stdout_file.open("ab") as out:
            self.process = subprocess.Popen(
                self.command(*arguments),
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
            )
        return self.process

    def start(self, *arguments: str) -> Server:
        """Start it and wait until it is ready.

        :raises NotStarted: with what it said.
        """
        before = self.log_file.stat().st_size if self.log_file.exists() else 0
        process = self.launch(*arguments)
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            said = self.log_file.read_bytes()[before:].decode(errors="replace")
            if _READY in said:
                self._lines = dict(re.findall(r"^(\w+) +(\S+)", said, re.MULTILINE))
                return self
            if process.poll() is not None:
                raise NotStarted(f"the server ended with exit code {process.returncode}:\n{said}")
            time.sleep(0.02)
        self.kill9()
        raise NotStarted(f"the server wasn't ready after {START_TIMEOUT:g} s:\n{said}")

    def fails_to_start(self, *arguments: str, timeout: float = START_TIMEOUT) -> tuple[int, str]:
        """Exit code and standard error of a start that must fail."""
        self.prepare()
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        return done.returncode, done.stderr.decode()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal and return its exit code; 0 also if it wasn't running."""
        if self.process is None:
            return 0
        self.process.send_signal(number)
        try:
            return self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError(f"the server didn't stop within {STOP_TIMEOUT:g} s:\n{self.log}") from None
        finally:
            self.process = None

    def kill9(self) -> None:
        """End it without notice."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOP_TIMEOUT)
            self.process = None

    def resident_mib(self) -> float:
        """Resident memory of the server."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def open_files(self) -> int:
        """Descriptors that the server has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cli(
        self,
        *arguments: str,
        stdin: bytes = b"",
        environ: Mapping[str, str] | None = None,
        timeout: float = 60.0,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ``secret ARGUMENTS`` as somebody in another terminal would; never raises for its exit code."""
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            input=stdin,
            env={**self.environment, **(environ or {})},
            cwd=self.folder,
            capture_output=True,
            timeout=timeout,
            check=False,
        )

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
        timeout: float = 20.0,
    ) -> Reply:
        """One call of the API on a connection of its own.

        :param body: sent as it is if it is bytes, else as JSON.
        :param token: the admin's by default; ``None`` sends none.
        """
        token = self.token if token == "" else token
        sent = {"authorization": f"Bearer {token}"} if token is not None else {}
        if body is not None:
            sent["content-type"] = "application/json"
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        target = path + ("?" + urlencode(query) if query else "")
        connection = HTTPConnection(*self.address, timeout=timeout)
        try:
            connection.request(method, target, data, {**sent, **(headers or {})})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
        finally:
            connection.close()

    def create(self, name: str, value: str | bytes, **fields: object) -> Reply:
        """Store a new secret; ``fields`` are those of the body, ``project`` for one."""
        return self.call("POST", "/v1/secrets", {"name": name, "value": value_in(value), **fields})

    def connect(self, timeout: float = 20.0) -> socket.socket:
        """A bare connection to the API."""
        return socket.create_connection(self.address, timeout)

    def audit(self) -> list[dict[str, Any]]:
        """All lines of the audit file, each of which must be complete."""
        return [json.loads(line) for line in self.audit_file.read_bytes().splitlines()]


def value_in(value: str | bytes) -> dict[str, str]:
    """``value`` as a request's body has it."""
    import base64

    return {"text": value} if isinstance(value, str) else {"base64": base64.b64encode(value).decode()}


def with_free_ports(settings: str) -> str:
    """``settings`` with ``listen`` on free ports where they don't say."""
    for table in ("server", "injector"):
        line = 'listen = "127.0.0.1:0"'
        if not re.search(rf"^\[{table}\]$", settings, re.MULTILINE):
            settings += f"\n[{table}]\n{line}\n"
        elif not re.search(rf"^\[{table}\]\n(?:[^\[\n].*\n|\n)*listen = ", settings, re.MULTILINE):
            settings = re.sub(rf"^\[{table}\]$", f"[{table}]\n{line}", settings, flags=re.MULTILINE)
    return settings


def token_file(folder: Path, principal: str) -> tuple[str, str]:
    """A new token for ``principal``: the token, and the TOML entry for ``authentication.tokens``."""
    import secrets

    token = secrets.token_urlsafe(32)
    path = folder / f"{principal}.token"
    path.touch(mode=0o600)
    path.write_text(token + "\n")
    entry = f'[[authentication.tokens]]\nprincipal = "{principal}"\ntoken_file = "{path}"\n'
    return token, entry


def head(method: str, target: str, token: str | None = None, *fields: str) -> bytes:
    """The head of a request, for a bare connection."""
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost"]
    lines += [f"Authorization: Bearer {token}"] if token else []
    return ("\r\n".join([*lines, *fields]) + "\r\n\r\n").encode("latin-1")


def chunked(parts: Sequence[bytes]) -> bytes:
    """A body in chunks (RFC 9112 section 7.1)."""
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def read_reply(connection: socket.socket) -> Reply:
    """One answer with a declared length from a bare connection.

    :raises EOFError: the connection ended first.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        data += _block(connection)
    top, _, body = data.partition(b"\r\n\r\n")
    status_line, *fields = top.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
    length = int(headers.get("content-length", "0"))
    while len(body) < length:
        body += _block(connection)
    return Reply(int(status_line.split(" ")[1]), headers, body[:length])


def _block(connection: socket.socket) -> bytes:
    block = connection.recv(65536)
    if not block:
        raise EOFError("the connection ended before the answer did")
    return block


def send_all_it_takes(connection: socket.socket, data: bytes) -> None:
    """Send ``data``, as much as the other side takes: it may have answered and closed before the end."""
    import contextlib

    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(data)
