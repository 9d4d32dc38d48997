"""The README's table of backends, made of what each declares."""

from __future__ import annotations

from secrets_svc.backends import registry
from secrets_svc.core.ports import Backend, Capabilities

_OURS = "secrets_svc.backends."
_HEAD = (
    "| backend | what it is | outlives the process | largest value | empty values | a read sees | "
    "writer and reader told apart |"
)
_SEES = {"strong": "every acknowledged write", "eventual": "a write soon after"}


def table() -> str:
    """The backends that come with this package, a row each, as Markdown."""
    names = sorted(name for name, point in registry.installed().items() if point.value.startswith(_OURS))
    rows = [_row(registry.load(name)) for name in names]
    return "\n".join([_HEAD, "|---" * 7 + "|", *rows]) + "\n"


def _row(backend: Backend) -> str:
    can: Capabilities = backend.capabilities
    cells = (
        f"`{backend.name}`",
        backend.summary,
        _word(can.durable),
        f"{can.max_value:,} bytes",
        _word(can.empty_value),
        _SEES[can.consistency],
        "by its own policy engine" if can.separate_identities else "not separable",
    )
    return "| " + " | ".join(cells) + " |"


def _word(flag: bool) -> str:
    return "yes" if flag else "no"
