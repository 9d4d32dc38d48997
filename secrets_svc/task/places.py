"""Where values are in this process: variables, and files below one folder. Only this module reads them."""

from __future__ import annotations

import os

from secrets_svc.task import rules
from secrets_svc.task.errors import SecretUnreadable
from secrets_svc.task.given import GIVEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secrets_svc.task.given import Asked
    from secrets_svc.task.requests import Secret

#: Names the folder of the files, where that isn't the one of pods: ``secret run`` sets it.
FILES_VARIABLE = "SECRET_FILES"
#: Names the same folder where a task made it for itself. Processes that it starts inherit both.
OWN_FILES_VARIABLE = "SECRET_FILES_LOCAL"


def file_path(file: str) -> str:
    """Where ``file`` is to be in this process."""
    return os.path.join(os.environ.get(FILES_VARIABLE) or rules.FILES, *file.split("/"))


def is_own_folder() -> bool:
    """Whether this process, or one that started it, made the files' folder for itself."""
    return bool(os.environ.get(FILES_VARIABLE)) and (
        os.environ.get(OWN_FILES_VARIABLE) == os.environ[FILES_VARIABLE]
    )


def absences(secret: Secret) -> list[str]:
    """What there is to say of each place where ``secret`` is to be and isn't."""
    found = []
    if secret.env is not None:
        if secret.env not in os.environ:
            found.append(f"variable {secret.env} is not set")
        elif _has_another(secret, GIVEN.variable(secret.env)):
            found.append(f"variable {secret.env} has what another function asked for")
    if secret.file is not None:
        path = file_path(secret.file)
        if not os.path.exists(path):
            found.append(f"file {path} is not there")
        elif _has_another(secret, GIVEN.file(path)):
            found.append(f"file {path} has what another function asked for")
    return found


def _has_another(secret: Secret, put: Asked | None) -> bool:
    """Whether we put something else there than ``secret``."""
    return put is not None and put[2] != secret.selector


def value_at(secret: Secret) -> bytes | None:
    """The value at the first of the secret's places that has one.

    :raises SecretUnreadable: its file is there and can't be read.
    """
    if secret.env is not None:
        text = os.environ.get(secret.env)
        if text is not None and not _has_another(secret, GIVEN.variable(secret.env)):
            return os.fsencode(text)
    return None if secret.file is None else _content(secret)


def _content(secret: Secret) -> bytes | None:
    path = file_path(secret.file or "")
    if _has_another(secret, GIVEN.file(path)):
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        why = error.strerror
    raise SecretUnreadable(f'secret "{secret.name}": file {path} can\'t be read: {why}')
