"""Pods in files: which are found, and what is no pod."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.pods import read_pods
from secrets_svc.core.errors import InvalidArgument

TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "main"}]}}


def written(tmp_path: Path, *documents: Any) -> Path:
    path = tmp_path / "pods.yaml"
    path.write_text(yaml.safe_dump_all(documents))
    return path


@pytest.mark.parametrize(
    "kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"]
)
def test_templates_of_workloads_are_found(tmp_path: Path, kind: str) -> None:
    workload = {"kind": kind, "metadata": {"name": "web", "namespace": "n"}, "spec": {"template": TEMPLATE}}
    [pod] = read_pods(written(tmp_path, workload))
    assert pod.origin == f"{kind} web"
    assert pod.namespace == "n"
    assert pod.document == {"apiVersion": "v1", "kind": "Pod", **TEMPLATE}


def test_a_cron_jobs_template_lies_deeper_and_lists_are_opened(tmp_path: Path) -> None:
    job = {"kind": "CronJob", "metadata": {}, "spec": {"jobTemplate": {"spec": {"template": TEMPLATE}}}}
    pods = read_pods(written(tmp_path, {"kind": "List", "items": [job]}, {"kind": "Pod", **TEMPLATE}))
    assert [pod.origin for pod in pods] == ["CronJob (no name)", "Pod (no name)"]


def test_times_stay_texts_so_that_a_pod_read_back_can_be_sent(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(
        "kind: Pod\nmetadata: {creationTimestamp: 2030-01-31T12:00:00Z}\nspec: {}\n"
    )
    [pod] = read_pods(tmp_path / "pod.yaml")
    assert json.loads(json.dumps(pod.document))["metadata"]["creationTimestamp"] == "2030-01-31T12:00:00Z"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no pod"),
        ("kind: ConfigMap", "has no pod"),
        ("[1, 2]", "has no pod"),
        ("a: [", "not valid YAML"),
        ("!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("kind: Deployment\nspec: {}", "has no pod template at spec.template"),
        ("\x00", "not valid YAML"),
    ],
)
def test_what_has_no_pod_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(InvalidArgument, match=message):
        read_pods(tmp_path / "x.yaml")


def test_an_absent_file_and_a_huge_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="can't be read"):
        read_pods(tmp_path / "absent")
    (tmp_path / "huge").write_bytes(b"#" * (3 * 1024 * 1024 + 1))
    with pytest.raises(InvalidArgument, match="is over"):
        read_pods(tmp_path / "huge")
