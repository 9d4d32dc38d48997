"""Earlier versions in a secret's own object: their form, their limits, and what others do to them."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes_store import FLYTE_LABELS, Store, create, encoded, read, rollback, some_ref, update

from secrets_svc.backends.kubernetes import BACKEND
from secrets_svc.backends.kubernetes.namespace import Namespace
from secrets_svc.backends.kubernetes.versions import KEPT, MAX_SIZE
from secrets_svc.backends.kubernetes.writer import KubernetesWriter
from secrets_svc.core.abilities import VersionInfo
from secrets_svc.core.errors import Conflict, NotFound, Unsupported
from secrets_svc.core.naming import MAX_STORAGE_NAME, storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef
from secrets_svc.kube.api import ApiServer, Object, connect

VERSIONS = "secrets-svc.internal/versions"
FORGOTTEN = {"metadata": {"managedFields": [{}]}}


def written(store: Store, ref: SecretRef, count: int) -> list[str]:
    writer = store.writer()
    return [create(writer, ref, b"value 0").version] + [
        update(writer, ref, b"value %d" % number).version for number in range(1, count)
    ]


def history(store: Store, ref: SecretRef) -> tuple[VersionInfo, ...]:
    found: tuple[VersionInfo, ...] = store.writer().history(ref)  # type: ignore[attr-defined]
    return found


def pinned(store: Store, ref: SecretRef, version: str) -> bytes:
    reader: Any = store.reader()
    data: bytes = reader.read_version(ref, version).value.reveal_bytes()
    assert reader.resolve_version(ref, version).size in (None, len(data))
    return data


def told(store: Store, ref: SecretRef) -> dict[str, bytes]:
    """Values of all that the history tells of."""
    return {each.version: pinned(store, ref, each.version) for each in history(store, ref)}


def other_keys(store: Store, ref: SecretRef) -> set[str]:
    return set(store.object(ref)["data"]) - {storage_name(ref)}


class TestForm:
    def test_values_are_data_keys_and_notes_an_annotation(self, store: Store) -> None:
        """Flyte's webhook finds the current value where it always was; no annotation holds any."""
        ref = some_ref()
        tokens = written(store, ref, KEPT + 3)
        found = store.object(ref)
        values = {base64.b64decode(text) for text in found["data"].values()}
        assert values == {b"value %d" % number for number in range(3, KEPT + 3)}
        assert found["data"][storage_name(ref)] == encoded({"x": b"value 7"})["x"]
        assert len(found["data"]) == KEPT == 5
        metadata = json.dumps(found["metadata"])
        assert not [each for each in found["data"].values() if each in metadata]
        assert [note[0] for note in json.loads(found["metadata"]["annotations"][VERSIONS])] == tokens[-2:2:-1]

    def test_with_the_longest_storage_name(self, store: Store) -> None:
        """There is no room for anything more in a data key."""
        scope = Scope("o" * 40, "d" * 40, "p" * 40)
        rest = MAX_STORAGE_NAME - len(storage_name(SecretRef(scope, "n")))
        ref = SecretRef(scope, "n" * (rest + 1))
        assert len(storage_name(ref)) == MAX_STORAGE_NAME
        tokens = written(store, ref, 2)
        rollback(store.writer(), ref, tokens[0])
        assert read(store.reader(), ref) == b"value 0"

    def test_a_note_is_bounded(self, store: Store) -> None:
        """However an actor is called; the secret's own annotation has it whole."""
        ref, writer = some_ref(), store.writer()
        create(writer, ref)
        update(writer, ref, b"x", actor="a" * 10_000)
        assert writer.describe(ref).updated_by == "a" * 10_000
        update(writer, ref, b"y")
        assert [each.created_by for each in history(store, ref)] == ["tester", "a" * 256, "tester"]

    def test_a_rollback_is_a_new_version(self, store: Store) -> None:
        """Its value is there twice, as what it was and as what it is."""
        ref = some_ref()
        first, second = written(store, ref, 2)
        done = rollback(store.writer(), ref, first)
        assert (done.size, done.updated_by, done.created_by) == (7, "bob", "tester")
        assert [(each.version, each.created_by) for each in history(store, ref)] == [
            (done.version, "bob"),
            (second, "tester"),
            (first, "tester"),
        ]
        assert told(store, ref) == {done.version: b"value 0", second: b"value 1", first: b"value 0"}

    def test_to_the_oldest_one(self, store: Store) -> None:
        """It falls off the end, and is current."""
        ref = some_ref()
        tokens = written(store, ref, KEPT)
        done = rollback(store.writer(), ref, tokens[0])
        assert [each.version for each in history(store, ref)] == [done.version, *tokens[:0:-1]]
        assert told(store, ref)[done.version] == b"value 0"
        assert len(other_keys(store, ref)) == KEPT - 1

    def test_to_the_current_one_changes_nothing(self, store: Store) -> None:
        ref = some_ref()
        current = written(store, ref, 2)[-1]
        before = store.object(ref)
        assert rollback(store.writer(), ref, current) == store.writer().describe(ref)
        assert store.object(ref) == before


