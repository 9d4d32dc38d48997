"""The control plane's certificates, files and command lines. Nothing is started here."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .certificates import Authority
from .layout import ADMIN, BRIDGE_ADDRESS, NODE_NAME, SERVICE_ADDRESS, SERVICE_RANGE, Layout

_ISSUER = "https://kubernetes.default.svc.cluster.local"
_KUBELET_ADMINS = "secrets-svc:kubelet-api-admins"
#: The authority of the certificate that the API server shows to webhooks, and of nothing else.
WEBHOOK_CALLERS = "webhook-callers-ca"

#: Pods in full, everything else, Secrets and tokens above all, without content.
AUDIT_POLICY: Mapping[str, Any] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "RequestResponse", "resources": [{"group": "", "resources": ["pods"]}]},
        {"level": "Metadata"},
    ],
}

#: What kubeadm does too: the API server may use the kubelet's API.
KUBELET_ADMINS_BINDING: Mapping[str, Any] = {
    "metadata": {"name": _KUBELET_ADMINS},
    "roleRef": {
        "apiGroup": "rbac.authorization.k8s.io",
        "kind": "ClusterRole",
        "name": "system:kubelet-api-admin",
    },
    "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": _KUBELET_ADMINS}],
}


def issue_certificates(layout: Layout) -> None:
    """All that the programs need."""
    names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"]
    ca = Authority(layout.pki)
    ca.issue("api-server", "kube-apiserver", hosts=["127.0.0.1", SERVICE_ADDRESS, BRIDGE_ADDRESS, *names])
    ca.issue("kubelet-client", "kube-apiserver-kubelet-client", groups=[_KUBELET_ADMINS])
    ca.issue(ADMIN, ADMIN, groups=["system:masters"])
    ca.issue("controllers", "system:kube-controller-manager")
    ca.issue("scheduler", "system:kube-scheduler")
    ca.issue("node", f"system:node:{NODE_NAME}", groups=["system:nodes"], hosts=[NODE_NAME, BRIDGE_ADDRESS])
    ca.signing_pair("tokens")
    Authority(layout.pki, "front-proxy-ca").issue("front-proxy", "front-proxy")
    Authority(layout.pki, WEBHOOK_CALLERS).issue("webhook-caller", "kube-apiserver")


def write_files(layout: Layout, audit_policy: Mapping[str, Any]) -> None:
    """The API server's own files. Secrets rest encrypted in etcd, as in a well-run cluster."""
    key = base64.b64encode(os.urandom(32)).decode()
    providers = [{"secretbox": {"keys": [{"name": "key", "secret": key}]}}, {"identity": {}}]
    encryption = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
    _encryption_file(layout).write_text(json.dumps(encryption))
    _audit_policy_file(layout).write_text(json.dumps(audit_policy))
    _write_admission_files(layout)


def _write_admission_files(layout: Layout) -> None:
    """Who the API server is to webhooks, any of them."""
    pair = layout.pair("webhook-caller")
    user = {"client-certificate": str(pair.certificate), "client-key": str(pair.key)}
    caller = layout.folder / "webhook-caller.kubeconfig"
    caller.write_text(
        json.dumps({"apiVersion": "v1", "kind": "Config", "users": [{"name": "*", "user": user}]})
    )
    webhooks = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": str(caller),
    }
    plugins = [
        {"name": name, "configuration": webhooks}
        for name in ("MutatingAdmissionWebhook", "ValidatingAdmissionWebhook")
    ]
    whole = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": plugins}
    _admission_file(layout).write_text(json.dumps(whole))


def etcd(layout: Layout) -> list[str]:
    """Its options."""
    peers = f"http://127.0.0.1:{layout.ports.etcd_peers}"
    return [
        f"--data-dir={layout.etcd_data}",
        f"--listen-client-urls={layout.etcd}",
        f"--advertise-client-urls={layout.etcd}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",
    ]


def api_server(layout: Layout) -> list[str]:
    """Its options. Admission plugins are the default ones and what limits a node to its own objects."""
    serving = layout.pair("api-server")
    return [
        f"--etcd-servers={layout.etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={layout.ports.api_server}",
        # An Endpoints object may not hold a loopback address.
        "--endpoint-reconciler-type=none",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--admission-control-config-file={_admission_file(layout)}",
        "--anonymous-auth=false",
        "--allow-privileged=true",
        f"--client-ca-file={layout.ca_file}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--service-account-issuer={_ISSUER}",
        f"--service-account-key-file={layout.pki}/tokens.pub",
        f"--service-account-signing-key-file={layout.pki}/tokens.key",
        f"--encryption-provider-config={_encryption_file(layout)}",
        f"--audit-policy-file={_audit_policy_file(layout)}",
        f"--audit-log-path={layout.audit_file}",
        "--profiling=false",
        # Without it, open watches keep it from ending for a minute.
        "--shutdown-watch-termination-grace-period=3s",
        *_kubelet_access(layout),
        *_aggregation(layout),
    ]


def _kubelet_access(layout: Layout) -> list[str]:
    client = layout.pair("kubelet-client")
    return [
        f"--kubelet-client-certificate={client.certificate}",
        f"--kubelet-client-key={client.key}",
        f"--kubelet-certificate-authority={layout.ca_file}",
        "--kubelet-preferred-address-types=InternalIP",
    ]


def _aggregation(layout: Layout) -> list[str]:
    """Nothing is aggregated here, but without these the controllers log errors in a loop."""
    client = layout.pair("front-proxy")
    return [
        f"--requestheader-client-ca-file={layout.pair('front-proxy-ca').certificate}",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={client.certificate}",
        f"--proxy-client-key-file={client.key}",
    ]


def controllers(layout: Layout) -> list[str]:
    """Options of the controller manager."""
    return [
        *_component(layout.kubeconfig("controllers"), layout.ports.controllers),
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={layout.pki}/tokens.key",
        f"--root-ca-file={layout.ca_file}",
        # The default of 20 and 30 makes a start 4 s slower.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]


def scheduler(layout: Layout) -> list[str]:
    """Its options."""
    return _component(layout.kubeconfig("scheduler"), layout.ports.scheduler)


def _component(kubeconfig: Path, port: int) -> list[str]:
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        "--leader-elect=false",
    ]


def _encryption_file(layout: Layout) -> Path:
    return layout.folder / "encryption.json"


def _admission_file(layout: Layout) -> Path:
    return layout.folder / "admission.json"


def _audit_policy_file(layout: Layout) -> Path:
    return layout.folder / "audit-policy.json"
