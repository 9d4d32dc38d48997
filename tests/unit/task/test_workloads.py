"""Requests in whatever makes pods: nothing else changes, the input stays, and the injector reads them."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from kubernetes import client

from injector.dialects import ours
from injector.keys import REQUEST
from injector.review import ObjectMeta
from secrets_svc.task import InvalidRequest, Secret, pod_request, requests_in, with_secrets

KEY = Secret("tls-key", file="tls/key.pem", containers=["main"])
ASKED = ["db-password", KEY]
METADATA = pod_request(ASKED, project="shop", domain="production")
SPEC = {"containers": [{"name": "main", "image": "task:1"}]}
LABELS = {"secrets-svc.internal/project": "shop", "secrets-svc.internal/domain": "production"}


def asked_in(metadata: dict[str, Any]) -> list[str]:
    """Names in the annotation, as the injector reads it."""
    parsed = ours.parse(ObjectMeta(annotations=metadata.get("annotations")))
    return [item.name for item in parsed.items] if parsed else []


def given_to(workload: Any, **more: Any) -> Any:
    """With :data:`ASKED`; the input must stay as it was."""
    before = copy.deepcopy(workload)
    result = with_secrets(workload, ASKED, project="shop", domain="production", **more)
    assert workload == before
    return result


def at(workload: Any, path: tuple[str | int, ...]) -> Any:
    """What lies there."""
    for part in path:
        workload = workload[part]
    return workload


TEMPLATES: dict[str, tuple[str, ...]] = {
    "Pod": (),
    "PodTemplate": ("template",),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
}


def nested(kind: str, inner: dict[str, Any]) -> dict[str, Any]:
    """An object of ``kind`` around a pod template."""
    made: dict[str, Any] = inner
    for part in reversed(TEMPLATES[kind]):
        made = {part: made}
    return {"apiVersion": "v1", "kind": kind, **made}


@pytest.mark.parametrize("kind", TEMPLATES)
def test_kinds_of_kubernetes_as_dicts(kind: str) -> None:
    own = {"metadata": {"name": "n", "labels": {"app": "x"}, "annotations": {"note": "y"}}, "spec": SPEC}
    wanted = {
        "name": "n",
        "labels": {"app": "x", **LABELS},
        "annotations": {"note": "y", **METADATA["annotations"]},
    }
    assert given_to(nested(kind, own)) == nested(kind, {"metadata": wanted, "spec": SPEC})


def test_a_template_alone_and_one_without_metadata() -> None:
    assert given_to({"spec": SPEC}) == {"spec": SPEC, "metadata": METADATA}
    assert given_to({"kind": "Job", "spec": {"template": {"metadata": None, "spec": SPEC}}}) == {
        "kind": "Job",
        "spec": {"template": {"metadata": METADATA, "spec": SPEC}},
    }


def client_objects() -> list[tuple[str, Any]]:
    """Models of the client, without metadata, some without a kind."""
    spec = client.V1PodSpec(containers=[client.V1Container(name="main", image="task:1")])
    template = client.V1PodTemplateSpec(spec=spec)
    job = client.V1JobSpec(template=template)
    selector = client.V1LabelSelector(match_labels={"a": "b"})
    cron = client.V1CronJobSpec(schedule="* * * * *", job_template=client.V1JobTemplateSpec(spec=job))
    return [
        ("Pod", client.V1Pod(spec=spec)),
        ("Job", client.V1Job(kind="Job", spec=job)),
        ("CronJob", client.V1CronJob(spec=cron)),
        (
            "Deployment",
            client.V1Deployment(spec=client.V1DeploymentSpec(template=template, selector=selector)),
        ),
    ]


@pytest.mark.parametrize(("kind", "workload"), client_objects(), ids=[kind for kind, _ in client_objects()])
def test_objects_of_the_kubernetes_client(kind: str, workload: Any) -> None:
    result = given_to(workload)
    assert type(result) is type(workload)
    plain = client.ApiClient().sanitize_for_serialization(result)
    assert at(plain, TEMPLATES[kind])["metadata"] == METADATA
    again = with_secrets(result, [*ASKED, "more"])
    plain = client.ApiClient().sanitize_for_serialization(again)
    assert asked_in(at(plain, TEMPLATES[kind])["metadata"]) == ["db-password", "tls-key", "more"]


def test_a_template_of_the_client_alone() -> None:
    result = given_to(client.V1PodTemplateSpec(metadata=client.V1ObjectMeta(name="n", labels={"a": "b"})))
    assert (result.metadata.name, result.metadata.labels) == ("n", {"a": "b", **LABELS})


def workflow(**spec: Any) -> dict[str, Any]:
    templates = [{"name": "fetch", "container": {}}, {"name": "train", "container": {}, "metadata": {}}]
    return {"kind": "Workflow", "spec": {"entrypoint": "fetch", "templates": templates, **spec}}


def effective(spec: dict[str, Any], name: str) -> dict[str, Any]:
    """Metadata of a template's pods, as the controller makes them (``addMetadata``, ``templateDefaults``)."""
    template = next(each for each in spec["templates"] if each["name"] == name)
    layers = [spec.get("podMetadata"), (spec.get("templateDefaults") or {}).get("metadata")]
    found: dict[str, Any] = {"labels": {}, "annotations": {}}
    for layer in [*layers, template.get("metadata")]:
        for field, texts in found.items():
            texts.update((layer or {}).get(field, {}))
    return found


