"""Flyte's dialect: label ``inject-flyte-secrets`` and annotations ``flyte.secrets/s<N>``, as the SDKs of
Flyte 1, Flyte 2 and Union write them.

A request is laid out at every name where one of their readers looks. The short ones leave out the group, or
its version, and are shared by all groups: they are given where one secret alone claims them. No value stands
in the pod: also where Flyte puts one, there is a reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from injector.dialects.flyte_text import FlyteSecret, Mount, decode
from injector.keys import (
    DOMAIN_LABEL,
    FLYTE_ANNOTATION,
    FLYTE_DOMAIN,
    FLYTE_FILES,
    FLYTE_LABEL,
    FLYTE_PROJECT,
    PROJECT,
)
from injector.requests import Claim, PodRequests, SecretRequest
from injector.review import ObjectMeta
from secrets_svc.core.caches import WeightedCache
from secrets_svc.core.errors import InvalidArgument, TooLarge
from secrets_svc.core.scope import shown, validate_label
from secrets_svc.core.secret import Selector, validate_name

#: Characters of all such annotations of a pod, and how many there may be.
MAX_ANNOTATIONS = 32_768
MAX_REQUESTS = 100

#: Where flytekit learns what its readers look by; they are told in the pod.
ENV_PREFIX = "FLYTE_SECRETS_ENV_PREFIX"
DEFAULT_DIR = "FLYTE_SECRETS_DEFAULT_DIR"
FILE_PREFIX = "FLYTE_SECRETS_FILE_PREFIX"
_TOLD = (ENV_PREFIX, DEFAULT_DIR, FILE_PREFIX)
_TOLD_BEGINS = "FLYTE_SECRETS_"

_NUMBER = re.compile(r"[0-9]{1,9}")
_ENV_VAR = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_PREFIX = re.compile(r"[A-Z_][A-Z0-9_]{0,62}")
#: A group, or its version: a part of names of variables and a folder.
_GROUP = re.compile(r"(?!\.)[-._a-zA-Z0-9]{1,128}")


class Groups(StrEnum):
    """What a request's group means.

    ``IGNORED``: group ``db``, key ``password`` is secret ``password``, as Flyte 2 and Union look it up.
    ``NAMED``: it is secret ``db_password``.
    """

    IGNORED = "ignored"
    NAMED = "named"


class FlyteDialect:
    """See :class:`injector.dialects.Dialect`.

    :param env_prefix: what names of variables begin with; flytekit is told in the pod.
    :param groups: see there.
    """

    name = "Flyte's annotations"

    def __init__(self, *, env_prefix: str = "_UNION_", groups: Groups = Groups.IGNORED) -> None:
        if not _PREFIX.fullmatch(env_prefix):
            raise InvalidArgument(
                f"env_prefix {shown(env_prefix)} is not valid: upper-case letters, digits and '_', not "
                "beginning with a digit"
            )
        self._env_prefix = env_prefix
        self._groups = groups
        self._parsed: WeightedCache[tuple[tuple[str, str], ...], PodRequests] = WeightedCache(1_048_576)

    def asks(self, metadata: ObjectMeta) -> bool:
        """Whether the pod has the label and such an annotation, as Flyte's own webhook has it."""
        labels, annotations = metadata.labels, metadata.annotations
        if not labels or not annotations or labels.get(FLYTE_LABEL) != "true":
            return False
        return any(key.startswith(FLYTE_ANNOTATION) for key in annotations)

    def claim(self, metadata: ObjectMeta) -> Claim:
        """The scope that labels ``project`` and ``domain`` claim.

        Label ``organization`` says nothing here: an installation has one.

        :raises InvalidArgument: they can't be one, or our own labels say something else.
        """
        said = (metadata.labels or {}).get
        return _claim(said(FLYTE_PROJECT), said(PROJECT), said(FLYTE_DOMAIN), said(DOMAIN_LABEL))

    def parse(self, metadata: ObjectMeta) -> PodRequests | None:
        """See :class:`injector.dialects.Dialect`.

        :raises InvalidArgument: an annotation can't be understood, or two of them can't both be fulfilled.
        """
        annotations = metadata.annotations or {}
        entries = tuple([item for item in annotations.items() if item[0].startswith(FLYTE_ANNOTATION)])
        return self._parsed.get(entries) or self._parse(entries)

    def _parse(self, entries: tuple[tuple[str, str], ...]) -> PodRequests:
        size = sum(len(key) + len(value) for key, value in entries)
        if len(entries) > MAX_REQUESTS:
            raise TooLarge(f"the pod has {len(entries)} annotations of Flyte's, over {MAX_REQUESTS}")
        if size > MAX_ANNOTATIONS:
            raise TooLarge(f"the pod's annotations of Flyte's have {size} characters, over {MAX_ANNOTATIONS}")
        wishes = [_wish(key, value, self._groups) for key, value in sorted(entries, key=_by_number)]
        if self._groups is Groups.IGNORED:
            _refuse_two_groups(wishes)
        return self._parsed.put(entries, self._laid_out(wishes), size)

    def _laid_out(self, wishes: list[_Wish]) -> PodRequests:
        places = _Places()
        for wish in wishes:
            if wish.secret.mount is Mount.FILE:
                places.add(wish, "file", *_file_paths(wish.secret))
            else:
                places.add(wish, "env", *self._env_names(wish.secret))
        given = places.given()
        return PodRequests(
            _requests(given),
            folder=FLYTE_FILES,
            literals=tuple(self._told(wishes, given).items()),
            overrides=True,
            beginnings=(self._env_prefix, _TOLD_BEGINS),
        )

    def _told(self, wishes: list[_Wish], given: _Given) -> dict[str, str]:
        """What the task's readers are told: where secrets are.

        :raises InvalidArgument: one variable is to tell two things.
        """
        files = [wish for wish in wishes if wish.secret.mount is Mount.FILE]
        told = {ENV_PREFIX: self._env_prefix} if len(files) < len(wishes) else {}
        if files:
            told |= {DEFAULT_DIR: FLYTE_FILES, FILE_PREFIX: ""}
        for wish in files:
            name, path = wish.secret.env_var, f"{FLYTE_FILES}/{_path_of(wish, given)}"
            if name and (told.setdefault(name, path) != path or ("env", name) in given):
                raise InvalidArgument(f"env {shown(name)} is asked for twice, and at least once for a file")
        return told

    def _env_names(self, secret: FlyteSecret) -> tuple[list[str], list[str], list[str]]:
        """Own and shared names. What the request says is its own; what its parts make comes after that."""
        full, *shared = [self._env_prefix + "_".join(step).upper() for step in _ladder(*_parts(secret))]
        return ([secret.env_var], [full], shared) if secret.env_var else ([full], [], shared)


