"""What a request's fields may be: the rules of the injector, in the same words.

They are written a second time because a task image has no injector. A test holds the two to each other.
"""

from __future__ import annotations

import re

from secrets_svc.task.errors import InvalidRequest, TooLarge

DOMAIN = "secrets-svc.internal"
#: Annotation: what a pod asks for.
REQUEST = DOMAIN + "/request"
#: Labels: the scope that a pod claims.
PROJECT_LABEL = DOMAIN + "/project"
DOMAIN_LABEL = DOMAIN + "/domain"
#: Where files are in a pod.
FILES = "/var/run/secrets/secrets-svc"

#: Characters of the annotation; requests in it; containers named in one request.
MAX_ANNOTATION = 65_536
MAX_REQUESTS = 256
MAX_CONTAINERS = 32
#: Characters of a file's path.
MAX_PATH = 512
MAX_NAME = 128
MAX_LABEL = 63

_NAME = re.compile(r"[-a-zA-Z0-9_]{1,128}")
_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_PATH_PART = re.compile(r"[A-Za-z0-9_.,@%+=:~ -]{1,255}")
_MODE = re.compile(r"0?[0-7]{3}")
_VERSION = re.compile(r"[!-~]{1,256}")
_FIELD = re.compile(r"[-._@:/ a-zA-Z0-9]{1,253}")


def shown(text: object) -> str:
    """``text`` for a message: quoted, printable ASCII only, at most 64 characters of it."""
    if not isinstance(text, str):
        return f"of type {type(text).__name__}"
    cut = text if len(text) <= 64 else text[:61] + "..."
    return '"' + cut.encode("unicode_escape").decode() + '"'


def valid_name(text: object) -> str:
    """``text`` if it can name a secret. Raises :class:`InvalidRequest`, as all of these do."""
    if isinstance(text, str) and _NAME.fullmatch(text):
        return text
    raise InvalidRequest(
        f"secret name {shown(text)} is not valid: letters, digits, '-' and '_', 1 to {MAX_NAME} characters"
    )


def valid_label(kind: str, text: object) -> str:
    """``text`` if it can be a project, a domain or a container. :param kind: which, for the message."""
    if isinstance(text, str) and len(text) <= MAX_LABEL and _LABEL.fullmatch(text):
        return text
    raise InvalidRequest(
        f"{kind} {shown(text)} is not valid: lower-case letters, digits and '-', beginning and ending with a "
        f"letter or digit, 1 to {MAX_LABEL} characters"
    )


def default_env(name: str) -> str:
    """The variable for a secret that asks for no place: ``-`` → ``_``, upper case."""
    env = name.replace("-", "_").upper()
    if not _ENV.fullmatch(env):
        raise InvalidRequest(f"secret {shown(name)} makes no variable name of itself; say which with env")
    return env


def valid_env(env: object) -> str:
    """``env`` if it can be a variable's name everywhere."""
    if isinstance(env, str) and _ENV.fullmatch(env):
        return env
    raise InvalidRequest(
        f"env {shown(env)} is not valid: letters, digits and '_', not beginning with a digit"
    )


def valid_path(path: object) -> str:
    """``path`` if it is relative and stays below its folder."""
    if not isinstance(path, str) or not path or len(path) > MAX_PATH:
        raise InvalidRequest(f"file {shown(path)} must be a relative path of 1 to {MAX_PATH} characters")
    if path.startswith("/"):
        raise InvalidRequest(f"file {shown(path)} must be relative: it lies below the files' folder")
    for part in path.split("/"):
        # ".." at the beginning is how the kubelet names its own entries in such volumes.
        if part in ("", ".") or part.startswith("..") or not _PATH_PART.fullmatch(part):
            raise InvalidRequest(f"file {shown(path)} has a part that is not allowed: {shown(part)}")
    return path


def valid_mode(text: object, file: object) -> str | None:
    """``text`` in four digits if it can be the mode of ``file``."""
    if text is None:
        return None
    if file is None:
        raise InvalidRequest("mode is for files; this request has no file")
    if not isinstance(text, str) or not _MODE.fullmatch(text):
        raise InvalidRequest(f'mode {shown(text)} must be octal in quotes, such as "0440"')
    return text.zfill(4)


def valid_optional(flag: object) -> bool:
    """``flag`` if it is one."""
    if not isinstance(flag, bool):
        raise InvalidRequest("optional must be true or false")
    return flag


def valid_image_pull(flag: object, *others: object) -> bool:
    """``flag`` if it is one, and nothing of ``others``, which are a container's, is asked for beside it."""
    if flag is True and any(other is not None for other in others):
        raise InvalidRequest("image_pull goes with name, version and optional only: the pod's images get it")
    if not isinstance(flag, bool):
        raise InvalidRequest("image_pull must be true or false")
    return flag


def valid_containers(names: object) -> tuple[str, ...] | None:
    """``names`` if they can be containers'."""
    if names is None:
        return None
    if not isinstance(names, (list, tuple)) or not names:
        raise InvalidRequest("containers must be a list of names; leave it out for all of them")
    if len(names) > MAX_CONTAINERS:
        raise TooLarge(f"containers has {len(names)} names, over the limit of {MAX_CONTAINERS}")
    return tuple(valid_label("container", name) for name in names)


def valid_version(text: object) -> str | None:
    """``text`` if it can be a version token."""
    if text is None or (isinstance(text, str) and _VERSION.fullmatch(text)):
        return text
    raise InvalidRequest(
        f"version {shown(text)} is not valid: as secret history shows it, 1 to 256 characters without spaces"
    )


def valid_field(text: object) -> str | None:
    """``text`` if it can name a field of a document."""
    if text is None or (isinstance(text, str) and _FIELD.fullmatch(text)):
        return text
    raise InvalidRequest(
        f"field {shown(text)} is not valid: letters, digits, spaces and any of -._@:/, 1 to 253 characters"
    )
