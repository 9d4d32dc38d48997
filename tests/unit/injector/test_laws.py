"""Laws of mutation over generated pods (I9)."""

from __future__ import annotations

import copy
import json
from typing import Any

from admissions import FILES, REQUEST, STATUS, Kit, apply, patch_of
from generated_pods import SECRETS, pods
from hypothesis import given, settings
from hypothesis import strategies as st

KIT = Kit()
for number, secret in enumerate(SECRETS):
    KIT.reader.put(secret, b"canary-%d" % number)
MANY = settings(max_examples=300)


@MANY
@given(pods())
def test_mutating_twice_changes_nothing_more(generated: dict[str, Any]) -> None:
    once = KIT.mutate(generated)
    second = KIT.admit(once)
    assert patch_of(second) == []
    assert apply(once, second) == once


@MANY
@given(pods())
def test_the_same_pod_gets_the_same_bytes(generated: dict[str, Any]) -> None:
    assert KIT.admit(generated)["patch"] == KIT.admit(copy.deepcopy(generated))["patch"]


@MANY
@given(pods())
def test_taking_away_what_was_added_gives_the_pod_back(generated: dict[str, Any]) -> None:
    assert without_ours(KIT.mutate(generated)) == without_ours(copy.deepcopy(generated))


@MANY
@given(pods())
def test_only_references_go_in(generated: dict[str, Any]) -> None:
    text = json.dumps(patch_of(KIT.admit(generated)))
    assert "canary" not in text
    mutated = KIT.mutate(generated)
    for before, after in zip(every_container(generated), every_container(mutated), strict=True):
        assert (before["command"], before["args"]) == (after["command"], after["args"])
        for entry in after.get("env", []):
            assert entry["name"].startswith("VAR_") == ("valueFrom" in entry)


@MANY
@given(pods())
def test_each_container_gets_what_it_asked_for_and_no_more(generated: dict[str, Any]) -> None:
    asked = json.loads(generated["metadata"]["annotations"][REQUEST])
    mutated = KIT.mutate(generated)
    volumes = {volume["name"]: volume for volume in mutated["spec"].get("volumes", [])}
    for container in every_container(mutated):
        mine = [
            each
            for each in asked
            if each["name"] != "absent" and container["name"] in each.get("containers", [container["name"]])
        ]
        got = [entry["name"] for entry in container.get("env", []) if "valueFrom" in entry]
        assert got == [each["env"] for each in mine if "env" in each]
        mounts = [mount for mount in container.get("volumeMounts", []) if mount["mountPath"] == FILES]
        files = [each["file"] for each in mine if "file" in each]
        assert len(mounts) == bool(files)
        if files:
            sources = volumes[mounts[0]["name"]]["projected"]["sources"]
            assert [source["secret"]["items"][0]["path"] for source in sources] == files


@MANY
@given(pods(), st.sampled_from(SECRETS))
def test_after_a_rotation_a_second_pass_is_the_first_pass_of_now(
    generated: dict[str, Any], name: str
) -> None:
    once = KIT.mutate(generated)
    KIT.reader.put(name, b"canary-new")
    assert KIT.mutate(once) == KIT.mutate(generated)


@MANY
@given(pods())
def test_a_container_added_by_another_webhook_is_served_at_reinvocation(generated: dict[str, Any]) -> None:
    once = KIT.mutate(generated)
    added: dict[str, Any] = {"name": "mesh", "command": ["run"], "args": []}
    once["spec"]["containers"].append(copy.deepcopy(added))
    generated["spec"]["containers"].append(copy.deepcopy(added))
    assert sorted_volumes(KIT.mutate(once)) == sorted_volumes(KIT.mutate(generated))


def every_container(pod_: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod_["spec"]["containers"], *pod_["spec"].get("initContainers", [])]


def without_ours(pod_: dict[str, Any]) -> dict[str, Any]:
    """``pod_`` less everything that refers to staged Secrets; empty lists count as absent."""
    pod_["metadata"]["annotations"].pop(STATUS, None)
    for container in every_container(pod_):
        env = [entry for entry in container.pop("env", []) if "valueFrom" not in entry]
        mounts = [m for m in container.pop("volumeMounts", []) if not m["name"].startswith("secrets-svc-")]
        container |= {key: value for key, value in (("env", env), ("volumeMounts", mounts)) if value}
    volumes = [v for v in pod_["spec"].pop("volumes", []) if not v["name"].startswith("secrets-svc-")]
    if volumes:
        pod_["spec"]["volumes"] = volumes
    return pod_


def sorted_volumes(pod_: dict[str, Any]) -> dict[str, Any]:
    if "volumes" in pod_["spec"]:
        pod_["spec"]["volumes"].sort(key=lambda volume: str(volume["name"]))
    return pod_
