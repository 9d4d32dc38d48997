"""What rests in the engine, and what others put there."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from bao import Bao

from secrets_svc.backends.vault.kv import Kv
from secrets_svc.backends.vault.paths import BUCKET
from secrets_svc.core.errors import AlreadyExists, Conflict, NotFound, Spoilt, TooLarge, Unavailable
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue

PATH = "flyte/production/shop/db-password"


def test_one_document_of_a_known_form(bao: Bao, store: Any, ref: SecretRef) -> None:
    store.create(ref, "s\u00fc\u00df".encode())
    found = bao.call("GET", f"secret/data/{store.prefix}/{PATH}")["data"]["data"]
    assert found["value"] == "s\u00fc\u00df"
    assert {name.partition("=")[0] for name in found["meta"]} == {
        *("form", "type", "size", "created_by", "updated_by", "op", "first")
    }
    assert set(found["meta"].values()) == {None}


@pytest.mark.parametrize("value", [b"\xff\x00", b"\x01" * 1000, b""])
def test_exact_bytes_in_whichever_form_is_shorter(bao: Bao, store: Any, ref: SecretRef, value: bytes) -> None:
    store.create(ref, value)
    found = bao.call("GET", f"secret/data/{store.prefix}/{PATH}")["data"]["data"]
    assert ("value" in found) is (value == b"")
    assert store.get(ref) == value


def test_the_largest_value_fits_and_one_byte_more_does_not(store: Any, ref: SecretRef) -> None:
    limit = store.backend.capabilities.max_value
    for value in (b"\xff" * limit, b"\x01" * limit):
        store.create(ref, value)
        assert store.get(ref) == value
        store.delete(ref)
    with pytest.raises(TooLarge, match=str(limit)):
        store.create(ref, b"x" * (limit + 1))


@pytest.mark.parametrize(
    "document",
    [{"password": "x"}, {"value": "x"}, {"value": "x", "meta": {"form=2": None}}, {"meta": "form=1"}],
)
def test_what_somebody_else_made_is_left_alone(
    bao: Bao, store: Any, ref: SecretRef, document: dict[str, Any]
) -> None:
    path = f"secret/data/{store.prefix}/{PATH}"
    bao.call("POST", path, {"data": document})
    with pytest.raises(Conflict, match="no secret of this service"):
        store.create(ref)
    for call in (
        lambda: store.update(ref, b"x"),
        lambda: store.delete(ref),
        lambda: store.writer.describe(ref),
        lambda: store.reader.read(ref, "1-x"),
    ):
        with pytest.raises(NotFound):
            call()
    assert store.reader.resolve([ref]) == {}
    assert store.writer.list(Scope("flyte")).items == ()
    assert bao.call("GET", path)["data"]["data"] == document


def test_after_it_was_removed_there_the_name_is_free(bao: Bao, store: Any, ref: SecretRef) -> None:
    path = f"secret/data/{store.prefix}/{PATH}"
    bao.call("POST", path, {"data": {"password": "x"}})
    bao.call("DELETE", path)
    store.create(ref, b"ours")
    assert store.get(ref) == b"ours"


@pytest.mark.parametrize(
    "change",
    [
        {"value": None},
        {"value_base64": "!"},
        {"value_base64": "eA=="},
        {"meta": {"type=generic": "nonsense"}},
        {"meta": {"size": "many"}},
    ],
)
def test_what_somebody_spoilt_is_told_as_that(
    bao: Bao, store: Any, ref: SecretRef, change: dict[str, Any]
) -> None:
    store.create(ref)
    path = f"secret/data/{store.prefix}/{PATH}"
    document = bao.call("GET", path)["data"]["data"]
    for name, value in change.items():
        if name == "meta":
            [(field, _)] = value.items()
            document["meta"] = {key: None for key in document["meta"] if not key.startswith(field[:4])}
        elif value is None:
            del document[name]
        else:
            document[name] = value
    bao.call("POST", path, {"data": document})
    with pytest.raises(Spoilt) as told:
        store.get(ref)
    assert "changed outside this service" in told.value.message
    with pytest.raises(AlreadyExists):
        store.create(ref)
    store.delete(ref)
    store.create(ref, b"again")
    assert store.get(ref) == b"again"


def test_an_edit_by_others_counts(bao: Bao, store: Any, ref: SecretRef) -> None:
    token = store.create(ref).version
    path = f"secret/data/{store.prefix}/{PATH}"
    document = bao.call("GET", path)["data"]["data"]
    bao.call("POST", path, {"data": {**document, "value": "edited"}})
    assert store.get(ref) == b"edited"
    assert store.writer.describe(ref).version != token


def test_deleted_there_is_gone_here(bao: Bao, store: Any, ref: SecretRef) -> None:
    store.create(ref)
    bao.call("DELETE", f"secret/data/{store.prefix}/{PATH}")
    with pytest.raises(NotFound):
        store.writer.describe(ref)
    assert store.reader.resolve([ref]) == {}
    store.create(ref, b"new")
    assert store.get(ref) == b"new"


def test_a_deleted_secret_can_be_brought_back_there(bao: Bao, store: Any, ref: SecretRef) -> None:
    store.create(ref, b"precious")
    store.delete(ref)
    bao.call("POST", f"secret/undelete/{store.prefix}/{PATH}", {"versions": [1]})
    found = bao.call("GET", f"secret/data/{store.prefix}/{PATH}?version=1")["data"]["data"]
    assert found["value"] == "precious"


def test_history_is_of_what_is_there_now(store: Any, ref: SecretRef) -> None:
    store.create(ref, b"an earlier life")
    store.delete(ref)
    first = store.create(ref, b"1")
    second = store.update(ref, b"two")
    newest, oldest = store.writer.history(ref)
    assert (newest.version, newest.created_by, newest.current, newest.size) == (
        second.version,
        "bob",
        True,
        3,
    )
    assert (oldest.version, oldest.created_by, oldest.current, oldest.size) == (
        first.version,
        "ann",
        False,
        1,
    )
    assert store.reader.read_version(ref, first.version).value.reveal_bytes() == b"1"
    assert store.reader.resolve_version(ref, second.version).token == second.version
    assert store.writer.history(ref, limit=1) == (newest,)


def test_a_version_of_an_earlier_life_or_none_is_not_found(bao: Bao, store: Any, ref: SecretRef) -> None:
    early = store.create(ref, b"an earlier life").version
    store.delete(ref)
    first = store.create(ref, b"1").version
    store.update(ref, b"2")
    number = first.partition("-")[0]
    for version in (early, "", "x", "0-", "99-2026", f"{number}-2026-01-01T00:00:00Z"):
        with pytest.raises(NotFound, match="no such version"):
            store.reader.resolve_version(ref, version)
    bao.call("PUT", f"secret/destroy/{store.prefix}/{PATH}", {"versions": [int(number)]})
    with pytest.raises(NotFound, match="no longer kept"):
        store.reader.read_version(ref, first)
    assert [each.readable for each in store.writer.history(ref)] == [True, False]


def test_a_purge_leaves_nothing(bao: Bao, store: Any, ref: SecretRef) -> None:
    for purge_twice in (False, True):
        store.create(ref)
        if purge_twice:
            store.delete(ref)
        store.writer.purge(ref, actor="ann", operation_id=f"purge-{purge_twice}")
        versions = bao.call("GET", f"secret/metadata/{store.prefix}/{PATH}")["data"]["versions"]
        assert [each["destroyed"] for each in versions.values()] == [True] * len(versions)
        assert store.reader.resolve([ref]) == {}
        assert store.writer.list(ref.scope).items == ()
    with pytest.raises(NotFound):
        store.writer.purge(ref, actor="ann", operation_id="another")


def test_what_is_created_while_a_purge_ends_stays(
    store: Any, ref: SecretRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.create(ref, b"old")
    destroy = Kv.destroy_versions

    def late(kv: Kv, path: str, numbers: list[int]) -> None:
        monkeypatch.setattr(Kv, "destroy_versions", destroy)
        store.create(ref, b"new")
        destroy(kv, path, numbers)

    monkeypatch.setattr(Kv, "destroy_versions", late)
    store.writer.purge(ref, actor="ann", operation_id="purge")
    assert store.get(ref) == b"new"
    assert [each.readable for each in store.writer.history(ref)] == [True]


@pytest.mark.parametrize("deleted_before", [False, True])
def test_a_purge_that_comes_again_is_about_what_it_was_about(
    store: Any, ref: SecretRef, *, deleted_before: bool
) -> None:
    store.create(ref, b"old")
    if deleted_before:
        store.delete(ref)
    store.writer.purge(ref, actor="ann", operation_id="purge")
    store.create(ref, b"new")
    store.writer.purge(ref, actor="ann", operation_id="purge")
    assert store.get(ref) == b"new"


def test_a_purge_that_died_half_way_is_finished(
    bao: Bao, open_store: Any, ref: SecretRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    store.create(ref, b"old")

    def dies(*_: Any) -> None:
        raise Unavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(Kv, "destroy_versions", dies)
        with pytest.raises(Unavailable):
            store.writer.purge(ref, actor="ann", operation_id="purge")
    again = open_store(prefix=store.prefix)
    again.writer.purge(ref, actor="ann", operation_id="purge")
    versions = bao.call("GET", f"secret/metadata/{store.prefix}/{PATH}")["data"]["versions"]
    assert all(each["destroyed"] for each in versions.values())


def test_names_that_differ_by_case_and_names_that_begin_alike(store: Any) -> None:
    scope = Scope("flyte", "production", "shop")
    refs = [SecretRef(scope, name) for name in ("a", "A", "ab", "a-b", "_", "__")]
    refs += [SecretRef(Scope("flyte", "production"), "a"), SecretRef(Scope("flyte", project="shop"), "a")]
    for number, ref in enumerate(refs):
        store.create(ref, b"%d" % number)
    for number, ref in enumerate(refs):
        assert store.get(ref) == b"%d" % number
    assert {item.ref for item in store.writer.list(Scope("flyte")).items} == set(refs)


def test_operations_that_are_old_are_removed(bao: Bao, store: Any, ref: SecretRef) -> None:
    old = f"secret/data/{store.prefix}/_operations/1/{'0' * 64}"
    bao.call("POST", old, {"data": {"meta": {"is=x": None}}})
    store.create(ref)
    assert bao.answer("GET", old.replace("/data/", "/metadata/"))[0] == 404
    kept = bao.call("LIST", f"secret/metadata/{store.prefix}/_operations/")["data"]["keys"]
    assert len(kept) == 1


@pytest.mark.parametrize(("first", "then"), [(-600, 600), (600, -600)], ids=["slow first", "fast first"])
def test_a_repeat_is_found_by_a_writer_whose_clock_is_far_from_the_first_one_s(
    open_store: Callable[..., Any], ref: SecretRef, first: int, then: int
) -> None:
    """Also where a folder of operations ends between the two."""
    one = open_store()
    other = open_store(prefix=one.prefix)
    end = (int(time.time()) // BUCKET + 1) * BUCKET
    made = []
    for store, off in ((one, first), (other, then)):
        store.writer._operations._clock = lambda off=off: float(end + off)
        made.append(
            store.writer.create(
                ref, SecretValue(b"x"), SecretType.GENERIC, actor="ann", operation_id="the same"
            )
        )
    assert made[0] == made[1]


def test_a_write_whose_record_was_not_completed_is_told_once_it_was_replaced(
    bao: Bao, store: Any, ref: SecretRef, open_store: Callable[..., Any]
) -> None:
    """As if the writer had died between the secret and its record."""
    writer = store.writer
    writer._operations.finish = lambda *_: None
    made = writer.create(ref, SecretValue(b"1"), SecretType.GENERIC, actor="ann", operation_id="one")
    other = open_store(prefix=store.prefix)
    other.update(ref, b"2")
    again = other.writer.create(ref, SecretValue(b"1"), SecretType.GENERIC, actor="ann", operation_id="one")
    assert again == made
    assert other.get(ref) == b"2"


def test_a_delete_that_died_half_way_is_finished_by_its_repeat(store: Any, ref: SecretRef) -> None:
    store.create(ref)
    writer = store.writer
    clear = writer._clear_away

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    writer._clear_away = die
    with pytest.raises(KeyboardInterrupt):
        writer.delete(ref, actor="ann", operation_id="gone")
    with pytest.raises(NotFound):
        writer.describe(ref)
    assert store.reader.resolve([ref]) == {}
    writer._clear_away = clear
    writer.delete(ref, actor="ann", operation_id="gone")
    store.create(ref, b"new")
    writer.delete(ref, actor="ann", operation_id="gone")
    assert store.get(ref) == b"new"
