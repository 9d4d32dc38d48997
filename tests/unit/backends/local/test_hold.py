"""One server to a state folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.state_folder import hold_state

HOLD = """
import sys
from pathlib import Path
from secrets_svc.core.state_folder import hold_state
with hold_state(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_server_is_told_who_holds_it(tmp_path: Path) -> None:
    """Until the first ends, however it ends."""
    state = tmp_path / "state"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(Unavailable, match=rf"held by another process \(pid {holder.pid}\)"),
            hold_state(state),
        ):
            pass
        holder.kill()
    with hold_state(state):
        assert (state / "lock").read_text() == f"{os.getpid()}\n"


def test_it_can_be_held_again(tmp_path: Path) -> None:
    for _ in range(2):
        with hold_state(tmp_path / "state"), pytest.raises(Unavailable), hold_state(tmp_path / "state"):
            pass


def test_what_goes_wrong_inside_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="its own"), hold_state(tmp_path / "state"):
        raise OSError("its own")
    with hold_state(tmp_path / "state"):
        pass


def test_an_open_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    with pytest.raises(InvalidArgument, match="chmod 700"), hold_state(tmp_path / "state"):
        pass


def test_tools_work_beside_it(store: Any) -> None:
    from secrets_svc.backends.local.backup import backup
    from secrets_svc.backends.local.rotation import rotate

    store.create(store.writer(), "name", b"value")
    with hold_state(store.folder):
        rotate(store.folder)
        backup(store.folder, store.folder.parent / "backup.tar")
