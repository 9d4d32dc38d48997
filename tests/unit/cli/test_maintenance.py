"""Backup, restore and rotation: in which audit file they are, and that nobody looks into the process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secrets_svc.backends import registry

Run = Callable[..., Any]
#: PR_GET_DUMPABLE is 3, see prctl(2).
LOOK = """
import ctypes, resource, sys
from pathlib import Path
from cli.maintenance import maintained_store
maintained_store(None, Path(sys.argv[1]))
print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A store of this machine."""
    backend = registry.load("local")
    backend.open_writer(backend.settings_model(), state=tmp_path / "state").close()
    return tmp_path / "state"


def events(file: Path) -> list[tuple[str, str, str]]:
    found = [json.loads(line) for line in file.read_bytes().splitlines()]
    return [(event["surface"], event["action"], event["outcome"]) for event in found]


def test_each_is_audited_where_it_happened(process: Run, state: Path, tmp_path: Path) -> None:
    copy, restored = tmp_path / "copy.tar", tmp_path / "restored"
    assert process("backup", str(copy), "--state", str(state)).code == 0
    assert process("keys", "rotate", "--state", str(state)).code == 0
    assert process("restore", str(copy), "--state", str(restored)).code == 0
    assert events(state / "audit.jsonl") == [("keys", "backup", "ok"), ("keys", "rotate", "ok")]
    assert events(restored / "audit.jsonl") == [("keys", "restore", "ok")]
    assert (restored / "audit.jsonl").stat().st_mode & 0o777 == 0o600


def test_what_failed_is_audited_too(process: Run, state: Path, tmp_path: Path) -> None:
    (tmp_path / "there.tar").touch()
    assert process("backup", str(tmp_path / "there.tar"), "--state", str(state)).code != 0
    [(surface, action, outcome)] = events(state / "audit.jsonl")
    assert (surface, action) == ("keys", "backup")
    assert outcome != "ok"


def test_a_restore_that_failed_leaves_the_folder_free_for_the_next(process: Run, tmp_path: Path) -> None:
    (tmp_path / "no.tar").write_bytes(b"no backup")
    restored = tmp_path / "restored"
    assert process("restore", str(tmp_path / "no.tar"), "--state", str(restored)).code == 2
    assert not (restored / "audit.jsonl").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_no_core_is_dumped_and_nobody_looks_inside(state: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(state)], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "(0, 0) 0\n"
