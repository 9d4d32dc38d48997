"""Sees that the users' lock file can be installed on every supported Python. Asks the package registry.

Once for each lock file: its hashes name what is installed. What went well is remembered outside the checkout.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

from flyte_clients import cache

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "users.txt"
VERSIONS = ("3.11", "3.12", "3.13", "3.14")
#: What pip says at each try of a connection that it doesn't get.
_UNREACHED = "connection broken by"
_NO_NETWORK = (
    "the package registry can't be reached: this stage needs the network; "
    "the others don't: make lint types imports unit contract e2e"
)


def resolve(version: str) -> subprocess.CompletedProcess[str]:
    """Let pip choose wheels for Python ``version`` from the lock file, without installing any."""
    choose = ["--dry-run", "--ignore-installed", "--require-hashes", "--only-binary=:all:"]
    where = ["--python-version", version, "--target", "/nonexistent", "-r", str(LOCK)]
    patience = ["--quiet", "--disable-pip-version-check", "--retries", "2", "--timeout", "15"]
    command = [sys.executable, "-m", "pip", "install", *patience, *choose, *where]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def remembered() -> Path:
    """The file that is there if this lock file went well, as it is checked here."""
    what = hashlib.sha256(LOCK.read_bytes() + Path(__file__).read_bytes()).hexdigest()
    return cache() / f"lock-{what[:16]}-ok"


def main() -> int:
    """Check all versions; the first that can't be installed ends it."""
    known = remembered()
    if known.exists():
        print(f"{', '.join(VERSIONS)} ok, as before ({known})")
        return 0
    for version in VERSIONS:
        done = resolve(version)
        said = done.stdout + done.stderr
        if done.returncode == 0:
            print(f"{version} ok")
        else:
            print(_NO_NETWORK if _UNREACHED in said else f"{said}{version}: see above", file=sys.stderr)
            return 1
    known.parent.mkdir(parents=True, exist_ok=True)
    known.touch()
    return 0


if __name__ == "__main__":
    sys.exit(main())
