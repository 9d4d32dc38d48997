"""Our dialect: the annotation ``secrets-svc.internal/request``, a JSON array of requests.

``[{"name": "db-password", "env": "DB_PASSWORD"},
{"name": "tls-key", "file": "tls/key.pem", "mode": "0440", "optional": true, "containers": ["main"]}]``
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from injector.keys import DOMAIN_LABEL, PROJECT, REQUEST
from injector.requests import Claim, PodRequests, SecretRequest
from injector.review import ObjectMeta
from secrets_svc.core.caches import WeightedCache
from secrets_svc.core.errors import InvalidArgument, TooLarge
from secrets_svc.core.scope import shown, validate_label
from secrets_svc.core.secret import Selector, validate_field, validate_name, validate_version

#: Characters of the annotation; the API server takes 256 KiB for all annotations of an object together.
MAX_ANNOTATION = 65_536
#: Requests in one annotation, and containers named in one request.
MAX_REQUESTS = 256
MAX_CONTAINERS = 32
#: Characters of a file's path below the files' folder, and of each of its parts (Linux NAME_MAX).
MAX_PATH = 512
MAX_PATH_PART = 255

_FIELDS = {"name", "env", "file", "mode", "optional", "containers", "version", "field", "image_pull"}
#: What goes with places in containers, and so not with images.
_OF_CONTAINERS = ("env", "file", "mode", "containers", "field")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_PATH_PART = re.compile(r"[A-Za-z0-9_.,@%+=:~ -]{1,255}")
_MODE = re.compile(r"0?[0-7]{3}")


name = f"annotation {REQUEST}"


def asks(metadata: ObjectMeta) -> bool:
    """See :class:`injector.dialects.Dialect`."""
    return bool(metadata.annotations) and REQUEST in (metadata.annotations or ())


def parse(metadata: ObjectMeta) -> PodRequests | None:
    """See :class:`injector.dialects.Dialect`.

    :raises InvalidArgument: the annotation can't be understood.
    """
    text = (metadata.annotations or {}).get(REQUEST)
    if text is None:
        return None
    if len(text) > MAX_ANNOTATION:
        raise TooLarge(f"annotation {REQUEST} has {len(text)} characters, over the limit of {MAX_ANNOTATION}")
    return _PARSED.get(text) or _PARSED.put(text, _parse_text(text), len(text)) or None


def claim(metadata: ObjectMeta) -> Claim:
    """The scope that the pod's labels claim. Raises ``InvalidArgument`` for labels that can't be one."""
    labels = metadata.labels
    if not labels:
        return Claim()
    return _claim(labels.get(PROJECT), labels.get(DOMAIN_LABEL))


@lru_cache(maxsize=4096)
def _claim(project: str | None, domain: str | None) -> Claim:
    for kind, text in (("project", project), ("domain", domain)):
        if text is not None:
            validate_label(kind, text)
    return Claim(project, domain)


#: What annotations say, weighed by their characters: hostile ones shall not fill the memory.
_PARSED: WeightedCache[str, PodRequests] = WeightedCache(1_048_576)


def _parse_text(text: str) -> PodRequests:
    try:
        entries = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise InvalidArgument(f"annotation {REQUEST} is not valid JSON") from None
    if not isinstance(entries, list):
        raise InvalidArgument(f"annotation {REQUEST} must be a JSON array of requests")
    if len(entries) > MAX_REQUESTS:
        raise TooLarge(f"annotation {REQUEST} has {len(entries)} requests, over the limit of {MAX_REQUESTS}")
    requests = [_request(index, entry) for index, entry in enumerate(entries)]
    _refuse_two_pulls(requests)
    return PodRequests(requests)


def _refuse_two_pulls(requests: list[SecretRequest]) -> None:
    seen: set[Selector] = set()
    for request in requests:
        if request.attach and request.selector in seen:
            raise InvalidArgument(f"two requests want secret {shown(request.name)} for image_pull")
        if request.attach:
            seen.add(request.selector)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidArgument(f"annotation {REQUEST} has {shown(name)} twice in one request")
        found[name] = value
    return found


def _request(index: int, entry: Any) -> SecretRequest:
    place = f"request {index} of annotation {REQUEST}"
    if not isinstance(entry, dict):
        raise InvalidArgument(f"{place} is not an object")
    unknown = sorted(entry.keys() - _FIELDS)
    if unknown:
        raise InvalidArgument(
            f"{place}: unknown field {shown(unknown[0])}; known: {', '.join(sorted(_FIELDS))}"
        )
    try:
        return _checked(entry)
    except InvalidArgument as error:
        raise type(error)(f"{place}: {error.message}") from None


def _checked(entry: dict[str, Any]) -> SecretRequest:
    name = validate_name(entry.get("name"))
    env, file = entry.get("env"), entry.get("file")
    attach = entry.get("image_pull", False)
    if attach is True and any(entry.get(other) is not None for other in _OF_CONTAINERS):
        raise InvalidArgument("image_pull goes with name, version and optional only: the pod's images get it")
    if not isinstance(attach, bool):
        raise InvalidArgument("image_pull must be true or false")
    if env is None and file is None and not attach:
        env = default_env(name)
    if env is not None:
        validate_env(env)
    if file is not None:
        validate_path(file)
    mode = _mode(entry.get("mode"), file)
    optional = entry.get("optional", False)
    if not isinstance(optional, bool):
        raise InvalidArgument("optional must be true or false")
    version, field = entry.get("version"), entry.get("field")
    return SecretRequest(
        name,
        env,
        file,
        mode,
        optional,
        _containers(entry.get("containers")),
        None if version is None else validate_version(version),
        None if field is None else validate_field(field),
        attach,
    )


def default_env(name: str) -> str:
    """The variable for a secret that asks for no place: as Flyte names it, ``-`` → ``_``, upper case."""
    env = name.replace("-", "_").upper()
    if not _ENV.fullmatch(env):
        raise InvalidArgument(f"secret {shown(name)} makes no variable name of itself; say which with env")
    return env


def validate_env(env: object) -> str:
    """``env`` if it can be a variable's name everywhere. Raises ``InvalidArgument``."""
    if not isinstance(env, str) or not _ENV.fullmatch(env):
        raise InvalidArgument(
            f"env {shown(env)} is not valid: letters, digits and '_', not beginning with a digit"
        )
    return env


