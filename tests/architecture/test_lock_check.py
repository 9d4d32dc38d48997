"""The one stage that needs the network says so where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import check_locks
import pytest

SCRIPT = Path(__file__).parents[1] / "support" / "check_locks.py"
#: Nothing listens there.
NOWHERE = "http://127.0.0.1:9/simple"


def checked(cache: Path) -> subprocess.CompletedProcess[str]:
    nowhere = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": NOWHERE}
    return subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={**nowhere, "XDG_CACHE_HOME": str(cache)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_without_a_network_one_line_says_what_is_missing(tmp_path: Path) -> None:
    done = checked(tmp_path)
    assert list(tmp_path.rglob("*")) == []
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "the package registry can't be reached: this stage needs the network; "
        "the others don't: make lint types imports unit contract e2e\n"
    )


def test_what_went_well_is_not_asked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    check_locks.remembered().parent.mkdir()
    check_locks.remembered().touch()
    assert checked(tmp_path).returncode == 0
    monkeypatch.setattr(check_locks, "LOCK", tmp_path / "users.txt")
    check_locks.LOCK.write_text("another==1.0\n")
    assert not check_locks.remembered().exists()
