"""Values by name: where they are looked for, and what never shows them."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import traceback
from pathlib import Path

import pytest

from secrets_svc.task import (
    InvalidRequest,
    Secret,
    SecretsMissing,
    SecretUnreadable,
    requires_secrets,
    secrets,
)
from secrets_svc.task.reading import MaskedBytes, MaskedText

CANARY = "cänary $$ $(X)\n"


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of this process' files."""
    monkeypatch.setenv("SECRET_FILES", str(tmp_path))
    monkeypatch.delenv("SECRET_LOCAL_STATE", raising=False)
    monkeypatch.setenv("DB_PASSWORD", CANARY)
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "key.pem").write_bytes(b"\x00\xffcanary")
    return tmp_path


def test_a_name_alone_is_looked_for_where_it_would_be_by_itself() -> None:
    assert secrets.get("db-password") == CANARY
    assert secrets.get_bytes("db-password") == CANARY.encode()


def test_a_secret_says_its_place(files: Path) -> None:
    key = Secret("key", file="tls/key.pem")
    assert secrets.get_bytes(key) == b"\x00\xffcanary"
    assert secrets.path(key) == f"{files}/tls/key.pem"


def test_the_running_function_says_the_place(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTER", "outer")
    monkeypatch.setenv("INNER", "inner")

    @requires_secrets(Secret("key", file="tls/key.pem"), Secret("db", env="OUTER"))
    def outer() -> list[object]:
        return [secrets.get("db"), inner(), secrets.get("db")]

    @requires_secrets(Secret("db", env="INNER"))
    def inner() -> tuple[str, bytes, str]:
        return secrets.get("db"), secrets.get_bytes("key"), secrets.path("key")

    path = f"{files}/tls/key.pem"
    assert outer() == ["outer", ("inner", b"\x00\xffcanary", path), "outer"]


def test_one_name_for_two_values_has_to_be_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    user, password = Secret("db", env="DB_USER", field="user"), Secret("db", env="DB_PW", field="password")
    monkeypatch.setenv("DB_USER", "u")
    monkeypatch.setenv("DB_PW", "p")

    @requires_secrets(user, password)
    def task() -> tuple[str, str]:
        with pytest.raises(InvalidRequest, match="several versions or fields"):
            secrets.get("db")
        return secrets.get(user), secrets.get(password)

    assert task() == ("u", "p")


def test_what_is_absent_is_told_or_has_a_default() -> None:
    assert secrets.get("absent", None) is None
    assert secrets.get("absent", "else") == "else"
    assert secrets.get_bytes("absent", b"else") == b"else"
    with pytest.raises(SecretsMissing, match="this task needs a secret that is not here") as caught:
        secrets.get(Secret("absent", optional=True))
    assert caught.value.names == ("absent",)
    with pytest.raises(SecretsMissing):
        secrets.get_bytes("absent")
    with pytest.raises(SecretsMissing):
        secrets.path(Secret("absent", file="tls/key.pem/below"))


def test_a_path_is_only_of_what_was_asked_for_as_a_file() -> None:
    with pytest.raises(InvalidRequest, match="not asked for as a file"):
        secrets.path("db-password")


def test_names_are_checked() -> None:
    with pytest.raises(InvalidRequest, match="secret name"):
        secrets.get("../etc/passwd")
    with pytest.raises(InvalidRequest, match="by its name or by a Secret"):
        secrets.get(7)  # type: ignore[arg-type]  # wrong on purpose


def test_bytes_of_a_variable_come_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "RAW", os.fsdecode(b"\xff\xfe"))
    assert secrets.get_bytes("raw") == b"\xff\xfe"
    with pytest.raises(SecretUnreadable, match="no text in UTF-8"):
        secrets.get("raw")


def test_a_folder_where_a_file_should_be_is_told(files: Path) -> None:
    with pytest.raises(SecretUnreadable, match="can't be read: Is a directory") as caught:
        secrets.get(Secret("tls", file="tls"))
    assert caught.value.code == "unavailable"


@pytest.mark.parametrize("value", [MaskedText(CANARY * 40), MaskedBytes(b"canary" * 40)])
def test_pieces_of_values_do_not_show_either(value: MaskedText | MaskedBytes) -> None:
    for piece in (value[:80], value[::2], value[80:]):
        assert type(piece) is type(value)
        assert repr(piece) == f"{type(value).__name__}(***)"
    assert value[:] == value
    assert MaskedBytes(b"c")[0] == ord("c")


def test_a_traceback_with_variables_that_cuts_long_ones_does_not_show_them() -> None:
    from rich.console import Console
    from rich.pretty import pretty_repr
    from rich.traceback import Traceback

    def fail(text: str, data: bytes) -> None:
        raise ValueError

    text, data = MaskedText("canary" * 40), MaskedBytes(b"canary" * 40)
    try:
        fail(text, data)
    except ValueError as error:
        kind, trace = type(error), error.__traceback__
        shown = Traceback.from_exception(kind, error, trace, show_locals=True)
    console = Console(file=io.StringIO(), width=100)
    console.print(shown)
    assert isinstance(console.file, io.StringIO)
    for written in (console.file.getvalue(), pretty_repr([text, data], max_string=10)):
        assert "MaskedText(***)" in written
        assert "canary" not in written.replace('"canary"', "").replace('b"canary"', "")


def test_values_show_only_when_they_are_used() -> None:
    text, data = secrets.get("db-password"), secrets.get_bytes("db-password")
    for shown in (
        repr(text),
        repr([text]),
        f"{text!r}",
        repr(data),
        str(data),
        repr({"a": data}),
    ):
        assert "nary" not in shown
        assert "***" in shown
    assert f"{text}" == str(text) == CANARY
    assert type(str(text)) is str
    assert json.dumps(text) == json.dumps(CANARY)
    assert (isinstance(text, str), isinstance(data, bytes), hash(text)) == (True, True, hash(CANARY))
    assert copy.deepcopy({"a": text})["a"] is copy.copy(text) is text
    for value in (text, data):
        with pytest.raises(TypeError, match="isn't pickled"):
            pickle.dumps(value)


def test_no_error_holds_a_value(files: Path) -> None:
    def fail() -> None:
        secrets.get(Secret("key", file="tls/key.pem"))

    with pytest.raises(SecretUnreadable) as caught:
        fail()
    error: BaseException | None = caught.value
    told = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "canary" not in told
    while error is not None:  # also not what a reporter would find behind it
        assert "canary" not in repr(vars(error)) + repr(error.args)
        error = error.__cause__ or error.__context__


def test_what_images_are_pulled_with_is_no_processes() -> None:
    with pytest.raises(InvalidRequest, match="no process gets it"):
        secrets.get(Secret("registry", image_pull=True))

    @requires_secrets(Secret("registry", image_pull=True), "db-password")
    def task() -> str:
        with pytest.raises(SecretsMissing):  # where the name alone would be there is nothing either
            secrets.get("registry")
        return secrets.get("db-password")

    assert task() == CANARY  # nor is its absence here the task's business
