"""Pods in files: which are found, and what is no pod."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.manifests import MAX_FILE
from cli.pods import read_pods
from secrets_svc.core.errors import InvalidArgument, TooLarge

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


def bomb(level: str, innermost: str) -> str:
    """A few hundred bytes that stand for billions: each level is the one before, ten times."""
    lines = ["kind: Pod", f"l0: &l0 {innermost}"]
    lines += [f"l{number}: &l{number} {level.format(f'*l{number - 1}')}" for number in range(1, 10)]
    return "\n".join(lines)


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
        ("kind: List\nitems: 5", "has no pod"),
        ("kind: Pod\nspec: {replicas: .nan}", "a value of type float"),
        ("kind: Pod\nspec: {replicas: -.inf}", "a value of type float"),
        ("kind: Pod\nspec: {token: !!binary c2VjcmV0}", "a value of type bytes"),
        ("kind: Pod\nspec: {a: !!set {b, c}}", "a value of type set"),
        ("kind: Pod\nspec: {at: !!timestamp 2030-01-31}", "a value of type date"),
        ("kind: Pod\nspec: {a: 1, b: 2, a: 3}", 'the key "a" twice'),
        ('{"kind": "Pod", "spec": {"a": 1, "a": 1}}', 'the key "a" twice'),
        ("kind: Pod\nspec: &a [*a]", "once its aliases are written out"),
        (f"kind: Pod\na: &a {'x' * 70_000}\nb: [{'*a,' * 100}]", "once its aliases are written out"),
        (bomb("[{0},{0},{0},{0},{0},{0},{0},{0},{0},{0}]", "[x]"), "once its aliases are written out"),
        (
            bomb("{{<<: [{0},{0},{0},{0},{0},{0},{0},{0},{0},{0}]}}", "{a: 1}"),
            "once its merges are written out",
        ),
        (f"kind: Pod\nspec: {'[' * 5000}", "not valid YAML"),
        (f"kind: Pod\nspec: {'9' * 5000}", "not valid YAML"),
    ],
)
def test_what_has_no_pod_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(InvalidArgument, match=message):
        read_pods(tmp_path / "x.yaml")


def test_an_absent_file_and_a_huge_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="can't be read"):
        read_pods(tmp_path / "absent")
    (tmp_path / "huge").write_bytes(b"#" * (MAX_FILE + 1))
    with pytest.raises(TooLarge, match="is over"):
        read_pods(tmp_path / "huge")


@pytest.mark.parametrize("surplus", [0, 1])
def test_a_pipe_is_read_whole_or_refused(monkeypatch: pytest.MonkeyPatch, surplus: int) -> None:
    pod = b"kind: Pod\nmetadata: {name: a}\n---\n"
    piped = pod + b"#" * (MAX_FILE - 2 * len(pod) + surplus) + b"\n" + pod[:-1]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(piped)))
    if surplus:
        with pytest.raises(TooLarge, match="the standard input is over"):
            read_pods(Path("-"))
    else:
        assert len(read_pods(Path("-"))) == 2


def test_merges_and_aliases_mean_what_they_mean_elsewhere(tmp_path: Path) -> None:
    text = """
kind: Pod
metadata: {labels: &labels {a: x, b: y}}
outer: {inner: &inner {<<: *labels, a: z}}
spec: {later: {<<: *inner, b: w}, again: *labels}
"""
    (tmp_path / "pod.yaml").write_text(text)
    [pod] = read_pods(tmp_path / "pod.yaml")
    assert pod.document["spec"] == {"later": {"a": "z", "b": "w"}, "again": {"a": "x", "b": "y"}}
    assert pod.document["outer"] == {"inner": {"a": "z", "b": "y"}}
