"""Task pods as Flyte's engines make them of what their SDKs serialise."""

from __future__ import annotations

import base64
import functools
import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flyte_clients import QUIET, programs
from flyteidl2.core import security_pb2
from google.protobuf import text_format

from injector.dialects.flyte_text import FlyteSecret, Mount

_FLYTE = "abcdefghijklmnopqrstuvwxyz123456"
_RFC = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


def encode(secret: FlyteSecret) -> str:
    """The annotation's value, by protobuf's own writer."""
    message = security_pb2.Secret(
        group=secret.group,
        group_version=secret.group_version,
        key=secret.key,
        mount_requirement=secret.mount.value,
        env_var=secret.env_var,
    )
    text = text_format.MessageToString(message).encode()
    return base64.b32encode(text).decode().rstrip("=").translate(str.maketrans(_RFC, _FLYTE))


def marks(
    secrets: Iterable[FlyteSecret], *, project: str = "shop", domain: str = "production", flyte: int = 2
) -> dict[str, dict[str, str]]:
    """Labels and annotations that the engine of Flyte 1 or 2 gives to a pod with these requests."""
    labels = {"project": project, "domain": domain}
    annotations = {f"flyte.secrets/s{index}": encode(secret) for index, secret in enumerate(secrets)}
    if annotations:
        labels["inject-flyte-secrets"] = "true"
    if flyte == 1:
        labels |= {"execution-id": "f1", "node-id": "n0", "workflow-name": "report", "interruptible": "false"}
    else:
        labels |= {"organization": "flyte", "flyte.org/managed": "true", "run": "r1", "action": "a0"}
    return {"labels": labels, "annotations": annotations}


def flyte_pod(
    *secrets: FlyteSecret,
    containers: list[dict[str, Any]] | None = None,
    project: str = "shop",
    domain: str = "production",
    flyte: int = 2,
    **spec: Any,
) -> dict[str, Any]:
    """A task pod with these requests."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "task", **marks(secrets, project=project, domain=domain, flyte=flyte)},
        "spec": {"containers": containers or [{"name": "main", "image": "task:1"}], **spec},
    }


TASKS = Path(__file__).parents[1] / "data" / "flyte"
_SERIALISE = Path(__file__).with_name("flyte_serialise.py")


@functools.cache
def template_of(module: str, task: str) -> dict[str, Any]:
    """What its own SDK makes of a task in tests/data/flyte."""
    sdk = "flytekit" if module == "tasks_of_flytekit" else "flyte"
    made = subprocess.run(
        [programs() / "python", _SERIALISE, sdk, module, task],
        cwd=TASKS,
        env={"PATH": os.environ["PATH"], "HOME": os.devnull, "PYTHONDONTWRITEBYTECODE": "1", **QUIET},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert made.returncode == 0, made.stderr.decode()
    template: dict[str, Any] = json.loads(made.stdout)
    return template


def secrets_of(template: Mapping[str, Any]) -> list[FlyteSecret]:
    """What the task asks for."""
    asked = template["security_context"]["secrets"]
    return [
        FlyteSecret(
            group=each.get("group", ""),
            group_version=each.get("group_version", ""),
            key=each.get("key", ""),
            mount=Mount[each.get("mount_requirement", "ANY")],
            env_var=each.get("env_var", ""),
        )
        for each in asked
    ]


def pod_of(module: str, task: str, **inputs: str) -> dict[str, Any]:
    """The pod that the engine makes of a task.

    :param inputs: what stands for its templates, ``{{.input}}``, in the arguments.
    """
    template = template_of(module, task)
    flyte = 1 if module == "tasks_of_flytekit" else 2
    container = template["container"]
    main = {
        "name": "main",
        "image": container["image"],
        "args": [_filled(a, inputs) for a in container["args"]],
    }
    if flyte == 2:
        variables = {
            "ACTION_NAME": "a0",
            "RUN_NAME": "r1",
            "FLYTE_INTERNAL_EXECUTION_PROJECT": "shop",
            "FLYTE_INTERNAL_EXECUTION_DOMAIN": "production",
            "_U_ORG_NAME": "local",
        }
        main["env"] = [{"name": name, "value": value} for name, value in variables.items()]
    return flyte_pod(*secrets_of(template), containers=[main], flyte=flyte, restartPolicy="Never")


def _filled(argument: str, inputs: Mapping[str, str]) -> str:
    if not argument.startswith("{{."):
        return argument
    return inputs.get(argument.removeprefix("{{.").removesuffix("}}"), "")
