"""The variables of a task's process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cli.task_files import FILES_VARIABLE

if TYPE_CHECKING:
    from injector.local_task import TaskSecrets


#: What a Python task tells processes that it starts of their variables: not true of those that we set.
GIVEN_VARIABLE = "SECRET_LOCAL_GIVEN"


def environment_of(secrets: TaskSecrets, folder: Path | None) -> dict[bytes, bytes]:
    """What the environment has for ``secrets``. :param folder: of their files, if there are any."""
    environment = {name.encode(): value.reveal_bytes() for name, value in secrets.env.items()}
    if folder is not None:
        environment[FILES_VARIABLE.encode()] = os.fsencode(folder)
    return environment
