"""Which scope the process of ``secret run`` is in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.namespaces import known_namespaces
from cli.scopes import ScopeOptions, choose_filter, choose_scope
from injector.keys import DOMAIN_LABEL, PROJECT
from injector.proofs import NamespaceMap
from injector.requests import Claim
from secrets_svc.core.errors import InvalidArgument, PermissionDenied
from secrets_svc.core.scope import Scope

if TYPE_CHECKING:
    from cli.context import Context


@dataclass(frozen=True, slots=True)
class PodPlace:
    """What a pod says of its scope.

    :param claim: its labels. :param namespace: where it would be created, if that is known.
    """

    claim: Claim
    namespace: str | None


def scope_of_task(given: ScopeOptions, context: Context, pod: PodPlace | None) -> Scope:
    """What was typed; else, for a pod, what the webhook would say; else environment and context.

    :raises InvalidArgument: no scope can be told. :raises PermissionDenied: the webhook would refuse the pod.
    """
    typed = given.org_wide or given.project is not None or given.domain is not None
    if pod is not None and not typed:
        return _scope_of_pod(given, context, pod)
    parts = choose_scope(given, environ=os.environ, context=context, usage="secret run")
    return Scope(_organization(given, context), parts.domain, parts.project)


def _scope_of_pod(given: ScopeOptions, context: Context, pod: PodPlace) -> Scope:
    organization = _organization(given, context)
    known = known_namespaces(Path(context.state)) if context.state and pod.namespace else {}
    if known and pod.namespace:
        try:
            return NamespaceMap(organization, known).prove(
                pod.claim, namespace=pod.namespace, username="", labels={}
            )
        except PermissionDenied as error:
            raise PermissionDenied(
                f"{error.message}; choose the scope yourself with --project PROJECT --domain DOMAIN"
            ) from error
    if pod.claim != Claim():
        return Scope(organization, pod.claim.domain, pod.claim.project)
    parts = choose_filter(given, environ=os.environ, context=context)
    if parts.project is None and parts.domain is None:
        raise InvalidArgument(_untold(pod))
    return Scope(organization, parts.domain, parts.project)


def _untold(pod: PodPlace) -> str:
    labels = f"it has neither label {PROJECT} nor {DOMAIN_LABEL}"
    if pod.namespace is None:
        return (
            f"the pod tells no scope: {labels}, and names no namespace; add --namespace NAMESPACE, or "
            "--project PROJECT --domain DOMAIN"
        )
    return (
        f"the pod tells no scope: {labels}, and no server of this machine has said what its namespace "
        "stands for; add --project PROJECT --domain DOMAIN"
    )


def _organization(given: ScopeOptions, context: Context) -> str:
    """The server's, whatever organization is named: it serves one."""
    if given.organization is not None:
        Scope(given.organization)
    organization = context.organization or given.organization
    if organization is None:
        raise InvalidArgument("which organization? Say --organization, or use a context that names one")
    return organization
