"""Without the extra: everything else works, and whoever wants it is told what to install."""

from __future__ import annotations

import subprocess
import sys

import pytest

_WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {module!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


def without(module: str, script: str) -> str:
    """What ``script`` prints where ``module`` isn't installed."""
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT.format(module=module) + script],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout


@pytest.mark.parametrize("module", ["kubernetes", "urllib3"])
def test_the_extra_is_named(module: str) -> None:
    said = without(
        module,
        "from secrets_svc.backends import registry\n"
        "from secrets_svc.core.errors import Unsupported\n"
        "try:\n    registry.load('kubernetes')\nexcept Unsupported as error:\n    print(error)\n",
    )
    assert f'needs the module "{module}": install the extra' in said
    assert "secrets-svc[kubernetes]" in said


def test_the_settings_of_the_others_are_shown() -> None:
    script = "from secrets_svc.runtime.settings_reference import reference\nprint(reference())\n"
    page = without("kubernetes", script)
    assert '## [stores.NAME] with backend = "kubernetes"\n\nNot shown: ' in page
    assert "| `busy_timeout` |" in page
