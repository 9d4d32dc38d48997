"""What Flyte's own service wrote: told from its metadata, taken over in one patch, and read by both then."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from secrets_svc.backends.kubernetes import names
from secrets_svc.backends.kubernetes.foreign import judged, storage_name_in
from secrets_svc.backends.kubernetes.marks import Mark
from secrets_svc.backends.kubernetes.objects import held, new_object, value_of
from secrets_svc.backends.kubernetes.patches import adoption, replacement
from secrets_svc.backends.kubernetes.taking_over import KubernetesTakeOver
from secrets_svc.core.errors import Conflict, DeadlineExceeded, SecretsError, Unavailable, Unreadable
from secrets_svc.core.naming import storage_name
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.taking_over import Candidate, Standing
from secrets_svc.core.value import SecretValue
from secrets_svc.kube.informer import Metadata

FLYTE = "flyte-secret-service"
REF = SecretRef(Scope("flyte", "development", "proj"), "my-secret")
VALUE = b"\x00 of Flyte's"


def encoded_id(organization: str, domain: str, project: str, key: str) -> str:
    """As Flyte's service names a secret; its rules are laxer than ours."""
    return f"u__org__{organization}__domain__{domain}__project__{project}__key__{key}"


def written(id_: str, *, domain: str = "", project: str = "", **metadata: Any) -> dict[str, Any]:
    """The whole object that Flyte's service writes, as the API server has it."""
    labels = {"app.flyte.org/managed": "true"}
    labels |= {"app.flyte.org/domain": domain} if domain else {}
    labels |= {"app.flyte.org/project": project} if project else {}
    fields = {"f:data": {".": {}, f"f:{id_}": {}}, "f:metadata": {"f:labels": {}}, "f:type": {}}
    entry = {"manager": FLYTE, "operation": "Update", "time": "2026-01-02T03:04:05Z", "fieldsV1": fields}
    return {
        "metadata": {
            "name": hashlib.md5(id_.encode()).hexdigest(),
            "uid": "uid",
            "resourceVersion": "7",
            "creationTimestamp": "2026-01-02T03:04:05Z",
            "labels": labels,
            "managedFields": [entry],
            **metadata,
        },
        "type": "Opaque",
        "data": {id_: base64.b64encode(VALUE).decode()},
    }


OF_FLYTE = written(
    encoded_id("flyte", "development", "proj", "my-secret"), domain="development", project="proj"
)


def alone(object_: dict[str, Any]) -> dict[str, Any]:
    """Its metadata, as whoever asks for no more gets them."""
    return {"metadata": copy.deepcopy(object_["metadata"])}


def judge(object_: dict[str, Any]) -> Candidate:
    return judged(alone(object_), "flyte")


def taken(object_: dict[str, Any], second: int = 9, type_: SecretType | None = None) -> dict[str, Any]:
    """As the API server has it once our patch is in."""
    seen = alone(object_)
    found = Metadata.of(seen)
    name = storage_name_in(seen, found)
    patch = adoption(name, held(seen, name), found, type_)
    assert patch[0] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
    assert all(each["path"].startswith("/metadata/") for each in patch)
    changed: dict[str, Any] = jsonpatch.apply_patch(object_, patch)
    return with_entry(changed, names.MANAGER, second)


