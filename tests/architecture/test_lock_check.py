"""The one stage that needs the network says so where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "support" / "check_locks.py"
#: Nothing listens there.
NOWHERE = "http://127.0.0.1:9/simple"


def test_without_a_network_one_line_says_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        env={"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": NOWHERE},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "the package registry can't be reached: this stage needs the network; "
        "the others don't: make lint types imports unit contract e2e\n"
    )
