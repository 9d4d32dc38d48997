"""Where values come from, through real pipes, files and terminals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.values import MAX_VALUE, read_file
from secrets_svc.core.errors import InvalidArgument, TooLarge

ALL_BYTES = bytes(range(256))
KEY = ("db", "acme", None, "shop")
CREATE = ("create", "db", "-p", "shop")


def test_a_pipe_is_taken_byte_for_byte(connected: Any, process: Any) -> None:
    result = process(*CREATE, stdin=ALL_BYTES)
    assert result.code == 0, result.err
    assert connected.values[KEY] == ALL_BYTES
    assert result.err == ""
    assert result.out == "created db in project shop (version v1)\n"


@pytest.mark.parametrize(
    ("data", "kept"),
    [(b"a\n", b"a"), (b"a\r\n", b"a"), (b"a\n\n", b"a\n"), (b"a\r", b"a\r"), (b"a", b"a"), (b"\n", b"")],
)
def test_newlines_stay_unless_asked(connected: Any, process: Any, data: bytes, kept: bytes) -> None:
    result = process(*CREATE, "-f", "-", stdin=data)
    assert connected.values[KEY] == data
    ends = data.endswith(b"\n")
    assert result.err == (
        f"note: the value is {len(data)} bytes and ends in a newline; --strip-newline leaves that out\n"
        if ends
        else ""
    )
    result = process("update", "db", "-p", "shop", "--strip-newline", "--value-file", "-", stdin=data)
    assert connected.values[KEY] == kept
    assert result.err == ""


def test_a_file(connected: Any, process: Any, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(ALL_BYTES * 4096)
    assert process(*CREATE, "--from-file", str(tmp_path / "v")).code == 0
    assert connected.values[KEY] == ALL_BYTES * 4096


def test_an_empty_value_must_be_said(connected: Any, process: Any) -> None:
    for stdin in (b"", None):
        result = process(*CREATE, stdin=stdin)
        assert (result.code, connected.calls) == (2, [])
        assert "there is no value" in result.err
    assert process(*CREATE, "-f", "/dev/null").code == 0
    assert connected.values[KEY] == b""


def test_files_that_cant_be_read(tmp_path: Path) -> None:
    for name in (str(tmp_path / "absent"), str(tmp_path), "a\x00b"):
        with pytest.raises(InvalidArgument, match="can't be read"):
            read_file(name)


def test_too_large_is_found_without_reading_it_all(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(MAX_VALUE + 1)
    with pytest.raises(TooLarge, match=str(MAX_VALUE)):
        read_file(str(sparse))
    with pytest.raises(TooLarge, match=str(MAX_VALUE)):
        read_file("/dev/zero")


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "db", "--value", "canary"),
        ("create", "--value=canary", "db", "-p", "shop", "-d", "production"),
        ("set", "db", "--from-literal", "canary"),
        ("update", "db", "--value", "canary", "-o", "json"),
        ("create", "db", "canary"),
        ("update", "db", "-p", "shop", "canary"),
        ("set", "db", "canary", "canary"),
        ("get", "db", "canary"),
    ],
)
def test_a_value_is_never_an_argument_and_never_repeated(
    connected: Any, secret: Any, arguments: tuple[str, ...]
) -> None:
    result = secret(*arguments)
    assert result.code == 2
    assert "canary" not in result.out + result.err
    assert "never an argument" in result.err.replace("\n", " ")
    assert connected.calls == []


def test_the_line_to_type_instead_is_told(connected: Any, secret: Any) -> None:
    result = secret("create", "db", "-p", "shop", "-d", "production", "--value", "x")
    assert '"secret create db --project shop --domain production -f FILE"' in result.err


def test_contradictions_and_gaps(connected: Any, secret: Any) -> None:
    assert secret("create", "-p", "shop").code == 2
    assert "a name is missing" in secret("set", "-p", "shop").err
    assert secret("create", "db", "-p", "shop", "--from-env-file", "x").code == 2
    assert secret("create", "a/b", "-p", "shop").code == 2
    assert secret("create", "db", "-p", "shop", "--type", "magic").code == 2
    assert connected.calls == []


class TestTerminal:
    def test_the_prompt_hides_and_confirms(self, connected: Any, terminal: Any) -> None:
        result = terminal(
            *CREATE,
            dialogue=[("value of db: ", "s3crét canary\n".encode()), ("again: ", "s3crét canary\n".encode())],
        )
        assert result.code == 0, result.out
        assert connected.values[KEY] == "s3crét canary".encode()
        assert "canary" not in result.out

    def test_the_standard_input_of_a_terminal_is_shown_and_told_so(
        self, connected: Any, terminal: Any
    ) -> None:
        result = terminal(*CREATE, "-f", "-", dialogue=[("the terminal shows", b"typed\n\x04")])
        assert result.code == 0, result.out
        assert connected.values[KEY] == b"typed\n"

    def test_entries_that_differ(self, connected: Any, terminal: Any) -> None:
        result = terminal(*CREATE, dialogue=[("value of db: ", b"one\n"), ("again: ", b"two\n")])
        assert (result.code, connected.calls) == (2, [])
        assert "the two entries differ" in result.out

    def test_nothing_typed(self, connected: Any, terminal: Any) -> None:
        assert terminal(*CREATE, dialogue=[("value of db: ", b"\n")]).code == 2
        assert terminal(*CREATE, dialogue=[("value of db: ", b"\x04")]).code == 2
        assert connected.calls == []

    def test_an_interrupt(self, connected: Any, terminal: Any) -> None:
        result = terminal(*CREATE, dialogue=[("value of db: ", b"abc\x03")])
        assert (result.code, connected.calls) == (130, [])
        assert "Traceback" not in result.out

    def test_a_line_that_the_terminal_cuts_off(self, connected: Any, terminal: Any) -> None:
        result = terminal(*CREATE, dialogue=[("value of db: ", b"x" * 5000 + b"\n")])
        assert (result.code, connected.calls) == (2, [])
        assert "4094 bytes" in result.out

    def test_the_scope_is_checked_before_anybody_is_asked(self, connected: Any, terminal: Any) -> None:
        result = terminal("create", "db", dialogue=[])
        assert result.code == 2
        assert "no scope is given" in result.out

    @pytest.mark.parametrize(("typed", "gone"), [(b"y\n", True), (b"n\n", False), (b"\n", False)])
    def test_delete_asks(self, connected: Any, terminal: Any, process: Any, typed: bytes, gone: bool) -> None:
        process(*CREATE, stdin=b"x")
        result = terminal(
            "delete", "db", "-p", "shop", dialogue=[("delete db in project shop? [y/N] ", typed)]
        )
        assert (KEY not in connected.secrets) is gone
        assert result.code == (0 if gone else 1)
        assert ("deleted db in project shop" if gone else "nothing was deleted") in result.out

    def test_login_asks_for_the_token_hidden(self, plane: Any, terminal: Any, home: Path) -> None:
        result = terminal("login", plane.url, dialogue=[(": ", b"tok-canary\n")])
        assert result.code == 0, result.out
        assert "canary" not in result.out
        assert plane.tokens == ["Bearer tok-canary"]


def test_env_files(connected: Any, secret: Any, tmp_path: Path) -> None:
    file = tmp_path / "prod.env"
    file.write_text("one=1\ntwo='2 2'\nthree=3\n")
    connected.secrets[("two", "acme", None, "shop")] = {}
    result = secret("create", "--from-env-file", str(file), "-p", "shop")
    assert result.code == 4
    assert result.out.startswith("created one in project shop")
    assert "stopped at two: 1 of 3 secrets are stored" in result.err
    connected.secrets.clear()
    result = secret("set", "--from-env-file", str(file), "-p", "shop", "-o", "name")
    assert (result.code, result.out) == (0, "one\ntwo\nthree\n")
    assert connected.values[("two", "acme", None, "shop")] == b"2 2"
