"""Several edges at one socket: a request belongs to one by its path, or by how that begins."""

from __future__ import annotations

from collections.abc import Mapping

from secrets_svc.edges.gate.bodies import Receive
from secrets_svc.edges.gate.gate import App, Scope, Send


class ByPath:
    """An ASGI application that hands on.

    :param edges: by path; one that ends with ``/`` or ``.`` stands for all that begin with it.
    :param others: what all other paths belong to.
    """

    def __init__(self, edges: Mapping[str, App], *, others: App) -> None:
        self._exact = {path: app for path, app in edges.items() if not path.endswith(("/", "."))}
        self._beginnings = [(path, app) for path, app in edges.items() if path.endswith(("/", "."))]
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection event."""
        path = scope.get("path", "")
        await self._of(path)(scope, receive, send)

    def _of(self, path: str) -> App:
        if path in self._exact:
            return self._exact[path]
        return next((app for begins, app in self._beginnings if path.startswith(begins)), self._others)