def validate_path(path: object) -> str:
    """``path`` if it is relative and stays below its folder. Raises ``InvalidArgument``."""
    if not isinstance(path, str) or not path or len(path) > MAX_PATH:
        raise InvalidArgument(f"file {shown(path)} must be a relative path of 1 to {MAX_PATH} characters")
    if path.startswith("/"):
        raise InvalidArgument(f"file {shown(path)} must be relative: it lies below the files' folder")
    for part in path.split("/"):
        # ".." at the beginning is how the kubelet names its own entries in such volumes.
        if part in ("", ".") or part.startswith("..") or not _PATH_PART.fullmatch(part):
            raise InvalidArgument(f"file {shown(path)} has a part that is not allowed: {shown(part)}")
    return path


def _mode(text: object, file: object) -> int | None:
    if text is None:
        return None
    if file is None:
        raise InvalidArgument("mode is for files; this request has no file")
    if not isinstance(text, str) or not _MODE.fullmatch(text):
        raise InvalidArgument(f'mode {shown(text)} must be octal in quotes, such as "0440"')
    return int(text, 8)


def _containers(names: object) -> tuple[str, ...] | None:
    if names is None:
        return None
    if not isinstance(names, list) or not names:
        raise InvalidArgument("containers must be a list of names; leave it out for all of them")
    if len(names) > MAX_CONTAINERS:
        raise TooLarge(f"containers has {len(names)} names, over the limit of {MAX_CONTAINERS}")
    return tuple(validate_label("container", name) for name in names)
