"""The node of the kit: what tests may rely on. Needs root."""

from __future__ import annotations

import base64
import hashlib
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from kit import Cluster, KitError, Node, Pods, pod, python, shell, until
from kit.layout import BRIDGE
from kit.machine import SYSCTLS
from kit.processes import only_child
from kit.turns import Turn, turn

HERE = Path(__file__).parent
pytestmark = pytest.mark.node


@pytest.fixture
def pods(node: Node, namespace: str) -> Pods:
    return Pods(node.cluster, namespace)


def test_a_pod_runs_and_its_log_is_read(pods: Pods) -> None:
    assert sorted(pods.output(pod("p", shell("echo out; echo ö >&2"))).split()) == ["out", "ö"]


def test_a_failing_pod_is_told(pods: Pods) -> None:
    with pytest.raises(AssertionError, match="Failed: gone wrong"):
        pods.output(pod("p", shell("echo gone wrong; exit 3")))


def test_secrets_arrive_as_they_were_written(pods: Pods, cluster: Cluster) -> None:
    text, data = "hemligt 'åäö' $X\r\nzwei\n".encode(), os.urandom(5000)
    values = {"text": base64.b64encode(text).decode(), "data": base64.b64encode(data).decode()}
    path = f"/api/v1/namespaces/{pods.namespace}/secrets"
    cluster.api("POST", path, {"metadata": {"name": "s"}, "data": values}).ok()
    script = (
        'printf %s "$TEXT" | sha256sum; sha256sum < /s/text; sha256sum < /s/data; grep " /s " /proc/mounts'
    )
    reference = {"secretKeyRef": {"name": "s", "key": "text"}}
    main = shell(
        script,
        env=[{"name": "TEXT", "valueFrom": reference}],
        volumeMounts=[{"name": "s", "mountPath": "/s", "readOnly": True}],
    )
    lines = pods.output(pod("p", main, volumes=[{"name": "s", "secret": {"secretName": "s"}}])).splitlines()
    digests = [hashlib.sha256(each).hexdigest() for each in (text, text, data)]
    assert [line.split()[0] for line in lines[:3]] == digests
    assert lines[3].startswith("tmpfs ")


class Greeting(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello pod")

    def log_message(self, format: str, *args: Any) -> None:
        pass


ASKS = """
import os, pathlib, ssl, sys, urllib.request
token = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/token").read_text()
trust = ssl.create_default_context(cafile="/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")
server = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
request = urllib.request.Request(server + "/api", headers={"authorization": f"Bearer {token}"})
print(urllib.request.urlopen(request, context=trust).status)
print(urllib.request.urlopen(sys.argv[1]).read().decode())
print(pathlib.Path(sys.argv[2]).read_text())
"""


def test_python_reaches_the_api_server_this_machine_and_named_folders(
    pods: Pods, node: Node, tmp_path: Path
) -> None:
    (tmp_path / "note").write_text("from the machine")
    with HTTPServer((node.address, 0), Greeting) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            url = f"http://{node.address}:{server.server_port}/"
            main = python("-c", ASKS, url, str(tmp_path / "note"))
            made = pod("p", main, paths=[tmp_path], automountServiceAccountToken=True)
            assert pods.output(made).splitlines() == ["200", "hello pod", "from the machine"]
        finally:
            server.shutdown()
            thread.join()


def test_containers_outlive_the_kubelet_and_the_api_server(pods: Pods, node: Node, cluster: Cluster) -> None:
    pods.create(pod("p", shell("date +%s%N; exec sleep 1000")))
    pods.running("p")
    before = pods.log("p")
    node.stop_kubelet()
    assert not cluster.processes.alive("kubelet")
    assert node.ctr("tasks", "list").count("RUNNING") >= 2
    node.start_kubelet()
    cluster.stop_api_server()
    cluster.start_api_server()
    assert pods.output(pod("next", shell("echo next"))) == "next\n"
    assert pods.log("p") == before
    done = cluster.kubectl(
        "exec", "-n", pods.namespace, "p", "--", "sh", "-c", "echo in; exit 7", check=False
    )
    assert (done.stdout, done.returncode) == ("in\n", 7)
    pods.delete("p")


def test_one_node_at_a_time(node: Node) -> None:
    said: list[str] = []
    with pytest.raises(KitError, match=f"process {os.getpid()} in {node.cluster.layout.folder}"):
        Turn().take(within=0, say=said.append)
    assert said == []


#: Of :func:`traces`, what there is only while there is a node.
TRANSIENT = ("cgroups", "folders", "processes")


def traces() -> dict[str, Any]:
    """All that a node could leave on the machine."""
    return {
        "mounts": sorted(Path("/proc/self/mounts").read_text().splitlines()),
        "interfaces": sorted(os.listdir("/sys/class/net")),
        "addresses": Path("/proc/net/fib_trie").read_text(),
        # A pod's may go while we look, which os.walk takes as it comes.
        "cgroups": sorted(top for top, _, _ in os.walk("/sys/fs/cgroup") if Path(top).name == "kubepods"),
        "sysctls": {name: (Path("/proc/sys") / name).read_text() for name in SYSCTLS},
        "folders": [name for name in ("/var/lib/kubelet", "/var/lib/cni") if Path(name).exists()],
        "processes": [
            path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if b"/node/" in _content(path)
        ],
    }


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_stop_puts_the_machine_back(pods: Pods, node: Node) -> None:
    during = traces()
    assert BRIDGE in during["interfaces"]
    assert all(during[kind] for kind in TRANSIENT)
    wrapper = node.cluster.processes.identity("node")
    assert wrapper is not None
    namespace = os.readlink(f"/proc/{only_child(wrapper.pid)}/ns/mnt")
    node.stop()
    before = traces()
    assert not any(before[kind] for kind in TRANSIENT)
    assert namespace not in {_link(path) for path in Path("/proc").glob("[0-9]*/ns/mnt")}
    node.start()
    until(node.ready, what="the node, once more")
    # Where the machine's own mounts are, nothing of the node's is ever seen.
    assert traces()["mounts"] == before["mounts"]
    pods.create(pod("p", shell("sleep 1000"), volumes=[]))
    pods.running("p")
    node.stop()
    assert traces() == before
    node.start()


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


CRASHES = """
import os
from kit import machine
from kit.turns import Turn, turn
turn = Turn()
turn.take()
turn.note({"pid": os.getpid(), "folder": "somewhere", "found": machine.as_found()})
machine.prepare()
os._exit(9)
"""

DIES = """
import time
from kit import Cluster, Node
node = Node(Cluster().start()).start()
print(node.cluster.layout.folder, flush=True)
time.sleep(60)
"""


def test_what_a_crash_left_is_put_back_by_whoever_is_next(node: Node) -> None:
    node.stop()
    before = traces()
    assert subprocess.run([sys.executable, "-c", CRASHES], cwd=HERE, check=False).returncode == 9
    assert BRIDGE in os.listdir("/sys/class/net")
    with turn():
        assert traces() == before
    node.start()


def test_a_node_ends_with_who_started_it(node: Node) -> None:
    node.stop()
    before = traces()
    with subprocess.Popen([sys.executable, "-c", DIES], cwd=HERE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folder = Path(owner.stdout.readline().strip())
        owner.send_signal(signal.SIGKILL)
    until(lambda: not folder.exists(), what="the guard's work")
    assert traces() == before
    node.start()
