"""An installation of the product in a test cluster."""

from __future__ import annotations

import base64
import json
import os
import secrets
import signal
import ssl
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kit import Cluster, until

MANIFESTS = Path(__file__).parents[2] / "deploy" / "manifests"
SYSTEM = "secrets-svc"
ACCOUNT = "secrets-svc-injector"
INJECTOR = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
REQUEST = "secrets-svc.internal/request"
STATUS = "secrets-svc.internal/status"
PROJECT = "secrets-svc.internal/project"
DOMAIN = "secrets-svc.internal/domain"
WEBHOOK = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/secrets-svc"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"


class Server:
    """One of our processes.

    :ivar url: of the webhook. :ivar api: of the API, if it has one.
    :ivar log: everything it wrote to standard error.
    """

    def __init__(
        self, role: str, settings: Path, state: Path, environment: dict[str, str], log: Path
    ) -> None:
        self.log = log
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "serve", role, "--settings", settings, "--state", state],
                env=environment,
                stderr=file,
                stdout=file,
            )
        try:
            until(self._is_ready, what=f"secret serve {role}: {log}", within=20)
        except BaseException:
            self.stop()
            raise
        lines = self._lines()
        self.url = next(line.split()[1] for line in lines if line.startswith("webhook "))
        self.api = next((line.split()[1] for line in lines if line.startswith("API ")), "")
        self.ca = state / "tls" / "ca.pem"
        self._state = state

    @property
    def admin_token(self) -> str:
        """The one that it made for itself."""
        return (self._state / "admin-token").read_text().strip()

    def _lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return any(line.startswith("ready;") for line in self._lines())

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        """Speak to it past the API server."""
        address = self.url.removeprefix("https://").partition("/")[0]
        trust = ssl.create_default_context(cafile=str(self.ca))
        with urllib.request.urlopen(f"https://{address}{path}", body, context=trust, timeout=10) as answer:
            text: bytes = answer.read()
        return text

    def review(self, request: dict[str, Any]) -> dict[str, Any]:
        """Its answer to an AdmissionReview that the API server didn't send."""
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        answer: dict[str, Any] = json.loads(self.ask("/mutate", json.dumps(review).encode()))["response"]
        return answer

    def admissions(self) -> int:
        """How many it has decided so far."""
        text = self.ask("/metrics").decode()
        counts = [
            line for line in text.splitlines() if line.startswith('secrets_svc_events_total{action="admit"')
        ]
        return sum(int(float(line.split()[-1])) for line in counts)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it; with SIGKILL it has no time to tidy up."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(20)


