"""Who may send reviews: with ``injector.client_ca``, the API server alone."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from installation import Installation, Server, pod, reference
from kit.control_plane import WEBHOOK_CALLERS


@pytest.fixture(scope="module")
def guarded(installation: Installation) -> Iterator[Server]:
    """An injector that knows the API server by its certificate."""
    authority = installation.cluster.layout.pair(WEBHOOK_CALLERS).certificate
    server = installation.serve("injector", injector=f'client_ca = "{authority}"')
    installation.lead_to(server)
    yield server
    installation.lead_to(installation.server)
    server.stop()


def review_of(namespace: str, name: str) -> dict[str, Any]:
    return {
        "uid": "u",
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "namespace": namespace,
        "operation": "CREATE",
        "userInfo": {"username": "system:admin"},
        "object": pod("a", [{"name": name}]),
    }


def test_the_api_server_is_known(installation: Installation, guarded: Server, shop: str) -> None:
    name = installation.create(b"x")
    stored = installation.admitted(shop, pod("a", [{"name": name, "env": "A"}]))
    assert reference(stored, "A") in installation.staged(shop)


def test_nobody_else_is(installation: Installation, guarded: Server, shop: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        guarded.review(review_of(shop, "asked-by-a-stranger"))
    assert refused.value.code == 403
    assert refused.value.read().startswith(b"unauthenticated: ")
    assert "asked-by-a-stranger" not in installation.audit_text()


def test_nor_with_a_certificate_of_another_authority(
    installation: Installation, guarded: Server, shop: str
) -> None:
    trust = ssl.create_default_context(cafile=str(guarded.ca))
    node = installation.cluster.layout.pair("node")
    trust.load_cert_chain(node.certificate, node.key)
    body = json.dumps({"request": review_of(shop, "x")}).encode()
    with pytest.raises((urllib.error.URLError, ConnectionError, ssl.SSLError)) as refused:
        urllib.request.urlopen(guarded.url, body, context=trust, timeout=10)
    assert not isinstance(refused.value, urllib.error.HTTPError)


def test_probes_need_none(guarded: Server) -> None:
    assert guarded.ask("/readyz") == b"ok\n"
    assert guarded.ask("/livez") == b"ok\n"
