"""What this process got from a state folder: which secret's value lies at which place, and from where."""

from __future__ import annotations

import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Optional

    from secrets_svc.task.requests import Secret

    #: State folder, variables that choose the scope, and whose value.
    Asked = tuple[str, tuple[Optional[str], ...], tuple[str, Optional[str], Optional[str]]]

#: Tells processes that this one starts which of its variables have what; never a value.
VARIABLE = "SECRET_LOCAL_GIVEN"
_SCOPE = ("SECRET_PROJECT", "SECRET_DOMAIN", "SECRET_CONTEXT", "SECRET_CONFIG")


def asked(secret: Secret, folder: str) -> Asked:
    """What ``secret`` means at this moment: the same again is the same value."""
    return os.path.abspath(folder), tuple(map(os.environ.get, _SCOPE)), secret.selector


class _Given:
    """What was put where. Of a variable a hash too: another value in it is somebody else's."""

    def __init__(self) -> None:
        self._variables: dict[str, tuple[Asked, int]] = {}
        self._files: dict[str, Asked] = {}
        self._inherited = _inherited()

    def variable(self, name: str) -> Asked | None:
        """What we put into variable ``name``, if that is still in it."""
        text, put = os.environ.get(name), self._variables.get(name)
        return put[0] if put is not None and text is not None and hash(text) == put[1] else None

    def inherited(self, name: str) -> Asked | None:
        """What a process that started this one had put into variable ``name``, as far as it tells."""
        return self._inherited.get(name)

    def file(self, path: str) -> Asked | None:
        """What we put into the file at ``path``, if it is there."""
        return self._files.get(path) if os.path.isfile(path) else None

    def put_variable(self, name: str, what: Asked) -> None:
        """Remember that ``name`` has it now."""
        self._variables[name] = what, hash(os.environ[name])
        self._inherited.pop(name, None)
        ours = {each: self.variable(each) for each in self._variables}
        told = {**self._inherited, **{each: put for each, put in ours.items() if put is not None}}
        os.environ[VARIABLE] = json.dumps(told)

    def put_file(self, path: str, what: Asked) -> None:
        """Remember that the file at ``path`` has it now."""
        self._files[path] = what


def _inherited() -> dict[str, Asked]:
    try:
        told = json.loads(os.environ.get(VARIABLE) or "{}")
        return {
            name: (folder, tuple(scope), tuple(selector)) for name, (folder, scope, selector) in told.items()
        }
    except (ValueError, TypeError, AttributeError, RecursionError):  # whoever wrote it: it isn't ours
        return {}


GIVEN = _Given()
