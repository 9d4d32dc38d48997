"""The control plane of the kit: what tests may rely on."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit import Cluster, Pods, Webhook, pod, register, shell, until
from kit.processes import Identity

HERE = Path(__file__).parent
#: Told apart from the default one: nothing but Namespaces, and those without content.
OTHER_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "rules": [
        {"level": "Metadata", "resources": [{"group": "", "resources": ["namespaces"]}]},
        {"level": "None"},
    ],
}


@pytest.fixture(scope="module")
def other() -> Iterator[Cluster]:
    """A second cluster, in a temporary folder, for tests that take it apart."""
    with Cluster(audit_policy=OTHER_POLICY) as made:
        yield made


def review_path() -> str:
    return "/apis/authentication.k8s.io/v1/selfsubjectreviews"


def who(cluster: Cluster, **identity: Any) -> dict[str, Any]:
    """As whom the API server sees a caller."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    found: dict[str, Any] = cluster.api("POST", review_path(), review, **identity).ok()["status"]["userInfo"]
    return found


def whoami(cluster: Cluster, kubeconfig: Path) -> dict[str, Any]:
    done = cluster.kubectl("auth", "whoami", "-o", "json", kubeconfig=kubeconfig)
    found: dict[str, Any] = json.loads(done.stdout)["status"]["userInfo"]
    return found


