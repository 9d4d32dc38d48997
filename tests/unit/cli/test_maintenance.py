"""Backup, restore and rotation: in which audit file they are, and that nobody looks into the process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.output import counted
from cli.records import recorded_first
from secrets_svc.backends import registry
from secrets_svc.core.errors import Unavailable

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


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (("backup", "copy.tar", "--state", "{}/none"), "there is no state folder {}/none"),
        (("keys", "rotate", "--state", "{}/none"), "there is no state folder {}/none"),
        (("backup", "{}/none/copy.tar", "--state", "{}/state"), "there is no folder {}/none"),
        (("restore", "{}/none.tar", "--state", "{}/restored"), "there is no file {}/none.tar"),
        (("restore", "{}", "--state", "{}/restored"), "there is no file {}"),
    ],
)
def test_what_is_not_there_is_named(
    process: Run, state: Path, tmp_path: Path, line: tuple[str, ...], reason: str
) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = process(*(word.format(tmp_path) for word in line))
    assert result.code in (2, 3)
    assert reason.format(tmp_path) in result.err
    assert sorted(tmp_path.rglob("*")) == before


def test_one_secret_is_not_several(process: Run, state: Path, tmp_path: Path) -> None:
    assert process("keys", "rotate", "--state", str(state)).out.startswith("0 values sealed")
    assert process("backup", str(tmp_path / "copy.tar"), "--state", str(state)).out.startswith("0 secrets ")
    assert (counted(1, "secret"), counted(2, "secret")) == ("1 secret", "2 secrets")


def records_go_to(state: Path, file: str) -> None:
    """As a server with the setting ``audit.file`` leaves it."""
    (state / "audit-file").write_text(file + "\n")


def test_a_backup_that_cannot_be_recorded_is_not_kept(process: Run, state: Path, tmp_path: Path) -> None:
    records_go_to(state, "/dev/full")
    result = process("backup", str(tmp_path / "copy.tar"), "--state", str(state))
    assert (result.code, result.out) == (6, "")
    assert "the audit record can't be written" in result.err
    assert result.err.endswith("copy.tar was removed again, nothing is saved\n")
    assert not (tmp_path / "copy.tar").exists()


def test_a_rotation_that_cannot_be_recorded_says_what_is_done(process: Run, state: Path) -> None:
    records_go_to(state, "/dev/full")
    result = process("keys", "rotate", "--state", str(state))
    assert (result.code, result.out) == (6, "")
    assert "all values are sealed with new keys, but that is not on record" in result.err
    records_go_to(state, str(state / "audit.jsonl"))
    assert process("keys", "rotate", "--state", str(state)).code == 0


def test_what_went_wrong_is_told_also_where_it_cannot_be_recorded(
    process: Run, state: Path, tmp_path: Path
) -> None:
    records_go_to(state, "/dev/full")
    (tmp_path / "there.tar").touch()
    result = process("backup", str(tmp_path / "there.tar"), "--state", str(state))
    assert (result.code, "is there already" in result.err) == (2, True)


class TestTheRecordOfARestore:
    """It is on the disk before anything is restored: no restore without a record (I5)."""

    @pytest.fixture
    def copy(self, process: Run, state: Path, tmp_path: Path) -> Path:
        assert process("backup", str(tmp_path / "copy.tar"), "--state", str(state)).code == 0
        return tmp_path / "copy.tar"

    def leftovers(self, folder: Path) -> list[str]:
        return [entry.name for entry in folder.iterdir() if entry.name.startswith(".restored")]

    def test_without_room_for_it_nothing_is_restored(self, tmp_path: Path) -> None:
        begun = False
        blocked = tmp_path / "file" / "restored"
        (tmp_path / "file").touch()
        with (
            pytest.raises(Unavailable),
            recorded_first("restore", state=blocked, audit_file=blocked / "audit.jsonl"),
        ):
            begun = True
        assert not begun

    def test_it_lies_beside_the_folder_until_then(self, tmp_path: Path) -> None:
        restored = tmp_path / "restored"
        with recorded_first("restore", state=restored, audit_file=restored / "audit.jsonl"):
            [waiting] = self.leftovers(tmp_path)
            assert events(tmp_path / waiting) == [("keys", "restore", "ok")]
            assert (tmp_path / waiting).stat().st_mode & 0o777 == 0o600
            restored.mkdir()
        assert events(restored / "audit.jsonl") == [("keys", "restore", "ok")]
        assert self.leftovers(tmp_path) == []

    def test_a_restore_that_failed_withdraws_it(self, process: Run, tmp_path: Path) -> None:
        (tmp_path / "no.tar").write_bytes(b"no backup")
        restored = tmp_path / "restored"
        assert process("restore", str(tmp_path / "no.tar"), "--state", str(restored)).code == 2
        assert self.leftovers(tmp_path) == []

    def test_it_joins_the_records_of_the_servers_own_audit_file(
        self, process: Run, copy: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "audit").write_text('{"surface": "api", "action": "list", "outcome": "ok"}\n')
        (tmp_path / "settings.toml").write_text(f'[audit]\nfile = "{tmp_path / "audit"}"\n')
        line = ("restore", str(copy), "--settings", str(tmp_path / "settings.toml"))
        assert process(*line, "--state", str(tmp_path / "restored")).code == 0
        assert events(tmp_path / "audit") == [("api", "list", "ok"), ("keys", "restore", "ok")]

    def test_where_it_cannot_be_added_the_restore_is_told_and_the_record_kept(
        self, process: Run, copy: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "settings.toml").write_text('[audit]\nfile = "/dev/full"\n')
        restored = tmp_path / "restored"
        line = ("restore", str(copy), "--settings", str(tmp_path / "settings.toml"))
        result = process(*line, "--state", str(restored))
        assert (result.code, result.out) == (6, "")
        [waiting] = self.leftovers(tmp_path)
        assert result.err == (
            f"secret: unavailable: the restore to {restored} is done, but its audit record can't be added to "
            f"/dev/full: it lies in {tmp_path / waiting}\n"
        )
        assert events(tmp_path / waiting) == [("keys", "restore", "ok")]
        assert (restored / "secrets.db").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2) is Linux's")
def test_no_core_is_dumped_and_nobody_looks_inside(state: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(state)], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "(0, 0) 0\n"
