"""What a value must be like."""

from __future__ import annotations

import os
import subprocess

import pytest

from secrets_svc.core.errors import InvalidArgument, SecretsError, TooLarge, Unsupported
from secrets_svc.core.ports import Capabilities
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data.limits import MAX_ENV_STRING, check_value, env_objection, env_string_excess

REF = SecretRef(Scope("flyte", project="shop"), "key")
SMALL = Capabilities(max_value=10)


def check(value: bytes, type_: SecretType = SecretType.GENERIC, capabilities: Capabilities = SMALL) -> None:
    check_value(REF, SecretValue(value), type_, capabilities)


@pytest.mark.parametrize("value", [b"", b"\x00", bytes(range(10)), b"\xff" * 10])
def test_any_bytes_within_the_stores_limit_pass(value: bytes) -> None:
    check(value)


def test_one_byte_over_the_limit_is_refused_in_numbers() -> None:
    with pytest.raises(TooLarge, match=r'"key" in project shop has 11 bytes, over the limit of 10'):
        check(b"x" * 11)


def test_an_empty_value_is_refused_where_the_store_cannot_hold_it() -> None:
    with pytest.raises(Unsupported, match="empty"):
        check(b"", capabilities=Capabilities(max_value=10, empty_value=False))


def test_a_name_too_long_to_store_is_refused() -> None:
    ref = SecretRef(Scope("a" * 63, "b" * 63, "c" * 63), "n" * 128)
    with pytest.raises(InvalidArgument, match="storage name"):
        check_value(ref, SecretValue(b"x"), SecretType.GENERIC, SMALL)


GOOD = b'{"auths": {"r.example": {"auth": "dTpw"}}, "credHelpers": {}}'
BAD = [
    b"",
    b"secret-text",
    b"null",
    b"7",
    b"[]",
    b'["auths"]',
    b"{}",
    b'{"auths": null}',
    b'{"auths": []}',
    b'{"auths": {}}',
    b'{"auths": {"secret-text": {}}}',
    b'{"auths": {"r": "secret-text"}}',
    b'{"auths": {"r": {"auth": "x"}, "s": {}}}',
    b'{"auths": {"r": {"auth": "x"}}',
    b"\xff\xfe\xfd",
    b"[" * 100_000,
    b'{"auths":' * 100_000,
    # What Python's parser would take, and the API server doesn't.
    b'\xef\xbb\xbf{"auths": {"r": {"auth": "secret-text"}}}',
    '{"auths": {"r": {"auth": "secret-text"}}}'.encode("utf-16"),
    b'{"auths": {"r": {"auth": NaN}}}',
    b'{"auths": {"r": {"auth": "x"}}, "more": -Infinity}',
]


def test_a_docker_config_is_an_image_pull_secret() -> None:
    check(GOOD, SecretType.IMAGE_PULL, Capabilities(max_value=1000))


@pytest.mark.parametrize("value", BAD, ids=range(len(BAD)))
def test_anything_else_is_not_and_is_not_repeated(value: bytes) -> None:
    with pytest.raises(InvalidArgument, match="docker config") as caught:
        check(value, SecretType.IMAGE_PULL, Capabilities(max_value=10_000_000))
    error: BaseException | None = caught.value
    assert "secret-text" not in str(error)
    assert error is not None
    assert error.__context__ is None  # the parser's error holds the text


@pytest.mark.parametrize("value", [b"", b"x", "zürich 🗝".encode(), b"a\r\nb", b"$(X) $$", b"x" * 200_000])
def test_utf_8_without_nul_can_be_a_variable(value: bytes) -> None:
    assert env_objection(SecretValue(value)) is None


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"\x00", "NUL"),
        (b"abc\x00", "NUL"),
        (b"\xff\x00", "NUL"),
        (b"\xff", "UTF-8"),
        (b"\xed\xa0\x80", "UTF-8"),
        (b"\xc0\xaf", "UTF-8"),
        (b"ok\xe2\x82", "UTF-8"),
    ],
)
def test_what_cannot_be_a_variable_is_sent_to_a_file(value: bytes, why: str) -> None:
    objection = env_objection(SecretValue(value))
    assert objection is not None
    assert why in objection
    assert "file" in objection


def test_the_limit_of_a_variable_is_the_kernels() -> None:
    """execve(2), tried on this machine."""
    size = MAX_ENV_STRING - len("NAME=") - 1
    assert env_string_excess("NAME", size) == 0
    assert subprocess.run(["/bin/true"], env={"NAME": "x" * size}, check=False).returncode == 0
    assert env_string_excess("NAME", size + 1) == 1
    with pytest.raises(OSError, match=os.strerror(7)):
        subprocess.run(["/bin/true"], env={"NAME": "x" * (size + 1)}, check=False)


def test_every_refusal_is_one_of_ours() -> None:
    assert issubclass(TooLarge, SecretsError)
    assert TooLarge.code == "too_large"
