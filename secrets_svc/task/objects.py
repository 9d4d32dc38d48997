"""Objects of Kubernetes as plain dicts, and as the models of its Python clients: the same steps in both.

The clients are never imported: their models say by themselves which attribute is which field.
"""

from __future__ import annotations

import re
import sys

from secrets_svc.task.annotations import merged
from secrets_svc.task.errors import InvalidRequest
from secrets_svc.task.requests import Secret

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: Of a client's model for a kind, such as V1Job or V1beta1CronJob.
_MODEL = re.compile(r"V\d+(?:(?:alpha|beta)\d+)?([A-Z]\w*)")


def kind_of(holder: Any) -> str | None:
    """What ``holder`` is an object of, where it says so."""
    kind = get(holder, "kind")
    if isinstance(kind, str) and kind:
        return kind
    found = _MODEL.fullmatch(type(holder).__name__)
    if found is not None and _attributes(holder) is not None:
        return found[1]
    spec = get(holder, "spec")
    return "PodTemplateSpec" if isinstance(spec, dict) and "containers" in spec else None


def get(holder: Any, field: str) -> Any:
    """Field ``field``, as the API calls it; ``None`` where there is nothing."""
    if isinstance(holder, dict):
        return holder.get(field)
    attribute = (_attributes(holder) or {}).get(field)
    return None if attribute is None else getattr(holder, attribute, None)


def go(holder: Any, *path: str) -> Any:
    """What lies at ``path``.

    :raises InvalidRequest: nothing does.
    """
    for number, field in enumerate(path):
        holder = get(holder, field)
        if holder is None or not (isinstance(holder, dict) or _attributes(holder) is not None):
            raise InvalidRequest(f"there is nothing at {'.'.join(path[: number + 1])}")
    return holder


def inside(holder: Any, field: str) -> Any:
    """The object in ``field``, made if there is none.

    :raises InvalidRequest: something else is there.
    """
    found = get(holder, field)
    if found is None:
        found = _new(holder, field)
        if isinstance(holder, dict):
            holder[field] = found
        else:
            setattr(holder, (_attributes(holder) or {})[field], found)
    if not isinstance(found, dict) and _attributes(found) is None:
        raise InvalidRequest(f"{field} is not an object")
    return found


def add(metadata: Any, requests: tuple[Secret, ...], labels: dict[str, str]) -> None:
    """Put requests and claim into ``metadata``, or whatever has labels and annotations."""
    before = texts(metadata, "labels"), texts(metadata, "annotations")
    for field, after in zip(("labels", "annotations"), merged(before, requests, labels)):  # both are two
        if isinstance(metadata, dict):
            if after or field in metadata:
                metadata[field] = after
        elif after:
            setattr(metadata, field, after)


def texts(holder: Any, field: str) -> dict[str, str]:
    """Labels or annotations.

    :raises InvalidRequest: something else is there.
    """
    found = get(holder, field)
    if found is None:
        return {}
    if not isinstance(found, dict) or not all(
        isinstance(each, str) for pair in found.items() for each in pair
    ):
        raise InvalidRequest(f"{field} must be texts by names")
    return dict(found)


def _attributes(holder: Any) -> dict[str, str] | None:
    """Attributes of a client's model by field; ``None`` for anything else."""
    known = getattr(type(holder), "attribute_map", None)
    if not isinstance(known, dict):
        return None
    return {field: attribute for attribute, field in known.items()}


def _new(holder: Any, field: str) -> Any:
    """An empty object for ``field``, of the class that the model next to ours has for it."""
    if isinstance(holder, dict):
        return {}
    attribute = (_attributes(holder) or {}).get(field, "")
    name = getattr(type(holder), "openapi_types", {}).get(attribute, "")
    models = sys.modules.get(type(holder).__module__.rpartition(".")[0])
    model = getattr(models, name, None)
    if not isinstance(model, type):
        raise InvalidRequest(f"{type(holder).__name__} has no {field}, and none can be made: give it one")
    return model()
