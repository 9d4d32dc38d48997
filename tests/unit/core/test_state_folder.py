"""Where the audit file of a state folder is."""

from __future__ import annotations

from pathlib import Path

import pytest

from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.state_folder import audit_file_of, remember_audit_file


def test_it_lies_in_the_folder_unless_the_server_put_it_elsewhere(tmp_path: Path) -> None:
    assert audit_file_of(tmp_path) == tmp_path / "audit.jsonl"
    remember_audit_file(tmp_path, Path("/var/log/audit of ours.jsonl"))
    assert audit_file_of(tmp_path) == Path("/var/log/audit of ours.jsonl")
    [pointer] = tmp_path.iterdir()
    assert pointer.stat().st_mode & 0o777 == 0o600
    remember_audit_file(tmp_path, None)
    assert audit_file_of(tmp_path) == tmp_path / "audit.jsonl"


@pytest.mark.parametrize("garbled", [b"", b"\n", b"audit.jsonl", b"/a\n/b", b"/a\0b", b"/" + b"x" * 5000])
def test_a_garbled_pointer_is_told_of_and_mended_by_the_next_start(tmp_path: Path, garbled: bytes) -> None:
    (tmp_path / "audit-file").write_bytes(garbled)
    with pytest.raises(InvalidArgument, match="audit-file has no absolute path"):
        audit_file_of(tmp_path)
    remember_audit_file(tmp_path, Path("/a"))
    assert audit_file_of(tmp_path) == Path("/a")


def test_a_pointer_that_cannot_be_read_or_written_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "audit-file").mkdir()
    with pytest.raises(Unavailable, match="can't be read"):
        audit_file_of(tmp_path)
    for file in (Path("/a"), None):
        with pytest.raises(Unavailable, match="can't be written"):
            remember_audit_file(tmp_path, file)
