"""Names, ids of versions, labels: laws that hold for all of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_svc.backends.aws import names
from secrets_svc.backends.aws.notes import Note, is_ours, is_pending, pending
from secrets_svc.backends.aws.versions import CREATE, UPDATE, Operation, VersionId
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType

#: Characters that tags take in every service, and names of secrets do (API_TagResource, API_CreateSecret).
PLAIN = re.compile(r"[A-Za-z0-9/_+=.@-]*")
labels = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
maybe = st.none() | labels
scopes = st.builds(Scope, labels, maybe, maybe)
refs = st.builds(SecretRef, scopes, st.from_regex(r"[-a-zA-Z0-9_]{1,12}", fullmatch=True))
moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))


@given(st.text(), st.integers(20, 300))
def test_escaped_is_plain_and_comes_back(text: str, limit: int) -> None:
    made = names.escaped(text, limit)
    assert len(made) <= limit
    assert PLAIN.fullmatch(made)
    assert "+" not in made
    back = names.unescaped(made)
    assert back is not None
    whole = text.encode("utf-8", "replace").decode()
    assert back == whole or (back.endswith("…") and whole.startswith(back[:-1]))


@given(refs, scopes, st.booleans())
def test_names_begin_as_their_scope_does(ref: SecretRef, within: Scope, exact: bool) -> None:
    name = names.secret_name("p/", ref)
    assert name.startswith(names.every_name("p/"))
    if ref.scope == within if exact else within.covers(ref.scope):
        assert name.startswith(names.name_prefix("p/", within, exact=exact))


@given(refs, refs)
def test_tags_are_of_one_secret(one: SecretRef, other: SecretRef) -> None:
    assert names.are_of({**names.tags_of(one), "team": "x"}, one)
    assert names.are_of(names.tags_of(one), other) == (one == other)


@given(st.text(min_size=1, max_size=128), st.none() | st.text(max_size=50))
def test_ids_of_versions(operation_id: str, expected: str | None) -> None:
    """What AWS takes (32 to 64 characters), and never the caller's own words."""
    operation = Operation.of(operation_id, UPDATE, expected=expected)
    made = operation.version("b" * 10)
    assert 32 <= len(made) <= 64
    assert VersionId.parse(made) == VersionId(operation.id, UPDATE, operation.intent, "b" * 10)
    assert len(operation_id) < 16 or operation_id not in made


def test_intents_differ() -> None:
    made = {
        Operation.of("id", verb, type=type, expected=expected).version("b" * 10)
        for verb, type, expected in (
            (CREATE, "generic", None),
            (CREATE, "image-pull", None),
            (UPDATE, None, None),
            (UPDATE, None, ""),
            (UPDATE, None, "generic"),
            (UPDATE, "generic", None),
        )
    }
    assert len(made) == 6
    assert len({version[:26] for version in made}) == 1


@pytest.mark.parametrize(
    "version",
    ["", "AWSCURRENT", "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f", "a" * 50, "a" * 26 + "-x" + "a" * 22],
)
def test_ids_of_others(version: str) -> None:
    assert VersionId.parse(version) is None


@pytest.mark.parametrize("operation_id", ["", "x" * 129])
def test_operation_ids_have_1_to_128_characters(operation_id: str) -> None:
    with pytest.raises(InvalidArgument):
        Operation.of(operation_id, UPDATE)


@given(
    st.sampled_from("cudr"),
    st.text(max_size=128),
    moments,
    st.none() | st.sampled_from(SecretType),
    st.none() | st.integers(0, 65_536),
)
def test_notes_come_back(
    verb: str, actor: str, at: datetime, type: SecretType | None, size: int | None
) -> None:
    operation = Operation.of("id", verb)
    note = Note.now(operation, actor, at=at, type=type, size=size)
    label = note.label()
    assert 1 <= len(label) <= 256
    assert PLAIN.fullmatch(label)
    assert Note.parse(label) == note
    assert is_ours(label)
    assert not is_pending(label)
    if size is not None:
        assert Note.of_tags(note.tags(), verb, operation.id, operation.intent) == note
        assert all(len(text) <= 255 and PLAIN.fullmatch(text) for text in note.tags().values())


@given(st.text())
def test_any_label_can_be_met(label: str) -> None:
    Note.parse(label)
    assert Note.parse(f"secrets-svc+u+{label}") is None or label.count("+") == 5


def test_pending() -> None:
    label = pending("a" * 26)
    assert is_pending(label)
    assert is_ours(label)
    assert Note.parse(label) is None
    assert len(label) <= 256
    assert not is_ours("AWSCURRENT")
    assert not is_ours("secrets-svc")
