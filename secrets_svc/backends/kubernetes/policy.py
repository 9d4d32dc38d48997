"""The least rights that work, as manifests."""

from __future__ import annotations

from secrets_svc.backends.kubernetes.settings import KubernetesSettings
from secrets_svc.core.errors import InvalidArgument

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
