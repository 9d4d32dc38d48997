"""Without the extra, whoever wants the backend is told what to install."""

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
from secrets_svc.backends import registry
from secrets_svc.core.errors import Unsupported
try:
    registry.load("aws")
except Unsupported as error:
    print(error)
"""


@pytest.mark.parametrize("module", ["boto3", "botocore"])
def test_the_extra_is_named(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT.format(module=module)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert f'needs the module "{module}": install the extra' in done.stdout
    assert "secrets-svc[aws]" in done.stdout
