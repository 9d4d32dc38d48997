"""Asks a webhook what it would answer to a pod: a dry run over TLS, as the API server would send it."""

from __future__ import annotations

import base64
import getpass
import json
import ssl
import uuid
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from secrets_svc.client.trust import untrusted
from secrets_svc.core.errors import InvalidArgument, Unavailable

#: Bytes of an answer.
_MAX_ANSWER = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the webhook says.

    :param code: the refusal's stable code. :param patch: operations of the JSON patch.
    """

    allowed: bool
    message: str = ""
    code: str = ""
    patch: tuple[dict[str, Any], ...] = ()
    warnings: tuple[str, ...] = ()


def ask_webhook(
    url: str, *, ca_file: str | None, pod: dict[str, Any], namespace: str, timeout: float
) -> Verdict:
    """Send ``pod`` as a dry run.

    :param ca_file: whom to trust; the system's authorities without it. :param timeout: seconds.
    :raises Unavailable: nothing there answers as a webhook does. :raises InvalidArgument: the URL is no such.
    """
    uid = str(uuid.uuid4())
    answer = _post(url, ca_file, json.dumps(_review(uid, pod, namespace)).encode(), timeout)
    try:
        response = answer["response"]
        if response["uid"] != uid or not isinstance(response["allowed"], bool):
            raise ValueError
        status = response.get("status") or {}
        patch = json.loads(base64.b64decode(response["patch"])) if response.get("patch") else []
        return Verdict(
            response["allowed"],
            str(status.get("message", "")),
            str(status.get("reason", "")),
            tuple(patch),
            tuple(map(str, response.get("warnings") or ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Unavailable(f"{url} did not answer as an admission webhook") from None


def _review(uid: str, pod: dict[str, Any], namespace: str) -> dict[str, Any]:
    kind = {"group": "", "version": "v1", "kind": "Pod"}
    metadata = {**(pod.get("metadata") or {}), "namespace": namespace}
    return {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": uid,
            "kind": kind,
            "resource": {"group": "", "version": "v1", "resource": "pods"},
            "namespace": namespace,
            "operation": "CREATE",
            "userInfo": {"username": f"check:{getpass.getuser()}"},
            "object": {**pod, "metadata": metadata},
            "dryRun": True,
        },
    }


def _post(url: str, ca_file: str | None, body: bytes, timeout: float) -> Any:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise InvalidArgument("a webhook is reached by https: set injector in the context")
    try:
        trust = ssl.create_default_context(cafile=ca_file)
    except OSError:
        raise InvalidArgument(f"CA file {ca_file} can't be used") from None
    connection = HTTPSConnection(parts.hostname, parts.port or 443, timeout=timeout, context=trust)
    try:
        connection.request("POST", parts.path or "/", body, {"content-type": "application/json"})
        response = connection.getresponse()
        text = response.read(_MAX_ANSWER)
        if response.status != 200:
            raise Unavailable(f"{url} answered with status {response.status}")
        return json.loads(text)
    except ConnectionRefusedError:
        raise Unavailable(f'nothing listens at {url}; start it with "secret serve all"') from None
    except ssl.SSLCertVerificationError as error:
        raise untrusted(url, error, remedy="set injector_ca in the context") from error
    except (OSError, HTTPException, ValueError) as error:
        raise Unavailable(f"{url} did not answer") from error
    finally:
        connection.close()
