"""The newcomer's demo does what it says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[1] / "demo" / "demo.py"


@pytest.mark.parametrize("backend", ["local", "vault", "aws"])
def test_the_demo_is_as_said(backend: str) -> None:
    done = subprocess.run(
        [sys.executable, DEMO],
        env={"PATH": os.environ["PATH"], "BACKEND": backend},
        capture_output=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()[-2000:]
    assert b"hits: 0\n" in done.stdout
    assert b"All as said" in done.stdout
