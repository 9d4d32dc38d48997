"""The audit file: every record whole and kept, or the call refused."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from secrets_svc.core.audit import AuditEvent
from secrets_svc.core.errors import Unavailable
from secrets_svc.runtime.audit_file import SYNC_INTERVAL, AuditFile

Open = Callable[[Path], AuditFile]


@pytest.fixture
def opened() -> Iterator[Open]:
    made: list[AuditFile] = []

    def make(path: Path) -> AuditFile:
        made.append(AuditFile(path))
        return made[-1]

    yield make
    for each in made:
        each.close()


def event(request_id: str, size: int = 0) -> AuditEvent:
    return AuditEvent("api", "get", "alice", "ok", request_id, detail={"filler": "x" * size} if size else {})


def ids(path: Path) -> list[str]:
    return [json.loads(line)["request_id"] for line in path.read_bytes().splitlines() if line]


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_record_is_there_when_it_returns(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "audit.jsonl"
    opened(path).record(event("r1"))
    assert ids(path) == ["r1"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_there_is_kept(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "audit.jsonl"
    for number in range(3):
        audit = AuditFile(path)
        audit.record(event(f"r{number}"))
        audit.close()
        audit.close()
    assert ids(path) == ["r0", "r1", "r2"]


def test_lines_of_four_threads_and_two_writers_stay_whole(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "audit.jsonl"
    files = [opened(path), opened(path)]

    def write(thread: int) -> None:
        for number in range(500):
            files[thread % 2].record(event(f"{thread}-{number}", size=(number * 37) % 3000))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = ids(path)
    assert sorted(found) == sorted(f"{thread}-{number}" for thread in range(4) for number in range(500))
    for thread in range(4):
        mine = [each for each in found if each.startswith(f"{thread}-")]
        assert mine == [f"{thread}-{number}" for number in range(500)]


def test_a_file_that_was_moved_away_is_opened_anew(tmp_path: Path, opened: Open) -> None:
    path, moved = tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.1"
    audit = opened(path)
    audit.record(event("before"))
    path.rename(moved)
    audit.record(event("during"))
    until(path.exists, 5 * SYNC_INTERVAL + 2)
    audit.record(event("after"))
    assert ids(moved) == ["before", "during"]
    assert ids(path) == ["after"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_written_is_refused(opened: Open) -> None:
    with pytest.raises(Unavailable, match="no call succeeds without one"):
        opened(Path("/dev/full")).record(event("r1"))


def test_a_pipe_takes_records_though_it_cannot_be_synced(tmp_path: Path, opened: Open) -> None:
    """As ``/dev/stdout`` does in a container."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    audit = opened(pipe)
    for number in range(3):
        audit.record(event(f"r{number}"))
        time.sleep(1.5 * SYNC_INTERVAL)
    assert len(os.read(reader, 65536).splitlines()) == 3
    os.close(reader)


def test_a_file_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="can't be opened for writing"):
        AuditFile(tmp_path)
    with pytest.raises(Unavailable, match="can't be opened for writing"):
        AuditFile(tmp_path / "absent" / "audit.jsonl")


def test_a_folder_that_goes_away_refuses_until_it_is_back(tmp_path: Path, opened: Open) -> None:
    folder, away = tmp_path / "log", tmp_path / "away"
    folder.mkdir()
    path = folder / "audit.jsonl"
    audit = opened(path)
    audit.record(event("r0"))
    folder.rename(away)

    def refused() -> bool:
        try:
            audit.record(event("lost"))
        except Unavailable:
            return True
        return False

    until(refused)
    time.sleep(3 * SYNC_INTERVAL)
    assert refused()  # and not only now and then
    away.rename(folder)
    until(lambda: not refused())
    audit.record(event("back"))
    assert ids(path)[-1] == "back"


_FULL_DISK = f"""
import resource, sys
from pathlib import Path
from secrets_svc.core.audit import AuditEvent
from secrets_svc.core.errors import Unavailable
from secrets_svc.runtime.audit_file import AuditFile

audit = AuditFile(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.RLIM_INFINITY}))
for number in range(40):
    try:
        audit.record(AuditEvent("api", "get", "alice", "ok", f"r{{number}}"))
        print(f"r{{number}}")
    except Unavailable:
        if number > 20:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
audit.close()
"""


def test_a_full_disk_tears_no_line_but_its_own(tmp_path: Path) -> None:
    """The disk is played by a limit on the size of files, setrlimit(2), which is lifted again."""
    path = tmp_path / "audit.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", _FULL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    kept = done.stdout.split()
    assert 10 < len(kept) < 40
    found, torn = [], 0
    for line in path.read_bytes().splitlines():
        try:
            found.append(json.loads(line)["request_id"])
        except ValueError:
            torn += 1
    assert found == kept
    assert torn <= 1


def test_a_line_torn_by_an_earlier_process_spoils_no_other(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(event("r0").to_json() + b'{"at":"2026-')
    opened(path).record(event("r1"))
    lines = path.read_bytes().splitlines()
    assert json.loads(lines[0])["request_id"] == "r0"
    assert json.loads(lines[-1])["request_id"] == "r1"
    assert len(lines) == 3


def test_no_file_is_handed_to_children(tmp_path: Path, opened: Open) -> None:
    opened(tmp_path / "audit.jsonl")
    listed = subprocess.run(["/bin/ls", "-l", "/proc/self/fd"], capture_output=True, text=True, check=True)
    assert "audit.jsonl" not in listed.stdout
    assert any("audit.jsonl" in os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if fd.exists())
