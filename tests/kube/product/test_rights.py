"""What the injector's identity may do: this list, and nothing else."""

from __future__ import annotations

from installation import Installation

#: ``kubectl auth can-i --list``, without what every account may do.
RIGHTS = {
    ("leases.coordination.k8s.io", "", "create delete list patch watch"),
    ("namespaces", "", "get list watch"),
    ("pods", "", "list"),
    ("secrets", "", "create"),
}
OWN = {("leases.coordination.k8s.io", "secrets-svc-janitor", "get update")}
_EVERYBODYS = {
    "selfsubjectreviews.authentication.k8s.io",
    "selfsubjectaccessreviews.authorization.k8s.io",
    "selfsubjectrulesreviews.authorization.k8s.io",
}


def rights(installation: Installation, namespace: str) -> set[tuple[str, str, str]]:
    kubeconfig = installation.injectors_kubeconfig()
    listed = installation.cluster.kubectl(
        "auth", "can-i", "--list", "-n", namespace, kubeconfig=kubeconfig
    ).stdout
    found = set()
    for line in listed.splitlines()[1:]:
        resource, _, rest = line.partition(" ")
        names, verbs = _columns(rest)
        if resource and resource not in _EVERYBODYS:
            found.add((resource, names, " ".join(sorted(verbs.split()))))
    return found


def _columns(rest: str) -> tuple[str, str]:
    _urls, names, verbs = (part.partition("]")[0] for part in rest.split("[")[1:])
    return names, verbs


def test_it_creates_secrets_and_reads_none(installation: Installation, shop: str) -> None:
    assert rights(installation, shop) == RIGHTS


def test_in_its_own_namespace_it_has_its_election_besides(installation: Installation) -> None:
    assert rights(installation, "secrets-svc") == RIGHTS | OWN
