"""What Flyte's SDKs make of a task, as JSON: ``flyte_serialise.py flytekit|flyte MODULE TASK``.

Runs in the clients' environment, in the module's folder; it imports nothing of ours.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any


def by_flytekit(task: Any) -> Any:
    """Flyte 1's and Union's SDK."""
    from flytekit.configuration import Image, ImageConfig, SerializationSettings
    from flytekit.tools.translator import get_serializable

    image = Image(name="default", fqn="img", tag="1")
    settings = SerializationSettings(
        image_config=ImageConfig(default_image=image, images=[image]),
        project="shop",
        domain="production",
        version="v1",
        env={},
    )
    return get_serializable(OrderedDict(), settings, task).to_flyte_idl().template


def by_flyte2(task: Any) -> Any:
    """Flyte 2's SDK."""
    from flyte._internal.runtime.task_serde import translate_task_to_wire
    from flyte.models import SerializationContext

    context = SerializationContext(
        version="v1",
        project="shop",
        domain="production",
        org="flyte",
        root_dir=Path.cwd(),
        code_bundle=None,
    )
    return translate_task_to_wire(task, context).task_template


def main(sdk: str, module: str, name: str) -> None:
    """Print the task template."""
    from google.protobuf.json_format import MessageToDict

    sys.path.insert(0, ".")
    task = getattr(importlib.import_module(module), name)
    template = by_flytekit(task) if sdk == "flytekit" else by_flyte2(task)
    print(json.dumps(MessageToDict(template, preserving_proto_field_name=True)))


if __name__ == "__main__":
    main(*sys.argv[1:])
