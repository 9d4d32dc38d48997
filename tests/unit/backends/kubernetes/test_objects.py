"""What an object says: of whom a value is, which version, and whether it is a secret of ours at all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from secrets_svc.backends.kubernetes.marks import Mark
from secrets_svc.backends.kubernetes.names import MANAGER, object_name
from secrets_svc.backends.kubernetes.objects import (
    earlier_value_of,
    held,
    is_strangers,
    new_object,
    storage_name_of,
    taken,
    value_of,
)
from secrets_svc.backends.kubernetes.provenance import Outsider, data_keys, last_change, outsider
from secrets_svc.backends.kubernetes.reader import _standing
from secrets_svc.backends.kubernetes.versions import key_of
from secrets_svc.core.errors import Spoilt, Unavailable
from secrets_svc.core.naming import storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

REF = SecretRef(Scope("flyte", "production", "shop"), "db-password")
NAME = storage_name(REF)
AT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
METADATA = SecretMetadata(REF, SecretType.IMAGE_PULL, "", AT, AT, "alice", "bob", 5)
MARK = Mark("0" * 64, "create", NAME, "key", "ff", 1)
VALUE = SecretValue(b"value")


def entry(manager: str, second: int, *keys: str) -> dict[str, Any]:
    """One of ``managedFields``."""
    fields = {"f:data": {".": {}, **{f"f:{key}": {} for key in keys}}} if keys else {"f:metadata": {}}
    time = f"2026-01-02T03:04:{second:02}Z"
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields}


def stored(*managed: Any, **more: Any) -> dict[str, Any]:
    """``new_object`` as the API server has it; ``more`` is metadata."""
    made = new_object(NAME, METADATA, VALUE, MARK)
    made["metadata"] |= {
        "uid": "uid",
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "managedFields": list(managed or [entry(MANAGER, 5, NAME)]),
        **more,
    }
    return made


def test_what_was_written_is_what_is_found() -> None:
    found = held(stored(), NAME)
    assert found.metadata.version == "uid.7.1767323045"
    assert found.metadata == SecretMetadata(
        REF, SecretType.IMAGE_PULL, found.metadata.version, AT, AT, "alice", "bob", 5
    )
    assert (found.uid, found.resource_version, found.mark, found.terminating) == ("uid", "7", MARK, False)
    assert value_of(stored(), NAME) == VALUE


def test_one_uid_and_version_at_two_times_are_two_tokens() -> None:
    """As before and after etcd was restored from a backup."""
    one, other = (held(stored(entry(MANAGER, second, NAME)), NAME) for second in (5, 6))
    assert one.metadata.version != other.metadata.version


@pytest.mark.parametrize(
    ("managed", "expected"),
    [
        ([entry(MANAGER, 5, NAME)], None),
        ([entry(MANAGER, 5), entry("flyte", 5, NAME)], Outsider("flyte", AT.replace(microsecond=0))),
        ([entry(MANAGER, 6), entry("flyte", 5, NAME)], None),
        ([entry(MANAGER, 4), entry("flyte", 5, NAME)], Outsider("flyte", AT.replace(microsecond=0))),
        ([entry(MANAGER, 5, NAME), entry("argocd", 6)], None),
        ([entry(MANAGER, 5, NAME), entry("helm", 5, NAME)], Outsider("helm", AT.replace(microsecond=0))),
        ([entry("flyte", 5)], Outsider()),
        ([{}], Outsider()),
        (["garbage", None, 7], Outsider()),
        ([{"manager": 5, "fieldsV1": {"f:data": {f"f:{NAME}": {}}}}], Outsider("", None)),
        ([{"manager": "bad\nname", "fieldsV1": {"f:data": {f"f:{NAME}": {}}}}], Outsider("", None)),
        ([{"manager": "x", "time": "soon", "fieldsV1": {"f:data": {f"f:{NAME}": {}}}}], Outsider("x", None)),
    ],
    ids=str,
)
def test_who_wrote_the_value_last(managed: list[Any], expected: Outsider | None) -> None:
    object_ = stored(*managed)
    assert outsider(object_, NAME) == expected
    found = held(object_, NAME).metadata
    if expected is None:
        assert (found.size, found.updated_by) == (5, "bob")
    else:
        assert (found.size, found.updated_by) == (None, str(expected))
        assert found.updated_at >= AT
    assert (found.created_at, found.created_by) == (AT, "alice")


@pytest.mark.parametrize(
    "metadata", [None, [], {}, {"managedFields": {}}, {"managedFields": [{"fieldsV1": 1}]}]
)
def test_an_account_that_makes_no_sense_tells_nothing(metadata: Any) -> None:
    assert data_keys({"metadata": metadata}) == frozenset()
    assert last_change({"metadata": metadata}) == ""


@pytest.mark.parametrize(
    "more",
    [
        {"uid": ""},
        {"uid": 5},
        {"resourceVersion": None},
        {"name": object_name("another")},
        {"labels": {}},
        {"labels": None},
        {"labels": {"app.flyte.org/managed": "True"}},
        {"managedFields": [entry(MANAGER, 5, NAME, "more")]},
        {"managedFields": [entry(MANAGER, 5, "other")]},
    ],
    ids=str,
)
def test_what_is_not_ours_is_refused(more: dict[str, Any]) -> None:
    with pytest.raises(Unavailable):
        held(stored(**more), NAME)


def with_key(key: str, **metadata: Any) -> dict[str, Any]:
    """As :func:`stored`, with that data key in place of the secret's own."""
    object_ = stored(entry("kubectl", 5, key), **metadata)
    object_["data"] = {key: "eA=="}
    return object_