@dataclass(frozen=True, slots=True)
class _Wish:
    """A request that is understood. :param selector: the secret it means."""

    secret: FlyteSecret
    selector: Selector


#: Each place, which is a variable or a file, and its secret.
_Given = dict[tuple[str, str], Selector]


class _Places:
    """Who claims which place. It goes to those whose own it is."""

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str], tuple[int, set[Selector]]] = {}

    def add(self, wish: _Wish, kind: str, *ranks: Sequence[str]) -> None:
        """``wish`` claims places: its own first, then ranks of those that it would share with others."""
        for rank, place in [(rank, place) for rank, places in enumerate(ranks) for place in places]:
            best, claimants = self._claims.get((kind, place), (rank, set[Selector]()))
            if rank < best:
                best, claimants = rank, set()
            if rank == best:
                claimants.add(wish.selector)
            self._claims[kind, place] = (best, claimants)

    def given(self) -> _Given:
        """Who gets which place; a shared one that several claim goes to none of them.

        :raises InvalidArgument: two secrets have one place as their own.
        """
        given: _Given = {}
        for (kind, place), (rank, claimants) in self._claims.items():
            if len(claimants) == 1:
                given[kind, place] = next(iter(claimants))
            elif rank == 0:
                names = " and ".join(shown(each.name) for each in sorted(claimants)[:2])
                raise InvalidArgument(f"secrets {names} are both asked for as {kind} {shown(place)}")
        return self._without_folders(given)

    def _without_folders(self, given: _Given) -> _Given:
        """No file is another one's folder: the one that is shared gives way, else the one in the folder.

        That one has a shorter path as well, if nobody else claims it; if it hasn't, the pod can't have both.
        """
        files = {place: selector for (kind, place), selector in given.items() if kind == "file"}
        dropped: set[str] = set()
        for place in files:
            for folder in _folders_of(place):
                if folder in files and self._claims["file", folder][0] > 0:
                    dropped.add(folder)
                elif folder in files and _is_elsewhere(place, files):
                    dropped.add(place)
        return {key: selector for key, selector in given.items() if key[0] == "env" or key[1] not in dropped}


def _is_elsewhere(place: str, files: Mapping[str, Selector]) -> bool:
    """Whether that file lies outside of folders too."""
    return any("/" not in other and files[other] == files[place] for other in files if other != place)


