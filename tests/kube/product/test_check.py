"""``secret check --cluster``: what the cluster would answer, with nothing created."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from installation import PROJECT, Installation, pod, reference


def check(installation: Installation, file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**installation.environment, "KUBECONFIG": str(installation.cluster.admin_kubeconfig)}
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "check", str(file), "--cluster", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def written(folder: Path, document: dict[str, Any]) -> Path:
    file = folder / "pod.json"
    file.write_text(json.dumps(document))
    return file


def test_it_says_where_everything_would_go(installation: Installation, shop: str, tmp_path: Path) -> None:
    name = installation.create(b"x")
    file = written(tmp_path, pod("a", [{"name": name, "env": "A", "file": "a/b"}]))
    done = check(installation, file, "-n", shop)
    assert done.returncode == 0, done.stderr
    assert "Pod a: allowed" in done.stdout
    assert "project-domain shop/production" in done.stdout
    assert "file a/b" in done.stdout
    assert installation.pods(shop) == []
    assert installation.staged(shop) == {}


def test_a_workloads_template_is_checked_as_its_pod(
    installation: Installation, shop: str, tmp_path: Path
) -> None:
    name = installation.create(b"x")
    made = pod("ignored", [{"name": name, "env": "A"}])
    template = {"metadata": {"annotations": made["metadata"]["annotations"]}, "spec": made["spec"]}
    spec = {"selector": {}, "template": template}
    file = written(
        tmp_path, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    )
    done = check(installation, file, "-n", shop, "-o", "json")
    assert done.returncode == 0, done.stderr
    assert reference(json.loads(done.stdout), "A").startswith("ss-dry-run-")


@pytest.mark.parametrize(
    ("labels", "requests", "code", "message"),
    [
        ({}, [{"name": "absent"}], 3, 'secret "absent" (env ABSENT)'),
        ({PROJECT: "mail"}, [{"name": "absent"}], 5, "permission_denied: Pod a: namespace labels:"),
        ({}, "nonsense", 2, "invalid_argument: "),
    ],
)
def test_refusals_are_ours_with_their_exit_code(
    installation: Installation,
    shop: str,
    tmp_path: Path,
    labels: dict[str, str],
    requests: Any,
    code: int,
    message: str,
) -> None:
    document = pod("a", requests)
    document["metadata"]["labels"] = labels
    done = check(installation, written(tmp_path, document), "-n", shop)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "denied the request" not in done.stderr


def test_refusals_of_guards_and_of_the_server_itself_are_told_too(
    installation: Installation, shop: str, tmp_path: Path
) -> None:
    spec = {"imagePullSecrets": [{"name": "ss-x"}]}
    done = check(installation, written(tmp_path, pod("a", None, **spec)), "-n", shop)
    assert (done.returncode, "guard 2" in done.stderr) == (5, True)
    nothing = pod("a", None)
    nothing["spec"]["containers"] = []
    done = check(installation, written(tmp_path, nothing), "-n", shop)
    assert (done.returncode, "spec.containers" in done.stderr) == (2, True)


def test_without_a_way_to_a_cluster_it_says_so(installation: Installation, tmp_path: Path) -> None:
    file = written(tmp_path, pod("a", None))
    done = check(installation, file, "-n", "x", "--kubeconfig", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "say which with --kubeconfig" in done.stderr