def test_all_pods_of_a_workflow() -> None:
    result = given_to(workflow())
    assert result["spec"] == {**workflow()["spec"], "podMetadata": METADATA}
    for name in ("fetch", "train"):
        assert effective(result["spec"], name) == METADATA


def test_one_template_of_a_workflow() -> None:
    result = given_to(workflow(podMetadata=pod_request(["for-all"])), parts=["train"])
    assert asked_in(effective(result["spec"], "train")) == ["for-all", "db-password", "tls-key"]
    assert asked_in(effective(result["spec"], "fetch")) == ["for-all"]


def test_what_all_pods_of_a_workflow_get_reaches_those_that_ask_for_more() -> None:
    first = with_secrets(workflow(), ["own"], parts=["train"])
    first["spec"]["templateDefaults"] = {"metadata": pod_request(["default"])}
    result = given_to(first)
    assert asked_in(effective(result["spec"], "train")) == ["own", "db-password", "tls-key"]
    assert asked_in(effective(result["spec"], "fetch")) == ["default", "db-password", "tls-key"]
    one = with_secrets(result, ["last"], parts=["fetch"])
    assert asked_in(effective(one["spec"], "fetch")) == ["default", "db-password", "tls-key", "last"]
    with pytest.raises(InvalidRequest, match='is "shop" already'):
        with_secrets(result, ["last"], project="bank", parts=["fetch"])


@pytest.mark.parametrize("kind", ["WorkflowTemplate", "ClusterWorkflowTemplate"])
def test_templates_of_workflows(kind: str) -> None:
    assert given_to({**workflow(), "kind": kind})["spec"]["podMetadata"] == METADATA


def test_a_workflow_by_the_clock_and_one_of_a_reference() -> None:
    cron = {"kind": "CronWorkflow", "spec": {"schedule": "* * * * *", "workflowSpec": workflow()["spec"]}}
    assert given_to(cron)["spec"]["workflowSpec"]["podMetadata"] == METADATA
    referring = {"kind": "Workflow", "spec": {"workflowTemplateRef": {"name": "x"}}}
    assert given_to(referring)["spec"]["podMetadata"] == METADATA


def test_an_application_of_spark() -> None:
    spec = {"type": "Python", "driver": {"cores": 1, "labels": {"a": "b"}}, "executor": {"cores": 2}}
    application = {"kind": "SparkApplication", "spec": spec}
    result = given_to(application)["spec"]
    assert result["driver"] == {"cores": 1, **METADATA, "labels": {"a": "b", **LABELS}}
    assert result["executor"] == {"cores": 2, **METADATA}
    assert given_to(application, parts=["driver"])["spec"]["executor"] == {"cores": 2}
    scheduled = {"kind": "ScheduledSparkApplication", "spec": {"schedule": "@daily", "template": spec}}
    assert given_to(scheduled)["spec"]["template"] == result


def cluster() -> dict[str, Any]:
    group = {
        "groupName": "gpu",
        "replicas": 1,
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": SPEC},
    }
    return {"headGroupSpec": {"template": {"spec": SPEC}}, "workerGroupSpecs": [group]}


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("RayCluster", ("spec",)),
        ("RayJob", ("spec", "rayClusterSpec")),
        ("RayCronJob", ("spec", "jobTemplate", "rayClusterSpec")),
        ("RayService", ("spec", "rayClusterConfig")),
    ],
)
def test_a_cluster_of_ray(kind: str, path: tuple[str, ...]) -> None:
    made: dict[str, Any] = cluster()
    for part in reversed(path):
        made = {part: made}
    made = {"kind": kind, **made}
    result = at(given_to(made), path)
    assert result["headGroupSpec"]["template"] == {"spec": SPEC, "metadata": METADATA}
    [group] = result["workerGroupSpecs"]
    assert group["template"]["metadata"] == {**METADATA, "labels": {"a": "b", **LABELS}}
    only = at(given_to(made, parts=["gpu"]), path)
    assert only["headGroupSpec"] == cluster()["headGroupSpec"]
    assert only["workerGroupSpecs"] == result["workerGroupSpecs"]
    assert at(given_to(made, parts=["head"]), path)["workerGroupSpecs"] == cluster()["workerGroupSpecs"]


