"""Where an operator's own secrets lie: a path with placeholders for scope and name, and the way back."""

from __future__ import annotations

import re
from collections.abc import Iterator

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope, shown
from secrets_svc.core.secret import SecretRef, validate_field

#: What parts of scopes consist of; a character of another kind tells where one ends.
_LABEL = "[-a-z0-9]+"
_FORMS = {"organization": _LABEL, "domain": _LABEL, "project": _LABEL, "name": "[-a-zA-Z0-9_]+"}
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_TEXT = re.compile(r"[-a-zA-Z0-9_.+=@/]*")
MAX_TEMPLATE = 512


class PathTemplate:
    """``apps/{project}/{domain}/{name}#password``: what stands behind ``#`` is a field of the document there.

    Its placeholders say which one level of scopes it is for: with ``{project}`` alone, secrets of projects.
    No two references have one path, and no path leaves the template's.

    :raises InvalidArgument: it isn't such a text; the message begins with what it must be.
    """

    def __init__(self, text: str) -> None:
        path, hash_, field = text.partition("#")
        self.field = validate_field(field) if hash_ else None
        pieces = _PLACEHOLDER.split(path)
        self._texts, self._names = tuple(pieces[0::2]), tuple(pieces[1::2])
        self._path = path
        _check(path, self._texts, self._names)
        groups = [f"(?P<{name}>{_FORMS[name]})" for name in self._names]
        self._form = re.compile("".join(_alternate([re.escape(each) for each in self._texts], groups)))

    @property
    def text(self) -> str:
        """All that isn't a placeholder, nor the field."""
        return "".join(self._texts)

    @property
    def segments(self) -> tuple[str, ...]:
        """Its parts between ``/``, with their placeholders."""
        return tuple(self._path.split("/"))

    def path_of(self, ref: SecretRef) -> str | None:
        """Where ``ref`` would lie; ``None`` where it is of another level."""
        if not self._is_for(ref.scope):
            return None
        return "".join(_alternate(self._texts, [_part(ref, name) for name in self._names]))

    def ref_of(self, path: str, organization: str) -> SecretRef | None:
        """What lies at ``path``; ``None`` where that is none of ours.

        :param organization: the one that is asked about.
        """
        match = self._form.fullmatch(path)
        if match is None:
            return None
        parts = match.groupdict()
        if parts.get("organization", organization) != organization:
            return None
        try:
            return SecretRef(Scope(organization, parts.get("domain"), parts.get("project")), parts["name"])
        except InvalidArgument:
            return None

    def narrowed(self, within: Scope) -> tuple[str | re.Pattern[str], ...]:
        """Its segments: those that ``within`` says, and the form of those that have to be looked up."""
        known = _known(within)
        return tuple(_narrowed(segment, known) for segment in self.segments)

    def beginning(self, within: Scope) -> str:
        """With what all paths begin that could be of ``within``."""
        known, text = _known(within), self._texts[0]
        for name, behind in zip(self._names, self._texts[1:], strict=True):
            if name not in known:
                break
            text += known[name] + behind
        return text

    def _is_for(self, scope: Scope) -> bool:
        return all(
            (part is not None) == (name in self._names)
            for name, part in (("domain", scope.domain), ("project", scope.project))
        )


def _alternate(texts: tuple[str, ...] | list[str], between: list[str]) -> Iterator[str]:
    for text, behind in zip(texts, [*between, ""], strict=True):
        yield text
        yield behind


def _part(ref: SecretRef, name: str) -> str:
    return ref.name if name == "name" else _known(ref.scope)[name]


def _known(scope: Scope) -> dict[str, str]:
    parts = {"organization": scope.organization, "domain": scope.domain, "project": scope.project}
    return {name: part for name, part in parts.items() if part is not None}


def _narrowed(segment: str, known: dict[str, str]) -> str | re.Pattern[str]:
    pieces = _PLACEHOLDER.split(segment)
    texts, names = pieces[0::2], pieces[1::2]
    if all(name in known for name in names):
        return "".join(_alternate(texts, [known[name] for name in names]))
    forms = [re.escape(known[name]) if name in known else _FORMS[name] for name in names]
    return re.compile("".join(_alternate([re.escape(each) for each in texts], forms)))


def _check(path: str, texts: tuple[str, ...], names: tuple[str, ...]) -> None:
    if not path or len(path) > MAX_TEMPLATE:
        raise InvalidArgument(
            f"must be a path of 1 to {MAX_TEMPLATE} characters, such as apps/{{project}}/{{name}}"
        )
    for name in names:
        if name not in _FORMS:
            raise InvalidArgument(f"must not have a placeholder {shown(name)}: known are {', '.join(_FORMS)}")
        if names.count(name) > 1:
            raise InvalidArgument(f"must have {{{name}}} once")
    if "name" not in names:
        raise InvalidArgument("must have {name}: else all secrets of a scope would be one")
    if not all(_TEXT.fullmatch(text) for text in texts):
        raise InvalidArgument("must be letters, digits, placeholders and any of -_.+=@/")
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise InvalidArgument("must be a path without '..', and not begin or end with '/'")
    for before, text in zip(names, texts[1:-1], strict=False):
        if re.fullmatch("[-a-z0-9]*", text):
            raise InvalidArgument(
                f"must have a character behind {{{before}}} that no scope has, such as '/' or '_': else two "
                "scopes would have one path"
            )
