"""Where values are in this process: variables, and files below one folder. Only this module reads them."""

from __future__ import annotations

import os

from secrets_svc.task import rules
from secrets_svc.task.errors import SecretUnreadable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from secrets_svc.task.requests import Secret

#: Names the folder of the files, where that isn't the one of pods: ``secret run`` sets it.
FILES_VARIABLE = "SECRET_FILES"


def file_path(file: str) -> str:
    """Where ``file`` is to be in this process."""
    return os.path.join(os.environ.get(FILES_VARIABLE) or rules.FILES, *file.split("/"))


def absences(secret: Secret) -> list[str]:
    """What there is to say of each place where ``secret`` is to be and isn't."""
    found = []
    if secret.env is not None and secret.env not in os.environ:
        found.append(f"variable {secret.env} is not set")
    if secret.file is not None and not os.path.exists(file_path(secret.file)):
        found.append(f"file {file_path(secret.file)} is not there")
    return found


def value_at(secret: Secret) -> bytes | None:
    """The value at the first of the secret's places that has one.

    :raises SecretUnreadable: its file is there and can't be read.
    """
    if secret.env is not None:
        text = os.environ.get(secret.env)
        if text is not None:
            return os.fsencode(text)
    return None if secret.file is None else _content(secret)


def _content(secret: Secret) -> bytes | None:
    path = file_path(secret.file or "")
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        why = error.strerror
    raise SecretUnreadable(f'secret "{secret.name}": file {path} can\'t be read: {why}')
