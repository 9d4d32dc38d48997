"""Private files and folders."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.runtime.files import (
    default_state_folder,
    ensure_token,
    read_private,
    read_token,
    write_private,
)

TOKEN = "t0ken-" + "x" * 40


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.mark.parametrize("wrong", [0o644, 0o640, 0o604, 0o660, 0o601])
def test_what_others_can_open_is_refused_by_field_and_with_the_remedy(tmp_path: Path, wrong: int) -> None:
    path = tmp_path / "key"
    path.write_text(TOKEN)
    path.chmod(wrong)
    for read in (read_private, read_token):
        with pytest.raises(InvalidArgument) as caught:
            read(path, "server.tls_key")
        assert str(caught.value).startswith("server.tls_key: ")
        assert f"chmod 600 {path}" in str(caught.value)
        assert f"{wrong:04o}" in str(caught.value)
        assert TOKEN not in str(caught.value)


def test_what_is_absent_is_refused_by_field(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"server\.tls_key: file"):
        read_private(tmp_path / "absent", "server.tls_key")
    with pytest.raises(InvalidArgument, match=r"server\.tls_key: file"):
        read_private(tmp_path, "server.tls_key")


@pytest.mark.parametrize("token", ["", " " * 40, "x" * 31, "x" * 31 + "\n\n\n"])
def test_a_short_token_is_refused_and_not_repeated(tmp_path: Path, token: str) -> None:
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(token)
    with pytest.raises(InvalidArgument, match="fewer than 32 characters") as caught:
        read_token(path, "authentication.tokens[0].token_file")
    assert "authentication.tokens[0].token_file" in str(caught.value)
    assert "xxx" not in str(caught.value)


def test_space_around_a_token_is_not_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text(f"  {TOKEN}\r\n")
    assert read_token(path, "f").reveal_bytes() == TOKEN.encode()


def test_a_token_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "admin-token"
    first = ensure_token(path, "the admin token")
    assert len(first) >= 43
    assert mode(path) == 0o600
    assert ensure_token(path, "the admin token") == first
    assert ensure_token(tmp_path / "other", "f") != first


def test_a_file_is_written_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """The disk is played by a limit on the size of files, setrlimit(2)."""
    path = tmp_path / "file"
    write_private(path, b"old")
    program = (
        "import resource, sys; from pathlib import Path\n"
        "from secrets_svc.core.errors import Unavailable\n"
        "from secrets_svc.runtime.files import write_private\n"
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


@pytest.mark.parametrize("base", [None, "", "relative", "~/state"])
def test_what_is_no_absolute_state_home_is_ignored(base: str | None) -> None:
    """As the XDG Base Directory Specification says."""
    environ = {} if base is None else {"XDG_STATE_HOME": base}
    assert default_state_folder(environ) == Path.home() / ".local/state/secrets-svc"
    assert default_state_folder({"XDG_STATE_HOME": "/srv"}) == Path("/srv/secrets-svc")
