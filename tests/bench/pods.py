"""Pods as large and as demanding as wanted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import flyte_pods

from injector.dialects.flyte_text import FlyteSecret, Mount

#: Labels and annotations for so many secrets.
Marks = Callable[[int], dict[str, dict[str, str]]]


def our_marks(secrets: int) -> dict[str, dict[str, str]]:
    """Labels and annotation of our dialect."""
    requests = [
        {"name": f"secret-{index}"} if index % 2 else {"name": f"secret-{index}", "file": f"files/{index}"}
        for index in range(secrets)
    ]
    return {
        "labels": {"secrets-svc.internal/project": "shop", "secrets-svc.internal/domain": "production"},
        "annotations": {"secrets-svc.internal/request": json.dumps(requests)},
    }


def flytes_marks(secrets: int) -> dict[str, dict[str, str]]:
    """The same in Flyte's dialect, as Flyte 2 stamps it."""
    mounts = (Mount.FILE, Mount.ENV_VAR)
    wanted = [
        FlyteSecret(key=f"secret-{index}", mount=mounts[index % 2], env_var=f"SECRET_{index}" * (index % 2))
        for index in range(secrets)
    ]
    return flyte_pods.marks(wanted)


def review(*, secrets: int, kilobytes: float, dry_run: bool = False, marks: Marks = our_marks) -> bytes:
    """An AdmissionReview of about ``kilobytes``: two containers and an init container, managed fields as
    filler; ``secrets`` requests, every other one a file."""
    entries = 20 if kilobytes > 8 else 2
    env = [{"name": f"SETTING_{index}", "value": "v" * 40} for index in range(entries)]
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "task-",
            "namespace": "shop-production",
            **marks(secrets),
            "managedFields": [],
        },
        "spec": {
            "containers": [
                {"name": name, "image": "registry/task:1", "env": env} for name in ("main", "side")
            ],
            "initContainers": [{"name": "init", "image": "registry/task:1", "env": env}],
            "serviceAccountName": "default",
        },
    }
    body = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "operation": "CREATE",
            "namespace": "shop-production",
            "userInfo": {
                "username": "system:serviceaccount:engine:engine",
                "groups": ["system:authenticated"],
            },
            "object": pod,
            "dryRun": dry_run,
        },
    }
    fields: dict[str, Any] = {}
    pod["metadata"]["managedFields"].append({"manager": "engine", "operation": "Update", "fieldsV1": fields})
    while len(json.dumps(body)) < kilobytes * 1000:
        fields[f"f:field-{len(fields)}"] = {".": {}, "f:name": {}, "f:value": {}}
    return json.dumps(body).encode()
