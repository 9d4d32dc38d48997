"""Private files and folders: the right mode is made, and a wrong one is refused with what to type."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.private_files import (
    OTHERS_WRITE,
    check_private,
    private_folder,
    read_if_private,
    write_new,
    write_private,
)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_file_is_written_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_group_may_read_what_somebody_else_owns(tmp_path: Path) -> None:
    """As the kubelet hands a Secret to a pod with an fsGroup."""
    path = tmp_path / "key"
    path.write_bytes(b"x")
    path.chmod(0o440)
    with pytest.raises(InvalidArgument):
        read_if_private(path)
    os.chown(path, 1234, -1)
    assert read_if_private(path) == b"x"
    for bits in (0o444, 0o460):
        path.chmod(bits)
        with pytest.raises(InvalidArgument):
            read_if_private(path)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """The disk is played by a limit on the size of files, setrlimit(2)."""
    path = tmp_path / "file"
    write_private(path, b"old")
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from secrets_svc.core.errors import Unavailable\n"
        "from secrets_svc.core.private_files import write_private\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (4, {resource.RLIM_INFINITY}))\n"
        "try: write_private(Path(sys.argv[1]), b'new and longer')\n"
        "except Unavailable as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert "can't be written" in done.stdout
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="can't be written"):
        write_private(tmp_path / "absent" / "file", b"x")


@pytest.fixture
def loose_mask() -> Iterator[None]:
    """A process that would open everything to everybody."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("loose_mask")
def test_what_is_made_is_private_from_its_first_moment(tmp_path: Path) -> None:
    write_new(tmp_path / "new", b"x")
    write_private(tmp_path / "replaced", b"x")
    assert mode(private_folder(tmp_path / "folder")) == 0o700
    assert [mode(tmp_path / name) for name in ("new", "replaced")] == [0o600, 0o600]


def test_what_is_there_is_not_made_new(tmp_path: Path) -> None:
    write_new(tmp_path / "file", b"x")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "file", b"y")
    assert (tmp_path / "file").read_bytes() == b"x"


@pytest.mark.parametrize("wrong", [0o644, 0o620, 0o601])
def test_a_file_open_to_others_is_refused_with_the_remedy(tmp_path: Path, wrong: int) -> None:
    path = tmp_path / "file"
    write_new(path, b"c0ntent")
    path.chmod(wrong)
    for use in (check_private, read_if_private):
        with pytest.raises(InvalidArgument) as caught:
            use(path)
        said = str(caught.value)
        assert said == f"file {path} is open to others (mode {wrong:04o}): type chmod 600 {path}"


def test_a_folder_open_to_others_is_refused_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    path.chmod(0o750)
    for use in (check_private, private_folder):
        with pytest.raises(InvalidArgument, match=r"folder .* \(mode 0750\): type chmod 700 "):
            use(path)


def test_only_the_rights_that_matter_count(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_new(path, b"0123456789")
    path.chmod(0o644)
    assert read_if_private(path, mask=OTHERS_WRITE, limit=4) == b"0123"
    path.chmod(0o646)
    with pytest.raises(InvalidArgument):
        read_if_private(path, mask=OTHERS_WRITE)


def test_what_is_not_there_is_open_to_nobody(tmp_path: Path) -> None:
    check_private(tmp_path / "absent")
    with pytest.raises(FileNotFoundError):
        read_if_private(tmp_path / "absent")


def test_a_folder_that_cannot_be_made_is_told_of(tmp_path: Path) -> None:
    write_new(tmp_path / "file", b"")
    with pytest.raises(Unavailable, match="can't be made or used"):
        private_folder(tmp_path / "file" / "folder")
