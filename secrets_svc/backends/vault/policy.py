"""The least policies that work, in the server's own language."""

from __future__ import annotations

from secrets_svc.backends.vault.paths import OPERATIONS, WRITER
from secrets_svc.backends.vault.settings import VaultSettings
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.templates import PathTemplate

_HEAD = "# Of the {role} of secrets-svc, {namespace}for mount {mount}, folder {prefix}.\n"


def policy(settings: VaultSettings, role: str) -> str:
    """HCL for ``vault policy write``.

    :param role: ``writer`` or ``reader``. :raises InvalidArgument: neither.
    """
    if role not in ("writer", "reader"):
        raise InvalidArgument("role is not valid: writer or reader")
    mount, prefix = settings.mount, settings.existing or settings.prefix
    if settings.existing is not None:
        rules = _existing(mount, PathTemplate(settings.existing), role)
    else:
        rules = (_writer if role == "writer" else _reader)(mount, prefix)
    # Paths are of the namespace that the policy is loaded in.
    namespace = f"in namespace {settings.namespace}, " if settings.namespace is not None else ""
    return _HEAD.format(role=role, namespace=namespace, mount=mount, prefix=prefix) + "".join(
        f'path "{path}" {{ capabilities = [{", ".join(map(_quoted, capabilities))}] }}\n'
        for path, capabilities in rules
    )


def _quoted(word: str) -> str:
    return f'"{word}"'


_Rules = list[tuple[str, tuple[str, ...]]]


def _writer(mount: str, prefix: str) -> _Rules:
    return [
        # Writes values, sees names of keys.
        (f"{mount}/data/{prefix}/*", ("create", "update")),
        (f"{mount}/subkeys/{prefix}/*", ("read",)),
        (f"{mount}/metadata/{prefix}/*", ("read", "list")),
        (f"{mount}/delete/{prefix}/*", ("update",)),
        (f"{mount}/destroy/{prefix}/*", ("update",)),
        # Removes its own records of operations.
        (f"{mount}/metadata/{prefix}/{OPERATIONS}/*", ("list", "delete")),
        # The one thing it reads: a key of its own, which opens nothing.
        (f"{mount}/data/{prefix}/{WRITER}/*", ("create", "read")),
    ]


def _reader(mount: str, prefix: str) -> _Rules:
    return [
        (f"{mount}/data/{prefix}/*", ("read",)),
        (f"{mount}/subkeys/{prefix}/*", ("read",)),
        (f"{mount}/data/{prefix}/{WRITER}/*", ("deny",)),
    ]


def _existing(mount: str, template: PathTemplate, role: str) -> _Rules:
    """For secrets that are there already: neither side writes, the writer lists and the reader reads."""
    parts = ["+" if "{" in part else part for part in template.segments]
    path = "/".join(parts)
    look = (f"{mount}/metadata/{path}", ("read",))
    if role == "reader":
        return [look, (f"{mount}/data/{path}", ("read",))]
    first = parts.index("+")
    folders = ["/".join([*parts[:depth], ""]) for depth in range(first, len(parts)) if parts[depth] == "+"]
    return [look, *((f"{mount}/metadata/{folder}", ("list",)) for folder in folders)]
