"""The control plane's REST interface as a Python object. Synchronous; may be used from any thread."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from secrets_svc.client import answers
from secrets_svc.client.scopes import ScopeParts
from secrets_svc.client.wire import Address, Answer, Broken, Deadline, Garbage, exchange, parse_address
from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.secret import SecretMetadata, SecretType, validate_name
from secrets_svc.core.value import SecretValue

if TYPE_CHECKING:
    from secrets_svc.core.abilities import VersionInfo
    from secrets_svc.core.ports import Page

DEFAULT_TIMEOUT = 10.0
_REPEATS = 2
_BACKOFF = 0.15

T = TypeVar("T")


def checked_address(endpoint: str, *, allow_insecure: bool = False) -> Address:
    """The address of a server that a token may be sent to.

    :param allow_insecure: also over plain http to other machines; all on the way can read it.
    :raises InvalidArgument: it isn't one.
    """
    address = parse_address(endpoint)
    if address.scheme == "http" and not (address.loopback or allow_insecure):
        raise InvalidArgument(
            f"{address} is not on this machine, and plain http would show the token to everybody "
            "on the way: use https"
        )
    return address


class ControlPlaneClient:
    """Talks to a control plane, over one connection per call.

    Every call may raise any :class:`SecretsError`: what the server answers, ``Unavailable`` when it can't be
    reached or isn't ours, ``DeadlineExceeded`` when ``timeout`` has passed. A call whose connection broke, or
    that was answered with 503, is repeated at most twice; writes carry one idempotency key throughout.

    :param endpoint: ``http://HOST:PORT`` or ``https://HOST[:PORT]``, optionally with a path in front.
    :param token: sent as bearer token; surrounding white space is not part of it.
    :param ca_file: PEM file with the authorities to trust instead of the system's.
    :param timeout: seconds for a whole call, repeats included; looking up the host's name is not counted.
    :param allow_insecure: send the token over plain http to other machines; all on the way can read it.
    """

    def __init__(
        self,
        endpoint: str,
        token: SecretValue,
        *,
        ca_file: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        allow_insecure: bool = False,
    ) -> None:
        self.address = checked_address(endpoint, allow_insecure=allow_insecure)
        if not 0 < timeout <= 3600:
            raise InvalidArgument("a timeout is more than 0 and at most 3600 seconds")
        self._token = _checked_token(token)
        self._timeout = timeout
        self._tls = _tls_context(ca_file) if self.address.scheme == "https" else None

    def __repr__(self) -> str:
        return f"ControlPlaneClient({str(self.address)!r})"

    def create(
        self,
        name: str,
        parts: ScopeParts,
        value: SecretValue,
        *,
        type: SecretType = SecretType.GENERIC,
        dry_run: bool = False,
    ) -> SecretMetadata:
        """Store a new secret. At the organization's scope ``parts`` must name the organization."""
        body = {"name": validate_name(name), **parts.as_dict(), "type": type.value}
        return self._metadata(
            "POST", "/v1/secrets", _dry(dry_run), _write_headers(), name, body=_body(body, value)
        )

    def update(
        self,
        name: str,
        parts: ScopeParts,
        value: SecretValue,
        *,
        expected: str | None = None,
        dry_run: bool = False,
    ) -> SecretMetadata:
        """Replace a value.

        :param expected: the version that must be current.
        """
        headers = _write_headers()
        if expected is not None:
            headers["If-Match"] = f'"{_checked_version(expected)}"'
        query = {**parts.as_dict(), **_dry(dry_run)}
        return self._metadata("PUT", _path("secrets", name), query, headers, name, body=_body({}, value))

    def delete(self, name: str, parts: ScopeParts, *, dry_run: bool = False, purge: bool = False) -> None:
        """Remove a secret; with ``purge`` so that its store can't bring it back."""
        query = {**parts.as_dict(), **_dry(dry_run), **({"purge": "true"} if purge else {})}
        answer = self._call("DELETE", _path("secrets", name), query, _write_headers())
        if answer.status != 204:
            answers.document(answer, str(self.address))
            raise answers.not_ours(str(self.address), answer.status)

    def describe(self, name: str, parts: ScopeParts) -> SecretMetadata:
        """A secret's metadata, exactly at that scope."""
        return self._metadata("GET", _path("secrets", name), parts.as_dict(), {}, name)

    def list(
        self, parts: ScopeParts, *, exact: bool = False, limit: int = 100, cursor: str | None = None
    ) -> Page[SecretMetadata]:
        """One page of the secrets inside ``parts`` (with ``exact``: at it), in a stable order."""
        from secrets_svc.core.ports import Page

        query = {**parts.as_dict(), "exact": "true" if exact else "false", "limit": str(limit)}
        if cursor is not None:
            query["cursor"] = cursor
        items, following = self._document("GET", "/v1/secrets", query, answers.page)
        if following is not None and following == cursor:
            raise answers.not_ours(str(self.address))  # a page that leads to itself would never end
        return Page(items, following)

    def history(self, name: str, parts: ScopeParts, *, limit: int = 100) -> tuple[VersionInfo, ...]:
        """The versions of a secret, newest first, exactly at that scope."""
        query = {**parts.as_dict(), "limit": str(limit)}
        return self._document("GET", _path("secrets", name) + "/versions", query, answers.history)

    def rollback(
        self, name: str, parts: ScopeParts, *, to: str, expected: str | None = None
    ) -> SecretMetadata:
        """Make version ``to`` current again.

        :param expected: the version that must be current.
        """
        headers = _write_headers()
        if expected is not None:
            headers["If-Match"] = f'"{_checked_version(expected)}"'
        body = json.dumps({"to": _checked_version(to)}).encode()
        path = _path("secrets", name) + "/rollback"
        return self._metadata("POST", path, parts.as_dict(), headers, name, body=body)

    def explain(self, name: str, parts: ScopeParts) -> answers.Explanation:
        """Which scope wins for ``name`` when a task of ``parts`` asks for it."""
        return self._document("GET", _path("explain", name), parts.as_dict(), answers.explanation)

    def whoami(self) -> answers.Identity:
        """Whom the server takes us for."""
        return self._document("GET", "/v1/whoami", {}, answers.identity)

    def _metadata(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        name: str,
        *,
        body: bytes | None = None,
    ) -> SecretMetadata:
        server = str(self.address)
        answer = self._call(method, path, query, headers, body)
        found = answers.metadata(answers.document(answer, server), server)
        if found.ref.name != name:
            raise answers.not_ours(server, answer.status)
        return found

    def _document(
        self, method: str, path: str, query: Mapping[str, str], check: Callable[[dict[str, Any], str], T]
    ) -> T:
        answer = self._call(method, path, query, {})
        return check(answers.document(answer, str(self.address)), str(self.address))

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | None = None,
    ) -> Answer:
        request = self._request(method, path, query, headers, body)
        deadline = Deadline(self._timeout)
        for repeat in range(_REPEATS + 1):
            answer = self._attempt(request, deadline, last=repeat == _REPEATS)
            wait = _backoff(repeat, answer)
            if answer is not None and (answer.status != 503 or repeat == _REPEATS):
                return answer
            if wait >= deadline.remaining():
                break
            time.sleep(wait)
        if answer is not None:
            return answer
        raise Unavailable(
            f"the connection to {self.address} broke, and there is no time left to repeat the call"
        )

    def _attempt(self, request: bytes, deadline: Deadline, *, last: bool) -> Answer | None:
        """One answer, or ``None`` if the connection broke and the call can be repeated."""
        try:
            return exchange(self.address, request, deadline=deadline, tls=self._tls)
        except Garbage:
            raise answers.not_ours(str(self.address)) from None
        except Broken as error:
            if last:
                hint = "; does it speak https?" if error.unheard and self._tls is None else ""
                raise Unavailable(
                    f"the connection to {self.address} broke {_REPEATS + 1} times before the answer "
                    f"was complete{hint}"
                ) from error
            return None

    def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> bytes:
        target = self.address.path + path + ("?" + urlencode(query) if query else "")
        host = str(self.address).partition("://")[2].partition("/")[0]
        fields = {
            "Host": host,
            "Accept": "application/json, application/problem+json",
            "User-Agent": "secrets-svc",
            "Connection": "close",
            **headers,
        }
        if body is not None:
            fields |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        head = f"{method} {target} HTTP/1.1\r\n" + "".join(
            f"{key}: {text}\r\n" for key, text in fields.items()
        )
        authorization = b"Authorization: Bearer " + self._token.reveal_bytes() + b"\r\n\r\n"
        return head.encode("ascii") + authorization + (body or b"")


