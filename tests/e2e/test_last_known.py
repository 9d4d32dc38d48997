"""``injector.last_known_good`` in a real server, whose store hangs."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from admissions import STATUS, apply, pod, review
from harness import Server
from two_stores import STRICKEN, two_stores

POD = pod([{"name": "db"}])


def admit(server: Server, namespace: str) -> dict[str, Any]:
    parts = urlsplit(server.webhook)
    trust = ssl.create_default_context(cafile=str(server.ca_file))
    opened = HTTPSConnection(parts.hostname or "", parts.port, context=trust, timeout=20)
    try:
        opened.request("POST", "/mutate", review(POD, namespace=namespace))
        response: dict[str, Any] = json.loads(opened.getresponse().read())["response"]
        return response
    finally:
        opened.close()


@pytest.mark.parametrize("seconds", [0, 600])
def test_pods_go_on_where_the_operator_allows_it(
    launch: Callable[..., Server], tmp_path: Path, seconds: int
) -> None:
    elsewhere = tmp_path / "stores"
    elsewhere.mkdir()
    with two_stores(elsewhere) as (proxy, settings):
        wanted = settings.replace("[injector]\n", f"[injector]\nlast_known_good = {seconds}\n")
        server = launch(wanted).start()
        made = server.create("db", "value", project=STRICKEN, domain="production").json()
        namespace = f"{STRICKEN}-production"
        fresh = admit(server, namespace)
        assert fresh["allowed"]
        with proxy.failing("black hole"):
            response = admit(server, namespace)
        assert response["allowed"] == bool(seconds)
        if seconds:
            patched = apply(POD, response)
            [entry] = json.loads(patched["metadata"]["annotations"][STATUS])
            assert entry["version"] == made["version"]
            assert server.audit()[-1]["as_of"] == {"db": entry["as_of"]}
            assert patched["spec"] == apply(POD, fresh)["spec"]
        else:
            assert response["status"]["code"] == 503
        assert server.stop() == 0
