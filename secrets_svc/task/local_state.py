"""A run on a machine that has a state folder: values come from it, as under ``secret run``.

What reads a state folder is the whole service's business, and none of a task image's. It is found by entry
point; where it isn't installed, an error says what to install.
"""

from __future__ import annotations

import os
import sys

from secrets_svc.task.annotations import text_of
from secrets_svc.task.errors import LocalStateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from secrets_svc.task.requests import Secret

#: Names the state folder.
VARIABLE = "SECRET_LOCAL_STATE"
#: Entry points that put what an annotation asks for into this process, from a state folder.
GROUP = "secrets_svc.local_state"


class _Asked:
    """What was asked for and isn't there: a pod wouldn't get it later either."""

    def __init__(self) -> None:
        self.absent: set[tuple[str, Secret]] = set()


_ASKED = _Asked()


def chosen_folder(given: str | os.PathLike[str] | None) -> str | None:
    """The state folder to use: the given one, else the one that the environment names, if any."""
    named = os.fspath(given) if given is not None else os.environ.get(VARIABLE)
    return named or None


def fetch(secrets: Iterable[Secret], folder: str) -> None:
    """Put ``secrets`` into this process' environment and files; what isn't in the store is left out.

    :raises LocalStateError: with the code of what was the matter.
    """
    wanted = tuple(each for each in secrets if not each.optional or (folder, each) not in _ASKED.absent)
    if not wanted:
        return
    deliver = _deliver()
    try:
        absent = set(deliver(text_of(wanted), folder))
    except Exception as error:
        code = getattr(error, "code", None)
        if not isinstance(code, str):
            raise
        raise LocalStateError(f"state folder {folder}: {error}", code) from error
    _ASKED.absent |= {(folder, each) for each in wanted if each.optional and each.name in absent}


def _deliver() -> Callable[[str, str], Iterable[str]]:
    """What the whole service has for this, if it is installed with all that it takes."""
    if sys.version_info >= (3, 11):  # which the service needs
        from importlib.metadata import entry_points

        for point in entry_points(group=GROUP):
            try:
                found: Callable[[str, str], Iterable[str]] = point.load()
            except ImportError as error:
                raise _not_installed() from error
            return found
    raise _not_installed()


def _not_installed() -> LocalStateError:
    return LocalStateError(
        "a state folder takes the whole service to read: install secrets-svc with its extra server (Python "
        f"3.11 or later) beside secrets-svc-task, or start the task by secret run and without {VARIABLE}",
        "unsupported",
    )
