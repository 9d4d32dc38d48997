"""What a pod asks for, whatever the dialect it says it in."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass

from injector.keys import FILES, RESERVED
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import shown
from secrets_svc.core.secret import Selector


@dataclass(frozen=True, slots=True)
class SecretRequest:
    """One secret, asked for by name.

    :param env: variable to put it in. :param file: path below the files' folder.
    :param mode: of the file; ``None`` for the default.
    :param optional: absence is no reason to refuse the pod.
    :param containers: names of those that get it; ``None`` for all.
    :param version: the version token that it is to have; ``None`` for the current one.
    :param field: what of the value, where that is a JSON document; ``None`` for all of it.
    :param attach: the pod's images are pulled with it; ``None``: if it is of that type.
    """

    name: str
    env: str | None = None
    file: str | None = None
    mode: int | None = None
    optional: bool = False
    containers: tuple[str, ...] | None = None
    version: str | None = None
    field: str | None = None
    attach: bool | None = False

    @property
    def selector(self) -> Selector:
        """What is to be looked up."""
        return Selector(self.name, self.version, self.field)

    @property
    def places(self) -> str:
        """Where it goes, for messages: ``env DB_PASSWORD, file tls/key.pem``."""
        env = f"env {self.env}" if self.env else ""
        file = f"file {self.file}" if self.file else ""
        pull = "image_pull" if self.attach else ""
        return ", ".join(filter(None, (env, file, pull)))


def named_with_places(requests: Sequence[SecretRequest]) -> str:
    """``secret "db-password" (env DB_PASSWORD)``: requests for one secret, for messages."""
    places = [request.places for request in requests if request.places]
    more = [f"and {len(places) - _MAX_NAMED} more places"] if len(places) > _MAX_NAMED else []
    return f'secret "{requests[0].name}" ({", ".join([*places[:_MAX_NAMED], *more])})'


#: Places of one secret that a message names.
_MAX_NAMED = 10


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one container asks for, as positions in the pod's requests.

    :param quoted: what could concern us in the JSON of a container's env: these variables, a reference to a
        staged Secret, or an escape, behind which either may hide. Empty where a search isn't worth its price.
    :param guarded: those of the files that not everybody may read.
    :param overrides: whether what the container sets itself by these names gives way.
    """

    env: tuple[int, ...]
    env_names: frozenset[str]
    quoted: tuple[bytes, ...]
    files: tuple[int, ...]
    guarded: tuple[int, ...]
    overrides: bool = False

    def concerned_by(self, env: bytes) -> bool:
        """Whether ``env``, JSON as it came, has to be decoded.

        Where nothing is escaped every string stands there letter by letter: not found is not there.
        """
        for text in self.quoted:  # "any" costs more than the search
            if text in env:
                return True
        return not self.quoted


class PodRequests:
    """All requests of a pod.

    :param folder: where files appear. :param literals: variables and texts that tell where secrets are.
    :param overrides: variables that a container sets itself give way to ours; else they are refused.
    :param announced: the request annotation that the pod gets, because it has none.
    :param beginnings: what names of many variables begin with, and hardly others: searched for once.
    :raises InvalidArgument: two of them want one place in every container, or a file is another's folder.
    """

    __slots__ = (
        "_known",
        "_others",
        "announced",
        "beginnings",
        "by_selector",
        "containers",
        "folder",
        "items",
        "literals",
        "may_attach",
        "overrides",
        "selectors",
    )

    def __init__(
        self,
        items: Sequence[SecretRequest],
        *,
        folder: str = FILES,
        literals: tuple[tuple[str, str], ...] = (),
        overrides: bool = False,
        announced: str | None = None,
        beginnings: tuple[str, ...] = (),
    ) -> None:
        self.items = tuple(items)
        self.beginnings = beginnings
        self.announced = announced
        self.folder = folder
        self.literals = literals
        self.overrides = overrides
        #: Whether pull secrets may be among them.
        self.may_attach = any(item.attach is not False for item in items)
        #: What is looked up, each once, and by whom it is wanted.
        self.by_selector: dict[Selector, list[SecretRequest]] = {}
        for item in items:
            self.by_selector.setdefault(item.selector, []).append(item)
        self.selectors = tuple(self.by_selector)
        #: Containers that some request names.
        self.containers = frozenset(name for item in items for name in item.containers or ())
        self._others = self._wanted_by(None)
        self._known: dict[str, Wanted] = {}

    def joined(self, more: Sequence[SecretRequest]) -> PodRequests:
        """These and those of ``more`` that are not among them."""
        items = [*self.items, *(each for each in more if each not in self.items)]
        return PodRequests(
            items,
            folder=self.folder,
            literals=self.literals,
            overrides=self.overrides,
            beginnings=self.beginnings,
        )

    def __len__(self) -> int:
        return len(self.items)

    def wanted(self, container: str) -> Wanted:
        """What ``container`` asks for. Raises ``InvalidArgument`` where two requests want one place in it."""
        if container not in self.containers:
            return self._others
        wanted = self._known.get(container)
        if wanted is None:
            wanted = self._wanted_by(container)
            if len(self._known) < _MAX_KNOWN:
                self._known[container] = wanted
        return wanted

    def _wanted_by(self, container: str | None) -> Wanted:
        items = self.items
        indexes = [
            index
            for index, item in enumerate(items)
            if item.containers is None or (container is not None and container in item.containers)
        ]
        env = tuple(index for index in indexes if items[index].env is not None)
        files = tuple(index for index in indexes if items[index].file is not None)
        env_names = [items[index].env or "" for index in env]
        env_names += [name for name, _ in self.literals]
        _refuse_twice("env", env_names)
        _check_paths([items[index].file or "" for index in files])
        guarded = tuple(index for index in files if not _everybody_reads(items[index]))
        quoted = _quoted(env_names, self.beginnings)
        return Wanted(env, frozenset(env_names), quoted, files, guarded, self.overrides)


#: Containers whose share one pod's requests remember, and variables that are searched for in raw JSON.
_MAX_KNOWN = 16
_MAX_QUOTED = 16


def _quoted(env_names: Sequence[str], beginnings: tuple[str, ...] = ()) -> tuple[bytes, ...]:
    names = [f'"{name}"' for name in env_names if not name.startswith(beginnings)]
    shared = [f'"{each}' for each in beginnings if any(name.startswith(each) for name in env_names)]
    if len(names) > _MAX_QUOTED:
        return ()
    return (b"\\", f'"{RESERVED}'.encode(), *(each.encode() for each in [*shared, *names]))


def _everybody_reads(item: SecretRequest) -> bool:
    return item.mode is None or bool(item.mode & 0o004)


#: What a container wants that asks for nothing.
NOTHING = Wanted((), frozenset(), _quoted(()), (), ())


@dataclass(frozen=True, slots=True)
class Claim:
    """The scope that a pod says it is in."""

    project: str | None = None
    domain: str | None = None


def _refuse_twice(kind: str, places: Sequence[str]) -> None:
    if len(set(places)) != len(places):
        twice = next(place for place in places if places.count(place) > 1)
        raise InvalidArgument(f"two requests want {kind} {shown(twice)} in one container")


def _check_paths(paths: Sequence[str]) -> None:
    _refuse_twice("file", paths)
    known = set(paths)
    for path in paths:
        parent = posixpath.dirname(path)
        while parent:
            if parent in known:
                raise InvalidArgument(f"file {shown(parent)} can't be the folder of file {shown(path)} too")
            parent = posixpath.dirname(parent)
