"""Calls to the server, bounded in time and size, and its answers as errors of ours."""

from __future__ import annotations

import email.utils
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import requests
import urllib3
from hvac.adapters import RawAdapter
from requests.adapters import HTTPAdapter

from secrets_svc.backends.vault.settings import Identity, VaultSettings
from secrets_svc.core import deadline
from secrets_svc.core.errors import (
    DeadlineExceeded,
    InvalidArgument,
    QuotaExceeded,
    SecretsError,
    Throttled,
    TooLarge,
    Unavailable,
    Unreadable,
)

#: Bytes of an answer; a document of ours has at most a fraction of that.
MAX_ANSWER = 4 * 1024 * 1024
_CHUNK = 64 * 1024
_SEALED = 503
#: What the server says of an engine that isn't there, of a call it doesn't have, of a write that came
#: too late, and of a full quota.
_NO_ENGINE = "no handler for route"
_NO_SUBKEYS = "unsupported path"
_CHANGED = "check-and-set parameter did not match"
_FULL = "quota"
# At debug level it would log the paths of secrets.
logging.getLogger("urllib3").setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said. :param body: an object, empty where there was none."""

    status: int
    body: Mapping[str, Any]
    retry_after: float | None = None

    @property
    def data(self) -> Any:
        """What it is about."""
        return self.body.get("data")

    @property
    def said(self) -> str:
        """Its errors, to tell them apart; never to be passed on."""
        errors = self.body.get("errors")
        return " ".join(map(str, errors)) if isinstance(errors, list) else ""

    @property
    def is_absent(self) -> bool:
        """There is nothing at that path, or nothing any more; not: no engine, and not: no such page.

        The server itself says so by an empty list of errors, or by metadata of what was deleted.
        """
        return self.status == 404 and (self.body.get("errors") == [] or isinstance(self.data, Mapping))

    @property
    def came_too_late(self) -> bool:
        """Somebody else wrote first."""
        return self.status == 400 and _CHANGED in self.said


class Channel(Protocol):
    """Something to send calls through."""

    def send(
        self, method: str, path: str, *, token: str | None, body: Any = None, query: Any = None
    ) -> Answer:
        """Send a call and take the whole answer; what it means is for the caller."""


class HttpChannel:
    """To one server, with connections that are kept; any thread.

    :param identity: for its certificate, if it logs in with one.
    """

    def __init__(self, settings: VaultSettings, identity: Identity) -> None:
        self._timeout = settings.timeout
        session = requests.Session()
        session.trust_env = False  # neither proxies nor passwords of the environment
        pool = HTTPAdapter(pool_connections=1, pool_maxsize=64, max_retries=0)
        session.mount("https://", pool)
        session.mount("http://", pool)
        # The adapter leaves a session that it is given as it is.
        session.verify = True if settings.ca_file is None else str(settings.ca_file)
        if identity.client_cert is not None:
            session.cert = (str(identity.client_cert), str(identity.client_key))
        self._session = session
        self._adapter = RawAdapter(
            base_uri=settings.address,
            token=None,
            timeout=settings.timeout,
            allow_redirects=False,
            session=session,
            namespace=settings.namespace,
        )

    def send(
        self, method: str, path: str, *, token: str | None, body: Any = None, query: Any = None
    ) -> Answer:
        """See :class:`Channel`.

        :raises Unavailable: it can't be reached, or doesn't answer as it should. :raises DeadlineExceeded: it
            took too long.
        """
        # A login is for all who wait, not for the one in whose time it falls.
        timeout = self._timeout if token is None else deadline.within(self._timeout)
        if not timeout:
            raise DeadlineExceeded("there was no time left to ask the vault server")
        due = time.monotonic() + timeout
        headers = {} if token is None else {"X-Vault-Token": token}
        try:
            response = self._adapter.request(
                method,
                path,
                headers=headers,
                raise_exception=False,
                json=body,
                params=query,
                stream=True,
                timeout=timeout,
            )
            with response:
                text = _whole(response, due)
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            raise _late(timeout) from None
        except requests.exceptions.SSLError:
            raise Unavailable(
                "the vault server's certificate is not one of the CAs that are trusted"
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError):
            # Their texts hold addresses, and the request with its body hangs on to them.
            raise Unavailable("the vault server can't be reached, or hung up") from None
        return Answer(response.status_code, _parsed(response.status_code, text), _retry_after(response))

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()


def _late(timeout: float) -> DeadlineExceeded:
    return DeadlineExceeded(f"the vault server did not answer within {timeout:.3g} s")


def _whole(response: requests.Response, due: float) -> bytes:
    """The body. What drips is looked at as it comes: time runs over all of it."""
    parts: list[bytes] = []
    size = 0
    while part := response.raw.read1(_CHUNK, decode_content=True):
        size += len(part)
        if size > MAX_ANSWER:
            raise Unavailable("the vault server doesn't answer as it should: that is too much")
        if time.monotonic() > due:
            raise requests.Timeout
        parts.append(part)
    return b"".join(parts)


def _parsed(status: int, text: bytes) -> Mapping[str, Any]:
    if not text and status == 204:
        return {}
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict):
        return parsed
    if status >= 400:
        return {}  # a proxy's page, as likely as not; the status says enough
    raise Unavailable("the vault server doesn't answer as it should: that is not JSON")


def _retry_after(response: requests.Response) -> float | None:
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def refusal(answer: Answer, what: str) -> SecretsError:
    """Our error for an answer that isn't what was wanted.

    :param what: what we wanted to do, for the message, e.g. ``look at secrets below "secret/x"``.
    """
    status, said = answer.status, answer.said
    if status == 404 and _NO_ENGINE in said:
        return Unavailable(f"can't {what}: the vault server has no engine mounted there")
    if status == 404 and _NO_SUBKEYS in said:
        return Unavailable(
            f"can't {what}: the vault server shows no names without values; that takes Vault 1.10 or OpenBao"
        )
    if status == 403:
        return Unreadable(f"can't {what}: the token's policies don't allow it, or it is no longer taken")
    if status == 429 and _FULL not in said:
        return Throttled("the vault server asks to slow down", retry_after=answer.retry_after)
    if status == 429:
        return QuotaExceeded("a quota of the vault server is used up", retry_after=answer.retry_after)
    if status == 413:
        return TooLarge("the vault server takes no request that large")
    if status == _SEALED:
        return Unavailable("the vault server is sealed or not ready", retry_after=answer.retry_after)
    if status in {307, 472, 473}:
        return Unavailable("the vault server is a standby and sends on to another: name the active one")
    if status in {400, 405}:
        return InvalidArgument(f"can't {what}: the vault server finds the request wrong ({status})")
    return Unavailable(f"can't {what}: the vault server answered with status {status}")
