"""Flyte's annotations are read as Flyte's own code reads them; what is odd is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flyte_pods import encode
from flyteidl2.core import security_pb2
from google.protobuf import text_format
from hypothesis import example, given
from hypothesis import strategies as st

from injector.dialects.flyte_text import FlyteSecret, Mount, decode, parse
from secrets_svc.core.errors import InvalidArgument

#: Made by Flyte's own encoder.
VECTORS = json.loads((Path(__file__).parents[2] / "data" / "flyte_annotations.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_what_flytes_own_code_wrote_is_read_and_written_the_same(vector: dict[str, str]) -> None:
    fields = dict(vector)
    text, mount = fields.pop("annotation"), Mount[fields.pop("mount", "ANY")]
    secret = FlyteSecret(mount=mount, **fields)
    assert decode(text) == secret
    assert encode(secret) == text or "'" in secret.group  # which Python escapes, and Go doesn't


def test_line_ends_in_base32_are_passed_over_as_in_flyte() -> None:
    assert decode("nnsxsora\r\nejwxsx2lmv3secq\n") == FlyteSecret(key="my_key")


@pytest.mark.parametrize("text", ["0", "NNSXSORA", "nnsxsora=", "nnsxs oray", "a", "nns-", "ñ"])
def test_what_is_no_base32_of_flytes_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match="base32"):
        decode(text)


ACCEPTED = {
    b"key:'a'": FlyteSecret(key="a"),
    b'key:"a",group:"b"': FlyteSecret(group="b", key="a"),
    b'key:"a";group:"b";': FlyteSecret(group="b", key="a"),
    b'key:"a" # note\ngroup:"b"': FlyteSecret(group="b", key="a"),
    b'key:"a"group:"b"': FlyteSecret(group="b", key="a"),
    b'key: "a" "b"': FlyteSecret(key="ab"),
    b'key:"a"\'b\' # c\n "c"': FlyteSecret(key="abc"),
    b"mount_requirement: 2": FlyteSecret(mount=Mount.FILE),
    b"mount_requirement: 0x1": FlyteSecret(mount=Mount.ENV_VAR),
    b"mount_requirement: ANY": FlyteSecret(),
    b'key\t:\r\n"a"': FlyteSecret(key="a"),
    b'key:"\\x41\\101\\u00e9\\U0001f600\\n\\t\\\\\\"\\\'"': FlyteSecret(key="AA\u00e9\U0001f600\n\t\\\"'"),
    b'key:"\xc3\xa9"': FlyteSecret(key="\u00e9"),
    b'key:""': FlyteSecret(),
    b"# nothing": FlyteSecret(),
}


@pytest.mark.parametrize(("text", "secret"), ACCEPTED.items())
def test_odd_forms_that_flyte_takes_are_taken(text: bytes, secret: FlyteSecret) -> None:
    assert parse(text) == secret
    assert by_library(text) == secret


REFUSED = [
    b'key:"a" key:"b"',  # twice
    b'secret:"a"',
    b'3: "a"',
    b'Key:"a"',
    b'key "a"',
    b"key:a",
    b"key: 1",
    b'key:["a"]',
    b'[key]:"a"',
    b'{key:"a"}',
    b'key:"a"}',
    b'key:"a',
    b'key:"a\nb"',
    b'key:"a",,group:"b"',
    b',key:"a"',
    b'key:"\\400"',
    b'key:"\\x"',
    b'mount_requirement: "FILE"',
    b"mount_requirement: file",
    b"mount_requirement: 1.0",
    b'mount_requirement:FILEkey:"a"',
    b"mount_requirement:02",
    b"key:" + b'"a"' * 17,
    # Go takes these: for other characters, for no mount that it knows, or where no SDK writes them.
    b'key:"\\377"',
    b'key:"\xff"',
    b'key:"\\ud800"',
    b'key:"\\e"',
    b"mount_requirement: 7",
    b"mount_requirement: -1",
    b'key:"a"\x0bgroup:"b"',
    b"mount_requirement:00",
]


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_unclear_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidArgument):
        parse(text)


def test_a_refusal_repeats_nothing_long() -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse(b"x" * 10_000 + b': "a"')
    assert len(refused.value.message) < 300


def by_library(text: bytes) -> FlyteSecret | None:
    message = security_pb2.Secret()
    try:
        text_format.Parse(text, message)
    except (text_format.ParseError, UnicodeDecodeError):
        return None
    try:
        mount = Mount(message.mount_requirement)
    except ValueError:
        return None
    return FlyteSecret(message.group, message.group_version, message.key, mount, message.env_var)


_PIECES = st.sampled_from(
    [
        *(
            "key",
            "group",
            "group_version",
            "env_var",
            "mount_requirement",
            ":",
            " ",
            "\n",
            ",",
            ";",
            "#",
            "{",
        ),
        *(
            '"',
            "'",
            "\\",
            "\\n",
            "\\x41",
            "\\101",
            "a",
            "7",
            "0x2",
            "FILE",
            "ANY",
            '"a"',
            "'b'",
            "\u00e9",
            "<",
            "}",
        ),
    ]
)


@given(st.lists(_PIECES, max_size=14).map("".join))
@example('key:"a\\\n"')
def test_nothing_is_taken_that_protobuf_refuses_or_reads_otherwise(text: str) -> None:
    try:
        ours = parse(text.encode())
    except InvalidArgument:
        return
    assert by_library(text.encode()) == ours


@given(
    st.builds(
        FlyteSecret,
        group=st.text(),
        group_version=st.text(),
        key=st.text(),
        mount=st.sampled_from(Mount),
        env_var=st.text(),
    )
)
def test_what_the_sdks_write_is_read_back(secret: FlyteSecret) -> None:
    assert decode(encode(secret)) == secret