@pytest.mark.parametrize(
    ("labels", "annotations", "strangers"),
    [
        (None, None, True),
        ({}, {}, True),
        ({"app.flyte.org/project": "shop"}, {"example.org/team": "blue"}, True),
        ({"app.flyte.org/managed": "true"}, {}, False),
        ({"app.flyte.org/managed": "no"}, {}, False),
        ({"secrets-svc.internal/organization": "flyte"}, {}, False),
        ({}, {"secrets-svc.internal/type": "generic"}, False),
        ({}, {"not.secrets-svc.internal/type": "generic"}, True),
    ],
    ids=str,
)
def test_whose_an_object_is(labels: Any, annotations: Any, strangers: bool) -> None:
    """A stranger's has nothing of ours, nor of Flyte's: all else is a secret, well or spoilt."""
    object_ = with_key("password", labels=labels, annotations=annotations)
    assert is_strangers(object_, NAME) is strangers


@pytest.mark.parametrize("is_whole", [True, False])
def test_one_that_lost_all_labels_is_known_by_its_data_key(is_whole: bool) -> None:
    """It is spoilt, and no wider scope answers in its place: also where metadata alone are seen."""
    object_ = stored(labels={}, annotations={})
    if not is_whole:
        del object_["data"]
    assert not is_strangers(object_, NAME)
    with pytest.raises(Spoilt, match="has no label"):
        held(object_, NAME)
    forgotten = stored(labels={}, annotations={}, managedFields=[])
    assert not is_strangers(forgotten, NAME)
    with pytest.raises(Spoilt, match="has no label"):
        _standing(object_, NAME)
    assert _standing(with_key("password", labels={}, annotations={}), NAME) is None


@pytest.mark.parametrize("metadata", [{"name": "another"}, {"uid": ""}, {"resourceVersion": None}], ids=str)
def test_what_is_no_object_of_that_name_is_nobody_s(metadata: dict[str, Any]) -> None:
    """An answer that makes no sense is not taken for an absence."""
    for object_ in (stored(labels={}, annotations={}, **metadata), {}, {"metadata": None}):
        with pytest.raises(Unavailable, match="another object"):
            is_strangers(object_, NAME)


def test_who_is_in_the_way_is_told_by_name() -> None:
    refused = taken(NAME)
    assert object_name(NAME) in refused.message
    assert str(REF) in refused.message


@pytest.mark.parametrize(
    "data",
    [None, {}, [], {"other": "eA=="}, {NAME: "eA==", "other": "eA=="}, {NAME: "%"}, {NAME: None}, {NAME: 5}],
    ids=str,
)
def test_values_that_can_not_be(data: Any) -> None:
    with pytest.raises(Unavailable) as refused:
        value_of({"data": data}, NAME)
    assert "eA==" not in str(refused.value)


def test_an_earlier_value_is_its_versions_alone() -> None:
    """Beside the current one, and not taken for it."""
    object_ = {"data": {key_of("v1"): "eA==", key_of("v2"): ""}}
    assert earlier_value_of(object_, NAME, "v1") == SecretValue(b"x")
    assert earlier_value_of(object_, NAME, "v2") == SecretValue(b"")
    assert earlier_value_of(object_, NAME, "v3") is None
    with pytest.raises(Unavailable, match="or none"):
        value_of(object_, NAME)
    with pytest.raises(Unavailable, match="another data key"):
        earlier_value_of({"data": {**object_["data"], "other": "eA=="}}, NAME, "v1")


def test_a_list_tells_names_by_annotation_or_data_key() -> None:
    """Only one that gives the object's name is believed."""
    assert storage_name_of(stored()) == NAME
    assert storage_name_of(stored(annotations={})) == NAME
    assert (
        storage_name_of(stored(entry("x", 1, "a", NAME), annotations={"secrets-svc.internal/name": "b"}))
        == NAME
    )
    assert storage_name_of(stored(entry("x", 1, "a"), annotations={})) is None
    assert storage_name_of({}) is None


def test_nothing_shows_the_value_or_the_mark() -> None:
    found = held(stored(), NAME)
    assert "value" not in repr(found).replace("db-password", "")


@pytest.mark.parametrize(
    "text", ["", "null", "{}", "[" * 100_000, '{"id": "a"}', MARK.text().replace("1}", '"1"}')]
)
def test_marks_that_make_no_sense(text: str) -> None:
    assert Mark.parse(text) is None
    assert Mark.parse(MARK.text()) == MARK
