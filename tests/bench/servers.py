"""The servers under measurement, and what they cost."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness import with_free_ports

HERE = Path(__file__).parent
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Measured:
    """A server process. ``url`` takes AdmissionReviews."""

    process: subprocess.Popen[str]
    url: str
    ca: Path
    state: Path
    environment: dict[str, str]
    endpoint: str = ""

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far (proc(5))."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def pin(self, core: int) -> None:
        """Keep all its threads on one core, away from the load's."""
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            os.sched_setaffinity(int(thread), {core})

    def resident_mib(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def cli(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run a command of ours against it."""
        return subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            input=stdin,
            env=self.environment,
            capture_output=True,
            check=True,
        ).stdout


@contextlib.contextmanager
def ours(more: str = "") -> Iterator[Measured]:
    """``secret serve all`` in a state folder of its own; ``more`` are settings beside those of sockets."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        environment = {"HOME": folder, "PATH": os.environ["PATH"], "SECRET_CONFIG": str(home / "config.toml")}
        settings = home / "settings.toml"
        settings.write_text(with_free_ports(more))
        state = home / "state"
        command = ["-m", "cli.main", "serve", "all", "--settings", str(settings), "--state", str(state)]
        with _started(command, environment, "ready", stderr=True) as (process, lines):
            url = next(line.split()[1] for line in lines if line.startswith("webhook"))
            endpoint = next(line.split()[1] for line in lines if line.startswith("API"))
            yield Measured(process, url, state / "tls" / "ca.pem", state, environment, endpoint)


@contextlib.contextmanager
def floor(kind: str) -> Iterator[Measured]:
    """The server that allows everything; ``kind`` as in ``floor.py``."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        state = Path(folder) / "tls"
        environment = {"HOME": folder, "PATH": os.environ["PATH"]}
        with _started(
            [str(HERE / "floor.py"), str(state), kind], environment, "https", stderr=False
        ) as started:
            process, lines = started
            yield Measured(process, lines[-1].strip(), state / "ca.pem", state, environment)


@contextlib.contextmanager
def _started(
    arguments: list[str], environment: dict[str, str], ready: str, *, stderr: bool
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        env=environment,
        text=True,
        stdout=subprocess.DEVNULL if stderr else subprocess.PIPE,
        stderr=subprocess.PIPE if stderr else None,
    )
    stream = process.stderr if stderr else process.stdout
    assert stream is not None
    lines: list[str] = []
    try:
        deadline = time.monotonic() + 30
        while not (lines and lines[-1].startswith(ready)):
            line = stream.readline()
            if not line or time.monotonic() > deadline:
                raise SystemExit(f"the server did not start: {''.join(lines)}")
            lines.append(line)
        yield process, lines
    finally:
        process.terminate()
        process.wait(20)
        stream.close()
