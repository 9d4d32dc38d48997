"""Laws of mutation (I9) over generated pods of Flyte's."""

from __future__ import annotations

import copy
import json
from typing import Any

from admissions import Kit, apply, patch_of
from flyte_pods import marks
from generated_pods import pods
from hypothesis import given, settings
from hypothesis import strategies as st

from injector.dialects.flyte import FlyteDialect, Groups
from injector.dialects.flyte_text import FlyteSecret, Mount
from injector.requests import SecretRequest
from secrets_svc.core.secret import SecretType

KEYS, GROUPS, VERSIONS = ("k", "K", "db", "pull", "a-b"), ("", "db", "Web"), ("", "1")
MANY = settings(max_examples=300)
PULL = SecretRequest("for-all", optional=True, attach=True)


def kit_of(groups: Groups, **options: Any) -> Kit:
    kit = Kit(dialects=[FlyteDialect(groups=groups)], **options)
    names = ["_".join(filter(None, parts)) for parts in _all()]
    docker = b'{"auths": {"canary.example": {"auth": "Y2FuYXJ5"}}}'
    for name in {*names, *KEYS, "for-all"}:
        if name in ("pull", "for-all"):
            kit.reader.put(name, docker, type=SecretType.IMAGE_PULL)
        else:
            kit.reader.put(name, b"canary")
    return kit


def _all() -> list[tuple[str, str, str]]:
    return [(group, version, key) for group in GROUPS for version in VERSIONS for key in KEYS]


KITS = (kit_of(Groups.IGNORED), kit_of(Groups.NAMED), kit_of(Groups.NAMED, pulls=[PULL]))
WISHES = st.builds(
    lambda group, version, key, mount, env: FlyteSecret(group, version if group else "", key, mount, env),
    st.sampled_from(GROUPS),
    st.sampled_from(VERSIONS),
    st.sampled_from(KEYS),
    st.sampled_from(Mount),
    st.sampled_from(["", "", "ONE", "TWO", "_UNION_K"]),
)


@st.composite
def flytes(draw: st.DrawFn) -> dict[str, Any]:
    """A generated pod that asks as Flyte's do, and may set some of the variables itself."""
    pod_ = draw(pods())
    pod_["metadata"] |= marks(draw(st.lists(WISHES, min_size=1, max_size=5)))
    for container in [*pod_["spec"]["containers"], *pod_["spec"].get("initContainers", [])]:
        own = draw(
            st.lists(st.sampled_from(["ONE", "_UNION_K", "FLYTE_SECRETS_ENV_PREFIX", "A"]), max_size=3)
        )
        if own:
            container["env"] = [*container.get("env", []), *({"name": name, "value": "own"} for name in own)]
    return pod_


@MANY
@given(flytes(), st.sampled_from(KITS))
def test_mutating_twice_changes_nothing_more(generated: dict[str, Any], kit: Kit) -> None:
    first = kit.admit(generated)
    if not first["allowed"]:
        assert first["status"]["code"] == 400
        return
    once = apply(generated, first)
    assert patch_of(kit.admit(once)) == []
    assert kit.admit(copy.deepcopy(generated))["patch"] == first["patch"]


@MANY
@given(flytes(), st.sampled_from(KITS))
def test_only_references_go_in_and_no_name_is_there_twice(generated: dict[str, Any], kit: Kit) -> None:
    response = kit.admit(generated)
    if not response["allowed"]:
        return
    assert "canary" not in json.dumps(patch_of(response))
    assert "Y2FuYXJ5" not in json.dumps(patch_of(response))
    mutated = apply(generated, response)
    before = [*generated["spec"]["containers"], *generated["spec"].get("initContainers", [])]
    after = [*mutated["spec"]["containers"], *mutated["spec"].get("initContainers", [])]
    for old, new in zip(before, after, strict=True):
        assert (old["command"], old["args"]) == (new["command"], new["args"])
        given_ = [
            entry["name"] for entry in new.get("env", []) if "valueFrom" in entry or entry["name"] == "P"
        ]
        assert len(given_) == len(set(given_))
        own = [entry for entry in new.get("env", []) if entry.get("value") == "own"]
        assert not {entry["name"] for entry in own} & set(given_)
    for volume in mutated["spec"].get("volumes", []):
        if volume["name"].startswith("secrets-svc-files-"):
            paths = [source["secret"]["items"][0]["path"] for source in volume["projected"]["sources"]]
            assert len(paths) == len(set(paths))
            assert not any(other.startswith(path + "/") for path in paths for other in paths)
