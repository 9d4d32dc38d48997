"""Finds backends by their entry points; imports only the ones that are asked for."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from secrets_svc.core.errors import InvalidArgument, Unsupported
from secrets_svc.core.ports import Backend

GROUP = "secrets_svc.backends"


def installed() -> dict[str, EntryPoint]:
    """Every installed backend's entry point by its name, none imported yet.

    :raises InvalidArgument: two packages claim one name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in found and found[point.name].value != point.value:
            raise InvalidArgument(
                f'two installed packages offer a backend named "{point.name}": '
                f"{found[point.name].value} and {point.value}; remove one"
            )
        found[point.name] = point
    return found


def load(name: str) -> Backend:
    """The backend of that name.

    :raises InvalidArgument: no such backend is installed.
    :raises Unsupported: it is, but the client library it needs isn't.
    """
    points = installed()
    if name not in points:
        raise InvalidArgument(f'there is no backend named "{name}"; installed: {", ".join(sorted(points))}')
    try:
        backend: Backend = points[name].load()
    except ModuleNotFoundError as error:
        raise Unsupported(
            f'backend "{name}" needs the module "{error.name}": install the extra, '
            f'e.g. pip install "secrets-svc[{_extra_for(name)}]"'
        ) from error
    return backend


def _extra_for(name: str) -> str:
    return "server" if name in {"local", "memory"} else name
