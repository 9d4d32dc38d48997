"""What is kept of before: which versions, how it is noted, and the one patch that does it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_svc.backends.kubernetes import names
from secrets_svc.backends.kubernetes.marks import Mark
from secrets_svc.backends.kubernetes.objects import Held
from secrets_svc.backends.kubernetes.patches import replacement, rollback
from secrets_svc.backends.kubernetes.versions import (
    KEPT,
    MAX_SIZE,
    Note,
    fitting,
    is_key,
    key_of,
    parse,
    text_of,
)
from secrets_svc.core.naming import storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

REF = SecretRef(Scope("flyte", "production", "shop"), "db-password")
NAME = storage_name(REF)
AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
MARK = Mark("0" * 64, "update", NAME, "key", "ff", 1)
VALUE = SecretValue(b"new")

SIZES = st.none() | st.integers(0, MAX_SIZE)
NOTES = st.lists(
    st.builds(
        Note,
        version=st.text("0123456789abcdef.-", max_size=60),
        at=st.datetimes(timezones=st.just(UTC)),
        by=st.sampled_from(["alice", "żaneta", 'a "b"', ""]),
        size=SIZES,
    ),
    max_size=8,
    unique_by=lambda note: note.version,
)


def held(*versions: str, current: str = "current", size: int | None = 3, **more: Any) -> Held:
    """A secret with those earlier versions, newest first, of three bytes each."""
    notes = tuple(Note(version, AT, "alice", 3) for version in versions)
    metadata = SecretMetadata(REF, SecretType.GENERIC, current, AT, AT, "alice", "bob", size)
    annotations = {names.NAME, names.SIZE, names.VERSIONS}
    made = Held(
        metadata,
        uid="uid",
        resource_version="7",
        mark=None,
        terminating=False,
        earlier=notes,
        keys=frozenset(note.key for note in notes),
        annotations=frozenset(annotations),
    )
    return replace(made, **more)


def draft(size: int | None = 3) -> SecretMetadata:
    return SecretMetadata(REF, SecretType.GENERIC, "current", AT, AT, "alice", "carol", size)


def applied(patch: list[dict[str, Any]], before: Held, data: dict[str, str]) -> dict[str, Any]:
    """The object afterwards, by somebody else's reading of RFC 6902."""
    metadata: dict[str, Any] = {"resourceVersion": "7", "labels": {names.MANAGED: "true"}}
    if before.annotations:
        metadata["annotations"] = dict.fromkeys(before.annotations, "old")
    found: dict[str, Any] = jsonpatch.apply_patch({"metadata": metadata, "data": data}, patch)
    return found


def data_of(before: Held) -> dict[str, str]:
    return {NAME: "current"} | {note.key: note.version for note in before.earlier}


@given(NOTES)
def test_notes_come_back_as_they_were(notes: list[Note]) -> None:
    assert parse(text_of(notes)) == (tuple(notes) if len(notes) < KEPT else None)
    assert text_of(notes).isascii()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "{}",
        "7",
        "[" * 100_000,
        "[[]]",
        "[{}]",
        '["abcd"]',
        '[["v","2026-01-02T03:04:05","alice",1]]',
        '[["v","2026-01-02T03:04:05Z","alice",-1]]',
        '[["v","2026-01-02T03:04:05Z","alice",true]]',
        '[["v","2026-01-02T03:04:05Z","alice",1048577]]',
        '[["v","2026-01-02T03:04:05Z",5,1]]',
        '[["v","2026-01-02T03:04:05Z","a\\nb",1]]',
        '[["ü","2026-01-02T03:04:05Z","alice",1]]',
        '[["v","2026-01-02T03:04:05Z","alice",1],["v","2026-01-02T03:04:05Z","alice",1]]',
    ],
    ids=lambda text: text[:50],
)
def test_notes_that_make_no_sense(text: str) -> None:
    assert parse(text) is None


@given(NOTES, SIZES)
def test_what_fits_is_the_newest(notes: list[Note], beside: int | None) -> None:
    """As many as there is room for, and no more than are kept."""
    kept = fitting(notes, beside=beside)
    assert kept == tuple(notes[: len(kept)])
    assert len(kept) < KEPT
    sizes = [note.size or 0 for note in notes]
    assert sum(sizes[: len(kept)]) + (beside or 0) <= MAX_SIZE or not kept
    if len(kept) < min(len(notes), KEPT - 1):
        assert sum(sizes[: len(kept) + 1]) + (beside or 0) > MAX_SIZE


@given(st.text())
def test_a_data_key_is_one_that_the_api_server_takes(version: str) -> None:
    """And never the secret's own."""
    assert is_key(key_of(version))
    assert not is_key(NAME)
    assert len(key_of(version)) == 42


