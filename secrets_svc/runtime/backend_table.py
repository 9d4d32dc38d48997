"""Tables for the documents, made of what each backend declares and of the limits in the code."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from secrets_svc.backends import registry
from secrets_svc.core.naming import MAX_STORAGE_NAME
from secrets_svc.core.ports import Backend, Capabilities
from secrets_svc.core.secret import MAX_NAME
from secrets_svc.data.limits import MAX_ENV_STRING, MAX_FILE

_OURS = "secrets_svc.backends."
_SEES = {"strong": "every acknowledged write", "eventual": "a write soon after"}


def backends() -> str:
    """What each backend that comes with this package is, a row each, as Markdown."""
    head = ("backend", "what it is", "outlives the process", "a read sees", "writer and reader told apart")
    return _table(head, ((f"`{each.name}`", each.summary, *_nature(each)) for each in _ours()))


def _nature(backend: Backend) -> tuple[str, ...]:
    can = backend.capabilities
    apart = "by its own policy engine" if can.separate_identities else "not separable"
    return _word(can.durable), _SEES[can.consistency], apart


def limits() -> str:
    """What each can hold and do, a row each."""
    head = (
        "backend",
        "largest value",
        "empty values",
        "name",
        "versions",
        "rollback",
        "update",
        "a deleted secret",
        "a read sees",
    )
    return _table(head, ((f"`{each.name}`", *_limits(each)) for each in _ours()))


def _limits(backend: Backend) -> tuple[str, ...]:
    can = backend.capabilities
    return (
        f"{can.max_value:,} bytes",
        _word(can.empty_value),
        f"{MAX_NAME} characters; {MAX_STORAGE_NAME} with its scope",
        _versions(can),
        _rollback(can),
        "at once, also on a version",
        "is gone" if can.recovery == "none" else f"can be got back: {can.recovery}",
        _SEES[can.consistency],
    )


def _versions(can: Capabilities) -> str:
    if can.versions_unset is not None:
        return f"up to {can.versions}, by setting; {can.versions_unset} without"
    return "the current one" if can.versions == 1 else f"the last {can.versions}"


def _rollback(can: Capabilities) -> str:
    return "with more than one version" if can.rollback and can.versions_unset == 1 else _word(can.rollback)


def deliveries() -> str:
    """What each way into a pod can take."""
    rows = (
        ("`env`", f"{MAX_ENV_STRING - 2:,} bytes with the variable's name", "yes", "UTF-8 without NUL"),
        ("`file`", f"{MAX_FILE:,} bytes", "yes", "any bytes"),
    )
    return _table(("delivery", "largest value", "empty values", "what it can hold"), rows)


#: By the name of the place in a document.
TABLES: dict[str, Callable[[], str]] = {"backends": backends, "limits": limits, "deliveries": deliveries}


def _ours() -> list[Backend]:
    points = registry.installed().items()
    return [registry.load(name) for name, point in sorted(points) if point.value.startswith(_OURS)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_line(head), "|---" * len(head) + "|", *map(_line, rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _word(flag: bool) -> str:
    return "yes" if flag else "no"
