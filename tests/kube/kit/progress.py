"""Lines for whoever waits."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .errors import KitError

Say = Callable[[str], None]

#: Seconds of silence before a command that goes on says so.
EVERY = 30.0
_TAIL = 20


def to_stderr(line: str) -> None:
    """The usual way to tell."""
    print(f"kube: {line}", file=sys.stderr, flush=True)


def tail(path: Path, lines: int = _TAIL) -> str:
    """The end of a log file; empty if there is none."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def run(
    argv: Sequence[str], *, what: str, log: Path, say: Say, cwd: Path, environ: Mapping[str, str]
) -> None:
    """Run a command that may take minutes, with a line from time to time.

    :param what: is being done, for the lines.
    :param log: gets the command's output.
    :raises KitError: with the end of the output, if it fails.
    """
    began = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        while True:
            try:
                code = process.wait(EVERY)
                break
            except subprocess.TimeoutExpired:
                say(f"{what} … {time.monotonic() - began:.0f} s")
    finally:
        process.kill()
        process.wait()
    if code:
        raise KitError(f"{what} failed:\n{tail(log)}\nAll of its output: {log}")
    say(f"{what}: {time.monotonic() - began:.0f} s")
