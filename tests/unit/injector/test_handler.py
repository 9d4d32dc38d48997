"""Admissions from bytes to bytes, over a store that counts its calls."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import pytest
from admissions import NAMESPACE, SHOP, STATUS, Kit, apply, patch_of, pod, review

from secrets_svc.core.errors import Internal, InvalidArgument, Unavailable
from secrets_svc.core.scope import Scope, precedence_chain

FILES = "/var/run/secrets/secrets-svc"


@pytest.fixture
def kit() -> Kit:
    kit = Kit()
    kit.reader.put("db-password", b"narrow")
    kit.reader.put("tls-key", b"key", Scope("flyte", domain="production"))
    return kit


def staged_value(kit: Kit, name: str) -> bytes:
    assert kit.staging.values is not None
    return kit.staging.values[name].reveal_bytes()


def test_env_and_file_reach_every_container(kit: Kit) -> None:
    requests = [{"name": "db-password"}, {"name": "tls-key", "file": "tls/key.pem", "mode": "0400"}]
    sidecar = {"name": "proxy", "restartPolicy": "Always", "env": [{"name": "A", "value": "$(DB_PASSWORD)"}]}
    mutated = kit.mutate(pod(requests, initContainers=[sidecar], volumes=[{"name": "data", "emptyDir": {}}]))
    spec = mutated["spec"]
    for container in [*spec["containers"], *spec["initContainers"]]:
        reference = container["env"][0]["valueFrom"]["secretKeyRef"]
        assert container["env"][0]["name"] == "DB_PASSWORD"
        assert reference["key"] == "value"
        assert staged_value(kit, reference["name"]) == b"narrow"
        assert container["volumeMounts"] == [
            {"name": "secrets-svc-files-0", "mountPath": FILES, "readOnly": True}
        ]
    [data, files] = spec["volumes"]
    assert data == {"name": "data", "emptyDir": {}}
    [source] = files["projected"]["sources"]
    assert source["secret"]["items"] == [{"key": "value", "path": "tls/key.pem", "mode": 0o400}]
    assert staged_value(kit, source["secret"]["name"]) == b"key"
    assert spec["initContainers"][0]["env"][1] == {"name": "A", "value": "$(DB_PASSWORD)"}


def test_the_status_tells_what_went_where(kit: Kit) -> None:
    mutated = kit.mutate(pod([{"name": "db-password"}, {"name": "tls-key", "file": "k"}]))
    assert json.loads(mutated["metadata"]["annotations"][STATUS]) == [
        {
            "name": "db-password",
            "store": "local",
            "scope": "project-domain shop/production",
            "version": "token-1",
            "env": "DB_PASSWORD",
        },
        {
            "name": "tls-key",
            "store": "local",
            "scope": "domain production",
            "version": "token-2",
            "file": "k",
        },
    ]


def test_nothing_of_a_value_is_in_the_answer(kit: Kit) -> None:
    kit.reader.put("db-password", b"canary-value")
    body = json.dumps(kit.admit(pod([{"name": "db-password"}, {"name": "db-password", "file": "f"}])))
    assert "canary-value" not in body


@pytest.mark.parametrize("level", range(4))
def test_the_narrowest_scope_wins(level: int) -> None:
    kit = Kit()
    for number, scope in enumerate(precedence_chain(SHOP)):
        if number >= level:
            kit.reader.put("a", b"%d" % number, scope)
    mutated = kit.mutate(pod([{"name": "a"}]))
    reference = mutated["spec"]["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]
    assert staged_value(kit, reference["name"]) == b"%d" % level


def test_only_the_containers_that_are_named_get_it(kit: Kit) -> None:
    containers: list[dict[str, Any]] = [{"name": "main"}, {"name": "side"}]
    requests = [{"name": "db-password", "containers": ["main"]}, {"name": "tls-key", "file": "k"}]
    main, side = kit.mutate(pod(requests, containers=containers))["spec"]["containers"]
    assert main["env"][0]["name"] == "DB_PASSWORD"
    assert "env" not in side
    assert main["volumeMounts"] == side["volumeMounts"]


def test_containers_with_different_files_have_different_volumes(kit: Kit) -> None:
    containers: list[dict[str, Any]] = [{"name": "main"}, {"name": "side"}, {"name": "third"}]
    requests = [
        {"name": "tls-key", "file": "k"},
        {"name": "db-password", "file": "p", "containers": ["side"]},
    ]
    spec = kit.mutate(pod(requests, containers=containers))["spec"]
    mounted = [container["volumeMounts"][0]["name"] for container in spec["containers"]]
    assert mounted == ["secrets-svc-files-0", "secrets-svc-files-1", "secrets-svc-files-0"]
    assert [len(volume["projected"]["sources"]) for volume in spec["volumes"]] == [1, 2]


def test_the_same_requests_in_pods_of_another_order_go_where_they_belong(kit: Kit) -> None:
    requests = [
        {"name": "tls-key", "file": "k", "containers": ["main"]},
        {"name": "db-password", "file": "p", "containers": ["side"]},
    ]
    main, side = {"name": "main"}, {"name": "side"}
    shapes: list[dict[str, Any]] = [
        {"containers": [main, side]},
        {"containers": [side, main]},
        {"containers": [main], "initContainers": [side]},
        {"containers": [side], "initContainers": [main]},
    ]
    for shape in shapes * 2:
        spec = kit.mutate(pod(requests, **copy.deepcopy(shape)))["spec"]
        volumes = {each["name"]: each["projected"]["sources"] for each in spec["volumes"]}
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            [source] = volumes[container["volumeMounts"][0]["name"]]
            [item] = source["secret"]["items"]
            assert item["path"] == {"main": "k", "side": "p"}[container["name"]]


def test_an_absent_secret_is_refused_with_everything_one_needs_to_know(kit: Kit) -> None:
    status, message = kit.refusal(pod([{"name": "nope", "env": "DB_PASSWORD"}]))
    assert status == 400
    assert message == (
        'secret "nope" (env DB_PASSWORD): not_found; looked in project-domain shop/production, project shop, '
        "domain production, organization flyte; store local; retryable=false"
    )
    assert kit.reader.reads == 0
    assert kit.audit[-1].outcome == "not_found"
    assert [secret.name for secret in kit.audit[-1].secrets] == ["nope"]


def test_an_absent_optional_secret_is_left_out_and_told_of(kit: Kit) -> None:
    requests = [{"name": "nope", "optional": True}, {"name": "gone", "file": "g", "optional": True}]
    response = kit.admit(pod(requests))
    assert response["allowed"]
    assert response["warnings"] == [
        'optional secret "nope" (env NOPE) is absent',
        'optional secret "gone" (file g) is absent',
    ]
    mutated = apply(pod(requests), response)
    assert "env" not in mutated["spec"]["containers"][0]
    assert "volumes" not in mutated["spec"]
    assert json.loads(mutated["metadata"]["annotations"][STATUS])[0] == {
        "name": "nope",
        "env": "NOPE",
    }


def test_a_failing_store_is_no_absent_secret(kit: Kit) -> None:
    kit.reader.failing = Unavailable("the store is sealed")
    status, message = kit.refusal(pod([{"name": "db-password", "optional": True}]))
    assert status == 503
    assert "unavailable; the store is sealed; looked in" in message
    assert message.endswith("retryable=true")


def test_a_warm_admission_reads_and_stages_nothing(kit: Kit) -> None:
    first = kit.admit(pod([{"name": "db-password"}]))
    reads = kit.reader.reads
    assert kit.admit(pod([{"name": "db-password"}])) == first
    assert kit.reader.reads == reads == 1


def test_a_write_is_seen_by_the_next_pod(kit: Kit) -> None:
    def value_now() -> bytes:
        container = kit.mutate(pod([{"name": "db-password"}]))["spec"]["containers"][0]
        return staged_value(kit, container["env"][0]["valueFrom"]["secretKeyRef"]["name"])

    assert value_now() == b"narrow"
    kit.reader.put("db-password", b"rotated")
    assert value_now() == b"rotated"
    del kit.reader.values[next(ref for ref in kit.reader.values if ref.name == "db-password")]
    kit.reader.put("db-password", b"wide", Scope("flyte"))
    assert value_now() == b"wide"


def test_a_write_between_resolve_and_read_is_followed(kit: Kit) -> None:
    writes = iter([b"second", b"third"])

    def write_meanwhile() -> None:
        value = next(writes, None)
        if value is not None:
            kit.reader.put("db-password", value)

    kit.reader.before_read = write_meanwhile
    container = kit.mutate(pod([{"name": "db-password"}]))["spec"]["containers"][0]
    assert staged_value(kit, container["env"][0]["valueFrom"]["secretKeyRef"]["name"]) == b"third"


def test_a_secret_written_without_end_is_a_refusal_to_retry(kit: Kit) -> None:
    kit.reader.before_read = lambda: kit.reader.put("db-password", b"again")
    status, message = kit.refusal(pod([{"name": "db-password"}]))
    assert status == 503
    assert "written over and over" in message


def test_a_slow_store_is_refused_at_the_deadline() -> None:
    kit = Kit(inline=False, deadline=0.2)
    kit.reader.put("a", b"x")
    kit.reader.before_read = lambda: time.sleep(0.5)
    begun = time.monotonic()
    status, message = kit.refusal(pod([{"name": "a"}]))
    assert time.monotonic() - begun < 1.5
    assert status == 503
    assert "deadline_exceeded" in message
    kit.reading.close()


def test_a_dry_run_reads_but_stages_nothing(kit: Kit) -> None:
    response = kit.admit(pod([{"name": "db-password"}]), dryRun=True)
    [env, status] = patch_of(response)
    assert env["value"][0]["valueFrom"]["secretKeyRef"]["name"].startswith("ss-dry-run-")
    assert kit.staging.values == {}
    assert kit.reader.reads == 1
    assert kit.audit[-1].detail["dry_run"] is True
    assert status["path"].endswith("~1status")


VALUES = {
    "NUL": (b"a\x00b", "holds a NUL byte"),
    "not UTF-8": (b"\xff\xfe", "is not UTF-8"),
    "too large": (b"x" * 131_072, "bytes over what Linux takes"),
}


@pytest.mark.parametrize(("value", "text"), VALUES.values(), ids=VALUES.keys())
@pytest.mark.parametrize("dry_run", [False, True])
def test_what_no_variable_can_hold_is_refused_but_fits_a_file(
    kit: Kit, value: bytes, text: str, dry_run: bool
) -> None:
    kit.reader.put("odd", value)
    status, message = kit.refusal(pod([{"name": "odd"}]), dryRun=dry_run)
    assert status == 400
    assert text in message
    assert "(env ODD)" in message
    assert kit.admit(pod([{"name": "odd", "file": "odd"}]), dryRun=dry_run)["allowed"]


def test_the_limit_of_a_variable_counts_its_name(kit: Kit) -> None:
    kit.reader.put("big", b"x" * (131_072 - len("BIG=") - 1))
    assert kit.admit(pod([{"name": "big"}]))["allowed"]
    assert kit.refusal(pod([{"name": "big", "env": "BIGG"}]))[0] == 400


def test_a_file_over_the_limit_of_a_secret_is_refused(kit: Kit) -> None:
    kit.reader.put("huge", b"x" * 1_048_577)
    status, message = kit.refusal(pod([{"name": "huge", "file": "f"}]))
    assert status == 400
    assert "too_large" in message


@pytest.mark.parametrize("size", [1_048_575, 1_048_576])
def test_a_file_up_to_the_limit_is_let_in_and_all_of_it_is_there(kit: Kit, size: int) -> None:
    kit.reader.put("largest", b"\xff" * size)
    assert kit.admit(pod([{"name": "largest", "file": "f"}]))["allowed"]
    [staged] = kit.staging.values.values()
    assert staged.reveal_bytes() == b"\xff" * size


def env_from(name: str) -> dict[str, Any]:
    return {"name": "X", "valueFrom": {"secretKeyRef": {"name": name, "key": "value"}}}


ASK = [{"name": "db-password"}]
HOSTILE: dict[str, tuple[dict[str, Any], dict[str, Any], int, str]] = {
    "another project's label": (
        {
            **pod(ASK),
            "metadata": {**pod(ASK)["metadata"], "labels": {"secrets-svc.internal/project": "bank"}},
        },
        {},
        403,
        'the pod claims project "bank", but namespace "shop-production" stands for project "shop"',
    ),
    "a namespace that proves nothing": (pod(ASK), {"namespace": "default"}, 403, "not in the namespace map"),
    "no namespace": (pod(ASK), {"namespace": ""}, 403, "not in the namespace map"),
    "another namespace inside the pod": (
        {**pod(ASK), "metadata": {**pod(ASK)["metadata"], "namespace": "other"}},
        {},
        400,
        "the pod's own namespace",
    ),
    "a forged status": (
        {**pod(), "metadata": {"annotations": {STATUS: "[]"}}},
        {},
        400,
        "is ours to write",
    ),
    "ss- in env": (pod(ASK, containers=[{"name": "main", "env": [env_from("ss-1")]}]), {}, 400, 'env "X"'),
    "ss- in env of a pod that asks nothing": (
        pod(containers=[{"name": "main", "env": [env_from("ss-1")]}]),
        {},
        400,
        'env "X"',
    ),
    "ss- in env of an init container": (
        pod(ASK, initContainers=[{"name": "init", "env": [env_from("ss-1")]}]),
        {},
        400,
        'env "X"',
    ),
    "ss- in envFrom": (
        pod(ASK, containers=[{"name": "main", "envFrom": [{"secretRef": {"name": "ss-1"}}]}]),
        {},
        400,
        "envFrom",
    ),
    "ss- in a secret volume": (
        pod(ASK, volumes=[{"name": "v", "secret": {"secretName": "ss-1"}}]),
        {},
        400,
        'volume "v"',
    ),
    "ss- in a projected volume": (
        pod(ASK, volumes=[{"name": "v", "projected": {"sources": [{"secret": {"name": "ss-1"}}]}}]),
        {},
        400,
        'volume "v"',
    ),
    "ss- in a csi volume": (
        pod(ASK, volumes=[{"name": "v", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "ss-1"}}}]),
        {},
        400,
        'volume "v"',
    ),
    "ss- in a flex volume": (
        pod(ASK, volumes=[{"name": "v", "flexVolume": {"driver": "d", "secretRef": {"name": "ss-1"}}}]),
        {},
        400,
        'volume "v"',
    ),
    "ss- in an azureFile volume of a pod that asks nothing": (
        pod(volumes=[{"name": "v", "azureFile": {"secretName": "ss-1", "shareName": "s"}}]),
        {},
        400,
        'volume "v"',
    ),
    "ss- in imagePullSecrets": (pod(ASK, imagePullSecrets=[{"name": "ss-1"}]), {}, 400, "imagePullSecrets"),
    "ss- in an ephemeral container": (
        pod(ASK, ephemeralContainers=[{"name": "debug", "env": [env_from("ss-1")]}]),
        {},
        400,
        'env "X"',
    ),
    "a volume of our name": (
        pod(ASK, volumes=[{"name": "secrets-svc-files-0", "emptyDir": {}}]),
        {},
        400,
        "are ours",
    ),
    "a mount at our path": (
        pod(
            [{"name": "tls-key", "file": "k"}],
            containers=[
                {"name": "main", "volumeMounts": [{"name": "v", "mountPath": f"{FILES}/../secrets-svc"}]}
            ],
        ),
        {},
        400,
        "where the files it asks for belong",
    ),
    "a mount at our path with a doubled slash": (
        pod(
            [{"name": "tls-key", "file": "k"}],
            containers=[{"name": "main", "volumeMounts": [{"name": "v", "mountPath": f"/{FILES}"}]}],
        ),
        {},
        400,
        "where the files it asks for belong",
    ),
    "a forged status beside an empty request": (
        {**pod(), "metadata": {"annotations": {STATUS: "[]", "secrets-svc.internal/request": "[]"}}},
        {},
        400,
        "is ours to write",
    ),
    "a mount at our path by its other name": (
        pod(
            [{"name": "tls-key", "file": "k"}],
            containers=[
                {"name": "main", "volumeMounts": [{"name": "v", "mountPath": "/run/secrets/secrets-svc/x"}]}
            ],
        ),
        {},
        400,
        "where the files it asks for belong",
    ),
    "a variable that is set already": (
        pod(ASK, containers=[{"name": "main", "env": [{"name": "DB_PASSWORD", "value": "x"}]}]),
        {},
        400,
        'sets env "DB_PASSWORD" itself',
    ),
    "an unknown container": (
        pod([{"name": "db-password", "containers": ["nobody"]}]),
        {},
        400,
        'no container "nobody"',
    ),
    "a mode that its user can't read": (
        pod([{"name": "tls-key", "file": "k", "mode": "0400"}], securityContext={"runAsUser": 1000}),
        {},
        400,
        "can't be read by the user",
    ),
    "no containers": ({**pod(ASK), "spec": {"containers": []}}, {}, 400, "the pod has no containers"),
    "no spec": ({"metadata": {}}, {}, 400, "the pod has no containers"),
    "containers that are none": ({**pod(ASK), "spec": {"containers": "main"}}, {}, 400, "is not a pod"),
    "annotations that are none": (
        {**pod(ASK), "metadata": {"annotations": {"a": 1}}},
        {},
        400,
        "is not a pod",
    ),
    "no object": (pod(ASK), {"object": None}, 400, "is not a pod"),
    "another kind": (
        pod(ASK),
        {"kind": {"group": "apps", "version": "v1", "kind": "Deployment"}},
        400,
        "only pods are taken here, not 'apps/v1/Deployment'",
    ),
    "a subresource": (pod(ASK), {"subResource": "ephemeralcontainers"}, 400, "only pods are taken here"),
    "an update": (pod(ASK), {"operation": "UPDATE"}, 400, "when they are created"),
}


@pytest.mark.parametrize(("hostile", "request_", "status", "text"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_pods_are_refused_without_a_backend_call(
    kit: Kit, hostile: dict[str, Any], request_: dict[str, Any], status: int, text: str
) -> None:
    answer = kit.refusal(hostile, **request_)
    assert answer[0] == status
    assert text in answer[1]
    assert answer[1].endswith("no store was asked; retryable=false")
    assert kit.reader.calls == 0
    assert len(kit.audit) == 1
    assert kit.audit[0].outcome in ("invalid_argument", "permission_denied")


def test_other_names_that_begin_alike_are_no_references(kit: Kit) -> None:
    volumes = [
        {"name": "ss-mine", "configMap": {"name": "ss-settings"}},
        {"name": "data", "hostPath": {"path": "ss-x"}},
    ]
    assert kit.admit(pod(ASK, volumes=volumes))["allowed"]


def test_a_pod_with_too_many_places_is_too_large(kit: Kit) -> None:
    requests = [{"name": "db-password", "env": f"V{index}"} for index in range(200)]
    containers = [{"name": f"c{index}"} for index in range(600)]
    status, message = kit.refusal(pod(requests, containers=containers))
    assert status == 400
    assert "too_large: the pod's containers get secrets in more than 4096 places" in message
    assert kit.reader.calls == 0


def test_hostile_annotations_are_not_parsed_without_a_proof(kit: Kit) -> None:
    status, message = kit.refusal(pod("[[[["), namespace="default")
    assert status == 403
    assert "not in the namespace map" in message


def test_a_pod_that_asks_nothing_passes_unchanged(kit: Kit) -> None:
    assert kit.admit(pod()) == {"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "allowed": True}
    assert kit.admit(pod([]))["allowed"]
    assert kit.reader.calls == 0


def test_the_status_of_an_earlier_pass_is_replaced(kit: Kit) -> None:
    forged = pod(ASK)
    forged["metadata"]["annotations"][STATUS] = '[{"name":"other"}]'
    assert "token-1" in kit.mutate(forged)["metadata"]["annotations"][STATUS]


def test_a_staged_reference_where_one_belongs_is_replaced_by_the_true_one(kit: Kit) -> None:
    forged = {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "ss-guessed", "key": "value"}}}
    mutated = kit.mutate(
        pod(ASK, containers=[{"name": "main", "env": [{"name": "A", "value": "1"}, forged]}])
    )
    env = mutated["spec"]["containers"][0]["env"]
    assert [entry["name"] for entry in env] == ["DB_PASSWORD", "A"]
    assert staged_value(kit, env[0]["valueFrom"]["secretKeyRef"]["name"]) == b"narrow"


def test_another_version_of_the_review_is_refused_in_its_own(kit: Kit) -> None:
    [answer] = kit.handler.answer([review(pod(ASK), api_version="admission.k8s.io/v1beta1")])
    assert isinstance(answer, bytes)
    reply = json.loads(answer)
    assert reply["apiVersion"] == "admission.k8s.io/v1beta1"
    assert not reply["response"]["allowed"]
    assert "admissionReviewVersions: [v1]" in reply["response"]["status"]["message"]
    assert kit.reader.calls == 0
    assert [event.outcome for event in kit.audit] == ["invalid_argument"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        review(pod(ASK))[:-20],
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"apiVersion":"admission.k8s.io/v1","kind":"Pod","request":{"uid":"x"}}',
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{}}',
        b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":7}}',
    ],
)
def test_what_is_no_review_has_nobody_to_answer(kit: Kit, body: bytes) -> None:
    [answer] = kit.handler.answer([body])
    assert isinstance(answer, InvalidArgument)
    assert "not an AdmissionReview" in answer.message
    assert kit.reader.calls == 0


def test_without_an_audit_record_nobody_is_let_in(kit: Kit) -> None:
    kit.audit.failing = Unavailable("the audit record can't be written")
    status, message = kit.refusal(pod(ASK))
    assert status == 503
    assert "the audit record can't be written" in message


def test_a_defect_is_internal_and_shows_nothing(kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    class Defect(Exception):
        pass

    def explode() -> None:
        raise Defect("canary-value")

    kit.reader.before_read = explode
    status, message = kit.refusal(pod(ASK))
    assert status == 500
    assert Internal.code in message
    assert "canary" not in message + caplog.text
    assert "unforeseen Defect" in caplog.text


def test_each_decision_is_one_audit_event(kit: Kit) -> None:
    kit.admit(pod(ASK))
    kit.admit(pod([{"name": "nope"}]))
    kit.admit(pod(), namespace="default")
    assert [event.outcome for event in kit.audit] == ["ok", "not_found", "ok"]
    event = json.loads(kit.audit[0].to_json())
    assert event["actor"] == "alice"
    assert event["namespace"] == NAMESPACE
    assert event["pod"] == "task"
    assert event["request_id"] == "705ab4f5-6393-11e8-b7cc-42010a800002"
    assert event["secrets"] == [
        {
            "name": "db-password",
            "organization": "flyte",
            "domain": "production",
            "project": "shop",
            "version": "token-1",
            "store": "local",
        }
    ]


def answers_of(kit: Kit, bodies: list[bytes]) -> list[dict[str, Any]]:
    """The responses to what arrived together, none of which takes waiting."""
    answers = kit.handler.answer(bodies)
    assert all(isinstance(answer, bytes) for answer in answers)
    return [json.loads(answer)["response"] for answer in answers if isinstance(answer, bytes)]


def test_what_arrived_together_is_decided_each_by_itself(kit: Kit) -> None:
    kit.mutate(pod(ASK))  # staged
    kit.audit.clear()
    bodies = [
        review(pod(ASK), uid="a"),
        review(pod('[{"name": "absent"}]'), uid="b"),
        review(pod(), uid="c"),
        review(pod(ASK), uid="d", namespace="elsewhere"),
        review(pod(ASK), uid="e"),
    ]
    responses = answers_of(kit, bodies)
    assert [(each["uid"], each["allowed"]) for each in responses] == [
        ("a", True),
        ("b", False),
        ("c", True),
        ("d", False),
        ("e", True),
    ]
    assert [(event.request_id, event.outcome) for event in kit.audit] == [
        ("a", "ok"),
        ("b", "not_found"),
        ("c", "ok"),
        ("d", "permission_denied"),
        ("e", "ok"),
    ]


def test_without_a_record_nothing_that_arrived_together_is_let_in(kit: Kit) -> None:
    kit.mutate(pod(ASK))
    kit.audit.failing = Unavailable("the audit record can't be written")
    responses = answers_of(kit, [review(pod(ASK)), review(pod()), review(pod('[{"name": "absent"}]'))])
    for response in responses:
        assert not response["allowed"]
        assert response["status"]["code"] == 503
        assert "audit record" in response["status"]["message"]


def test_a_record_that_fails_in_an_unforeseen_way_lets_nothing_in(kit: Kit) -> None:
    kit.audit.failing = RuntimeError("nobody thought of it")  # type: ignore[assignment]
    [response] = answers_of(kit, [review(pod())])
    assert not response["allowed"]
    assert response["status"]["code"] == 500
    assert "nobody thought" not in response["status"]["message"]


def test_a_pod_of_very_many_containers_is_too_large(kit: Kit) -> None:
    many = [{"name": f"c{number}"} for number in range(1001)]
    code, message = kit.refusal(pod(ASK, containers=many))
    assert (code, "more than 1000 containers" in message) == (400, True)
    assert message.startswith("too_large: ")
    assert kit.reader.calls == 0
