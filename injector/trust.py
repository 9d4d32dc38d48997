"""Why a pod's scope is believed (DESIGN.md §6). Without a proof nothing is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from injector.requests import Claim
from secrets_svc.core.errors import PermissionDenied
from secrets_svc.core.scope import Scope

Labels = Mapping[str, str]


class Unconfirmed(PermissionDenied):
    """Not proven by what is known here and now; a live look may tell otherwise."""


class Proof(Protocol):
    """One way to prove a claim. Proofs never widen one another: each gives a whole scope or none."""

    @property
    def name(self) -> str:
        """In messages."""

    def prove(self, claim: Claim, *, namespace: str, username: str, labels: Labels) -> Scope:
        """The scope that ``claim`` is in.

        :param namespace: of the admission request. :param username: who creates the pod.
        :param labels: of the pod: whoever made it wrote them.
        :raises PermissionDenied: not proven by this; the message says why.
        :raises Unconfirmed: only a :class:`LiveProof`: see :meth:`LiveProof.confirm`.
        """


@runtime_checkable
class LiveProof(Proof, Protocol):
    """A proof that goes by a copy of what the cluster says, and can ask the cluster itself."""

    async def confirm(self, claim: Claim, *, namespace: str, username: str, labels: Labels) -> Scope:
        """As :meth:`Proof.prove`, on a look that began after this call.

        :raises PermissionDenied: not proven. :raises SecretsError: the cluster can't be asked.
        """


def prove_scope(
    proofs: Iterable[Proof], claim: Claim, *, namespace: str, username: str, labels: Labels
) -> Scope:
    """The scope of a pod by the first proof that holds.

    :raises PermissionDenied: none holds; the message has each one's reason.
    :raises Unconfirmed: none holds yet: :func:`confirm_scope` has the last word.
    """
    reasons: list[str] = []
    refusal: type[PermissionDenied] = PermissionDenied
    for proof in proofs:
        try:
            return proof.prove(claim, namespace=namespace, username=username, labels=labels)
        except PermissionDenied as error:
            reasons.append(f"{proof.name}: {error.message}")
            refusal = Unconfirmed if isinstance(error, Unconfirmed) else refusal
    raise refusal("; ".join(reasons) or "no proof of scope is configured")


async def confirm_scope(
    proofs: Iterable[Proof], claim: Claim, *, namespace: str, username: str, labels: Labels
) -> Scope:
    """As :func:`prove_scope`, asking the cluster itself where that is possible.

    :raises PermissionDenied: none holds. :raises SecretsError: the cluster can't be asked.
    """
    reasons: list[str] = []
    for proof in proofs:
        try:
            if isinstance(proof, LiveProof):
                return await proof.confirm(claim, namespace=namespace, username=username, labels=labels)
            return proof.prove(claim, namespace=namespace, username=username, labels=labels)
        except PermissionDenied as error:
            reasons.append(f"{proof.name}: {error.message}")
    raise PermissionDenied("; ".join(reasons) or "no proof of scope is configured")


@dataclass(frozen=True, slots=True)
class NamespaceFacts:
    """What the cluster says of a namespace.

    :param uid: another one after it was deleted and made again. :param terminating: it is being deleted.
    """

    name: str
    uid: str
    labels: Mapping[str, str] = field(default_factory=dict)
    terminating: bool = False


class Namespaces(Protocol):
    """The cluster's namespaces."""

    def known(self, name: str) -> NamespaceFacts | None:
        """As last heard of; ``None`` where that isn't recent enough to go by, or nothing was heard of it."""

    async def look(self, name: str) -> NamespaceFacts | None:
        """As the API server says in a call that began after this one; ``None`` where there is none.

        :raises SecretsError: it can't be asked.
        """
