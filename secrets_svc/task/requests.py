"""One request for a secret, and what several of them may not be together."""

from __future__ import annotations

from secrets_svc.task import rules
from secrets_svc.task.errors import InvalidRequest, TooLarge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, NoReturn, Union

    #: A name stands for a request with nothing but that name.
    Request = Union["Secret", str]


class Secret:
    """A secret that is asked for by name, and where it is to be.

    With neither ``env`` nor ``file`` it is a variable with the secret's name in upper case, ``_`` for ``-``.

    :param env: variable to put it in. :param file: path to put it at, below the files' folder.
    :param mode: of the file, octal, such as ``"0440"``.
    :param optional: whether the task can do without it.
    :param containers: names of the pod's containers that get it; all of them by default.
    :param version: that version, as ``secret history`` shows it; by default the current one.
    :param field: one field of a value that is a JSON object.
    :param image_pull: the pod's images are pulled with it; no process gets it.
    :raises InvalidRequest: the injector would refuse it, and why.
    """

    __slots__ = ("containers", "env", "field", "file", "image_pull", "mode", "name", "optional", "version")

    name: str
    env: str | None
    file: str | None
    mode: str | None
    optional: bool
    containers: tuple[str, ...] | None
    version: str | None
    field: str | None
    image_pull: bool

    def __init__(
        self,
        name: str,
        *,
        env: str | None = None,
        file: str | None = None,
        mode: str | None = None,
        optional: bool = False,
        containers: Sequence[str] | None = None,
        version: str | None = None,
        field: str | None = None,
        image_pull: bool = False,
    ) -> None:
        found: dict[str, object] = {"name": rules.valid_name(name)}
        found["image_pull"] = rules.valid_image_pull(image_pull, env, file, mode, containers, field)
        if env is None and file is None and not image_pull:
            env = rules.default_env(name)
        found["env"] = None if env is None else rules.valid_env(env)
        found["file"] = None if file is None else rules.valid_path(file)
        found["mode"] = rules.valid_mode(mode, file)
        found["optional"] = rules.valid_optional(optional)
        found["containers"] = rules.valid_containers(containers)
        found["version"] = rules.valid_version(version)
        found["field"] = rules.valid_field(field)
        for key, value in found.items():
            object.__setattr__(self, key, value)

    def entry(self) -> dict[str, Any]:
        """As it stands in the annotation."""
        found = {key: getattr(self, key) for key in _ORDER}
        for flag in ("optional", "image_pull"):
            if not found[flag]:
                del found[flag]
        if found["containers"] is not None:
            found["containers"] = list(found["containers"])
        return {key: value for key, value in found.items() if value is not None}

    @property
    def selector(self) -> tuple[str, str | None, str | None]:
        """Whose value it is."""
        return self.name, self.version, self.field

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return all(getattr(self, key) == getattr(other, key) for key in _ORDER)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, key) for key in _ORDER))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret doesn't change: make another one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Secret doesn't change: make another one")

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (self.entry(),)

    def __repr__(self) -> str:
        entry = self.entry()
        parts = [repr(entry.pop("name")), *(f"{key}={value!r}" for key, value in entry.items())]
        return f"Secret({', '.join(parts)})"


#: In the annotation, and in texts.
_ORDER = ("name", "env", "file", "mode", "optional", "containers", "version", "field", "image_pull")
FIELDS = frozenset(_ORDER)


def _remade(entry: dict[str, Any]) -> Secret:
    return Secret(**entry)


def together(requests: Iterable[Request]) -> tuple[Secret, ...]:
    """``requests`` as one pod can make them: names as requests, each once.

    :raises InvalidRequest: one of them isn't a request, or two of them want one place.
    """
    if isinstance(requests, (str, Secret)):
        raise InvalidRequest("requests must be a list of names and Secrets, not one of them")
    made = tuple(dict.fromkeys(_secret(each) for each in requests))
    if len(made) > rules.MAX_REQUESTS:
        raise TooLarge(
            f"annotation {rules.REQUEST} has {len(made)} requests, over the limit of {rules.MAX_REQUESTS}"
        )
    refuse_two_pulls(made)
    named = dict.fromkeys(name for each in made for name in each.containers or ())
    for container in (None, *named):
        share = [each for each in made if each.containers is None or container in each.containers]
        _refuse_twice("env", [each.env for each in share if each.env is not None])
        _check_paths([each.file for each in share if each.file is not None])
    return made


def refuse_two_pulls(requests: Iterable[Secret]) -> None:
    """Images are pulled with a secret once."""
    seen = set()
    for each in requests:
        if each.image_pull:
            if each.selector in seen:
                raise InvalidRequest(f"two requests want secret {rules.shown(each.name)} for image_pull")
            seen.add(each.selector)


def _secret(request: object) -> Secret:
    if isinstance(request, Secret):
        return request
    if isinstance(request, str):
        return Secret(request)
    raise InvalidRequest(f"a request is a name or a Secret, not something {rules.shown(request)}")


def _refuse_twice(kind: str, places: list[str]) -> None:
    if len(set(places)) != len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise InvalidRequest(f"two requests want {kind} {rules.shown(twice)} in one container")


def _check_paths(paths: list[str]) -> None:
    _refuse_twice("file", paths)
    known = set(paths)
    for path in paths:
        parent = path.rpartition("/")[0]
        while parent:
            if parent in known:
                raise InvalidRequest(
                    f"file {rules.shown(parent)} can't be the folder of file {rules.shown(path)} too"
                )
            parent = parent.rpartition("/")[0]
