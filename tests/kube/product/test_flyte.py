"""Pods as Flyte's SDKs and engines make them, in a real cluster: proofs, guards, pull secrets, a node."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flyte_pods import flyte_pod, pod_of, secrets_of, template_of
from installation import PROJECT, REQUEST, STATUS, Installation, Server, pod
from kit import Node, Pods, shell, until
from kit import pod as kit_pod

from injector.dialects.flyte_text import FlyteSecret, Mount
from injector.engines import flyte2_account

DEPLOY = Path(__file__).parents[3] / "deploy"
#: Release and namespace of Flyte 2, and a project in namespaces of its own, as Flyte 1 has them.
ENGINE, TASKS = "fly-system", "fly-tasks"
ACCOUNT = flyte2_account(ENGINE, "fly")
PROJECT_NAMESPACE = "fly1-production"
DOCKER = b'{"auths": {"registry.example": {"auth": "dTpw"}}}'
MODULES = {"tasks_of_flytekit": ("fly1", PROJECT_NAMESPACE), "tasks_of_flyte2": ("fly2", TASKS)}
#: What else Union's engine sets: its webhook selects by the organization.
OF_UNION = {"organization": "acme"}


@pytest.fixture(scope="module")
def flyte(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The webhook and the guards with both components, and a server with Flyte's proofs."""
    overlay = tmp_path_factory.mktemp("overlay")
    shutil.copytree(DEPLOY, overlay / "deploy")
    (overlay / "kustomization.yaml").write_text(
        "resources: [deploy/manifests]\ncomponents: [deploy/components/flyte, deploy/components/every-pod]\n"
    )
    for namespace in (ENGINE, TASKS, PROJECT_NAMESPACE):
        installation.namespace(name=namespace)
    installation.cluster.kubectl("create", "serviceaccount", "fly-flyte-binary", "-n", ENGINE)
    grant = ("--clusterrole=edit", f"--serviceaccount={ENGINE}:fly-flyte-binary", "-n", TASKS)
    installation.cluster.kubectl("create", "rolebinding", "engine", *grant)
    for module, (project, _) in MODULES.items():
        for secret in secrets_of(template_of(module, "read")):
            scope = ("-p", project, "-d", "production")
            installation.secret("set", secret.key, *scope, stdin=value_of(project, secret.key))
    installation.secret("set", "pulls", "--org-wide", "--type", "image-pull", stdin=DOCKER)
    server = installation.serve(
        "injector",
        injector=f'image_pull_secrets = ["pulls"]\nflyte = {{preset = "flyte2", namespace = "{ENGINE}", '
        f'release = "fly", task_namespaces = ["{TASKS}"]}}',
        namespace_template="{project}-{domain}",
        domains=["production"],
    )
    _apply(installation, overlay)
    installation.set_guard("secrets-svc-guard-1-creators", "engines", json.dumps([ACCOUNT]))
    names = json.dumps(f"^({TASKS}|[a-z0-9-]+-production)$")
    installation.set_guard("secrets-svc-guard-3-secrets", "unlabelled", names)
    installation.lead_to(server, webhooks=2)
    until(lambda: _both_guards_follow(installation), what="the guards to be followed")
    yield server
    server.stop()
    for namespace in (TASKS, PROJECT_NAMESPACE):
        installation.cluster.kubectl("delete", "pods", "--all", "-n", namespace, "--wait=false")
    _apply(installation, DEPLOY / "manifests")
    installation.lead_to(installation.server)


def _apply(installation: Installation, overlay: Path) -> None:
    """Without what leads the webhook to a server of a test, which manifests don't undo."""
    installation.cluster.kubectl("delete", "mutatingwebhookconfiguration", "secrets-svc")
    installation.cluster.kubectl("apply", "-k", str(overlay))


def _both_guards_follow(installation: Installation) -> bool:
    body = as_engine_makes("tasks_of_flyte2")
    return bool(installation.submit(TASKS, body, as_user=ACCOUNT, query="?dryRun=All").status == 201)


def value_of(project: str, key: str) -> bytes:
    return f"{project}'s {key}".encode()


def as_engine_makes(module: str, **labels: str) -> dict[str, Any]:
    """The pod of the module's task, with a name of its own."""
    project, _ = MODULES[module]
    body = pod_of(module, "read", input="/in", outputPrefix="/out")
    body["metadata"]["name"] = f"p-{uuid.uuid4().hex[:8]}"
    body["metadata"]["labels"] |= {"project": project, **labels}
    return body


def who_makes(module: str) -> dict[str, str]:
    return {"as_user": ACCOUNT} if module == "tasks_of_flyte2" else {}