def _folders_of(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def _requests(given: _Given) -> list[SecretRequest]:
    """One for each place. The first of a secret also says that it is a pull secret, if it is one."""
    requests: list[SecretRequest] = []
    seen: set[Selector] = set()
    for (kind, place), selector in given.items():
        env, file = (place, None) if kind == "env" else (None, place)
        attach = None if selector not in seen else False
        seen.add(selector)
        requests.append(SecretRequest(selector.name, env, file, attach=attach))
    return requests


def _by_number(entry: tuple[str, str]) -> tuple[bool, int, str]:
    """Flyte's own are numbered; whatever else its readers take comes behind them."""
    rest = entry[0].removeprefix(FLYTE_ANNOTATION)
    number = int(rest) if _NUMBER.fullmatch(rest) else None
    return number is None, number or 0, rest


def _wish(key: str, value: str, groups: Groups) -> _Wish:
    try:
        secret = decode(value)
        _check(secret)
        named = [secret.key] if groups is Groups.IGNORED else _ladder(*_parts(secret))[0]
        return _Wish(secret, Selector(validate_name("_".join(named))))
    except InvalidArgument as error:
        raise InvalidArgument(f"annotation {shown(key)}: {error.message}") from None


def _check(secret: FlyteSecret) -> None:
    validate_name(secret.key)
    for kind, text in (("group", secret.group), ("group_version", secret.group_version)):
        if text and not _GROUP.fullmatch(text):
            raise InvalidArgument(
                f"{kind} {shown(text)} is not valid: letters, digits, '-', '_' and '.', not beginning with "
                "'.', at most 128 characters"
            )
    if secret.group_version and not secret.group:
        raise InvalidArgument("it has a group_version and no group")
    if secret.env_var and (not _ENV_VAR.fullmatch(secret.env_var) or secret.env_var in _TOLD):
        raise InvalidArgument(
            f"env_var {shown(secret.env_var)} is not valid: letters, digits and '_', not beginning with a "
            f"digit, and none of {', '.join(_TOLD)}"
        )


def _parts(secret: FlyteSecret) -> tuple[str, str, str]:
    return secret.group, secret.group_version, secret.key


def _ladder(group: str, version: str, key: str) -> list[list[str]]:
    """The parts of a request's own name, and of those that leave out its version, and its group."""
    steps = ([group, version, key], [group, key], [key])
    named = [[part for part in step if part] for step in steps]
    return [step for index, step in enumerate(named) if step not in named[:index]]


def _file_paths(secret: FlyteSecret) -> tuple[list[str], list[str]]:
    """Own and shared paths below the files' folder.

    flytekit looks for lower-case paths, Flyte 2 for the key as it is, whatever the group.
    """
    group, version, key = (part.lower() for part in _parts(secret))
    own, *shared = ["/".join(step) for step in _ladder(group, version, key)]
    as_it_is = [] if secret.key == key else [secret.key]
    return ([own], [*shared, *as_it_is]) if group else ([own, *as_it_is], [])


def _path_of(wish: _Wish, given: _Given) -> str:
    """Where Flyte 2 looks, if it is this secret's file that lies there."""
    if given.get(("file", wish.secret.key)) == wish.selector:
        return wish.secret.key
    return _file_paths(wish.secret)[0][0]


@lru_cache(maxsize=4096)
def _claim(project: str | None, our_project: str | None, domain: str | None, our_domain: str | None) -> Claim:
    pairs = (("project", project, our_project), ("domain", domain, our_domain))
    said = [_said(kind, *texts) for kind, *texts in pairs]
    return Claim(*said)


def _said(kind: str, *texts: str | None) -> str | None:
    known = {text for text in texts if text}
    if len(known) > 1:
        raise InvalidArgument(f"label {kind} and {PROJECT.partition('/')[0]}/{kind} say different things")
    return validate_label(kind, known.pop()) if known else None


def _refuse_two_groups(wishes: Iterable[_Wish]) -> None:
    """Where groups are ignored two of them would get one value, which nobody means."""
    seen: dict[tuple[str, str], str] = {}
    for wish in wishes:
        for kind, text in (("group", wish.secret.group), ("group_version", wish.secret.group_version)):
            if text and seen.setdefault((kind, wish.secret.key), text) != text:
                raise InvalidArgument(
                    f"key {shown(wish.secret.key)} is asked for in two {kind}s, which would be one secret: "
                    'here groups are ignored (injector.flyte.groups = "named" would tell them apart)'
                )