class TestRoom:
    def test_the_oldest_go_where_all_would_not_fit(self, store: Store) -> None:
        ref, writer = some_ref(), store.writer()
        create(writer, ref, b"0" * 300_000)
        tokens = [update(writer, ref, b"%d" % number * 300_000).version for number in range(1, 5)]
        assert {token: len(data) for token, data in told(store, ref).items()} == dict.fromkeys(
            tokens[1:], 300_000
        )
        assert len(other_keys(store, ref)) == 2
        done = rollback(writer, ref, tokens[1])
        assert read(store.reader(), ref) == b"2" * 300_000
        assert [each.version for each in history(store, ref)] == [done.version, tokens[3], tokens[2]]

    def test_a_value_that_fills_it_is_kept_beside_nothing(self, store: Store) -> None:
        """And is itself kept beside a small one no more."""
        ref, writer = some_ref(), store.writer()
        small = create(writer, ref, b"small").version
        full = update(writer, ref, b"f" * MAX_SIZE).version
        assert [each.version for each in history(store, ref)] == [full]
        with pytest.raises(NotFound):
            rollback(writer, ref, small)
        last = update(writer, ref, b"s").version
        assert [each.version for each in history(store, ref)] == [last]
        assert other_keys(store, ref) == set()

    def test_exactly_as_much_as_there_is_room_for(self, store: Store) -> None:
        ref, writer = some_ref(), store.writer()
        first = create(writer, ref, b"a" * 600_000).version
        second = update(writer, ref, b"b" * (MAX_SIZE - 600_000)).version
        assert set(told(store, ref)) == {first, second}
        third = update(writer, ref, b"b" * (MAX_SIZE - 600_000 + 1)).version
        assert set(told(store, ref)) == {second, third}

    def test_what_nobody_knows_the_size_of(self, store: Store) -> None:
        """It is tried; if it doesn't fit, the new value counts more than the old ones."""
        ref, writer = some_ref(), store.writer()
        create(writer, ref, b"ours")
        store.patch(ref, {"data": encoded({storage_name(ref): b"x" * 700_000})})
        fitting = update(writer, ref, b"y" * 300_000).version
        assert sorted(map(len, told(store, ref).values())) == [300_000, 700_000]
        last = update(writer, ref, b"z" * 900_000).version
        assert fitting not in told(store, ref)
        assert [each.version for each in history(store, ref)] == [last]
        assert (read(store.reader(), ref), other_keys(store, ref)) == (b"z" * 900_000, set())
        store.patch(ref, {"data": encoded({storage_name(ref): b"x" * 900_000})})
        last = update(writer, ref, b"z" * 900_000 + b"!").version
        assert told(store, ref) == {last: b"z" * 900_000 + b"!"}


