"""Generated pods through the real API server: every patch is accepted, and a second pass changes nothing."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from generated_pods import SECRETS, pods
from hypothesis import HealthCheck, given, settings
from installation import REQUEST, STATUS, Installation, pod, reference
from kit import Webhook, register, until

MANY = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def site(installation: Installation) -> tuple[Installation, str]:
    """A namespace whose project has all the secrets that generated pods may ask for."""
    namespace = installation.namespace("generated", "production")
    for name in SECRETS:
        installation.secret("create", name, "-p", "generated", "-d", "production", stdin=b"x")
    return installation, namespace


def of_ours(stored: dict[str, Any]) -> Any:
    """What a pass of ours puts into a pod."""
    spec = stored["spec"]
    every = [*spec["containers"], *spec.get("initContainers", ())]
    volumes = [each for each in spec["volumes"] if each["name"].startswith("secrets-svc-")]
    mounts = [
        [mount for mount in each.get("volumeMounts", ()) if mount["name"].startswith("secrets-svc-")]
        for each in every
    ]
    return [each.get("env") for each in every], mounts, volumes, stored["metadata"]["annotations"].get(STATUS)


def again(stored: dict[str, Any]) -> dict[str, Any]:
    """A pod that is made of a stored one, as restores and copying controllers make them."""
    metadata = {"name": f"p-{uuid.uuid4().hex[:10]}", "annotations": stored["metadata"]["annotations"]}
    spec = copy.deepcopy(stored["spec"])
    spec.pop("nodeName", None)
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@MANY
@given(generated=pods())
def test_every_patch_is_accepted_and_twice_is_once(
    site: tuple[Installation, str], generated: dict[str, Any]
) -> None:
    installation, namespace = site
    generated["metadata"]["name"] = f"p-{uuid.uuid4().hex[:10]}"
    first = installation.admitted(namespace, generated)
    second = installation.admitted(namespace, again(first))
    assert of_ours(second) == of_ours(first)
    assert "command" in first["spec"]["containers"][0]
    for stored in (first, second):
        path = f"/api/v1/namespaces/{namespace}/pods/{stored['metadata']['name']}?gracePeriodSeconds=0"
        installation.api("DELETE", path).ok()


def steal(staged: str) -> Callable[[dict[str, Any]], list[dict[str, Any]]]:
    """What a meddling webhook puts into pods."""
    entry = {"name": "STOLEN", "valueFrom": {"secretKeyRef": {"name": staged, "key": "value"}}}
    return lambda _: [{"op": "add", "path": "/spec/containers/0/env/-", "value": entry}]


def relabel(_: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"op": "add", "path": "/metadata/annotations/meddled", "value": "yes"}]


def strip(request: dict[str, Any]) -> list[dict[str, Any]]:
    env = request["object"]["spec"]["containers"][0].get("env", [])
    return [{"op": "remove", "path": "/spec/containers/0/env/0"}] if env else []


def meddled(installation: Installation, namespace: str, patch: Any, body: dict[str, Any]) -> Any:
    """The answer to a pod that another webhook changes after ours did."""
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    with Webhook(installation.cluster, patch) as webhook:
        remove = register(
            installation.cluster, f"zz-{uuid.uuid4().hex[:8]}", webhook.url, namespaceSelector=selector
        )
        try:
            probe = {**pod("probe", None)}
            until(
                lambda: installation.submit(namespace, probe, query="?dryRun=All") and webhook.requests,
                what="the second webhook to be asked",
            )
            return installation.submit(namespace, body)
        finally:
            remove()


def test_a_second_webhook_that_changes_something_else_changes_nothing_of_ours(
    installation: Installation, shop: str
) -> None:
    name = installation.create(b"x")
    plain = installation.admitted(shop, pod("plain", [{"name": name, "env": "A", "file": "a"}]))
    answer = meddled(installation, shop, relabel, pod("meddled", [{"name": name, "env": "A", "file": "a"}]))
    assert answer.ok()["metadata"]["annotations"]["meddled"] == "yes"
    assert of_ours(answer.body) == of_ours(plain)


def test_a_second_webhook_that_takes_ours_away_is_put_right(installation: Installation, shop: str) -> None:
    name = installation.create(b"x")
    answer = meddled(installation, shop, strip, pod("stripped", [{"name": name, "env": "A"}]))
    assert reference(answer.ok(), "A") in installation.staged(shop)


def ask_late(request: dict[str, Any]) -> list[dict[str, Any]]:
    annotations = request["object"]["metadata"].get("annotations", {})
    asked = {**annotations, REQUEST: json.dumps([{"name": "late", "optional": True}])}
    return [{"op": "add", "path": "/metadata/annotations", "value": asked}]


def test_guard_5_a_request_that_comes_after_our_turn_is_not_overlooked(
    installation: Installation, shop: str
) -> None:
    answer = meddled(installation, shop, ask_late, pod("late", None))
    assert answer.status == 422
    assert "guard 5" in answer.body["message"]


@pytest.mark.parametrize("request_", ["[]", " [ ] "])
def test_but_a_request_for_nothing_is_answered_by_nothing(
    installation: Installation, shop: str, request_: str
) -> None:
    stored = installation.admitted(shop, pod(f"n{len(request_)}", request_))
    assert STATUS not in stored["metadata"]["annotations"]


def test_a_second_webhook_that_steals_is_refused(installation: Installation, shop: str) -> None:
    name = installation.create(b"x")
    other = installation.create(b"y")
    staged = reference(installation.admitted(shop, pod("owner", [{"name": other, "env": "A"}])), "A")
    answer = meddled(installation, shop, steal(staged), pod("thief", [{"name": name, "env": "A"}]))
    assert answer.status == 400
    assert "refers to a Secret whose name begins" in answer.body["message"]
    assert json.loads(pod("x", [{"name": name}])["metadata"]["annotations"][REQUEST])  # it did ask