def remaining(folder: Path) -> list[str]:
    """Command lines of processes that know the folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


def test_the_control_plane_answers(cluster: Cluster) -> None:
    assert cluster.api("GET", "/version").ok()["gitVersion"] == "v1.36.3"
    assert cluster.kubectl("get", "namespace", "default", "-o", "name").stdout == "namespace/default\n"
    assert cluster.times["control plane"] < 30


def test_who_may_be_who(cluster: Cluster, namespace: str) -> None:
    assert who(cluster)["username"] == "admin"
    impersonated = who(cluster, as_user="alice", as_groups=["blue", "green"])
    assert (impersonated["username"], impersonated["groups"][:2]) == ("alice", ["blue", "green"])
    account = f"system:serviceaccount:{namespace}:default"
    assert who(cluster, as_user=account)["username"] == account
    token = cluster.token(namespace)
    assert who(cluster, token=token)["username"] == account
    assert whoami(cluster, cluster.kubeconfig_with(token))["username"] == account
    bob = whoami(cluster, cluster.kubeconfig_for("bob/ü:x", groups=["red"]))
    assert (bob["username"], "red" in bob["groups"]) == ("bob/ü:x", True)
    assert cluster.api("GET", "/api/v1/secrets", as_user="alice").status == 403
    assert cluster.api("GET", "/version", token="made-up").status == 401


def test_a_token_for_somebody_else_is_no_token_here(cluster: Cluster, namespace: str) -> None:
    made = Pods(cluster, namespace).create(pod("bound", shell("true")))
    token = cluster.token(namespace, audiences=["elsewhere"], pod=made)
    assert cluster.api("GET", "/version", token=token).status == 401
    asked = {"spec": {"token": token, "audiences": ["elsewhere"]}}
    status = cluster.api("POST", "/apis/authentication.k8s.io/v1/tokenreviews", asked).ok()["status"]
    assert status["user"]["extra"]["authentication.kubernetes.io/pod-name"] == ["bound"]


def test_secrets_rest_encrypted_and_stay_out_of_the_audit_log(cluster: Cluster, namespace: str) -> None:
    value = os.urandom(16).hex()
    secret = {"metadata": {"name": "s"}, "stringData": {"k": value}}
    cluster.api("POST", f"/api/v1/namespaces/{namespace}/secrets", secret).ok()
    Pods(cluster, namespace).create(pod("p", shell("true"), labels={"seen": "yes"}))
    files = [path.read_bytes() for path in cluster.layout.etcd_data.rglob("*") if path.is_file()]
    assert any(b"enc:secretbox" in content for content in files)
    forms = (value.encode(), base64.b64encode(value.encode()))
    audit = cluster.layout.audit_file.read_bytes()
    assert not any(form in content for form in forms for content in [*files, audit])
    events = {
        event["requestURI"].rpartition("/")[2]: event
        for event in cluster.audit()
        if event.get("objectRef", {}).get("namespace") == namespace and event["verb"] == "create"
    }
    assert events["secrets"]["level"] == "Metadata"
    assert events["pods"]["requestObject"]["metadata"]["labels"] == {"seen": "yes"}


def test_a_webhook_by_url_is_asked_and_obeyed(cluster: Cluster, namespace: str) -> None:
    pods = Pods(cluster, namespace)
    mark = [{"op": "add", "path": "/metadata/annotations", "value": {"mutated": "yes"}}]
    here = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    with Webhook(cluster, lambda request: mark) as webhook:
        withdraw = register(cluster, "marks", webhook.url, namespaceSelector=here)

        def mutated() -> bool:
            probe = pods.create(pod("probe", shell("true")), dry_run=True)
            return "mutated" in probe["metadata"].get("annotations", {})

        until(mutated, what="the webhook")
        webhook.requests.clear()
        pods.create(pod("real", shell("true")))
        assert pods.get("real")["metadata"]["annotations"] == {"mutated": "yes"}
        (asked,) = webhook.requests
        assert (asked["namespace"], asked["dryRun"], asked["userInfo"]["username"]) == (
            namespace,
            False,
            "admin",
        )
        withdraw()


@pytest.mark.parametrize(
    ("content", "value"),
    [(b"A='it is \xc3\xb6'\n", "it is ö"), (b"A=''\n", None), (b"A='it''s'\n", None), (b"B='v'\n", None)],
)
def test_the_kubelets_own_parser_of_files_of_variables(
    cluster: Cluster, content: bytes, value: str | None
) -> None:
    asked = json.dumps({"file": base64.b64encode(content).decode(), "key": "A"})
    said = subprocess.run(
        [cluster.programs / "envparse"], input=asked.encode(), capture_output=True, check=True
    )
    answer = json.loads(said.stdout)
    assert (base64.b64decode(answer["value"]).decode() if "value" in answer else None) == value


def test_two_clusters_at_a_time(cluster: Cluster, other: Cluster) -> None:
    name = other.namespace()
    assert cluster.api("GET", f"/api/v1/namespaces/{name}").status == 404
    assert other.server != cluster.server
    assert other.layout.folder != cluster.layout.folder


def test_the_audit_policy_can_be_chosen(other: Cluster) -> None:
    name = other.namespace()
    seen = [event["objectRef"] for event in other.audit()]
    assert {each["resource"] for each in seen} == {"namespaces"}
    assert name in [each.get("name") for each in seen]


def test_the_api_server_goes_and_comes_back_with_its_data(other: Cluster) -> None:
    name = other.namespace()
    address = other.server
    other.stop_api_server(grace=0)
    with pytest.raises(ConnectionRefusedError):
        other.api("GET", "/readyz")
    other.start_api_server()
    assert other.server == address
    assert other.api("GET", f"/api/v1/namespaces/{name}").status == 200
    # Controllers work at once.
    other.namespace()


def test_stop_leaves_nothing_behind(other: Cluster) -> None:
    processes = [other.processes.identity(name) for name in other.processes.names()]
    assert len(remaining(other.layout.folder)) == len(processes) + 1, "the programs, and the guard"
    other.stop()
    assert not any(process.alive for process in processes if process is not None)
    assert remaining(other.layout.folder) == []
    assert not other.layout.folder.exists()


def test_a_cluster_ends_with_who_started_it(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time; from kit import Cluster; c = Cluster(pathlib.Path(sys.argv[1])).start()"
    )
    code += "; print('up', flush=True); time.sleep(60)"
    folder = tmp_path / "state"
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], cwd=HERE, stdout=subprocess.PIPE, text=True
    )
    with owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "up\n"
        owner.send_signal(signal.SIGKILL)
    until(lambda: not folder.exists(), what="the guard's work")
    until(lambda: not remaining(folder), what="the guard's own end")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "kit", *arguments]
    return subprocess.run(argv, cwd=HERE, capture_output=True, text=True, check=False, timeout=60)


def test_up_and_down(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    up = command("up", "--no-node", str(folder))
    assert up.returncode == 0, up.stderr
    exported = dict(line[7:].split("=", 1) for line in up.stdout.splitlines() if line.startswith("export "))
    again = command("up", "--no-node", str(folder))
    assert (again.returncode, "kube-down" in again.stderr) == (1, True)
    done = subprocess.run(
        ["sh", "-c", f"PATH={exported['PATH']} kubectl get namespace default -o name"],
        env={**os.environ, "KUBECONFIG": exported["KUBECONFIG"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "namespace/default\n", done.stderr
    assert command("down", str(folder)).returncode == 0
    assert (remaining(folder), folder.exists()) == ([], False)
    assert "nothing runs" in command("down", str(folder)).stdout


def test_down_removes_no_folder_that_is_not_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    assert command("down", str(tmp_path)).returncode == 1
    assert (tmp_path / "mine").exists()


def test_a_process_id_used_again_is_somebody_elses() -> None:
    ours = Identity.of(os.getpid())
    assert ours.alive
    assert not Identity(ours.pid, str(int(ours.began) - 1)).alive
