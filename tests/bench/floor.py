"""The floor: a server that allows everything (``python floor.py STATE uvicorn|own``; prints its URL).

``uvicorn`` is a raw ASGI callable, the least a Python framework costs; ``own`` is our own HTTP.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import uvloop

from cli.serving.sockets import ApiServer, address_of, bind, serve_together
from injector.http import Response
from injector.server import WebhookServer
from secrets_svc.runtime.certificates import own_certificates

ANSWER = json.dumps(
    {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "allowed": True},
    }
).encode()
ALLOWED = Response(200, b"application/json", ANSWER)
HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]


async def allow(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
    """Read the review, allow it unseen."""
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": ANSWER})


def main() -> None:
    """Serve until SIGTERM."""
    certificate = own_certificates(Path(sys.argv[1]), ("localhost", "127.0.0.1", "::1"))
    listener = bind("127.0.0.1:0", "floor")
    server = (
        WebhookServer(lambda requests: [ALLOWED] * len(requests), context=certificate.context())
        if sys.argv[2] == "own"
        else ApiServer(allow, certificate=certificate, idle_timeout=30, keep_alive=120)
    )
    url = f"https://{address_of(listener)}/mutate"
    uvloop.run(
        serve_together([(server, listener)], started=lambda: print(url, flush=True), renew=lambda: None)
    )


if __name__ == "__main__":
    main()
