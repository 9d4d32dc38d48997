"""Why a pod's scope is believed (DESIGN.md §6). Without a proof nothing is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from injector.requests import Claim
from secrets_svc.core.errors import PermissionDenied
from secrets_svc.core.scope import Scope, shown


class Proof(Protocol):
    """One way to prove a claim. Proofs never widen one another: each gives a whole scope or none."""

    @property
    def name(self) -> str:
        """In messages."""

    def prove(self, claim: Claim, *, namespace: str, username: str) -> Scope:
        """The scope that ``claim`` is in.

        :param namespace: of the admission request. :param username: who creates the pod.
        :raises PermissionDenied: not proven by this; the message says why.
        """


class NamespaceMap:
    """The operator's own table of namespaces: they equal the claim, or give the scope where there is none.

    :param organization: of the installation. :param namespaces: what each stands for.
    """

    name = "namespace map"

    def __init__(self, organization: str, namespaces: Mapping[str, Claim]) -> None:
        self._scopes = {
            namespace: Scope(organization, known.domain, known.project)
            for namespace, known in namespaces.items()
        }

    def prove(self, claim: Claim, *, namespace: str, username: str) -> Scope:
        """See :class:`Proof`."""
        del username  # whoever may create pods in a namespace is in its scope
        scope = self._scopes.get(namespace)
        if scope is None:
            raise PermissionDenied(f"namespace {shown(namespace)} is not in the namespace map")
        for kind, claimed, known in (
            ("project", claim.project, scope.project),
            ("domain", claim.domain, scope.domain),
        ):
            if claimed is not None and claimed != known:
                stands = f"stands for {kind} {shown(known)}" if known else f"stands for no one {kind}"
                raise PermissionDenied(
                    f"the pod claims {kind} {shown(claimed)}, but namespace {shown(namespace)} {stands}"
                )
        return scope


def prove_scope(proofs: Iterable[Proof], claim: Claim, *, namespace: str, username: str) -> Scope:
    """The scope of a pod by the first proof that holds.

    :raises PermissionDenied: none holds; the message has each one's reason.
    """
    reasons: list[str] = []
    for proof in proofs:
        try:
            return proof.prove(claim, namespace=namespace, username=username)
        except PermissionDenied as error:
            reasons.append(f"{proof.name}: {error.message}")
    raise PermissionDenied("; ".join(reasons) or "no proof of scope is configured")
