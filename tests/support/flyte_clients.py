"""The environment that holds Flyte's and Union's own clients: made once, outside the checkout.

``python tests/support/flyte_clients.py`` makes it and prints its folder of programs.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).parents[2] / "requirements" / "flyte-clients.txt"
#: flytekit takes no newer Python.
_PYTHONS = ("3.12", "3.11")
#: Nothing is reported to anybody, and no colours are added to what is printed.
QUIET = {"DO_NOT_TRACK": "1", "FLYTE_DISABLE_TELEMETRY": "1", "FLYTE_DISABLE_SENTRY": "1", "NO_COLOR": "1"}


def programs() -> Path:
    """The folder with ``flyte``, ``union``, ``pyflyte-execute``, ``a0`` and ``python``; made if need be.

    Takes a minute the first time. The environment is named after the lock file, so that another one is made
    when that changes.
    """
    folder = cache() / f"flyte-clients-{hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            _make(folder / "venv")
            (folder / "done").touch()
    return folder / "venv" / "bin"


def cache() -> Path:
    """The project's folder outside the checkout."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "secrets-svc"


def _make(venv: Path) -> None:
    shutil.rmtree(venv, ignore_errors=True)
    subprocess.run([_python(), "-m", "venv", str(venv)], check=True)
    install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(LOCK)]
    subprocess.run([str(venv / "bin" / "python"), "-m", "pip", *install], check=True)


def _python() -> str:
    if f"{sys.version_info.major}.{sys.version_info.minor}" in _PYTHONS:
        return sys.executable
    for version in _PYTHONS:
        found = shutil.which(f"python{version}")
        if found:
            return found
    sys.exit(f"Flyte's clients need one of Python {', '.join(_PYTHONS)} on the PATH")


if __name__ == "__main__":
    print(programs())
