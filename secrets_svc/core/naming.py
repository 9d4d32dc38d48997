"""References and their storage names, one to one.

The form is Flyte's own (``flyteplugins/.../secret/utils.go``), so that its webhook can read what we write.
Organization, domain and project hold no ``_``, hence the form is reversible for every legal reference.
"""

from __future__ import annotations

import re

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

#: Bytes: the longest name that every backend carries (Kubernetes Secret data keys, the tightest of them).
MAX_STORAGE_NAME = 253

_FORM = re.compile(r"u__org__([^_]+)__domain__([^_]*)__project__([^_]*)__key__([-a-zA-Z0-9_]+)")


def storage_name(ref: SecretRef) -> str:
    """``u__org__<org>__domain__<domain>__project__<project>__key__<name>``, absent parts left empty.

    :raises InvalidArgument: over 253 bytes, which some backend could not carry.
    """
    scope = ref.scope
    name = (
        f"u__org__{scope.organization}__domain__{scope.domain or ''}__project__{scope.project or ''}"
        f"__key__{ref.name}"
    )
    if len(name) > MAX_STORAGE_NAME:
        raise InvalidArgument(
            f"secret {ref} is not valid: its storage name would be {len(name)} bytes, "
            f"{len(name) - MAX_STORAGE_NAME} over the limit of {MAX_STORAGE_NAME}; shorten its name or scope"
        )
    return name


def parse_storage_name(name: str) -> SecretRef:
    """The reference that :func:`storage_name` made ``name`` from.

    :raises InvalidArgument: where it made no such name.
    """
    match = _FORM.fullmatch(name) if len(name) <= MAX_STORAGE_NAME else None
    if match is None:
        raise InvalidArgument("that is not a storage name of this service")
    organization, domain, project, key = match.groups()
    return SecretRef(Scope(organization, domain or None, project or None), key)
