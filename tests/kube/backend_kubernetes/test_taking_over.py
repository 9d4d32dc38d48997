"""``secret import flyte`` in a real cluster: Secrets as Flyte's service writes them, taken over in place."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from kit import Cluster
from kubernetes_store import FLYTE_LABELS, SCOPE, Recording, Store, create, delete, read, some_ref, update

from secrets_svc.backends.kubernetes import BACKEND
from secrets_svc.backends.kubernetes.names import object_name
from secrets_svc.backends.kubernetes.namespace import Namespace
from secrets_svc.backends.kubernetes.taking_over import KubernetesTakeOver
from secrets_svc.core.naming import storage_name
from secrets_svc.core.secret import SecretRef
from secrets_svc.core.taking_over import Candidate, Standing
from secrets_svc.kube.api import connect

FLYTE = "flyte-secret-service"
VALUE = b"\x00\xff of Flyte's"


def put_by_flyte(store: Store, name: str, **more: Any) -> SecretRef:
    """A secret as Flyte's service writes it."""
    ref = SecretRef(SCOPE, name)
    store.put(ref, {storage_name(ref): VALUE}, labels=FLYTE_LABELS, manager=FLYTE, type="Opaque", **more)
    return ref


def read_by_flyte(store: Store, ref: SecretRef) -> bytes:
    """What Flyte's reader does: the object by its name, the value by the data key."""
    id_ = f"u__org__flyte__domain__production__project__shop__key__{ref.name}"
    path = f"/api/v1/namespaces/{store.namespace}/secrets/{hashlib.md5(id_.encode()).hexdigest()}"
    return b64decode(store.cluster.api("GET", path).ok()["data"][id_])


def take_over(store: Store, *, kubeconfig: Path | None = None) -> Any:
    """The backend's side."""
    return BACKEND.open_take_over(  # type: ignore[attr-defined]  # an ability
        store.settings(), organization="flyte", kubeconfig=kubeconfig, context=None
    )


def found(store: Store) -> dict[str, Candidate]:
    """All candidates by their objects' names."""
    opened = take_over(store)
    try:
        return {each.place: each for each in opened.candidates()}
    finally:
        opened.close()


def place(ref: SecretRef) -> str:
    return object_name(storage_name(ref))


