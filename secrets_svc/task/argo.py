"""Workflows of Argo: metadata of all pods in ``podMetadata``, of some in their template.

A template's own annotation replaces the one of ``podMetadata``; it isn't added to it
(argo-workflows, workflow/controller/workflowpod.go, ``addMetadata``). What is asked for above a template is
therefore asked for in it too, as soon as it has an annotation of its own.
"""

from __future__ import annotations

from secrets_svc.task import objects, rules
from secrets_svc.task.errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_OURS = {"labels": (rules.PROJECT_LABEL, rules.DOMAIN_LABEL), "annotations": (rules.REQUEST,)}


def add_to_workflow(
    workflow: dict[str, Any], add: Callable[[Any], None], parts: tuple[str, ...] | None
) -> None:
    """For a Workflow, a WorkflowTemplate or a ClusterWorkflowTemplate."""
    _add(objects.go(workflow, "spec"), add, parts)


def add_to_cron_workflow(
    workflow: dict[str, Any], add: Callable[[Any], None], parts: tuple[str, ...] | None
) -> None:
    """For a CronWorkflow."""
    _add(objects.go(workflow, "spec", "workflowSpec"), add, parts)


KINDS = {
    "Workflow": add_to_workflow,
    "WorkflowTemplate": add_to_workflow,
    "ClusterWorkflowTemplate": add_to_workflow,
    "CronWorkflow": add_to_cron_workflow,
}


def _add(spec: dict[str, Any], add: Callable[[Any], None], parts: tuple[str, ...] | None) -> None:
    templates = _templates(spec)
    if parts is not None:
        for name in parts:
            if name not in templates:
                there = ", ".join(str(each) for each in templates)
                raise InvalidRequest(f"there is no template {rules.shown(name)}; there: {there}")
            metadata = objects.inside(templates[name], "metadata")
            _inherit(metadata, spec)
            add(metadata)
        return
    add(objects.inside(spec, "podMetadata"))
    defaults = spec.get("templateDefaults")
    for template in (*templates.values(), *([defaults] if isinstance(defaults, dict) else [])):
        metadata = template.get("metadata")
        if isinstance(metadata, dict) and rules.REQUEST in objects.texts(metadata, "annotations"):
            add(metadata)


def _templates(spec: dict[str, Any]) -> dict[Any, dict[str, Any]]:
    found = spec.get("templates") or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise InvalidRequest("templates must be a list of objects")
    return {each.get("name"): each for each in found}


def _inherit(metadata: dict[str, Any], spec: dict[str, Any]) -> None:
    """Give a template what it has from above, where something of its own will hide that."""
    defaults = spec.get("templateDefaults")
    above = [defaults.get("metadata") if isinstance(defaults, dict) else None, spec.get("podMetadata")]
    for field, keys in _OURS.items():
        own = objects.texts(metadata, field)
        for holder in above:
            there = objects.texts(holder or {}, field)
            own = {**{key: there[key] for key in keys if key in there}, **own}
        if own:
            metadata[field] = own