def test_parts_written_once_and_named_twice_are_told_apart() -> None:
    """As YAML's anchors and variables of a program make them."""
    group = {"groupName": "gpu", "template": {"spec": SPEC, "metadata": {"labels": {"a": "b"}}}}
    ray = {"kind": "RayCluster", "spec": {"headGroupSpec": group, "workerGroupSpecs": [group]}}
    spec = given_to(ray, parts=["head"])["spec"]
    assert asked_in(spec["headGroupSpec"]["template"]["metadata"]) == ["db-password", "tls-key"]
    assert spec["workerGroupSpecs"] == [group]
    part: dict[str, Any] = {"annotations": {"a": "b"}}
    spark = {"kind": "SparkApplication", "spec": {"driver": part, "executor": part}}
    spec = given_to(spark, parts=["driver"])["spec"]
    assert (asked_in(spec["driver"]), spec["executor"]) == (
        ["db-password", "tls-key"],
        {"annotations": {"a": "b"}},
    )


def test_what_a_parser_keeps_beside_the_data_is_kept() -> None:
    class Commented(dict[str, Any]):
        comment = ""

    pod = Commented(kind="Pod", spec=SPEC)
    pod.comment = "# ours"
    made = given_to(pod)
    assert (type(made), made.comment) == (Commented, "# ours")


def test_the_same_again_changes_nothing_and_other_requests_go_beside() -> None:
    once = with_secrets({"kind": "Pod", "spec": SPEC}, ASKED)
    assert with_secrets(once, ASKED) == once
    twice = with_secrets(once, ["other", "db-password"])
    text = twice["metadata"]["annotations"][REQUEST]
    assert requests_in(text) == (Secret("db-password"), KEY, Secret("other"))


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (
        {"kind": "ConfigMap"},
        {},
        "ConfigMap: this kind is not known here; known are ClusterWorkflowTemplate, CronJob",
    ),
    ({}, {}, "workload: has no kind"),
    (7, {}, "workload: has no kind"),
    ("Pod", {}, "workload: has no kind"),
    ({"kind": "Job", "spec": {}}, {}, "Job: there is nothing at spec.template"),
    ({"kind": "Job", "spec": {"template": []}}, {}, "Job: there is nothing at spec.template"),
    ({"kind": "Pod", "metadata": "x"}, {}, "Pod: metadata is not an object"),
    ({"kind": "Pod", "metadata": {"labels": {"a": 1}}}, {}, "labels must be texts by names"),
    ({"kind": "Pod", "metadata": {"annotations": []}}, {}, "annotations must be texts by names"),
    ({"kind": "Pod", "metadata": {"annotations": {REQUEST: "[{"}}}, {}, "is not valid JSON"),
    (
        {"kind": "Pod", "metadata": {"annotations": {REQUEST: '[{"name": "x", "env": "DB_PASSWORD"}]'}}},
        {},
        'Pod: two requests want env "DB_PASSWORD" in one container',
    ),
    (
        {"kind": "Pod", "metadata": {"labels": {"secrets-svc.internal/project": "bank"}}},
        {},
        'label secrets-svc.internal/project is "bank" already, and "shop" is wanted',
    ),
    ({"kind": "Pod"}, {"parts": ["main"]}, "a Pod has one kind of pods: leave parts out"),
    (workflow(), {"parts": "train"}, "parts must be a list of names"),
    (workflow(), {"parts": []}, "parts must be a list of names"),
    (workflow(), {"parts": ["test"]}, 'Workflow: there is no template "test"; there: '),
    ({"kind": "Workflow", "spec": {"templates": ["x"]}}, {}, "templates must be a list of objects"),
    ({"kind": "CronWorkflow", "spec": {}}, {}, "there is nothing at spec.workflowSpec"),
    ({"kind": "SparkApplication", "spec": {"driver": []}}, {}, "driver is not an object"),
    ({"kind": "SparkApplication", "spec": {}}, {"parts": ["head"]}, 'there is no part "head"; there: driver'),
    ({"kind": "RayJob", "spec": {"clusterSelector": {}}}, {}, "there is nothing at spec.rayClusterSpec"),
    ({"kind": "RayCluster", "spec": cluster()}, {"parts": ["cpu"]}, 'no part "cpu"; there: head, gpu'),
    (
        {"kind": "RayCluster", "spec": {**cluster(), "workerGroupSpecs": [{"template": {}}]}},
        {},
        "must have a groupName of its own",
    ),
]


@pytest.mark.parametrize(("workload", "more", "text"), WRONG, ids=[text for _, _, text in WRONG])
def test_what_makes_no_pods_that_could_ask_is_refused(workload: Any, more: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        given_to(workload, **more)
    assert text in caught.value.message


def test_the_annotation_is_json_that_anybody_reads() -> None:
    assert json.loads(METADATA["annotations"][REQUEST])[0] == {"name": "db-password", "env": "DB_PASSWORD"}
