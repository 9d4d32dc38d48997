"""Pods of all shapes, and what they ask for."""

from __future__ import annotations

import copy
from typing import Any

from admissions import pod
from hypothesis import strategies as st

SECRETS = [f"secret-{index}" for index in range(6)]
NAMES = st.sampled_from(["main", "side", "third"])
PLAIN_ENV = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["A", "B", "C"]), "value": st.text("xyz$()", max_size=8)}),
    max_size=4,
)
VOLUMES = [{"name": "data", "emptyDir": {}}, {"name": "more", "secret": {"secretName": "mine"}}]


@st.composite
def containers(draw: st.DrawFn, names: list[str]) -> list[dict[str, Any]]:
    made = []
    for name in names:
        container: dict[str, Any] = {
            "name": name,
            "image": "registry.invalid/task:1",
            "command": ["run"],
            "args": ["$(A)", "x"],
        }
        if draw(st.booleans()):
            container["env"] = draw(PLAIN_ENV)
        if draw(st.booleans()):
            container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}] * draw(st.integers(0, 1))
        made.append(container)
    return made


@st.composite
def requests(draw: st.DrawFn, names: list[str]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for index in range(draw(st.integers(1, 6))):
        request: dict[str, Any] = {"name": draw(st.sampled_from([*SECRETS, "absent"])), "optional": True}
        kind = draw(st.sampled_from(["env", "file", "both"]))
        if kind in ("env", "both"):
            request["env"] = f"VAR_{index}"
        if kind in ("file", "both"):
            request["file"] = f"folder/file-{index}"
            if draw(st.booleans()):
                request["mode"] = draw(st.sampled_from(["0444", "0644"]))
        if draw(st.booleans()):
            request["containers"] = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        made.append(request)
    return made


@st.composite
def pods(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    inits = draw(st.lists(st.sampled_from(["init", "proxy"]), max_size=2, unique=True))
    spec: dict[str, Any] = {}
    if inits:
        spec["initContainers"] = draw(containers(inits))
    made = draw(containers(names))
    mounts = any(each.get("volumeMounts") for each in (*made, *spec.get("initContainers", ())))
    if mounts or draw(st.booleans()):
        spec["volumes"] = copy.deepcopy(VOLUMES[: draw(st.integers(1 if mounts else 0, 2))])
    if draw(st.booleans()):
        spec["securityContext"] = {"fsGroup": 1000}
    return pod(draw(requests([*names, *inits])), containers=made, **spec)