@pytest.mark.parametrize(
    ("module", "labels"),
    [("tasks_of_flytekit", {}), ("tasks_of_flytekit", OF_UNION), ("tasks_of_flyte2", {})],
    ids=["Flyte 1", "Union", "Flyte 2"],
)
def test_a_pod_of_the_sdks_gets_references_to_all_it_asked_for(
    installation: Installation, flyte: Server, module: str, labels: dict[str, str]
) -> None:
    project, namespace = MODULES[module]

    def admitted() -> dict[str, Any] | None:
        answer = installation.submit(namespace, as_engine_makes(module, **labels), **who_makes(module))
        return answer.body if answer.status == 201 else None

    until(lambda: admitted() is not None, what="the pod to be admitted")
    stored = admitted()
    assert stored is not None
    staged = installation.staged(namespace)
    found: dict[str, bytes] = {}
    for entry in stored["spec"]["containers"][0]["env"]:
        if "valueFrom" in entry:
            found[entry["name"]] = staged[entry["valueFrom"]["secretKeyRef"]["name"]]
    [volume] = [each for each in stored["spec"]["volumes"] if each["name"].startswith("secrets-svc-files-")]
    for source in volume["projected"]["sources"]:
        found[source["secret"]["items"][0]["path"]] = staged[source["secret"]["name"]]
    for secret in secrets_of(template_of(module, "read")):
        place = secret.key if secret.mount is Mount.FILE else f"_UNION_{secret.key}".upper()
        assert found[place] == value_of(project, secret.key)
    text = json.dumps(stored)
    assert "'s env-key" not in text
    assert json.loads(stored["metadata"]["annotations"][STATUS])[0]["scope"] == (
        f"project-domain {project}/production"
    )


@pytest.mark.parametrize(
    ("module", "change"),
    [
        ("tasks_of_flyte2", {"who": "alice"}),
        ("tasks_of_flyte2", {"who": "system:serviceaccount:kube-system:job-controller"}),
        ("tasks_of_flyte2", {"namespace": "default"}),
        ("tasks_of_flytekit", {"namespace": "default"}),
        ("tasks_of_flytekit", {"labels": {"project": "fly2"}}),
        ("tasks_of_flytekit", {"labels": {"domain": "staging"}}),
    ],
)
def test_without_a_proof_it_is_refused_and_nothing_is_read(
    installation: Installation, flyte: Server, module: str, change: dict[str, Any]
) -> None:
    body = as_engine_makes(module, **change.get("labels", {}))
    namespace = change.get("namespace", MODULES[module][1])
    before = installation.leases(namespace)
    who = (
        {"as_user": change["who"], "as_groups": ["system:masters"]} if "who" in change else who_makes(module)
    )
    if change.get("namespace"):
        who = {"as_groups": ["system:masters"], "as_user": who.get("as_user", "alice")}
    message = installation.refused(namespace, body, **who)
    assert "permission_denied" in message
    assert "no store was asked" in message
    assert installation.leases(namespace) == before


def test_guard_1_holds_for_flyte_2(installation: Installation, flyte: Server) -> None:
    body = as_engine_makes("tasks_of_flyte2")
    body["spec"]["serviceAccountName"] = "fly-flyte-binary"
    body["metadata"]["annotations"] = {}  # it needs to ask for nothing to take the engine's token
    who = {"as_user": ACCOUNT, "as_groups": ["system:masters"]}
    assert "guard 1" in installation.refused(ENGINE, body, **who)


@pytest.mark.parametrize("operator", ["default:kuberay-operator", "kube-system:job-controller"])
def test_nor_does_an_operator_lend_its_account(
    installation: Installation, flyte: Server, operator: str
) -> None:
    """It makes pods of what users wrote, the account too."""
    body = pod(f"p-{uuid.uuid4().hex[:8]}", None, serviceAccountName="fly-flyte-binary")
    who = {"as_user": f"system:serviceaccount:{operator}", "as_groups": ["system:masters"]}
    assert "guard 1" in installation.refused(ENGINE, body, **who)
    own = {**who, "as_user": "system:serviceaccount:kube-system:replicaset-controller"}
    installation.admitted(ENGINE, body, **own)


class TestGuards:
    """They know that Flyte's pods ask."""

    def test_a_pod_with_the_label_alone_reaches_nothing_staged(
        self, installation: Installation, flyte: Server
    ) -> None:
        stolen = [{"secretRef": {"name": "ss-" + "0" * 40}}]
        body = flyte_pod(containers=[{"name": "main", "image": "task:1", "envFrom": stolen}])
        body["metadata"]["labels"]["inject-flyte-secrets"] = "true"
        assert "guard 2" in installation.refused("default", body)

    def test_one_that_asks_is_refused_by_the_webhook(self, installation: Installation, flyte: Server) -> None:
        stolen = [{"secretRef": {"name": "ss-" + "0" * 40}}]
        container = {"name": "main", "image": "task:1", "envFrom": stolen}
        body = flyte_pod(FlyteSecret(key="env-key"), containers=[container], project="fly1")
        assert "are reached by requests only" in installation.refused(PROJECT_NAMESPACE, body)


