"""Secrets that are in the cluster already: a data key of each is a field."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from secrets_svc.backends.existing.places import Document, Found
from secrets_svc.backends.kubernetes.names import KEY_LABEL, MANAGED
from secrets_svc.backends.kubernetes.namespace import SECRETS, Namespace
from secrets_svc.backends.kubernetes.provenance import last_change, moment
from secrets_svc.core.errors import InvalidArgument, Unavailable, Unsupported
from secrets_svc.core.scope import Scope
from secrets_svc.core.templates import PathTemplate
from secrets_svc.core.value import SecretValue
from secrets_svc.kube.api import JSON, METADATA, METADATA_LIST, ApiServer, Object, path_of
from secrets_svc.kube.errors import ApiError
from secrets_svc.kube.informer import Metadata

#: What opens the cluster itself, and our own copies beside pods. No task gets those.
_NEVER = (
    "kubernetes.io/service-account-token",
    "bootstrap.kubernetes.io/token",
    "helm.sh/release.v1",
    "secrets-svc.internal/staged",
)
#: Labels of what is somebody's in another way: a secret of a scope, a key of ours.
_NOT_THESE = (MANAGED, KEY_LABEL)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


class KubernetesPlaces:
    """See :class:`secrets_svc.backends.existing.places.Places`. Paths are ``name`` or ``namespace/name``.

    :param api: closed with this. :param namespace: of names alone. :param timeout: seconds for one call.
    :param closed: patterns of namespaces in which there is nothing for tasks, whatever a project is called.
    """

    def __init__(self, api: ApiServer, namespace: str, *, timeout: float, closed: Iterable[str] = ()) -> None:
        self._closed = tuple(closed)
        self._api = api
        self._namespace = namespace
        self._timeout = timeout

    def look(self, path: str) -> Found | None:
        """See the port."""
        object_ = self._find(path, METADATA)
        return None if object_ is None else _found(object_)

    def read(self, path: str) -> tuple[str, Document] | None:
        """See the port."""
        object_ = self._find(path, JSON)
        if object_ is None:
            return None
        if object_.get("type") in _NEVER:
            raise Unsupported(
                "what lies where that secret would be is a token of Kubernetes, or one of this service's own "
                "copies: no task gets it"
            )
        data = object_.get("data")
        return _token(object_), DataKeys(data if isinstance(data, dict) else {})

    def listed(self, template: PathTemplate, within: Scope) -> Iterator[tuple[str, Found | None]]:
        """See the port."""
        *above, _ = template.narrowed(within)
        namespace = above[0] if above else self._namespace
        fixed = namespace if isinstance(namespace, str) else None
        for object_ in self._objects(fixed):
            found = Metadata.of(object_)
            path = f"{found.namespace}/{found.name}" if above else found.name
            if above and self._is_closed(found.namespace):
                continue
            if not found.terminating and template.ref_of(path, within.organization) is not None:
                yield path, _found(object_)

    def close(self) -> None:
        """See the port."""
        self._api.close()

    def _find(self, path: str, accept: str) -> Object | None:
        above, _, name = path.rpartition("/")
        if not _NAME.fullmatch(name) or not _NAMESPACE.fullmatch(above or self._namespace):
            return None  # no object can be called so
        if above and self._is_closed(above):
            return None
        namespace = Namespace(self._api, above or self._namespace, timeout=self._timeout)
        object_ = namespace.find(SECRETS, name, accept=accept)
        if object_ is None:
            self._check(namespace, may_be_absent=bool(above))
            return None
        found = Metadata.of(object_)
        if (found.name, found.namespace) != (name, namespace.name) or not found.uid:
            raise Unavailable("the API server doesn't answer as it should: that is another object")
        return None if found.terminating or any(label in found.labels for label in _NOT_THESE) else object_

    def _is_closed(self, namespace: str) -> bool:
        return any(fnmatchcase(namespace, pattern) for pattern in self._closed)

    def _check(self, namespace: Namespace, *, may_be_absent: bool) -> None:
        """What isn't in a namespace isn't there; what isn't in one that is being deleted, nobody knows."""
        try:
            namespace.check()
        except Unavailable as error:
            cause = error.__cause__
            gone = isinstance(cause, ApiError) and cause.is_absence_of("namespaces", namespace.name)
            if not (gone and may_be_absent):
                raise

    def _objects(self, namespace: str | None) -> Iterator[Object]:
        query = {
            "fieldSelector": ",".join(f"type!={each}" for each in _NEVER),
            "labelSelector": ",".join(f"!{each}" for each in _NOT_THESE),
        }
        path = path_of("v1", "secrets", namespace)
        with _translated():
            for page in self._api.pages(path, timeout=self._timeout, query=query, accept=METADATA_LIST):
                if page.get("kind") != "PartialObjectMetadataList":
                    raise ApiError(502, "BadAnswer")
                yield from (each for each in page.get("items") or () if isinstance(each, dict))


class DataKeys:
    """See :class:`secrets_svc.backends.existing.places.Document`: of a Secret, each in base64."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def whole(self) -> SecretValue:
        """See the port."""
        raise InvalidArgument('its values stand under data keys: say which one with "field"')

    def field(self, name: str) -> SecretValue:
        """See the port. The bytes as they are."""
        if name not in self._data:
            raise InvalidArgument(f'it has no data key "{name}"')
        try:
            return SecretValue(base64.b64decode(self._data[name], validate=True))
        except (ValueError, TypeError):
            pass
        raise Unavailable("the API server doesn't answer as it should: a value is not base64")


def _found(object_: Object) -> Found:
    metadata = object_["metadata"]
    created_at = (moment(metadata.get("creationTimestamp")) or datetime.fromtimestamp(0, UTC)).astimezone(UTC)
    changed = last_change(object_)
    updated_at = datetime.fromtimestamp(int(changed), UTC) if changed else created_at
    return Found(_token(object_), created_at, max(created_at, updated_at))


def _token(object_: Object) -> str:
    found = Metadata.of(object_)
    # The time tells apart what has one uid and resource version before and after etcd was restored.
    return f"{found.uid}.{found.resource_version}.{last_change(object_)}"


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        raise error.translated("list existing secrets") from error
