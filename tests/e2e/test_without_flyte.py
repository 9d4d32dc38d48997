"""Without what is Flyte's the product works: nothing else leans on it."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: As if these were not there, and neither was what they are made with.
_GONE = """
import sys

class Gone:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("injector.dialects.flyte", "injector.engines", "secrets_svc.edges.flyte",
                            "flyteidl2", "connectrpc", "hypercorn")):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Gone())
"""
_SERVE = """
import tempfile, pathlib
from injector.compose import build_injector
from secrets_svc.runtime.composition import build_service
from secrets_svc.runtime.settings import Settings

state = pathlib.Path(tempfile.mkdtemp()) / "state"
service = build_service(Settings(), state)
injector = build_injector(Settings(), stores=service.stores, audit=service.audit, metrics=service.metrics)
injector.close()
service.close()
print("served")
"""


@pytest.mark.parametrize(
    "work", [_SERVE, "from cli.main import main; main(['--help'])"], ids=["serve", "cli"]
)
def test_it_works_without(work: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _GONE + work], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "served" in done.stdout or "Usage" in done.stdout


def test_the_finder_of_this_test_finds_what_is_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _GONE + "import injector.dialects.flyte"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"ModuleNotFoundError: injector.dialects.flyte" in done.stderr