class Installation:
    """The manifests in ``cluster``, servers in ``folder``."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self.api = cluster.api
        self.folder = folder
        self.state = folder / "state"
        self.key = folder / "installation-key"
        self.key.touch(mode=0o600)
        self.key.write_bytes(secrets.token_bytes(32))
        self.environment = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "SECRET_CONFIG": str(folder / "config.toml"),
        }
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        self.outlast(SYSTEM)
        self.cluster.kubectl("apply", "-k", str(MANIFESTS))
        self.server = self.serve("all")
        self.lead_to(self.server)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    def outlast(self, namespace: str) -> None:
        """Wait for the end of a namespace that an earlier test is done with."""
        path = f"/api/v1/namespaces/{namespace}"
        until(
            lambda: self.api("GET", path).body.get("status", {}) in ("Failure", {"phase": "Active"}),
            what=f"the end of namespace {namespace}",
        )

    def serve(
        self,
        role: str,
        *,
        kubeconfig: Path | None = None,
        store: str = "",
        state: Path | None = None,
        injector: str = "",
        environment: Mapping[str, str] | None = None,
        **cluster: Any,
    ) -> Server:
        """Start a server; it ends with the installation at the latest.

        :param role: ``all`` or ``injector``. :param cluster: further settings of [injector.cluster].
        :param store: TOML that configures one, instead of the local one. :param state: another state folder.
        :param injector: further lines of [injector]. :param environment: further variables.
        """
        config = kubeconfig or self.injectors_kubeconfig()
        values = {"installation_key": str(self.key), "kubeconfig": str(config), **cluster}
        lines = [f"{name} = {_toml(value)}" for name, value in values.items()]
        settings = self.folder / f"settings-{uuid.uuid4().hex}.toml"
        settings.write_text(
            '[server]\nlisten = "127.0.0.1:0"\n[logging]\nlevel = "debug"\n'
            f'[injector]\nlisten = "127.0.0.1:0"\n{injector}\n'
            "[injector.cluster]\n" + "\n".join(lines) + "\n" + store
        )
        log = settings.with_suffix(".log")
        server = Server(role, settings, state or self.state, {**self.environment, **(environment or {})}, log)
        self._undo.callback(server.stop)
        return server

    def injectors_kubeconfig(self) -> Path:
        """With a token of the injector's account."""
        return self.cluster.kubeconfig_with(self.cluster.token(SYSTEM, ACCOUNT, seconds=3600))

    def lead_to(self, server: Server, *, webhooks: int = 1) -> None:
        """Have the webhook configuration's entries lead to ``server``; wait until the API server follows."""
        bundle = base64.b64encode(server.ca.read_bytes()).decode()
        config = {"url": server.url, "caBundle": bundle}
        patch = [
            {"op": "replace", "path": f"/webhooks/{index}/clientConfig", "value": config}
            for index in range(webhooks)
        ]
        self.api("PATCH", WEBHOOK, patch, content_type="application/json-patch+json").ok()
        before = server.admissions()

        def arrives() -> bool:
            self.submit("default", pod("probe", [{"name": "probe"}]), query="?dryRun=All")
            return server.admissions() > before

        until(arrives, what="the webhook to be led there")

    def audit_text(self) -> str:
        """Our own audit file."""
        file = self.state / "audit.jsonl"
        return file.read_text() if file.exists() else ""

    def secret(self, *arguments: str, stdin: bytes = b"", check: bool = True) -> str:
        """Run the command line; returns what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *arguments],
            input=stdin,
            env=self.environment,
            capture_output=True,
            check=False,
            timeout=30,
        )
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def create(self, value: bytes, *, scope: tuple[str, ...] = ("-p", "shop", "-d", "production")) -> str:
        """A secret with a new name, which is returned."""
        name = f"s-{uuid.uuid4().hex[:10]}"
        self.secret("create", name, *scope, stdin=value)
        return name

    def namespace(self, project: str | None = None, domain: str | None = None, name: str = "") -> str:
        """A new namespace; with labels if it stands for something."""
        labels = {PROJECT: project, DOMAIN: domain}
        return self.cluster.namespace(name, labels={key: value for key, value in labels.items() if value})

    def tenant(self, namespace: str) -> str:
        """A service account with the role ``edit`` in its namespace; its username."""
        account = f"tenant-{uuid.uuid4().hex[:8]}"
        self.cluster.kubectl("create", "serviceaccount", account, "-n", namespace)
        subject = f"{namespace}:{account}"
        self.cluster.kubectl(
            "create",
            "rolebinding",
            account,
            "-n",
            namespace,
            "--clusterrole=edit",
            f"--serviceaccount={subject}",
        )
        return f"system:serviceaccount:{subject}"

    def merge(self, path: str, patch: dict[str, Any], **who: Any) -> Any:
        """The API server's answer to a merge patch."""
        return self.api("PATCH", path, patch, content_type="application/merge-patch+json", **who)

    def submit(self, namespace: str, body: dict[str, Any], *, query: str = "", **who: Any) -> Any:
        """The API server's answer to a pod."""
        return self.api("POST", f"/api/v1/namespaces/{namespace}/pods{query}", body, **who)

    def admitted(self, namespace: str, body: dict[str, Any], **who: Any) -> dict[str, Any]:
        """The pod as it was stored."""
        stored: dict[str, Any] = self.submit(namespace, body, **who).ok()
        return stored

    def refused(self, namespace: str, body: dict[str, Any], **who: Any) -> str:
        """Why the pod was refused."""
        answer = self.submit(namespace, body, **who)
        assert answer.status >= 400, answer.body
        message: str = answer.body["message"]
        return message

    def set_guard(self, policy: str, variable: str, expression: str) -> None:
        """Give one of the guards' variables that are the operator's another value."""
        path = f"{POLICIES}/{policy}"
        variables = self.api("GET", path).ok()["spec"]["variables"]
        [entry] = [each for each in variables if each["name"] == variable]
        entry["expression"] = expression
        self.merge(path, {"spec": {"variables": variables}}).ok()

    def pods(self, namespace: str) -> list[dict[str, Any]]:
        """The pods in a namespace."""
        found: list[dict[str, Any]] = self.api("GET", f"/api/v1/namespaces/{namespace}/pods").ok()["items"]
        return found

    def a_node(self) -> None:
        """A node that nothing runs on, for who makes a pod a node."""
        if not self.api("GET", "/api/v1/nodes").ok()["items"]:
            self.api("POST", "/api/v1/nodes", {"metadata": {"name": "nowhere"}}).ok()

    def staged(self, namespace: str) -> dict[str, bytes]:
        """The staged Secrets of a namespace."""
        items = self.api("GET", f"/api/v1/namespaces/{namespace}/secrets").ok()["items"]
        ours = [item for item in items if item["metadata"]["name"].startswith("ss-")]
        return {item["metadata"]["name"]: base64.b64decode(*item["data"].values()) for item in ours}

    def leases(self, namespace: str) -> list[dict[str, Any]]:
        """Our leases in a namespace."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        found: list[dict[str, Any]] = self.api("GET", path).ok()["items"]
        return found

    def calls_of_injector(self) -> list[str]:
        """What the injector asked of the API server so far: verb and resource, without its watches."""
        events = [event for event in self.cluster.audit() if event["user"].get("username") == INJECTOR]
        stages = [
            event for event in events if event["stage"] == "ResponseComplete" and event["verb"] != "watch"
        ]
        refs = [(event["verb"], event.get("objectRef", {})) for event in stages]
        return [
            f"{verb} {ref.get('resource')}"
            for verb, ref in refs
            if ref.get("name") != "secrets-svc-janitor"  # the election goes on by itself
        ]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(each)}" for name, each in value.items()) + "}"
    return "[" + ", ".join(map(_toml, value)) + "]" if isinstance(value, list) else json.dumps(value)


def pod(name: str, requests: object, **spec: Any) -> dict[str, Any]:
    """A pod that asks for ``requests`` (a list, or the annotation's text; ``None``: it doesn't ask)."""
    text = requests if isinstance(requests, str) else json.dumps(requests)
    annotations = {} if requests is None else {REQUEST: text}
    containers = [{"name": "main", "image": "registry.invalid/task:1"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": annotations},
        "spec": {"containers": containers, **spec},
    }


def reference(stored: dict[str, Any], env: str) -> str:
    """The staged Secret that a variable of the pod's first container comes from."""
    entries = stored["spec"]["containers"][0]["env"]
    entry = next(entry for entry in entries if entry["name"] == env)
    name: str = entry["valueFrom"]["secretKeyRef"]["name"]
    return name