class TestPullSecrets:
    """Images are pulled with secrets of type image-pull."""

    def test_one_that_is_asked_for_is_attached(self, installation: Installation, flyte: Server) -> None:
        asked = [{"name": "pulls", "image_pull": True}]
        body = pod(f"p-{uuid.uuid4().hex[:8]}", asked)
        body["metadata"]["labels"] = {
            "project": "x",
            PROJECT: "fly1",
            "secrets-svc.internal/domain": "production",
        }
        stored = installation.admitted(PROJECT_NAMESPACE, body)
        assert attached(installation, PROJECT_NAMESPACE, stored) == {"kubernetes.io/dockerconfigjson": DOCKER}

    def test_every_pod_of_a_proven_scope_gets_the_operators(
        self, installation: Installation, flyte: Server
    ) -> None:
        """The webhook's second entry sends those of namespaces with a project's label."""
        namespace = installation.namespace("fly3", "production")
        body = pod(f"p-{uuid.uuid4().hex[:8]}", None)

        def gets_it() -> bool:
            answer = installation.submit(namespace, body)
            if answer.status != 201:
                return False
            installation.cluster.kubectl("delete", "pod", body["metadata"]["name"], "-n", namespace)
            return bool(answer.body["spec"].get("imagePullSecrets"))

        until(gets_it, what="the pod to get a pull secret")
        stored = installation.admitted(namespace, body)
        assert attached(installation, namespace, stored) == {"kubernetes.io/dockerconfigjson": DOCKER}
        assert json.loads(stored["metadata"]["annotations"][REQUEST])[0]["name"] == "pulls"
        elsewhere = installation.admitted(installation.namespace(), pod("p", None))
        assert "imagePullSecrets" not in elsewhere["spec"]

    def test_a_new_version_is_attached_to_the_next_pod(
        self, installation: Installation, flyte: Server
    ) -> None:
        name = f"pulls-{uuid.uuid4().hex[:8]}"
        seen = []
        for auth in (b"b2xk", b"bmV3"):
            value = DOCKER.replace(b"dTpw", auth)
            scope = ("-p", "fly1", "-d", "production")
            if not seen:
                installation.secret("create", name, *scope, "--type", "image-pull", stdin=value)
            else:
                installation.secret("update", name, *scope, stdin=value)
            body = flyte_pod(FlyteSecret(key=name), project="fly1")
            body["metadata"]["name"] = f"p-{uuid.uuid4().hex[:8]}"
            stored = installation.admitted(PROJECT_NAMESPACE, body)
            seen.append(value)
            staged = installation.staged(PROJECT_NAMESPACE)
            assert value in {staged[each["name"]] for each in stored["spec"]["imagePullSecrets"]}


def attached(installation: Installation, namespace: str, stored: dict[str, Any]) -> dict[str, bytes]:
    """Type and value of what the pod's images are pulled with."""
    found: dict[str, bytes] = {}
    for each in stored["spec"]["imagePullSecrets"]:
        path = f"/api/v1/namespaces/{namespace}/secrets/{each['name']}"
        found[installation.api("GET", path).ok()["type"]] = installation.staged(namespace)[each["name"]]
    return found


@pytest.mark.node
@pytest.mark.parametrize("module", MODULES)
def test_on_a_kubelet_every_variable_and_file_arrives(
    installation: Installation, flyte: Server, node: Node, module: str
) -> None:
    project, namespace = MODULES[module]
    secrets = secrets_of(template_of(module, "read"))
    files = [each.key for each in secrets if each.mount is Mount.FILE]
    variables = [each for each in secrets if each.mount is not Mount.FILE]
    # A shell drops variables with "-" in their names; what PID 1 was started with has them all.
    script = "tr '\\0' '\\n' < /proc/self/environ | grep ^_UNION_; echo --; cd /etc/flyte/secrets; sha256sum "
    made = as_engine_makes(module)
    command = ["/bin/busybox", "env"]
    look = kit_pod(
        f"look-{uuid.uuid4().hex[:8]}",
        {**shell(""), "command": command},
        {**shell(script + " ".join(files)), "name": "files"},
        labels=made["metadata"]["labels"],
        annotations=made["metadata"]["annotations"],
    )
    pods = Pods(installation.cluster, namespace)
    installation.submit(namespace, look, **who_makes(module)).ok()
    name = look["metadata"]["name"]
    pods.finished(name)
    environment = dict(line.partition("=")[::2] for line in pods.log(name, "main").splitlines())
    for secret in variables:
        assert environment[f"_UNION_{secret.key}".upper()] == value_of(project, secret.key).decode()
        if secret.env_var:
            assert environment[secret.env_var] == value_of(project, secret.key).decode()
    digests = [line.split()[0] for line in pods.log(name, "files").rpartition("--\n")[2].splitlines()]
    assert digests == [hashlib.sha256(value_of(project, key)).hexdigest() for key in files]
