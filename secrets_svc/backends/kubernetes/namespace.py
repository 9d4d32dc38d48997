"""Calls about one namespace's objects, and what the API server answers as errors of ours."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from secrets_svc.backends.kubernetes.names import MANAGER
from secrets_svc.core.errors import Unavailable, Unsupported
from secrets_svc.kube.api import (
    JSON_PATCH,
    METADATA,
    METADATA_LIST,
    ApiServer,
    Object,
    Patch,
    path_of,
)
from secrets_svc.kube.errors import ApiError
from secrets_svc.kube.informer import Metadata


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of objects."""

    group_version: str
    resource: str


SECRETS = Kind("v1", "secrets")
LEASES = Kind("coordination.k8s.io/v1", "leases")


class Deletion(enum.Enum):
    """What came of one."""

    DONE = enum.auto()
    GONE = enum.auto()  # there was none
    CHANGED = enum.auto()  # it is another one by now


class Change(enum.Enum):
    """Why one wasn't made."""

    LOST = enum.auto()  # it is gone, or another version by now
    LACKING = enum.auto()  # something that was to be moved isn't there, in this version or in a newer one


class Namespace:
    """One namespace, seen with one identity. Answers are metadata alone, unless more is asked for.

    Safe for threads. All errors are :class:`~secrets_svc.core.errors.SecretsError`.

    :param timeout: seconds for one call.
    """

    def __init__(self, api: ApiServer, name: str, *, timeout: float) -> None:
        self.name = name
        self._api = api
        self._timeout = timeout
        self._closed = False

    def find(self, kind: Kind, name: str, *, accept: str = METADATA) -> Object | None:
        """The object; ``None`` only where the API server says that just this one isn't there."""
        with self._translated(f"look at {kind.resource}"):
            try:
                return self._call("GET", kind, name, accept=accept)
            except ApiError as error:
                if error.is_absence_of(kind.resource, name):
                    return None
                raise

    def create(self, kind: Kind, body: Object) -> Object | None:
        """Make a new object; ``None`` where one of that name is there."""
        with self._translated(f"create {kind.resource}"):
            try:
                return self._call("POST", kind, body=body, query={"fieldManager": MANAGER})
            except ApiError as error:
                if error.is_there_already:
                    return None
                raise

    def change(self, kind: Kind, name: str, *patches: Patch, may_lack: bool = False) -> Object | Change:
        """Make the changes of the first of ``patches``, as long as it is at the version that they set.

        :param patches: each is tried where the object can't be as the one before would have it: something
            that is moved isn't there, or all of it together would be too large.
        :param may_lack: whether the last one moves something too.
        """
        with self._translated(f"change {kind.resource}"):
            for patch in patches:
                try:
                    return self._patched(kind, name, patch)
                except ApiError as error:
                    if error.status != 422 or (patch is patches[-1] and not may_lack):
                        raise
        return Change.LACKING

    def _patched(self, kind: Kind, name: str, patch: Patch) -> Object | Change:
        query = {"fieldManager": MANAGER}
        try:
            return self._call("PATCH", kind, name, body=patch, query=query, content_type=JSON_PATCH)
        except ApiError as error:
            if error.is_conflict or error.is_absence_of(kind.resource, name):
                return Change.LOST
            if error.status == 422 and "FieldValueForbidden" in error.causes:
                raise Unsupported(
                    f'can\'t change {kind.resource} "{name}" in namespace "{self.name}": '
                    "somebody made it immutable; delete the secret and create it again"
                ) from error
            raise

    def delete(self, kind: Kind, name: str, *, uid: str, version: str = "") -> Deletion:
        """Delete the very object with that ``uid``, and with ``version`` only as it is at that one."""
        preconditions = {"uid": uid} | ({"resourceVersion": version} if version else {})
        with self._translated(f"delete {kind.resource}"):
            try:
                self._call("DELETE", kind, name, body={"preconditions": preconditions})
            except ApiError as error:
                if error.is_absence_of(kind.resource, name):
                    return Deletion.GONE
                if error.is_conflict:
                    return Deletion.CHANGED
                raise
        return Deletion.DONE

    def page(self, kind: Kind, *, selector: str, limit: int, continued: str = "") -> Object:
        """One page of a list. Raises :class:`ApiError` as it comes: callers go on from some of them."""
        query = {"labelSelector": selector, "limit": str(limit)}
        if continued:
            query["continue"] = continued
        page = self._call("GET", kind, query=query, accept=METADATA_LIST)
        if page.get("kind") != "PartialObjectMetadataList":  # anything else could pass for an empty one
            raise ApiError(502, "BadAnswer")
        return page

    @contextmanager
    def listing(self, kind: Kind) -> Iterator[None]:
        """Around :meth:`page`: what is not caught inside comes out as an error of ours."""
        with self._translated(f"list {kind.resource}"):
            yield

    def check(self) -> None:
        """Raise unless what isn't in the namespace really isn't there.

        The API server answers for a namespace that isn't there as for an empty one, and the deletion of a
        namespace takes its objects away one after the other, narrow scopes perhaps first.

        :raises Unavailable: it isn't there, or is being deleted.
        """
        with self._translated("look"):
            found = self._api.call(
                "GET", path_of("v1", "namespaces", name=self.name), timeout=self._timeout, accept=METADATA
            )
        namespace = Metadata.of(found)
        if namespace.name != self.name:
            raise Unavailable("the API server doesn't answer as it should: that is another namespace")
        if namespace.terminating:
            raise Unavailable(f'namespace "{self.name}", where the secrets are, is being deleted')

    def close(self) -> None:
        """See the ports."""
        self._closed = True
        self._api.close()

    def _call(
        self,
        method: str,
        kind: Kind,
        name: str | None = None,
        *,
        accept: str = METADATA,
        body: Object | Patch | None = None,
        query: dict[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        if self._closed:
            raise Unavailable("the store is closed")
        return self._api.call(
            method,
            path_of(kind.group_version, kind.resource, self.name, name),
            timeout=self._timeout,
            accept=accept,
            body=body,
            query=query,
            content_type=content_type,
        )

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except ApiError as error:
            raise error.translated(f'{what} in namespace "{self.name}"') from error
