"""Private files that settings name, and tokens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.runtime.files import default_state_folder, ensure_token, read_private, read_token

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


@pytest.mark.parametrize("inside", [" ", "\n", "\x00", "\x7f", "é"])
def test_a_token_that_no_header_carries_is_refused_and_not_repeated(tmp_path: Path, inside: str) -> None:
    path = tmp_path / "token"
    path.touch(mode=0o600)
    path.write_text("x" * 20 + inside + "x" * 20)
    with pytest.raises(InvalidArgument, match=r"field: .* is not one line of printable ASCII") as caught:
        read_token(path, "field")
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


@pytest.mark.parametrize("base", [None, "", "relative", "~/state"])
def test_what_is_no_absolute_state_home_is_ignored(base: str | None) -> None:
    """As the XDG Base Directory Specification says."""
    environ = {} if base is None else {"XDG_STATE_HOME": base}
    assert default_state_folder(environ) == Path.home() / ".local/state/secrets-svc"
    assert default_state_folder({"XDG_STATE_HOME": "/srv"}) == Path("/srv/secrets-svc")


def test_a_user_without_a_home_is_told_what_to_name(tmp_path: Path) -> None:
    """A container's user may have none: neither a variable nor a line in the table of users."""
    program = (
        "import os; from secrets_svc.core.errors import SecretsError\n"
        "from secrets_svc.runtime.files import default_state_folder\n"
        "os.environ.pop('HOME', None)\n"
        "if os.getuid() == 0: os.setuid(54321)\n"
        "else:\n"
        "    import pwd; pwd.getpwuid = lambda uid: {}[uid]\n"
        "try: print(default_state_folder(os.environ))\n"
        "except SecretsError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("state.folder: this user has no home folder")
