"""A run on a machine that has a state folder: values come from it, as under ``secret run``.

What reads a state folder is the whole service's business, and none of a task image's. It is found by entry
point; where it isn't installed, an error says what to install.
"""

from __future__ import annotations

import os
import sys
import threading

from secrets_svc.task import places
from secrets_svc.task.annotations import text_of
from secrets_svc.task.errors import LocalStateError
from secrets_svc.task.given import GIVEN, asked
from secrets_svc.task.requests import Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from secrets_svc.task.given import Asked

#: Names the state folder.
VARIABLE = "SECRET_LOCAL_STATE"
#: Entry points that put what an annotation asks for into this process, from a state folder.
GROUP = "secrets_svc.local_state"


class _Asked:
    """What was asked for and isn't there: a pod wouldn't get it later either."""

    def __init__(self) -> None:
        self.absent: set[tuple[Asked, Secret]] = set()
        self.turn = threading.Lock()


_ASKED = _Asked()


def chosen_folder(given: str | os.PathLike[str] | None) -> str | None:
    """The state folder to use: the given one, else the one that the environment names, if any."""
    named = os.fspath(given) if given is not None else os.environ.get(VARIABLE)
    return named or None


def fetch(secrets: Iterable[Secret], folder: str) -> frozenset[str]:
    """Put into this process' environment and files what of ``secrets`` isn't there.

    What another request brought is replaced, and taken away where there is nothing instead. What else is
    there, and what isn't in the store, is left.

    Returns the names of those that the task can't do without and that aren't in the store. Where there are
    any, nothing is put there.

    :raises LocalStateError: with the code of what was the matter.
    """
    with _ASKED.turn:
        wanted = [due for due in (_due(each, folder) for each in secrets) if due is not None]
        new = [each for each in wanted if (asked(each, folder), each) not in _ASKED.absent]
        absent = _delivered(new, folder) if new else set()
        lacking = frozenset(each.name for each in new if each.name in absent and not each.optional)
        for each in wanted:
            if lacking or each not in new or each.name in absent:
                _take_away(each)
            else:
                _remember(each, asked(each, folder))
        _ASKED.absent |= {
            (asked(each, folder), each) for each in new if each.optional and each.name in absent
        }
    return lacking


def is_replaced(secret: Secret, folder: str) -> bool:
    """Whether we put at one of the places of ``secret`` what it doesn't mean now."""
    put = [None if secret.env is None else _variable(secret.env)]
    put.append(None if secret.file is None else GIVEN.file(places.file_path(secret.file)))
    return any(each not in (None, asked(secret, folder)) for each in put)


def _due(secret: Secret, folder: str) -> Secret | None:
    """``secret`` with those of its places that are to be filled, if any are."""
    what = asked(secret, folder)
    entry = secret.entry()
    if secret.env is not None and secret.env in os.environ and _variable(secret.env) in (None, what):
        del entry["env"]
    if secret.file is not None and _is_file_there(places.file_path(secret.file), what):
        del entry["file"]
        entry.pop("mode", None)
    return Secret(**entry) if "env" in entry or "file" in entry else None


def _variable(name: str) -> Asked | None:
    """What was put there from a state folder, by this process or one that started it."""
    return GIVEN.variable(name) or GIVEN.inherited(name)


def _is_file_there(path: str, what: Asked) -> bool:
    if not os.path.isfile(path):
        return False
    put = GIVEN.file(path)
    # Nobody knows what a process that started this one had put into its own folder.
    return put == what or (put is None and not places.is_own_folder())


def _remember(secret: Secret, what: Asked) -> None:
    if secret.env is not None:
        GIVEN.put_variable(secret.env, what)
    if secret.file is not None:
        GIVEN.put_file(places.file_path(secret.file), what)


def _take_away(secret: Secret) -> None:
    """What we put at its places for another request."""
    if secret.env is not None and _variable(secret.env) is not None:
        os.environ.pop(secret.env, None)
    if secret.file is not None and GIVEN.file(places.file_path(secret.file)) is not None:
        os.unlink(places.file_path(secret.file))


def _delivered(secrets: Sequence[Secret], folder: str) -> set[str]:
    """Have them put there; returns the names of what is absent."""
    deliver = _deliver()
    try:
        return set(deliver(text_of(tuple(secrets)), folder))
    except Exception as error:
        code = getattr(error, "code", None)
        if not isinstance(code, str):
            raise
        raise LocalStateError(f"state folder {folder}: {error}", code) from error


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
