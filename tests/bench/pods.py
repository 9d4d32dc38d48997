"""Pods as large and as demanding as wanted."""

from __future__ import annotations

import json
from typing import Any


def review(*, secrets: int, kilobytes: float, dry_run: bool = False) -> bytes:
    """An AdmissionReview of about ``kilobytes``: two containers and an init container, managed fields as
    filler; ``secrets`` requests, every other one a file."""
    requests = [
        {"name": f"secret-{index}"} if index % 2 else {"name": f"secret-{index}", "file": f"files/{index}"}
        for index in range(secrets)
    ]
    entries = 20 if kilobytes > 8 else 2
    env = [{"name": f"SETTING_{index}", "value": "v" * 40} for index in range(entries)]
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "task-",
            "namespace": "shop-production",
            "labels": {"secrets-svc.internal/project": "shop", "secrets-svc.internal/domain": "production"},
            "annotations": {"secrets-svc.internal/request": json.dumps(requests)},
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
