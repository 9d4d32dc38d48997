"""Calls to the API server: JSON in, JSON out, each with a deadline. Blocking; threads are the caller's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import urllib3

from secrets_svc.core import deadline
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.kube.errors import ApiError, NoAnswer, TimedOut, of_status

JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
#: An object without what it holds: no value of a Secret comes with it.
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
#: Bytes of one answer; a list comes in pages.
MAX_ANSWER = 64 * 1024 * 1024
_CHUNK = 64 * 1024
#: Bytes of one event of a watch: an object's own limit and then some.
MAX_EVENT = 8 * 1024 * 1024

Object = dict[str, Any]
#: The operations of a JSON patch (RFC 6902), in order.
Patch = list[Object]


class Identity(Protocol):
    """Who we are for the API server: tokens may be short-lived, so each call asks for the header anew."""

    def header(self) -> str | None:
        """Value of ``authorization``; ``None`` where a client certificate tells."""


class ApiServer:
    """One API server, seen with one identity. Safe for threads.

    :param url: without a path. :param pool: TLS and connections; must not retry by itself.
    """

    def __init__(self, url: str, *, pool: urllib3.PoolManager, identity: Identity) -> None:
        self.url = url.rstrip("/")
        self._pool = pool
        self._identity = identity

    def call(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        body: Object | Patch | None = None,
        query: dict[str, str] | None = None,
        accept: str = JSON,
        content_type: str = JSON,
    ) -> Object:
        """The object that the server answers.

        :param timeout: seconds: for connecting, for each pause of the answer, and for all of its body;
            less where whoever waits has less left.
        :raises ApiError: it answers something else, or nothing.
        """
        timeout = deadline.within(timeout)
        if not timeout:
            raise TimedOut
        response = self._send(
            *(method, path, query),
            timeout=timeout,
            body=body,
            headers={"accept": accept, "content-type": content_type},
        )
        answer = _decoded(_whole(response, time.monotonic() + timeout))
        if response.status >= 300:
            raise of_status(response.status, answer, response.headers.get("retry-after"))
        if not isinstance(answer, dict):
            raise ApiError(502, "BadAnswer")
        return answer

    def watch(self, path: str, *, query: dict[str, str], accept: str, silence: float) -> Watch:
        """Events since ``query["resourceVersion"]``.

        :param silence: seconds without a word after which the connection counts as broken.
        :raises ApiError: see :meth:`call`; 410 where that version is too old.
        """
        query = {**query, "watch": "1", "allowWatchBookmarks": "true"}
        response = self._send("GET", path, query, timeout=silence, headers={"accept": accept})
        if response.status >= 300:
            try:
                answer = _decoded(response.read(MAX_EVENT))
            finally:
                response.release_conn()
            raise of_status(response.status, answer, response.headers.get("retry-after"))
        return Watch(response)

    def pages(
        self, path: str, *, timeout: float, query: dict[str, str] | None = None, accept: str = JSON
    ) -> Iterator[Object]:
        """A list, page after page of at most 500 items.

        :raises ApiError: 410 where the list changed so much meanwhile that it has to begin again.
        """
        query = {**(query or {}), "limit": "500"}
        while True:
            page = self.call("GET", path, timeout=timeout, query=query, accept=accept)
            yield page
            following = page.get("metadata", {}).get("continue")
            if not following:
                return
            query = {**query, "continue": str(following)}

    def close(self) -> None:
        """Close idle connections."""
        self._pool.clear()

    def _send(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None,
        *,
        timeout: float,
        headers: dict[str, str],
        body: Object | Patch | None = None,
    ) -> urllib3.HTTPResponse:
        authorization = self._identity.header()
        if authorization is not None:
            headers["authorization"] = authorization
        with _told_apart():
            response = self._pool.request(
                method,
                self.url + path + (f"?{urlencode(query)}" if query else ""),
                body=None if body is None else json.dumps(body).encode(),
                headers={"user-agent": "secrets-svc", **headers},
                timeout=urllib3.Timeout(connect=min(timeout, 5.0), read=timeout),
                retries=False,
                preload_content=False,
            )
            assert isinstance(response, urllib3.HTTPResponse)
            return response


@contextmanager
def _told_apart() -> Iterator[None]:
    """Why there is no answer, as an error of ours."""
    try:
        yield
    except urllib3.exceptions.NewConnectionError as error:  # which urllib3 counts among the time-outs
        raise NoAnswer from error
    except (urllib3.exceptions.TimeoutError, TimeoutError) as error:
        raise TimedOut from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise NoAnswer from error


def _whole(response: urllib3.HTTPResponse, due: float) -> bytes:
    """What the server answers; a longer answer than we take is none, and time runs over all of it."""
    parts: list[bytes] = []
    size = 0
    with _told_apart():
        while part := response.read1(_CHUNK):
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER or time.monotonic() > due:
                response.close()
                raise TimedOut if size <= MAX_ANSWER else ApiError(502, "BadAnswer")
    response.release_conn()
    return b"".join(parts)


class Watch:
    """A stream of events; iterate over it in one thread, :meth:`close` it from any."""

    def __init__(self, response: urllib3.HTTPResponse) -> None:
        self._response = response

    def __iter__(self) -> Iterator[Object]:
        """Each event; ends when the server ends the watch.

        :raises ApiError: the connection broke, fell silent, or the server says why it ends.
        """
        try:
            yield from self._events()
        except (urllib3.exceptions.TimeoutError, TimeoutError) as error:
            raise TimedOut from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise NoAnswer from error
        finally:
            self._response.close()

    def _events(self) -> Iterator[Object]:
        pending = bytearray()
        while part := self._response.read1(65536):  # as it comes, chunked or not
            pending += part
            while (end := pending.find(b"\n")) >= 0:
                event = _decoded(bytes(pending[:end]))
                del pending[: end + 1]
                yield _checked(event)
            if len(pending) > MAX_EVENT:
                raise ApiError(502, "BadAnswer")

    def close(self) -> None:
        """Wake whoever iterates: the watch ends."""
        with suppress(Exception):  # it may have ended by itself
            self._response.shutdown()


def _checked(event: Any) -> Object:
    if not isinstance(event, dict) or not isinstance(event.get("object"), dict):
        raise ApiError(502, "BadAnswer")
    if event.get("type") == "ERROR":
        status = event["object"].get("code")
        raise of_status(status if isinstance(status, int) else 500, event["object"])
    return event


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def path_of(group_version: str, resource: str, namespace: str | None = None, name: str | None = None) -> str:
    """The path of an object or a collection, e.g. ``path_of("v1", "secrets", "a", "b")``."""
    path = f"/api/{group_version}" if "/" not in group_version else f"/apis/{group_version}"
    if namespace is not None:
        path += f"/namespaces/{quote(namespace, safe='')}"
    path += f"/{resource}"
    return path if name is None else f"{path}/{quote(name, safe='')}"


class _ConfigIdentity:
    def __init__(self, configuration: Any) -> None:
        self._configuration = configuration

    def header(self) -> str | None:
        """See :class:`Identity`. Reads token files and runs exec plugins again when it is time."""
        token = self._configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        if token:
            return str(token)
        if self._configuration.username:
            return str(self._configuration.get_basic_auth_token())
        return None


def connect(
    kubeconfig: Path | None = None, *, context: str | None = None, connections: int = 16
) -> ApiServer:
    """The API server of a kubeconfig, or of the cluster that this process runs in.

    :param kubeconfig: ``None``: the identity that Kubernetes gives to pods.
    :param connections: kept open at most.
    :raises InvalidArgument: there is none, or it makes no sense.
    """
    from kubernetes import config as loaders
    from kubernetes.client import Configuration
    from kubernetes.client.rest import RESTClientObject

    config: Any = loaders  # parts of it have no types
    configuration = Configuration()
    configuration.connection_pool_maxsize = connections
    try:
        if kubeconfig is None:
            config.load_incluster_config(client_configuration=configuration)
        else:
            config.load_kube_config(str(kubeconfig), context, configuration, persist_config=False)
    except Exception as error:  # the library raises what its parsers raise
        what = (
            "this process runs in no cluster, and no kubeconfig is named"
            if kubeconfig is None
            else f"kubeconfig {kubeconfig} can't be used ({type(error).__name__})"
        )
        raise InvalidArgument(f"no way to the API server: {what}") from error
    pool = RESTClientObject(configuration).pool_manager
    return ApiServer(str(configuration.host), pool=pool, identity=_ConfigIdentity(configuration))
