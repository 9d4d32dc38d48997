"""A real cluster for tests: its control plane for everybody, its node where we are root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit import Cluster, KitError, Node, build, recipes
from kit.turns import Turn

HERE = Path(__file__).parent
HOW_TO = "as root: sudo -E .venv/bin/pytest tests/kube"
ROOT = os.geteuid() == 0
_WITHOUT_ROOT = pytest.StashKey[int]()
_TURN = pytest.StashKey[Turn]()
_FAILED = pytest.StashKey[KitError]()


def of_the_node(item: pytest.Item) -> bool:
    """Whether the test needs a node."""
    return item.get_closest_marker("node") is not None or "node" in getattr(item, "fixturenames", ())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without root there is no node, and nobody expects one."""
    if ROOT:
        return
    left = [item for item in items if of_the_node(item)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]
        config.stash[_WITHOUT_ROOT] = len(left)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line about what was left out."""
    if left := config.stash.get(_WITHOUT_ROOT, 0):
        terminalreporter.write_line(f"{left} tests of the node were left out; they run {HOW_TO}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Build, and wait for the machine's turn, before the time of any test runs."""
    if session.config.option.collectonly:
        return
    ours = [item for item in session.items if item.path.is_relative_to(HERE)]
    capture = session.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        try:
            _prepare(session.config, programs=bool(ours), node=any(map(of_the_node, ours)))
        except KitError as error:
            session.config.stash[_FAILED] = error


def _prepare(config: pytest.Config, *, programs: bool, node: bool) -> None:
    build.ensure(*([recipes.CONTROL_PLANE] if programs else []), *([recipes.NODE] if node else []))
    if node:
        config.stash[_TURN] = Turn()
        config.stash[_TURN].take()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Say why there is no cluster, at each test."""
    if failed := item.config.stash.get(_FAILED, None):
        raise failed


def pytest_unconfigure(config: pytest.Config) -> None:
    """The turn ends with the run, should no test have got to use it."""
    if turn := config.stash.get(_TURN, None):
        turn.end()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running control plane that all tests share: each uses namespaces and names of its own."""
    with Cluster(tmp_path_factory.mktemp("kube") / "state") as made:
        yield made


@pytest.fixture(scope="session")
def node(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Node]:
    """The shared cluster's node, running."""
    with Node(cluster, turn=request.config.stash[_TURN]) as made:
        yield made


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of this test's own."""
    made = cluster.namespace()
    yield made
    cluster.api("DELETE", f"/api/v1/namespaces/{made}")