def test_a_replacement_keeps_what_it_replaces() -> None:
    before = held("v3", "v2", "v1", "v0")
    keeping, _ = replacement(NAME, before, draft(), VALUE, MARK)
    assert keeping[0] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
    after = applied(keeping, before, data_of(before))
    assert after["data"] == {
        NAME: "bmV3",
        key_of("current"): "current",
        **{key_of(version): version for version in ("v3", "v2", "v1")},
    }
    said = after["metadata"]["annotations"]
    assert [row[0] for row in json.loads(said[names.VERSIONS])] == ["current", "v3", "v2", "v1"]
    assert (said[names.UPDATED_BY], said[names.OPERATION]) == ("carol", MARK.text())
    assert after["metadata"]["labels"] == names.labels_of(REF.scope)


@pytest.mark.parametrize("there", [{}, {key_of("stray"): "x"}], ids=["told of", "not told of"])
def test_one_version_leaves_the_value_alone(there: dict[str, str]) -> None:
    """Whatever is beside it, and in one try: nothing in it can fail."""
    before = held("v1")
    [only] = replacement(NAME, before, draft(), VALUE, MARK, versions=1)
    after = applied(only, before, data_of(before) | there)
    assert after["data"] == {NAME: "bmV3"}
    assert after["metadata"]["annotations"][names.VERSIONS] == "[]"


@pytest.mark.parametrize("versions", [2, 3, KEPT])
def test_as_many_are_kept_as_there_are_to_be(versions: int) -> None:
    before = held("v3", "v2", "v1", "v0")
    for patches in (
        replacement(NAME, before, draft(), VALUE, MARK, versions=versions),
        rollback(NAME, before, draft(), before.earlier[0], MARK, versions=versions),
    ):
        after = applied(patches[0], before, data_of(before))
        assert len(after["data"]) == versions
        assert len(json.loads(after["metadata"]["annotations"][names.VERSIONS])) == versions - 1


def test_where_nothing_can_be_kept_the_value_is_alone() -> None:
    before = held("v1")
    _, bare = replacement(NAME, before, draft(), VALUE, MARK)
    after = applied(bare, before, {"whatever": "x"})
    assert after["data"] == {NAME: "bmV3"}
    assert after["metadata"]["annotations"][names.VERSIONS] == "[]"
    assert not [each for each in bare if each["op"] in ("move", "copy")]


def test_a_rollback_has_no_value_in_it() -> None:
    before = held("v2", "v1")
    for patch in rollback(NAME, before, draft(), before.earlier[1], MARK):
        after = applied(patch, before, data_of(before))
        assert after["data"][NAME] == "v1"
        assert all(
            each["value"] == ""
            for each in patch
            if each.get("path", "").startswith("/data") and "value" in each
        )
    keeping, bare = rollback(NAME, before, draft(), before.earlier[1], MARK)
    assert applied(keeping, before, data_of(before))["data"] == {
        NAME: "v1",
        **{key_of(version): version for version in ("current", "v2", "v1")},
    }
    assert applied(bare, before, data_of(before))["data"] == {NAME: "v1"}


def test_a_rollback_to_what_falls_off() -> None:
    before = held("v3", "v2", "v1", "v0")
    keeping, _ = rollback(NAME, before, draft(), before.earlier[-1], MARK)
    after = applied(keeping, before, data_of(before))["data"]
    assert after[NAME] == "v0"
    assert set(after) == {NAME, *(key_of(version) for version in ("current", "v3", "v2", "v1"))}


@pytest.mark.parametrize("there", [True, False], ids=["there", "gone"])
def test_a_key_that_nothing_tells_of_goes(there: bool) -> None:
    """Whether it is there or not."""
    before = held("v1", keys=frozenset({key_of("v1"), key_of("stray")}))
    data = data_of(before) | ({key_of("stray"): "x"} if there else {})
    keeping, _ = replacement(NAME, before, draft(), VALUE, MARK)
    assert set(applied(keeping, before, data)["data"]) == {NAME, key_of("current"), key_of("v1")}


def test_nothing_is_moved_that_does_not_fit() -> None:
    before = held("v1", size=MAX_SIZE)
    keeping, _ = replacement(NAME, before, draft(), VALUE, MARK)
    assert applied(keeping, before, data_of(before))["data"] == {NAME: "bmV3"}


@pytest.mark.parametrize("annotations", [set(), {names.APPLIED}, {names.SIZE, names.APPLIED, "x~/y"}])
def test_annotations_of_any_kind(annotations: set[str]) -> None:
    """None at all, kubectl's copy of the value before, a size that is no longer known."""
    before = held("v1", annotations=frozenset(annotations))
    keeping, _ = rollback(NAME, before, draft(size=None), before.earlier[0], MARK)
    said = applied(keeping, before, data_of(before))["metadata"]["annotations"]
    assert names.VERSIONS in said
    assert not {names.APPLIED, names.SIZE} & set(said)
    assert ("x~/y" in said) is ("x~/y" in annotations)
