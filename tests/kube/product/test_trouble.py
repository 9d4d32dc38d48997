"""The API server in trouble: coded refusals within the deadline, and everything well again afterwards."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from installation import Installation, Server, pod, reference
from unreliable import Unreliable

DEADLINE = 5.0
STAGING = "POST /secrets"
LEASE = "PATCH /leases/ss-"


@pytest.fixture(scope="module")
def proxy(installation: Installation) -> Iterator[Unreliable]:
    """Between our second server and the API server."""
    with Unreliable(installation.cluster) as made:
        yield made


@pytest.fixture(scope="module")
def troubled(installation: Installation, proxy: Unreliable) -> Iterator[Server]:
    """An injector behind the proxy, to which the webhook leads."""
    server = installation.serve("injector", kubeconfig=proxy.kubeconfig(installation.injectors_kubeconfig()))
    installation.lead_to(server)
    yield server
    installation.lead_to(installation.server)
    server.stop()


def failure(code: int, reason: str, message: str = "no") -> dict[str, Any]:
    """What the proxy answers."""
    body = {"kind": "Status", "apiVersion": "v1", "code": code, "reason": reason, "message": message}
    return {"status": code, "body": body}


FAULTS: dict[str, tuple[str, dict[str, Any], int, str]] = {
    "hangs up": (STAGING, {"status": 0}, 503, "unavailable; .*the API server can't be reached"),
    "slow": (STAGING, {"status": 0, "delay": 9}, 503, "(deadline_exceeded|unavailable); "),
    "403": (STAGING, failure(403, "Forbidden"), 503, "unavailable; .*has no right to"),
    "403 on leases": (LEASE, failure(403, "Forbidden"), 503, "unavailable; .*has no right to"),
    "409 again and again": (LEASE, failure(409, "Conflict"), 503, "unavailable; .*changes under our hands"),
    "429": (
        LEASE,
        {**failure(429, "TooManyRequests"), "headers": {"retry-after": "1"}},
        429,
        "throttled; .*slow",
    ),
    "500": (STAGING, failure(500, "InternalError", "etcd said sesame"), 503, "unavailable; "),
    "garbage": (LEASE, {"status": 200, "body": {"kind": "Nonsense"}}, 503, "unavailable; "),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_trouble_is_refused_with_its_code_in_time(
    installation: Installation, troubled: Server, proxy: Unreliable, shop: str, fault: str
) -> None:
    what, how, code, text = FAULTS[fault]
    name = installation.create(b"x")
    body = pod("a", [{"name": name, "env": "A"}])
    began = time.monotonic()
    with proxy.failing(what, **how):
        answer = installation.submit(shop, body)
    assert time.monotonic() - began < DEADLINE + 1.5
    assert answer.status >= 400, answer.body
    assert re.search(text, answer.body["message"]), answer.body["message"]
    assert answer.body["code"] == code
    assert f'secret "{name}"' in answer.body["message"]
    assert "sesame" not in answer.body["message"]
    assert proxy.asked
    proxy.asked.clear()
    assert reference(installation.admitted(shop, body), "A") in installation.staged(shop)


def test_a_short_throttling_is_waited_out(
    installation: Installation, troubled: Server, proxy: Unreliable, shop: str
) -> None:
    name = installation.create(b"x")
    proxy.asked.clear()
    throttled = proxy.failing(LEASE, **failure(429, "TooManyRequests"), headers={"retry-after": "1"})
    throttled.__enter__()
    threading.Timer(0.5, lambda: throttled.__exit__(None, None, None)).start()
    stored = installation.admitted(shop, pod("a", [{"name": name, "env": "A"}]))
    assert reference(stored, "A") in installation.staged(shop)
    assert len(proxy.asked) == 1


def test_what_is_staged_needs_no_api_server(
    installation: Installation, troubled: Server, proxy: Unreliable, shop: str
) -> None:
    name = installation.create(b"x")
    body = pod("a", [{"name": name, "env": "A"}])
    installation.admitted(shop, body)
    with proxy.failing("/", 500):
        installation.admitted(shop, pod("b", [{"name": name, "env": "A"}]))
        fresh = installation.create(b"y")
        assert "unavailable" in installation.refused(shop, pod("c", [{"name": fresh}]))


def test_a_full_quota_is_told_as_one(installation: Installation, shop: str) -> None:
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"count/secrets": "1"}}}
    installation.api("POST", f"/api/v1/namespaces/{shop}/resourcequotas", quota).ok()
    names = [installation.create(b"x") for _ in range(2)]
    time.sleep(1)  # the quota controller has counted

    def refusal() -> Any:
        return installation.submit(shop, pod("a", [{"name": name} for name in names]))

    answer = refusal()
    assert answer.status == 429, answer.body
    assert "quota_exceeded; " in answer.body["message"]
    assert "a ResourceQuota of the namespace is used up" in answer.body["message"]
    assert "retryable=true" in answer.body["message"]


def test_a_terminating_namespace_is_told_as_one(installation: Installation, shop: str) -> None:
    name = installation.create(b"x")
    held = {"metadata": {"name": "held", "finalizers": ["example.com/held"]}}
    installation.api("POST", f"/api/v1/namespaces/{shop}/configmaps", held).ok()
    installation.api("DELETE", f"/api/v1/namespaces/{shop}").ok()
    try:
        message = installation.refused(shop, pod("a", [{"name": name}]))
        assert "the namespace is being deleted" in message or "is being terminated" in message
    finally:
        patch = {"metadata": {"finalizers": None}}
        path = f"/api/v1/namespaces/{shop}/configmaps/held"
        installation.merge(path, patch).ok()