def _checked_token(token: SecretValue) -> SecretValue:
    data = token.reveal_bytes().strip()
    if not data or len(data) > 16384 or not all(0x21 <= byte <= 0x7E for byte in data):
        raise InvalidArgument(
            "the token is not valid: printable ASCII characters without spaces, at least one"
        )
    return SecretValue(data)


def _checked_version(version: str) -> str:
    if version and all(0x21 <= ord(c) <= 0x7E and c != '"' for c in version):
        return version
    raise InvalidArgument("the version is not valid: take it from what create, update or get printed")


def _tls_context(ca_file: str | None) -> Any:
    import ssl

    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise InvalidArgument(f"ca_file {ca_file} is not a readable PEM file of certificates") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _path(collection: str, name: str) -> str:
    return f"/v1/{collection}/{validate_name(name)}"


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dry_run": "true"} if dry_run else {}


def _write_headers() -> dict[str, str]:
    from uuid import uuid4

    return {"Idempotency-Key": uuid4().hex}


def _body(fields: Mapping[str, Any], value: SecretValue) -> bytes:
    from base64 import b64encode

    # Always base64: one path, exact for all bytes.
    return json.dumps({**fields, "value": {"base64": b64encode(value.reveal_bytes()).decode()}}).encode()


def _backoff(repeat: int, answer: Answer | None) -> float:
    import random

    asked = answers.retry_after(answer) if answer is not None else None
    jittered: float = _BACKOFF * 2**repeat * random.uniform(0.5, 1.5)  # noqa: S311 (spreads load, guards nothing)
    return jittered if asked is None else asked + jittered
