"""NAME=VALUE files: one strict reading, and messages that name lines only."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.env_files import parse_env_file
from secrets_svc.core.errors import InvalidArgument


def parse(data: bytes) -> dict[str, bytes]:
    return {name: value.reveal_bytes() for name, value in parse_env_file(data, "f").items()}


def test_a_file() -> None:
    data = (
        b"\xef\xbb\xbf# a comment\r\n\r\n"
        b"db-password=s3cret/+=#x\r\n"
        b"  export API_KEY='as it is: $X `x` \\n # \"'  \r\n"
        b'motd="one\\ntwo\\t\\"\\\\ \\$5 \xc3\xa4"\n'
        b"empty=\n"
        b"quoted=''"
    )
    assert parse(data) == {
        "db-password": b"s3cret/+=#x",
        "API_KEY": b'as it is: $X `x` \\n # "',
        "motd": b'one\ntwo\t"\\ $5 \xc3\xa4',
        "empty": b"",
        "quoted": b"",
    }


@pytest.mark.parametrize(
    "line",
    [
        b"canary",
        b"=canary",
        b"a.b=canary",
        b"a b=canary",
        b"a =canary",
        b"a= canary",
        b"a=canary canary",
        b"a=#canary",
        b"a=$canary",
        b"a=`canary`",
        b"a=can\\ary",
        b"a='canary",
        b'a="canary',
        b"a=canary'x'",
        b"a='canary'x",
        b'a="$canary"',
        b'a="can\\zary"',
        b"a=can\x00ary",
        b"a=can\rary",
        b"a=canary\xff",
        b"\xc3\xa4=canary",
        b"b=1",
        b"a" * 129 + b"=canary",
    ],
)
def test_what_is_not_clear_is_refused_by_line(line: bytes) -> None:
    with pytest.raises(InvalidArgument, match=r"^f, line 3: ") as caught:
        parse(b"b=0\n\n" + line + b"\nc=canary\n")
    assert "canary" not in str(caught.value)


def test_a_file_without_entries() -> None:
    with pytest.raises(InvalidArgument, match="no NAME=VALUE line"):
        parse(b"# nothing\n\n")


@given(st.text(st.characters(exclude_characters="'\x00\r\n", exclude_categories=["Cs"])))
def test_single_quotes_hold_everything_else(text: str) -> None:
    assert parse(f"a='{text}'\n".encode()) == {"a": text.encode()}


@given(st.binary())
def test_no_bytes_crash_it(data: bytes) -> None:
    with contextlib.suppress(InvalidArgument):
        parse(data)