def with_entry(object_: dict[str, Any], manager: str, second: int, *keys: str) -> dict[str, Any]:
    """What the API server adds to the managed fields of what ``manager`` wrote."""
    fields = {"f:data": {f"f:{key}": {} for key in keys}} if keys else {"f:metadata": {}}
    time = f"2026-01-02T03:04:{second:02}Z"
    entry = {"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields}
    metadata = object_["metadata"]
    return {**object_, "metadata": {**metadata, "managedFields": [*metadata["managedFields"], entry]}}


def read_by_flyte(object_: dict[str, Any], id_: str) -> bytes:
    """What Flyte's reader does (k8s_secret_fetcher): the object by its name, the value by the data key."""
    assert object_["metadata"]["name"] == hashlib.md5(id_.encode()).hexdigest()
    return base64.b64decode(object_["data"][id_])


def test_the_names_are_those_that_flyte_makes() -> None:
    """Examples that Flyte's own code made."""
    known = {
        ("flyte", "development", "proj"): "1165598fa115f181c7093856a1756218",
        ("flyte", "development", ""): "85134ca16b7e3df19b51a492cdccf094",
        ("flyte", "", ""): "fb7ecc638177256036613dca61ecf9a7",
    }
    for (organization, domain, project), name in known.items():
        ref = SecretRef(Scope(organization, domain or None, project or None), "my-secret")
        assert names.object_name(storage_name(ref)) == name
        assert written(storage_name(ref))["metadata"]["name"] == name


def test_the_type_can_be_said_when_one_is_taken_over() -> None:
    for said, become in ((None, SecretType.GENERIC), (SecretType.IMAGE_PULL, SecretType.IMAGE_PULL)):
        ours = taken(OF_FLYTE, type_=said)
        assert ours["data"] == OF_FLYTE["data"]
        assert held(alone(ours), storage_name(REF)).metadata.type is become
        assert judge(ours).standing is Standing.OURS


def test_one_of_flyte_is_taken_over_with_nothing_of_it_changed() -> None:
    found = judge(OF_FLYTE)
    assert (found.ref, found.standing, found.why) == (REF, Standing.FOREIGN, "")
    assert found.written_by == f"{FLYTE} (outside this service)"
    ours = taken(OF_FLYTE)
    assert (ours["data"], ours["type"]) == (OF_FLYTE["data"], OF_FLYTE["type"])
    assert OF_FLYTE["metadata"]["labels"].items() <= ours["metadata"]["labels"].items()
    assert read_by_flyte(ours, storage_name(REF)) == VALUE
    assert judge(ours) == Candidate(ours["metadata"]["name"], REF, Standing.OURS, written_by=found.written_by)


def test_our_reader_and_writer_go_on_with_it_and_flyte_reads_what_they_wrote() -> None:
    name = storage_name(REF)
    ours = taken(OF_FLYTE)
    current = held(ours, name)
    assert value_of(ours, name).reveal_bytes() == VALUE
    assert current.metadata.ref == REF
    assert current.metadata.created_by == f"{FLYTE} (outside this service)"
    draft = SecretMetadata(
        REF, SecretType.GENERIC, "", current.metadata.created_at, current.metadata.updated_at, "f", "bob", 3
    )
    mark = Mark("0" * 64, "update", name, "key", "ff", 1)
    keeping, _ = replacement(name, current, draft, SecretValue(b"new"), mark)
    updated = with_entry(jsonpatch.apply_patch(ours, keeping), names.MANAGER, 20, name)
    assert read_by_flyte(updated, name) == b"new"
    assert OF_FLYTE["metadata"]["labels"].items() <= updated["metadata"]["labels"].items()
    assert updated["type"] == "Opaque"
    assert held(updated, name).metadata.updated_by == "bob"


def test_what_our_writer_made_has_what_flyte_looks_for() -> None:
    name = storage_name(REF)
    at = held(OF_FLYTE, name).metadata.created_at
    made = new_object(
        name,
        SecretMetadata(REF, SecretType.GENERIC, "", at, at, "alice", "alice", 3),
        SecretValue(b"own"),
        Mark("0" * 64, "create", name, "key", "ff", 1),
    )
    assert read_by_flyte(made, name) == b"own"
    assert OF_FLYTE["metadata"]["labels"].items() <= made["metadata"]["labels"].items()
    assert made["data"].keys() == OF_FLYTE["data"].keys()
    made["metadata"] |= {"uid": "u", "resourceVersion": "1"}
    made = with_entry({**made, "metadata": {**made["metadata"], "managedFields": []}}, names.MANAGER, 5, name)
    assert judge(made).standing is Standing.OURS


def test_it_is_taken_again_where_somebody_took_our_marks_away() -> None:
    ours = taken(OF_FLYTE)
    for field, key in (("labels", names.ORGANIZATION), ("annotations", names.CREATED_BY)):
        stripped = copy.deepcopy(ours)
        del stripped["metadata"][field][key]
        assert judge(stripped).standing is Standing.FOREIGN
        again = taken(stripped)
        assert judge(again).standing is Standing.OURS
        lost = {names.CREATED_BY: "unknown"} if field == "annotations" else {}
        assert again["metadata"]["annotations"] == {**ours["metadata"]["annotations"], **lost}


def test_what_was_told_of_a_value_before_is_not_told_of_this_one() -> None:
    """Flyte's service may replace a value of ours and leave a part of our annotations."""
    name = storage_name(REF)
    ours = taken(OF_FLYTE)
    ours["metadata"]["annotations"] |= {names.SIZE: "3", names.OPERATION: "{}", "own": "x"}
    del ours["metadata"]["labels"][names.ORGANIZATION]
    replaced = with_entry(ours, FLYTE, 30, name)
    after = taken(replaced, 40)
    assert after["metadata"]["annotations"].keys().isdisjoint({names.SIZE, names.OPERATION})
    assert after["metadata"]["annotations"]["own"] == "x"
    assert held(after, name).metadata.updated_by == f"{FLYTE} (outside this service)"
    assert held(after, name).metadata.size is None


def changed(**metadata: Any) -> dict[str, Any]:
    """:data:`OF_FLYTE` with other metadata."""
    return {**OF_FLYTE, "metadata": {**copy.deepcopy(OF_FLYTE["metadata"]), **metadata}}


def with_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """With further managed fields."""
    entry = {"manager": "kubectl", "time": "2026-01-02T03:04:06Z", "fieldsV1": fields}
    return changed(managedFields=[*OF_FLYTE["metadata"]["managedFields"], entry])


PULL = {"union.ai/secret-type": "image-pull-secret", "union.ai/org": "flyte"}
LEFT: dict[str, tuple[dict[str, Any], str]] = {
    "scope with _": (written(encoded_id("flyte", "dev", "my_proj", "k")), 'project "my_proj" is not valid'),
    "scope in upper case": (written(encoded_id("flyte", "Dev", "p", "k")), 'domain "Dev" is not valid'),
    "no organization": (written(encoded_id("", "dev", "p", "k")), 'organization "" is not valid'),
    "organization that can't be": (written(encoded_id("A", "", "", "k")), 'organization "A" is not valid'),
    "long name": (written(encoded_id("flyte", "d", "p", "k" * 129)), "secret name"),
    "name with a dot": (written(encoded_id("flyte", "d", "p", "a.b")), 'secret name "a.b" is not valid'),
    "project that ends in _": (
        written(encoded_id("flyte", "d", "p_", "k")),  # Flyte itself can't tell it from the separator
        "is no name of a secret of Flyte's",
    ),
    "no name of Flyte's": (written("password"), 'data key "password" is no name of a secret of Flyte\'s'),
    "another organization": (
        written(encoded_id("acme", "d", "p", "k")),
        'organization "acme", not "flyte"; that is part of its name and can\'t be mapped',
    ),
    "another name": (changed(name="0" * 32), "its name is not the one that goes with its data key"),
    "two data keys": (with_fields({"f:data": {"f:other": {}}}), "it has 2 data keys where a secret has one"),
    "forgotten fields": (changed(managedFields=[{}]), "tells no data key"),
    "no fields": (changed(managedFields=None), "tells no data key"),
    "immutable": (with_fields({"f:immutable": {}}), "its field immutable is set"),
    "terminating": (changed(deletionTimestamp="2026-01-02T03:04:05Z"), "it is being deleted"),
    "another project in its label": (
        changed(labels={**OF_FLYTE["metadata"]["labels"], "app.flyte.org/project": "bank"}),
        'label app.flyte.org/project is "bank", which is not what its name says',
    ),
    "another organization in its label": (
        changed(labels={**OF_FLYTE["metadata"]["labels"], names.ORGANIZATION: "acme"}),
        'is "acme", which is not what its name says',
    ),
    "another name in its annotation": (
        changed(annotations={names.NAME: encoded_id("flyte", "d", "p", "other")}),
        "tells another name in its annotations",
    ),
    "a time that is none": (changed(annotations={names.CREATED_AT: "soon"}), "has no time in annotation"),
    "image pull": (
        {"metadata": {"name": "img-pull-d76ba5cd97e80e51", "labels": PULL}},
        "an image-pull Secret in a form of Union's own",
    ),
}


@pytest.mark.parametrize(("object_", "why"), LEFT.values(), ids=LEFT.keys())
def test_what_can_not_be_ours_is_left_alone_with_a_reason(object_: dict[str, Any], why: str) -> None:
    found = judge(object_)
    assert found.standing is Standing.LEFT
    assert why in found.why
    assert base64.b64encode(VALUE).decode() not in json.dumps([found.why, found.place])


LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
PARTS = st.none() | LABELS


@given(PARTS, PARTS, st.from_regex(r"[-a-zA-Z0-9_]{1,30}", fullmatch=True))
def test_every_secret_that_can_be_is_taken_once(domain: str | None, project: str | None, key: str) -> None:
    id_ = encoded_id("flyte", domain or "", project or "", key)
    object_ = written(id_, domain=domain or "", project=project or "")
    found = judge(object_)
    assert (found.standing, found.ref) == (Standing.FOREIGN, SecretRef(Scope("flyte", domain, project), key))
    ours = taken(object_)
    assert judge(ours).standing is Standing.OURS
    assert read_by_flyte(ours, id_) == value_of(ours, id_).reveal_bytes() == VALUE
    assert ours["metadata"]["labels"] == names.labels_of(Scope("flyte", domain, project))


@given(
    st.recursive(
        st.none() | st.text(max_size=5) | st.integers(),
        lambda x: (
            st.dictionaries(
                st.sampled_from(
                    ["name", "labels", "annotations", "managedFields", "fieldsV1", "f:data", "f:x"]
                ),
                x,
            )
            | st.lists(x, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_whatever_the_api_server_answers_has_a_standing(metadata: Any) -> None:
    assert judged({"metadata": metadata}, "flyte").standing is Standing.LEFT


class Unanswered:
    """A namespace with one Secret of Flyte's, whose change is done or not, and never answered.

    :ivar asked: changes.
    """

    name = "flyte"

    def __init__(self, error: SecretsError, *, is_done: bool) -> None:
        self.object = written(storage_name(REF), domain="development", project="proj")
        self.error = error
        self.is_done = is_done
        self.asked: list[Any] = []

    def find(self, *_: Any) -> dict[str, Any]:
        return self.object

    def change(self, kind: Any, name: str, *patches: Any) -> None:
        self.asked.append(patches)
        if self.is_done:
            self.object = jsonpatch.apply_patch(self.object, patches[0])
        raise self.error


@pytest.mark.parametrize("error", [DeadlineExceeded("late"), Unavailable("hung up")])
def test_a_change_that_is_not_answered_is_looked_at_once_more(error: SecretsError) -> None:
    namespace = Unanswered(error, is_done=True)
    opened = KubernetesTakeOver(namespace, "flyte")  # type: ignore[arg-type]
    candidate = judged(namespace.object, "flyte")
    assert opened.take(candidate).standing is Standing.TAKEN
    [patches] = namespace.asked
    assert len(patches) == 1


@pytest.mark.parametrize("error", [DeadlineExceeded("late"), Unreadable("no right"), Conflict("x")])
def test_one_that_is_not_done_fails(error: SecretsError) -> None:
    namespace = Unanswered(error, is_done=False)
    opened = KubernetesTakeOver(namespace, "flyte")  # type: ignore[arg-type]
    with pytest.raises(type(error)):
        opened.take(judged(namespace.object, "flyte"))
    assert len(namespace.asked) == 1
