"""A mutating webhook of a test's own: it keeps every review and answers with the patch it is told to."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from .access import Access

Patch = list[dict[str, Any]]
_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"


class Webhook:
    """Listens on 127.0.0.1 with a certificate of the cluster's authority; a context manager.

    :param patch: makes a JSON patch of an AdmissionReview's ``request``.
    :ivar requests: all that it was asked, in order.
    """

    def __init__(self, access: Access, patch: Callable[[dict[str, Any]], Patch]) -> None:
        self.requests: list[dict[str, Any]] = []
        self._patch = patch
        pair = access.issue("webhook", hosts=["127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """For a webhook configuration."""
        return f"https://127.0.0.1:{self._server.server_address[1]}/mutate"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # An idle connection doesn't keep a thread for ever.
            timeout = 10

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                answer = webhook._answer(json.loads(content)["request"])
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler

    def _answer(self, request: dict[str, Any]) -> bytes:
        self.requests.append(request)
        patch = base64.b64encode(json.dumps(self._patch(request)).encode()).decode()
        response = {"uid": request["uid"], "allowed": True, "patchType": "JSONPatch", "patch": patch}
        review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}
        return json.dumps(review).encode()


def register(
    access: Access, name: str, url: str, *, ca: bytes | None = None, **fields: Any
) -> Callable[[], None]:
    """Register any mutating webhook for the creation of pods, by its URL. It is live a moment later.

    :param ca: what to trust for it, in PEM; the cluster's authority by default.
    :param fields: further ones of the webhook, or other values: ``namespaceSelector``, ``matchConditions``, …
    :return: takes it away again.
    """
    client = {"url": url, "caBundle": base64.b64encode(ca or access.ca_file.read_bytes()).decode()}
    webhook: Mapping[str, Any] = {
        "name": f"{name}.secrets-svc.invalid",
        "clientConfig": client,
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "timeoutSeconds": 5,
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]},
        ],
        **fields,
    }
    access.api("POST", _CONFIGURATIONS, {"metadata": {"name": name}, "webhooks": [webhook]}).ok()

    def withdraw() -> None:
        access.api("DELETE", f"{_CONFIGURATIONS}/{name}").ok()

    return withdraw
