"""The least rights that work, as manifests."""

from __future__ import annotations

from secrets_svc.backends.kubernetes.settings import KubernetesSettings
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.templates import PathTemplate

#: The accounts of deploy/manifests: the injector is the store's reader.
_ACCOUNTS = {"writer": "secrets-svc-writer", "reader": "secrets-svc-injector"}
_SECRETS = {"writer": "get, list, create, patch, delete", "reader": "get"}
_OPERATIONS = """\
  # What a repeated call is told by.
  - apiGroups: [coordination.k8s.io]
    resources: [leases]
    verbs: [get, list, create, delete]
"""


def policy(settings: KubernetesSettings, role: str) -> str:
    """A Role and its RoleBinding for ``kubectl apply``.

    :param role: ``writer`` or ``reader``. :raises InvalidArgument: neither.
    """
    if role not in _ACCOUNTS:
        raise InvalidArgument("role is not valid: writer or reader")
    if settings.existing is not None:
        return _existing(settings.namespace, PathTemplate(settings.existing), role)
    namespace = settings.namespace
    return f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: secrets-svc-{role}
  namespace: {namespace}
rules:
  - apiGroups: [""]
    resources: [secrets]
    verbs: [{_SECRETS[role]}]
{_OPERATIONS if role == "writer" else ""}\
  # To tell a secret that isn't there from a namespace that isn't.
  - apiGroups: [""]
    resources: [namespaces]
    resourceNames: [{namespace}]
    verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: secrets-svc-{role}
  namespace: {namespace}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: secrets-svc-{role}
subjects:
  - kind: ServiceAccount
    name: {_ACCOUNTS[role]}
    namespace: secrets-svc
"""


def _existing(namespace: str, template: PathTemplate, role: str) -> str:
    """For Secrets that are there already. Who may look at one may read it: Kubernetes can't tell apart."""
    fixed, *_ = template.segments if len(template.segments) == 2 else (namespace,)
    everywhere = "{" in fixed
    kind = "ClusterRole" if everywhere else "Role"
    name = f"secrets-svc-existing-{role}"
    place = "" if everywhere else f"\n  namespace: {fixed}"
    verbs = "get, list" if role == "writer" else "get"
    only = "" if everywhere else f"\n    resourceNames: [{fixed}]"
    return f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}
metadata:
  name: {name}{place}
rules:
  - apiGroups: [""]
    resources: [secrets]
    verbs: [{verbs}]
  # To tell a secret that isn't there from a namespace that isn't.
  - apiGroups: [""]
    resources: [namespaces]{only}
    verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}Binding
metadata:
  name: {name}{place}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {kind}
  name: {name}
subjects:
  - kind: ServiceAccount
    name: {_ACCOUNTS[role]}
    namespace: secrets-svc
"""
