"""Every label, annotation and name that this backend reads or writes, in one place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from secrets_svc.core.scope import Scope

DOMAIN = "secrets-svc.internal"
#: Begins every label and annotation of ours.
PREFIX = f"{DOMAIN}/"

# Flyte's own (flyte/v2/secret/service): what its service writes, and lists by.
MANAGED = "app.flyte.org/managed"
MANAGED_VALUE = "true"
FLYTE_DOMAIN = "app.flyte.org/domain"
FLYTE_PROJECT = "app.flyte.org/project"

# Union's: image-pull Secrets that its webhook copies, which have another form than secrets.
UNION_TYPE = "union.ai/secret-type"
UNION_PULL = "image-pull-secret"

#: Label: the organization, which Flyte's labels don't tell.
ORGANIZATION = f"{DOMAIN}/organization"

# Annotations of a secret's object.
NAME = f"{DOMAIN}/name"
TYPE = f"{DOMAIN}/type"
SIZE = f"{DOMAIN}/size"
CREATED_AT = f"{DOMAIN}/created-at"
CREATED_BY = f"{DOMAIN}/created-by"
UPDATED_AT = f"{DOMAIN}/updated-at"
UPDATED_BY = f"{DOMAIN}/updated-by"
#: What is told of earlier versions: see ``versions.py``.
VERSIONS = f"{DOMAIN}/versions"
#: Where ``kubectl apply`` leaves a copy of the whole object, its value included.
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: Which operation wrote it last: see ``marks.py``. On the Lease of an operation: which one that is.
OPERATION = f"{DOMAIN}/operation"

#: Label on the Lease of an operation: the hour in which it was done.
HOUR = f"{DOMAIN}/operation-hour"
#: Annotations on it: what the caller was told; the object that a delete is about.
ANSWER = f"{DOMAIN}/answer"
TARGET = f"{DOMAIN}/target"

#: The Secret with the key that operations are compared under: its name, label and data key.
KEY_OBJECT = "secrets-svc-operations"
KEY_LABEL = f"{DOMAIN}/operations-key"
KEY_DATA = "key"

#: Names our writes in ``managedFields``.
MANAGER = "secrets-svc-writer"


def object_name(storage_name: str) -> str:
    """Of the Secret: Flyte's ``EncodeK8sSecretName``, since a storage name is no name of an object."""
    return hashlib.md5(storage_name.encode(), usedforsecurity=False).hexdigest()


def lease_name(operation: str) -> str:
    """Of the Lease of an operation. :param operation: the digest of its id."""
    return f"secrets-svc-{operation[:40]}"


def labels_of(scope: Scope) -> dict[str, str]:
    """On a secret's object: Flyte's, and the organization."""
    labels = {MANAGED: MANAGED_VALUE, ORGANIZATION: scope.organization}
    if scope.domain is not None:
        labels[FLYTE_DOMAIN] = scope.domain
    if scope.project is not None:
        labels[FLYTE_PROJECT] = scope.project
    return labels


def selectors(within: Scope, *, exact: bool) -> tuple[str, str]:
    """Label selectors for a listing: what this service wrote, and what Flyte's did.

    There is no "or" in a selector, and Flyte's objects don't tell their organization.
    """
    parts = ",".join([f"{MANAGED}={MANAGED_VALUE}", *_scope_parts(within, exact=exact)])
    return f"{parts},{ORGANIZATION}={within.organization}", f"{parts},!{ORGANIZATION}"


def written_by_flyte() -> tuple[str, str]:
    """Label selectors for all that Flyte's service, this one in its form, and Union's wrote."""
    return f"{MANAGED}={MANAGED_VALUE}", f"{UNION_TYPE}={UNION_PULL}"


def _scope_parts(within: Scope, *, exact: bool) -> Iterator[str]:
    for label, wanted in ((FLYTE_DOMAIN, within.domain), (FLYTE_PROJECT, within.project)):
        if wanted is not None:
            yield f"{label}={wanted}"
        elif exact:
            yield f"!{label}"
