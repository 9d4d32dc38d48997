"""Workflow engines as they come: who makes their pods, where, and which labels they set last. Pure.

Facts of Flyte's and Union's Helm charts; what an operator changed there is for the settings to say.
"""

from __future__ import annotations

from collections.abc import Iterable

from injector.keys import FLYTE_DOMAIN, FLYTE_PROJECT
from injector.proofs import Engine

#: Flyte 1 (``namespace_mapping.template`` of flyteadmin) and Union.
NAMESPACE_TEMPLATE = "{project}-{domain}"
_BINARY = "flyte-binary"


def flyte2_account(namespace: str, release: str) -> str:
    """The username that Flyte 2 makes pods under: the chart flyte-binary's ``fullname``."""
    name = release if _BINARY in release else f"{release}-{_BINARY}"
    return f"system:serviceaccount:{namespace}:{name}"


def flyte2(namespaces: Iterable[str]) -> Engine:
    """Flyte 2's executor, which sets these labels over its users' (executor ``task_exec_metadata.go``)."""
    return Engine(frozenset(namespaces), FLYTE_PROJECT, FLYTE_DOMAIN)
