"""Running servers for end-to-end tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from harness import Server, new_project, token_file

#: Low limits, so that tests of what is slow are not slow themselves.
SETTINGS = """
[server]
body_deadline = 1.5
idle_timeout = 3
[injector]
namespaces = {"shop-production" = {project = "shop", domain = "production"}}
[policy]
bindings = [
  {principal = "viewer", role = "viewer"},
  {principal = "contributor", role = "contributor", project = "shop"},
]
"""

Launch = Callable[..., Server]


@dataclass
class Shared:
    """The server that most tests use, with tokens of people who may do less than the admin."""

    server: Server
    tokens: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One server for all tests that leave it as it was, but for secrets in projects of their own."""
    folder = tmp_path_factory.mktemp("shared")
    made = {name: token_file(folder, name) for name in ("viewer", "contributor", "nobody")}
    server = Server(folder, SETTINGS + "".join(entry for _, entry in made.values()))
    server.start()
    yield Shared(server, {name: token for name, (token, _) in made.items()})
    assert server.stop() == 0


@pytest.fixture
def server(shared: Shared) -> Server:
    """The shared server, still running."""
    process = shared.server.process
    assert process is not None
    assert process.poll() is None, f"the server ended in an earlier test:\n{shared.server.log}"
    return shared.server


@pytest.fixture
def tokens(shared: Shared) -> dict[str, str]:
    """Tokens by principal: a viewer of everything, a contributor to project shop, and nobody."""
    return shared.tokens


@pytest.fixture
def project() -> str:
    """A project of this test's own."""
    return new_project()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Makes servers of the test's own, not started yet: ``launch(settings)``; all end with the test."""
    made: list[Server] = []

    def make(settings: str = "", *, folder: str = "installation", **environ: str) -> Server:
        server = Server(tmp_path / folder, settings, environ)
        server.folder.mkdir(exist_ok=True)
        made.append(server)
        return server

    yield make
    for server in made:
        server.kill9()