class TestByDefault:
    """The current version alone: nothing of an earlier value stays anywhere."""

    @pytest.fixture
    def writer(self, store: Store) -> KubernetesWriter:
        made = store.writer(versions=BACKEND.settings_model().versions)
        assert isinstance(made, KubernetesWriter)
        return made

    def test_there_are_as_many_as_the_backend_declares(self, store: Store, writer: KubernetesWriter) -> None:
        ref, capabilities = some_ref(), BACKEND.capabilities
        create(writer, ref, b"before")
        update(writer, ref, b"after")
        assert len(history(store, ref)) == capabilities.versions_unset

    def test_a_value_that_was_replaced_is_gone(self, store: Store, writer: KubernetesWriter) -> None:
        ref = some_ref()
        first = create(writer, ref, b"before").version
        second = update(writer, ref, b"after").version
        assert store.object(ref)["data"] == encoded({storage_name(ref): b"after"})
        assert encoded({"x": b"before"})["x"] not in json.dumps(store.object(ref))
        [only] = writer.history(ref)
        assert (only.version, only.current) == (second, True)
        assert pinned(store, ref, second) == b"after"
        with pytest.raises(NotFound):
            pinned(store, ref, first)

    def test_there_is_no_going_back(self, store: Store, writer: KubernetesWriter) -> None:
        """The refusal says which setting it would have taken; nothing is changed."""
        ref = some_ref()
        first = create(writer, ref, b"before").version
        update(writer, ref, b"after")
        before = store.object(ref)
        for version in (first, writer.describe(ref).version, "made-up"):
            with pytest.raises(Unsupported, match='"versions" of 2 or more in the settings'):
                rollback(writer, ref, version)
        assert store.object(ref) == before

    def test_what_was_kept_goes_with_the_next_write(self, store: Store, writer: KubernetesWriter) -> None:
        """Once the setting is turned down; until then the history tells of what is still there."""
        ref = some_ref()
        tokens = written(store, ref, 3)
        assert [each.version for each in writer.history(ref)] == tokens[::-1]
        update(writer, ref, b"alone")
        assert len(writer.history(ref)) == 1
        assert store.object(ref)["data"] == encoded({storage_name(ref): b"alone"})

    def test_also_what_nothing_tells_of(self, store: Store, writer: KubernetesWriter) -> None:
        ref = some_ref()
        written(store, ref, 3)
        store.patch(ref, FORGOTTEN | {"metadata": FORGOTTEN["metadata"] | {"annotations": {VERSIONS: None}}})
        update(writer, ref, b"alone")
        assert store.object(ref)["data"] == encoded({storage_name(ref): b"alone"})


@pytest.mark.parametrize("versions", [2, 3])
def test_as_many_as_the_setting_says(store: Store, versions: int) -> None:
    ref, writer = some_ref(), store.writer(versions=versions)
    create(writer, ref, b"value 0")
    tokens = [update(writer, ref, b"value %d" % number).version for number in range(1, 5)]
    assert list(told(store, ref)) == tokens[: -versions - 1 : -1]
    assert len(store.object(ref)["data"]) == versions
    oldest = tokens[-versions]
    done = rollback(writer, ref, oldest)
    assert len(store.object(ref)["data"]) == versions
    assert told(store, ref)[done.version] == b"value %d" % (5 - versions)


