"""Calls to the API server from the event loop: in threads, a bounded number at a time."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from secrets_svc.kube.api import ApiServer, Object


class Calls:
    """:meth:`ApiServer.call` as a coroutine.

    :param timeout: seconds for one call. :param threads: calls that run at once.
    """

    def __init__(self, api: ApiServer, *, timeout: float, threads: int = 16) -> None:
        self.api = api
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(threads, "api-server")

    async def __call__(self, method: str, path: str, **more: Any) -> Object:
        """See :meth:`ApiServer.call`. Raises ``ApiError``."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: self.api.call(method, path, timeout=self._timeout, **more)
        )

    def close(self) -> None:
        """Calls under way end by themselves; none begins any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
