"""What Flyte's own service wrote: which secret an object is, and whether it can be ours. Metadata are enough.

Flyte's service tells a secret's name in the data key alone. The API server tells data keys without values
among the managed fields; where somebody had it forget them, the object is left alone.
"""

from __future__ import annotations

from secrets_svc.backends.kubernetes import names
from secrets_svc.backends.kubernetes.objects import Held, held
from secrets_svc.backends.kubernetes.provenance import data_keys, may_be_immutable
from secrets_svc.backends.kubernetes.versions import is_key
from secrets_svc.core.errors import InvalidArgument, SecretsError
from secrets_svc.core.naming import parse_storage_name
from secrets_svc.core.scope import Scope, shown, validate_label
from secrets_svc.core.secret import SecretRef, validate_name
from secrets_svc.core.taking_over import Candidate, Standing
from secrets_svc.kube.api import Object
from secrets_svc.kube.informer import Metadata

#: What makes an object one of ours, beside its labels.
_OURS = frozenset(
    {names.NAME, names.TYPE, names.CREATED_AT, names.CREATED_BY, names.UPDATED_AT, names.UPDATED_BY}
)


class _Left(Exception):
    """It can't be ours; the text says why."""


def judged(object_: Object, organization: str) -> Candidate:
    """How an object stands to this service.

    :param organization: whose secrets this service has.
    """
    found = Metadata.of(object_)
    ref: SecretRef | None = None
    try:
        name = storage_name_in(object_, found)
        ref = _ref(name)
        if found.name != names.object_name(name):
            raise _Left("its name is not the one that goes with its data key: no reader finds it")
        _check_scope(ref.scope, found, organization)
        current = held(object_, name)
        if is_ours(found, ref):
            return Candidate(found.name, ref, Standing.OURS, written_by=current.metadata.updated_by)
        _check_can_change(object_, current)
    except _Left as left:
        return Candidate(found.name, ref, Standing.LEFT, str(left))
    except SecretsError as error:  # what is there of ours makes no sense
        return Candidate(found.name, ref, Standing.LEFT, error.message)
    return Candidate(found.name, ref, Standing.FOREIGN, written_by=current.metadata.updated_by)


def storage_name_in(object_: Object, found: Metadata) -> str:
    """The one data key that is no earlier version's. Raises :class:`_Left`."""
    if found.labels.get(names.UNION_TYPE) == names.UNION_PULL:
        raise _Left(
            "an image-pull Secret in a form of Union's own, which no secret has: create one with --type "
            "image-pull"
        )
    keys = sorted(key for key in data_keys(object_) if not is_key(key))
    if not keys:
        raise _Left(
            "the API server tells no data key (its managedFields are gone), and no value is read to find "
            "out: write it once more with Flyte's own tools"
        )
    if len(keys) > 1:
        raise _Left(f"it has {len(keys)} data keys where a secret has one")
    return keys[0]


def _ref(name: str) -> SecretRef:
    try:
        return parse_storage_name(name)
    except InvalidArgument:
        raise _Left(_why_no_ref(name)) from None


def _why_no_ref(name: str) -> str:
    """Flyte splits a name at ``__`` and takes fixed words at fixed places; it allows more than we do."""
    parts = name.split("__")
    if len(parts) < 9 or (parts[0], *parts[1:8:2]) != ("u", "org", "domain", "project", "key"):
        return f"data key {shown(name)} is no name of a secret of Flyte's"
    fields = {"organization": parts[2], "domain": parts[4], "project": parts[6]}
    try:
        for kind, text in fields.items():
            if text or kind == "organization":
                validate_label(kind, text)
        validate_name("__".join(parts[8:]))
    except InvalidArgument as error:
        return f"no secret here can be called so: {error.message}"
    return "no secret here can be called so"


def _check_scope(scope: Scope, found: Metadata, organization: str) -> None:
    if scope.organization != organization:
        raise _Left(
            f"it is of organization {shown(scope.organization)}, not {shown(organization)}; that is part of "
            "its name and can't be mapped"
        )
    wanted = names.labels_of(scope)
    for label in (names.ORGANIZATION, names.FLYTE_DOMAIN, names.FLYTE_PROJECT):
        text = found.labels.get(label)
        if text is not None and text != wanted.get(label):
            raise _Left(f"label {label} is {shown(text)}, which is not what its name says")


def _check_can_change(object_: Object, current: Held) -> None:
    if current.terminating:
        raise _Left("it is being deleted")
    if may_be_immutable(object_):
        raise _Left("its field immutable is set: no update could ever change it")


def is_ours(found: Metadata, ref: SecretRef) -> bool:
    """Whether everything is there that our writer would have written with it."""
    labels = names.labels_of(ref.scope)
    return found.annotations.keys() >= _OURS and all(
        found.labels.get(key) == text for key, text in labels.items()
    )