class TestOthers:
    def test_flytes_update_is_a_version_alone(self, store: Store) -> None:
        """Its service replaces all data: earlier values are gone, and told of no more."""
        ref = some_ref()
        first, second = written(store, ref, 2)
        store.update_as_flyte(ref, b"of Flyte")
        current = store.writer().describe(ref)
        assert told(store, ref) == {current.version: b"of Flyte"}
        assert history(store, ref)[0].created_by == "flyte (outside this service)"
        for stale in (first, second):
            with pytest.raises(NotFound):
                pinned(store, ref, stale)
            with pytest.raises(NotFound):
                rollback(store.writer(), ref, stale)
        ours = update(store.writer(), ref, b"ours").version
        assert told(store, ref) == {ours: b"ours", current.version: b"of Flyte"}
        rollback(store.writer(), ref, current.version)
        assert read(store.reader(), ref) == b"of Flyte"

    def test_a_patch_is_a_version_of_its_own(self, store: Store) -> None:
        """It replaces a value that nobody moves away: that one is not told of. Earlier ones stay."""
        ref = some_ref()
        first, second = written(store, ref, 2)
        store.patch(ref, {"data": encoded({storage_name(ref): b"of Flyte"})}, manager="flyte")
        current = store.writer().describe(ref)
        assert told(store, ref) == {current.version: b"of Flyte", first: b"value 0"}
        assert history(store, ref)[0].created_by == "flyte (outside this service)"
        for call in (lambda: pinned(store, ref, second), lambda: rollback(store.writer(), ref, second)):
            with pytest.raises(NotFound):
                call()
        ours = update(store.writer(), ref, b"ours").version
        assert told(store, ref) == {ours: b"ours", current.version: b"of Flyte", first: b"value 0"}
        [_, flytes, _] = history(store, ref)
        assert (flytes.created_by, flytes.size) == ("flyte (outside this service)", None)
        done = rollback(store.writer(), ref, current.version)
        assert (read(store.reader(), ref), done.size) == (b"of Flyte", None)
        assert store.writer().describe(ref) == done

    def test_what_its_service_made_gets_a_history_by_our_update(self, store: Store) -> None:
        ref = some_ref()
        store.put(ref, {storage_name(ref): b"of Flyte"}, labels=FLYTE_LABELS, manager="flyte")
        [only] = history(store, ref)
        assert (only.current, only.created_by) == (True, "flyte (outside this service)")
        update(store.writer(), ref, b"ours")
        rollback(store.writer(), ref, only.version)
        assert read(store.reader(), ref) == b"of Flyte"
        assert "annotations" not in json.dumps(list(other_keys(store, ref)))

    def test_data_replaced_as_a_whole(self, store: Store) -> None:
        """The values are gone, so they are told of no more, though the annotation is there still."""
        ref = some_ref()
        first, *_ = written(store, ref, 3)

        def edit(object_: dict[str, Any]) -> None:
            object_["data"] = encoded({storage_name(ref): b"alone"})

        store.replace_with_kubectl(ref, edit)
        assert store.object(ref)["metadata"]["annotations"][VERSIONS] != "[]"
        current = store.writer().describe(ref).version
        assert told(store, ref) == {current: b"alone"}
        with pytest.raises(NotFound):
            rollback(store.writer(), ref, first)
        with pytest.raises(NotFound):
            pinned(store, ref, first)
        ours = update(store.writer(), ref, b"ours").version
        assert told(store, ref) == {ours: b"ours", current: b"alone"}

    def test_notes_taken_away(self, store: Store) -> None:
        """Values that nothing tells of are not given, and go with the next write."""
        ref = some_ref()
        first, _, third = written(store, ref, 3)
        store.patch(ref, {"metadata": {"annotations": {VERSIONS: None}}})
        assert len(history(store, ref)) == 1
        with pytest.raises(NotFound):
            pinned(store, ref, first)
        assert third != store.writer().describe(ref).version
        update(store.writer(), ref, b"new")
        assert len(other_keys(store, ref)) == 1
        assert sorted(told(store, ref).values()) == [b"new", b"value 2"]

    def test_with_its_account_of_fields_lost(self, store: Store) -> None:
        """What is there is told by the notes alone; everything goes on."""
        ref = some_ref()
        first, second, _ = written(store, ref, 3)
        store.patch(ref, FORGOTTEN)
        assert [each.version for each in history(store, ref)][1:] == [second, first]
        assert pinned(store, ref, first) == b"value 0"
        rollback(store.writer(), ref, first)
        assert read(store.reader(), ref) == b"value 0"
        store.patch(ref, FORGOTTEN)
        update(store.writer(), ref, b"new")
        assert sorted(set(told(store, ref).values())) == [b"new", b"value 0", b"value 1", b"value 2"]

    @pytest.mark.parametrize("taken", ["current", "earlier"])
    def test_no_value_is_made_up_for_what_is_gone(self, store: Store, taken: str) -> None:
        """Nobody tells that it is gone: it is noticed when it is to be moved."""
        ref = some_ref()
        first, _ = written(store, ref, 2)
        [kept] = other_keys(store, ref)
        store.patch(ref, {"data": {storage_name(ref) if taken == "current" else kept: None}})
        store.patch(ref, FORGOTTEN)
        if taken == "earlier":
            with pytest.raises(NotFound):
                pinned(store, ref, first)
            with pytest.raises(NotFound):
                rollback(store.writer(), ref, first)
            assert read(store.reader(), ref) == b"value 1"
        update(store.writer(), ref, b"new")
        assert read(store.reader(), ref) == b"new"
        assert b"" not in {base64.b64decode(text) for text in store.object(ref)["data"].values()}

    def test_made_immutable(self, store: Store) -> None:
        ref = some_ref()
        first, _ = written(store, ref, 2)
        store.patch(ref, {"immutable": True})
        with pytest.raises(Unsupported, match="somebody made it immutable"):
            rollback(store.writer(), ref, first)
        assert read(store.reader(), ref) == b"value 1"

    def test_what_kubectl_applied_does_not_outlive_a_rollback(self, store: Store) -> None:
        ref = some_ref()
        first, _ = written(store, ref, 2)
        copied = {"kubectl.kubernetes.io/last-applied-configuration": "a copy"}
        store.patch(ref, {"metadata": {"annotations": copied}})
        rollback(store.writer(), ref, first)
        assert "a copy" not in json.dumps(store.object(ref))


