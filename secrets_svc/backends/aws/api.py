"""One call: as whom, how long, and what came of it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from secrets_svc.backends.aws.faults import Refused, refused, translated
from secrets_svc.core import deadline
from secrets_svc.core.errors import DeadlineExceeded, SecretsError, Unavailable

#: Seconds for which credentials are not looked for anew, after they were.
_BETWEEN_REFRESHES = 2.0


class Api:
    """Calls to Secrets Manager with one identity. Safe for threads.

    Credentials that AWS doesn't accept (any more) are looked for anew, once, and the call is made again: it
    was not done.

    :param client: makes a client of the library.
    """

    def __init__(self, client: Callable[[], Any], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._make = client
        self._clock = clock
        self._lock = threading.Lock()
        self._client: Any = None
        self._made_at = 0.0
        self._closed = False

    def call(
        self, operation: str, params: Mapping[str, Any], *, what: str, expected: tuple[str, ...] = ()
    ) -> Mapping[str, Any]:
        """The answer.

        :param what: it is for, in words. :param expected: codes that the caller goes on from.
        :raises Refused: with one of these. :raises SecretsError: otherwise.
        """
        if not deadline.within(math.inf):  # the library's own time-outs are one client's, not one call's
            raise DeadlineExceeded(f"there was no time left to {what}")
        client = self._current()
        answer = _tried(client, operation, params)
        if isinstance(answer, Refused) and answer.is_stale:
            newer = self._newer(client)
            answer = answer if newer is None else _tried(newer, operation, params)
        if not isinstance(answer, Refused):
            return answer
        if answer.code in expected:
            raise answer
        raise translated(answer, operation, what) from answer

    def _current(self) -> Any:
        with self._lock:
            return self._client_now()

    def _client_now(self) -> Any:
        if self._closed:
            raise Unavailable("the store is closed")
        if self._client is None:
            self._client = _made(self._make)
            self._made_at = self._clock()
        return self._client

    def _newer(self, client: Any) -> Any:
        """With credentials that were looked for since ``client`` was made; ``None``: it is too soon."""
        with self._lock:
            if self._client is client:
                if self._clock() - self._made_at < _BETWEEN_REFRESHES:
                    return None
                client.close()
                self._client = None
            return self._client_now()

    def close(self) -> None:
        """May be repeated."""
        with self._lock:
            self._closed = True
            if self._client is not None:
                self._client.close()
                self._client = None


def _tried(client: Any, operation: str, params: Mapping[str, Any]) -> Mapping[str, Any] | Refused:
    """Never raises what the library raised, and leaves it behind: it may show values."""
    try:
        answer = getattr(client, _method(operation))(**params)
    except Exception as error:
        return refused(operation, error)
    if not isinstance(answer, dict):
        return Refused(operation, kind="nonsense")
    return answer


def _made(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except SecretsError:
        raise
    except Exception as error:
        failed = refused("GetCredentials", error)
    raise translated(failed, failed.operation, "get credentials") from failed


def _method(operation: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