class Command:
    """``secret import flyte`` of one store."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = store.kubeconfig
        self.settings = folder / "settings.toml"
        self.settings.write_text(
            f'[stores.cluster]\nbackend = "kubernetes"\nnamespace = "{store.namespace}"\n'
        )

    def run(self, *arguments: str, kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
        where = ["--settings", str(self.settings), "--state", str(self.folder / "state")]
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "KUBECONFIG": str(kubeconfig or self.kubeconfig),
        }
        return subprocess.run(
            [sys.executable, "-m", "cli.main", "import", "flyte", *where, *arguments],
            env=environ,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def items(self, *arguments: str) -> dict[str, dict[str, Any]]:
        done = self.run("-o", "json", *arguments)
        assert done.returncode == 0, done.stderr
        assert VALUE.decode("latin-1") not in done.stdout
        assert b64encode(VALUE).decode() not in done.stdout
        return {each["secret"]: each for each in json.loads(done.stdout)["items"]}


def test_a_secret_of_flyte_becomes_ours_and_stays_flytes(own_store: Store, tmp_path: Path) -> None:
    ref = put_by_flyte(own_store, "db-password")
    before = own_store.object(ref)
    command = Command(own_store, tmp_path)
    assert command.items()[place(ref)]["outcome"] == "foreign"
    assert own_store.object(ref) == before  # a dry run writes nothing
    assert command.items("--apply", "--yes")[place(ref)]["outcome"] == "taken"
    after = own_store.object(ref)
    assert (after["data"], after["type"]) == (before["data"], before["type"])
    assert FLYTE_LABELS.items() <= after["metadata"]["labels"].items()
    assert after["metadata"]["labels"]["secrets-svc.internal/organization"] == "flyte"
    again = command.items("--apply", "--yes")
    assert again[place(ref)]["outcome"] == "ours"
    assert own_store.object(ref) == after

    assert read(own_store.reader(), ref) == read_by_flyte(own_store, ref) == VALUE
    writer = own_store.writer()
    known = writer.describe(ref)
    assert known.created_by == known.updated_by == f"{FLYTE} (outside this service)"
    assert [item.ref for item in writer.list(SCOPE).items] == [ref]
    update(writer, ref, b"ours")
    assert read(own_store.reader(), ref) == read_by_flyte(own_store, ref) == b"ours"
    updated = own_store.object(ref)
    assert FLYTE_LABELS.items() <= updated["metadata"]["labels"].items()
    assert (updated["type"], storage_name(ref) in updated["data"]) == ("Opaque", True)
    delete(writer, ref)
    assert found(own_store) == {}


def test_what_our_writer_made_is_ours_already_and_flyte_reads_it(store: Store) -> None:
    ref = some_ref()
    create(store.writer(), ref, b"own")
    assert found(store)[place(ref)].standing is Standing.OURS
    assert read_by_flyte(store, ref) == b"own"


def test_what_flyte_wrote_over_ours_is_taken_again(store: Store) -> None:
    """Its service puts a whole object in the place of the one that is there."""
    ref = put_by_flyte(store, some_ref().name)
    opened = take_over(store)
    opened.take(Candidate(place(ref), ref, Standing.FOREIGN))
    body = {
        "metadata": {"name": place(ref), "labels": FLYTE_LABELS},
        "data": {storage_name(ref): b64encode(b"later").decode()},
    }
    store.cluster.api("PUT", f"{store.path(ref)}?fieldManager={FLYTE}", body).ok()
    assert found(store)[place(ref)].standing is Standing.FOREIGN
    assert opened.take(Candidate(place(ref), ref, Standing.FOREIGN)).standing is Standing.TAKEN
    assert read(store.reader(), ref) == b"later"
    opened.close()


def test_what_can_not_be_ours_is_left_alone(own_store: Store, tmp_path: Path) -> None:
    """None of them is written to."""
    path = own_store.path()

    def put(name: str, data: dict[str, bytes], **more: Any) -> str:
        labels = more.pop("labels", {"app.flyte.org/managed": "true"})
        body = {
            "metadata": {"name": name, "labels": labels},
            "data": {key: b64encode(value).decode() for key, value in data.items()},
            **more,
        }
        own_store.cluster.api("POST", f"{path}?fieldManager={FLYTE}", body).ok()
        return name

    def of_flyte(organization: str, domain: str, project: str) -> tuple[str, dict[str, bytes]]:
        id_ = f"u__org__{organization}__domain__{domain}__project__{project}__key__k"
        return hashlib.md5(id_.encode()).hexdigest(), {id_: VALUE}

    fixed = put_by_flyte(own_store, "fixed", immutable=True)
    taken = put_by_flyte(own_store, "taken")
    left = {
        put(*of_flyte("flyte", "d", "my_project")): 'project "my_project" is not valid',
        put(*of_flyte("acme", "d", "p")): "can't be mapped",
        put("0" * 32, of_flyte("flyte", "d", "p")[1]): "not the one that goes with its data key",
        put("several", {"a": VALUE, "b": VALUE}): "2 data keys",
        put("odd", {"password": VALUE}): "no name of a secret of Flyte's",
        put("empty", {}): "tells no data key",
        put(
            "img-pull-d76ba5cd97e80e51",
            {".dockerconfigjson": b"{}"},
            labels={"union.ai/secret-type": "image-pull-secret"},
            type="kubernetes.io/dockerconfigjson",
        ): "image-pull Secret",
        place(fixed): "immutable",
    }
    put("of-a-stranger", {"password": VALUE}, labels={})
    before = {name: own_store.cluster.api("GET", f"{path}/{name}").ok() for name in left}
    seen = Command(own_store, tmp_path).items("--apply", "--yes")
    assert set(seen) == {*left, place(taken)}
    assert seen[place(taken)]["outcome"] == "taken"
    for name, why in left.items():
        assert (seen[name]["outcome"], why in seen[name]["detail"]) == ("left alone", True), seen[name]
        assert own_store.cluster.api("GET", f"{path}/{name}").ok() == before[name]


def test_a_secret_that_changes_or_goes_meanwhile(store: Store) -> None:
    ref, gone = put_by_flyte(store, some_ref().name), put_by_flyte(store, some_ref().name)
    candidates = found(store)
    store.patch(ref, {"metadata": {"annotations": {"note": "x"}}})
    store.cluster.api("DELETE", store.path(gone)).ok()
    opened = take_over(store)
    assert opened.take(candidates[place(ref)]).standing is Standing.TAKEN
    assert store.object(ref)["metadata"]["annotations"]["note"] == "x"
    left = opened.take(candidates[place(gone)])
    assert (left.standing, left.why) == (Standing.LEFT, "it was deleted meanwhile")
    opened.close()


def test_one_that_fails_does_not_keep_the_others(own_store: Store, cluster: Cluster, tmp_path: Path) -> None:
    """Somebody who may change one of the two Secrets only."""
    first, second = sorted((put_by_flyte(own_store, name) for name in ("one", "two")), key=place)
    rules = [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["patch"], "resourceNames": [place(second)]},
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
    ]
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{own_store.namespace}"
    cluster.api("POST", f"{rbac}/roles", {"metadata": {"name": "half"}, "rules": rules}).ok()
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "half"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "anna"}
    cluster.api(
        "POST", f"{rbac}/rolebindings", {"metadata": {"name": "half"}, "roleRef": role, "subjects": [subject]}
    ).ok()
    command = Command(own_store, tmp_path)
    anna = cluster.kubeconfig_for("anna")
    done = command.run("--apply", "--yes", "-o", "json", kubeconfig=anna)
    items = {each["secret"]: each for each in json.loads(done.stdout)["items"]}
    assert (items[place(first)]["outcome"], items[place(first)]["code"]) == ("failed", "unavailable")
    assert items[place(second)]["outcome"] == "taken"
    assert done.returncode == 6
    assert command.items("--apply", "--yes")[place(first)]["outcome"] == "taken"
    events = [json.loads(line) for line in (tmp_path / "state" / "audit.jsonl").read_text().splitlines()]
    assert [event["outcome"] for event in events] == ["begun", "unavailable", "begun", "ok", "begun", "ok"]


def test_only_metadata_are_asked_for_and_written(own_store: Store) -> None:
    recording = Recording(connect(own_store.kubeconfig))
    namespace = Namespace(recording, own_store.namespace, timeout=5.0)  # type: ignore[arg-type]
    ref = put_by_flyte(own_store, "watched")
    opened = KubernetesTakeOver(namespace, "flyte")
    [candidate] = opened.candidates()
    assert opened.take(candidate).standing is Standing.TAKEN
    opened.close()
    assert [call for call, _ in recording.answers if not call.startswith("GET ")] == [
        f"PATCH {own_store.path(ref)}"
    ]
    for marker in (b64encode(VALUE).decode(), '"data"'):
        assert marker not in json.dumps(recording.answers)
    changes = [
        entry["fieldsV1"]
        for entry in own_store.object(ref)["metadata"]["managedFields"]
        if entry["manager"] == "secrets-svc-writer"
    ]
    assert [set(fields) for fields in changes] == [{"f:metadata"}]


def test_the_way_back_is_as_the_page_says(own_store: Store, tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "migrating-from-flyte.md").read_text(encoding="utf-8")
    ref = put_by_flyte(own_store, "there-and-back")
    before = own_store.object(ref)["metadata"]
    Command(own_store, tmp_path).items("--apply", "--yes")
    update(own_store.writer(), ref, b"once here")
    part = page.partition("## Go back")[2].partition("```sh")[2].partition("```")[0]
    lines = part.replace("\\\n", " ").strip().splitlines()
    assert len(lines) == 4
    for line in lines:
        kubectl, *arguments = shlex.split(line)
        assert kubectl == "kubectl"
        at = arguments.index("-n")
        assert arguments[at + 1] == "flyte"
        own_store.cluster.kubectl(*arguments[:at], "-n", own_store.namespace, *arguments[at + 2 :])
    after = own_store.object(ref)["metadata"]
    assert (after["labels"], after.get("annotations")) == (before["labels"], before.get("annotations"))
    assert read_by_flyte(own_store, ref) == b"once here"
    assert own_store.leases() == []
    [only] = own_store.cluster.api("GET", own_store.path()).ok()["items"]
    assert only["metadata"]["name"] == place(ref)
    assert found(own_store)[place(ref)].standing is Standing.FOREIGN


def test_a_namespace_that_is_not_there_is_no_empty_one(store: Store, tmp_path: Path) -> None:
    command = Command(store, tmp_path)
    command.settings.write_text('[stores.c]\nbackend = "kubernetes"\nnamespace = "not-there"\n')
    done = command.run()
    assert done.returncode == 6
    assert "there is no such namespace" in done.stderr or "it isn't there" in done.stderr
