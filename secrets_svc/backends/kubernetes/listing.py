"""Lists in the order of objects' names, each page as the namespace is when it is asked for.

Our cursor is the name of the last object that was shown, so nothing can expire between pages. The API server
goes on behind a name if it is given the token that it makes itself once one of its own has expired
(k8s.io/apiserver/pkg/storage/continue.go: version -1, which means the latest). Should it ever refuse that
form, everything in front of the cursor is listed again and left out.
"""

from __future__ import annotations

import base64
import heapq
import json
import logging
import re
from collections.abc import Iterator

from secrets_svc.backends.kubernetes import names
from secrets_svc.backends.kubernetes.namespace import SECRETS, Namespace
from secrets_svc.backends.kubernetes.objects import held, storage_name_of
from secrets_svc.core.errors import InvalidArgument, SecretsError
from secrets_svc.core.ports import Page
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata
from secrets_svc.kube.api import Object
from secrets_svc.kube.errors import ApiError
from secrets_svc.kube.informer import Metadata

#: Objects in one answer of the API server, at most.
_AT_ONCE = 500
_CURSOR = re.compile(r"[0-9a-f]{32}")

_log = logging.getLogger(__name__)


def check_limit(limit: int) -> None:
    """Raise :class:`InvalidArgument` unless it is 1 to 1000."""
    if not 1 <= limit <= 1000:
        raise InvalidArgument("limit is not valid: 1 to 1000")


def position(cursor: str | None) -> str:
    """The object's name that ``cursor`` stands behind; "" for the beginning.

    :raises InvalidArgument: it isn't ours.
    """
    if cursor is None:
        return ""
    if not _CURSOR.fullmatch(cursor):
        raise InvalidArgument("cursor is not valid: give back the one of the page before")
    return cursor


def page(
    namespace: Namespace, within: Scope, *, exact: bool, limit: int, cursor: str | None
) -> Page[SecretMetadata]:
    """See :meth:`secrets_svc.core.ports.SecretWriter.list`."""
    check_limit(limit)
    after = position(cursor)
    items: list[SecretMetadata] = []
    last = ""
    with namespace.listing(SECRETS):
        for name, metadata in _secrets(namespace, within, exact=exact, after=after, at_once=limit + 1):
            if len(items) == limit:
                return Page(tuple(items), last)
            items.append(metadata)
            last = name
    if not items:
        namespace.check()
    return Page(tuple(items))


def _secrets(
    namespace: Namespace, within: Scope, *, exact: bool, after: str, at_once: int
) -> Iterator[tuple[str, SecretMetadata]]:
    """Names of objects behind ``after``, in order, and what they hold."""
    size = min(at_once, _AT_ONCE)
    found = [
        Objects(namespace, selector, size).behind(after) for selector in names.selectors(within, exact=exact)
    ]
    for name, object_ in heapq.merge(*found, key=lambda each: each[0]):
        metadata = _readable(name, object_)
        if metadata is not None:
            scope = metadata.ref.scope
            # Labels may have been changed, and Flyte's don't tell the organization.
            if scope == within if exact else within.covers(scope):
                yield name, metadata


def _readable(name: str, object_: Object) -> SecretMetadata | None:
    storage_name = storage_name_of(object_)
    if storage_name is None:
        _log.warning(
            'Secret "%s" is not listed: it is labelled as a secret of this service, but is none', name
        )
        return None
    try:
        found = held(object_, storage_name)
    except SecretsError as error:
        _log.warning("not listed: %s", error)
        return None
    return None if found.terminating else found.metadata


class Objects:
    """What one selector finds, in the order of names, as metadata alone.

    :param size: objects of one page.
    """

    def __init__(self, namespace: Namespace, selector: str, size: int) -> None:
        self._namespace = namespace
        self._selector = selector
        self._size = size

    def behind(self, after: str) -> Iterator[tuple[str, Object]]:
        """Names of objects behind ``after``, and what they say. Raises :class:`ApiError` as it comes."""
        while True:
            try:
                answer = self._page(_continued_behind(after) if after else "")
            except ApiError as error:
                if not after or error.status not in (400, 410):
                    raise
                yield from self._rest(after)
                return
            for name, object_ in _named(answer):
                if name <= after:
                    raise ApiError(502, "BadAnswer")
                after = name
                yield name, object_
            if not _continued(answer):
                return

    def _rest(self, after: str) -> Iterator[tuple[str, Object]]:
        """From the beginning, by the server's own tokens."""
        token = ""
        while True:
            answer = self._page(token)
            yield from ((name, object_) for name, object_ in _named(answer) if name > after)
            token = _continued(answer)
            if not token:
                return

    def _page(self, token: str) -> Object:
        return self._namespace.page(SECRETS, selector=self._selector, limit=self._size, continued=token)


def _continued_behind(name: str) -> str:
    """The token that goes on behind ``name`` in the latest state."""
    token = json.dumps({"v": "meta.k8s.io/v1", "rv": -1, "start": f"{name}\0"})
    return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


def _continued(answer: Object) -> str:
    metadata = answer.get("metadata")
    token = metadata.get("continue") if isinstance(metadata, dict) else None
    return token if isinstance(token, str) else ""


def _named(answer: Object) -> Iterator[tuple[str, Object]]:
    items = answer.get("items") or ()
    if not all(isinstance(item, dict) for item in items):
        raise ApiError(502, "BadAnswer")
    yield from ((Metadata.of(item).name, item) for item in items)
