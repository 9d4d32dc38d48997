"""Applications of the Spark operator: driver and executors have labels and annotations of their own."""

from __future__ import annotations

from secrets_svc.task import objects, rules
from secrets_svc.task.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

PARTS = ("driver", "executor")


def add_to_application(
    application: dict[str, Any], add: Callable[[Any], None], parts: tuple[str, ...] | None
) -> None:
    """For a SparkApplication."""
    _add(objects.go(application, "spec"), add, parts)


def add_to_scheduled(
    application: dict[str, Any], add: Callable[[Any], None], parts: tuple[str, ...] | None
) -> None:
    """For a ScheduledSparkApplication."""
    _add(objects.go(application, "spec", "template"), add, parts)


KINDS = {"SparkApplication": add_to_application, "ScheduledSparkApplication": add_to_scheduled}


def _add(spec: dict[str, Any], add: Callable[[Any], None], parts: tuple[str, ...] | None) -> None:
    for part in PARTS if parts is None else parts:
        if part not in PARTS:
            raise InvalidRequest(f"there is no part {rules.shown(part)}; there: {', '.join(PARTS)}")
        add(objects.inside(spec, part))
