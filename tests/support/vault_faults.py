"""What befalls a vault server itself: the proxy in front of it is well meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bao import Bao
from fault_proxy import FaultProxy


class ServerProxy(FaultProxy):
    """A proxy that can have something happen to the server behind it.

    :param server: on disk, so that it is itself after a restart.
    """

    def __init__(self, folder: Path, server: Bao) -> None:
        super().__init__(folder, ("127.0.0.1", server.port))
        self._server = server
        self._causes = {
            "sealed": self._sealed,
            "all tokens revoked": self._all_tokens_revoked,
            "restarted with all tokens gone": self._restarted,
        }

    @contextmanager
    def failing(self, fault: str) -> Iterator[None]:
        """With that fault on, of the server or on the wire."""
        with self._causes[fault]() if fault in self._causes else super().failing(fault):
            yield

    @contextmanager
    def _sealed(self) -> Iterator[None]:
        self._server.seal()
        yield
        self._server.unseal()

    @contextmanager
    def _all_tokens_revoked(self) -> Iterator[None]:
        self.revoke_all()
        yield

    @contextmanager
    def _restarted(self) -> Iterator[None]:
        self._server.stop()
        yield
        self._server.start()
        self._server.unseal()
        self.revoke_all()

    def revoke_all(self) -> None:
        """All tokens but the root's."""
        call = self._server.call
        ours = call("GET", "auth/token/lookup-self")["data"]["accessor"]
        for accessor in call("LIST", "auth/token/accessors")["data"]["keys"]:
            if accessor != ours:
                call("POST", "auth/token/revoke-accessor", {"accessor": accessor})
