"""Calls of the Kubernetes API, each on a connection of its own."""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from http.client import HTTPSConnection
from typing import Any, NamedTuple

from .layout import ADMIN, Layout


class Answer(NamedTuple):
    """What the API server said. ``body`` is parsed JSON, or text where it isn't JSON (logs)."""

    status: int
    body: Any

    def ok(self) -> Any:
        """The body.

        :raises AssertionError: with the server's text, if it refused.
        """
        if 200 <= self.status < 300:
            return self.body
        said = self.body.get("message", self.body) if isinstance(self.body, dict) else self.body
        raise AssertionError(f"{self.status}: {said}")


class Api:
    """The API server of one cluster, as seen by its admin, or by anybody whose token or name is given."""

    def __init__(self, layout: Layout) -> None:
        self._port = layout.ports.api_server
        admin = layout.pair(ADMIN)
        self._anybody = ssl.create_default_context(cafile=str(layout.ca_file))
        self._admin = ssl.create_default_context(cafile=str(layout.ca_file))
        self._admin.load_cert_chain(admin.certificate, admin.key)

    def __call__(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        as_user: str | None = None,
        as_groups: Sequence[str] = (),
        token: str | None = None,
        content_type: str = "application/json",
        timeout: float = 30.0,
    ) -> Answer:
        """One call.

        :param body: sent as it is if it is bytes, else as JSON.
        :param as_user: the admin impersonates this user, who may be ``system:serviceaccount:NAMESPACE:NAME``.
        :param as_groups: further groups of that user.
        :param token: a bearer token instead of the admin's certificate.
        :raises OSError: if the API server can't be reached.
        """
        headers = [("Accept", "application/json"), *_identity(as_user, as_groups, token)]
        if body is not None:
            headers.append(("Content-Type", content_type))
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection = HTTPSConnection(
            "127.0.0.1", self._port, context=self._admin if token is None else self._anybody, timeout=timeout
        )
        try:
            connection.putrequest(method, path)
            for name, value in headers:
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(data or b"")))
            connection.endheaders(data)
            response = connection.getresponse()
            content = response.read()
            return Answer(response.status, _parsed(content, response.getheader("Content-Type", "")))
        finally:
            connection.close()


def _identity(user: str | None, groups: Sequence[str], token: str | None) -> list[tuple[str, str]]:
    if token is not None:
        return [("Authorization", f"Bearer {token}")]
    assert user is not None or not groups, "groups belong to a user"
    named = [("Impersonate-User", user)] if user is not None else []
    return [*named, *(("Impersonate-Group", group) for group in groups)]


def _parsed(content: bytes, kind: str) -> Any:
    return json.loads(content) if kind.startswith("application/json") else content.decode(errors="replace")