class Overtaken:
    """An API server before whose first change somebody else is faster."""

    def __init__(self, api: ApiServer, first: Callable[[], object]) -> None:
        self._api = api
        self._first: Callable[[], object] | None = first

    def call(self, method: str, path: str, **more: Any) -> Object:
        first, self._first = (self._first, None) if method == "PATCH" else (None, self._first)
        if first is not None:
            first()
        return self._api.call(method, path, **more)

    def close(self) -> None:
        """It is another's."""


class TestRaces:
    @pytest.fixture
    def api(self, store: Store) -> Iterator[ApiServer]:
        made = connect(store.kubeconfig)
        yield made
        made.close()

    def overtaken(self, store: Store, api: ApiServer, first: Callable[[], object]) -> KubernetesWriter:
        behind: Any = Overtaken(api, first)
        return KubernetesWriter(Namespace(behind, store.namespace, timeout=5.0), versions=KEPT)

    def test_what_came_in_between_is_kept(self, store: Store, api: ApiServer) -> None:
        """Nothing of the older state is written over it."""
        ref = some_ref()
        first, second = written(store, ref, 2)
        writer = self.overtaken(store, api, lambda: update(store.writer(), ref, b"in between"))
        done = rollback(writer, ref, first)
        assert read(store.reader(), ref) == b"value 0"
        assert list(told(store, ref).values()) == [b"value 0", b"in between", b"value 1", b"value 0"]
        assert [each.version for each in history(store, ref)][::2] == [done.version, second]

    def test_whoever_expects_something_is_told(self, store: Store, api: ApiServer) -> None:
        ref = some_ref()
        first, second = written(store, ref, 2)
        writer = self.overtaken(store, api, lambda: update(store.writer(), ref, b"in between"))
        with pytest.raises(Conflict):
            writer.rollback(ref, to=first, actor="bob", operation_id=secrets.token_hex(8), expected=second)
        assert read(store.reader(), ref) == b"in between"

    def test_a_version_that_falls_off_meanwhile(self, store: Store, api: ApiServer) -> None:
        ref = some_ref()
        tokens = written(store, ref, KEPT)
        writer = self.overtaken(store, api, lambda: update(store.writer(), ref, b"in between"))
        with pytest.raises(NotFound):
            rollback(writer, ref, tokens[0])
        assert read(store.reader(), ref) == b"in between"
