"""Asks what an admission would answer to a pod: a webhook by itself, or a cluster by a dry run."""

from __future__ import annotations

import base64
import getpass
import json
import os
import re
import ssl
import uuid
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from secrets_svc.client.trust import untrusted
from secrets_svc.core.errors import InvalidArgument, Unavailable, by_code

#: Bytes of an answer.
_MAX_ANSWER = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer.

    :param code: the refusal's stable code. :param pod: as it would become; ``None`` if it is refused.
    """

    message: str = ""
    code: str = ""
    pod: dict[str, Any] | None = None
    warnings: tuple[str, ...] = ()


def ask_webhook(
    url: str,
    *,
    ca_file: str | None,
    pod: dict[str, Any],
    namespace: str,
    username: str | None = None,
    timeout: float,
) -> Verdict:
    """Send ``pod`` as a dry run.

    :param ca_file: whom to trust; the system's authorities without it. :param timeout: seconds.
    :param username: who creates it; by default somebody whom no proof goes by.
    :raises Unavailable: nothing there answers as a webhook does. :raises InvalidArgument: the URL is no such.
    """
    uid = str(uuid.uuid4())
    answer = _post(url, ca_file, json.dumps(_review(uid, pod, namespace, username)).encode(), timeout)
    try:
        response = answer["response"]
        if response["uid"] != uid or not isinstance(response["allowed"], bool):
            raise ValueError
        status = response.get("status") or {}
        patch = json.loads(base64.b64decode(response["patch"])) if response.get("patch") else []
        warnings = tuple(map(str, response.get("warnings") or ()))
        if response["allowed"]:
            return Verdict(pod=_patched(pod, patch), warnings=warnings)
        return Verdict(str(status.get("message", "")), str(status.get("reason", "")), warnings=warnings)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Unavailable(f"{url} did not answer as an admission webhook") from None


def _patched(pod: dict[str, Any], patch: list[dict[str, Any]]) -> dict[str, Any]:
    import jsonpatch

    try:
        found: dict[str, Any] = jsonpatch.apply_patch(pod, patch)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
        raise Unavailable("the webhook's patch does not fit the pod") from error
    return found


#: What the API server puts in front of a webhook's refusal.
_DENIED = re.compile(r'admission webhook "[^"]*" denied the request: ')


def ask_cluster(
    kubeconfig: str | None, context: str | None, *, pod: dict[str, Any], namespace: str, timeout: float
) -> Verdict:
    """Have the API server create ``pod`` as a dry run, with all that its admission does, for whoever we are.

    :param kubeconfig: by default ``KUBECONFIG``, or ~/.kube/config.
    :raises Unavailable: it doesn't answer. :raises InvalidArgument: there is no way to it.
    """
    from secrets_svc.kube.api import connect, path_of
    from secrets_svc.kube.errors import ApiError

    path = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    file = Path(path.partition(os.pathsep)[0]).expanduser()
    if not file.exists():
        raise InvalidArgument(f"there is no kubeconfig {file}: say which with --kubeconfig")
    metadata = {**(pod.get("metadata") or {}), "namespace": namespace}
    if not metadata.get("name"):
        metadata.setdefault("generateName", "check-")
    body = {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": metadata}
    api = connect(file, context=context)
    try:
        query = {"dryRun": "All"}
        return Verdict(
            pod=api.call("POST", path_of("v1", "pods", namespace), body=body, query=query, timeout=timeout)
        )
    except ApiError as error:
        if not error.text:
            raise error.translated("ask the cluster") from error
        return Verdict(_DENIED.sub("", error.text), _code_of(error.status, error.reason))
    finally:
        api.close()


def _code_of(status: int, reason: str) -> str:
    """Ours where the refusal is ours, else the one that comes nearest."""
    if reason in by_code():
        return reason
    codes = {
        400: "invalid_argument",
        422: "invalid_argument",
        403: "permission_denied",
        401: "unauthenticated",
    }
    return {**codes, 404: "not_found", 409: "conflict", 429: "throttled"}.get(status, "unavailable")


def _review(uid: str, pod: dict[str, Any], namespace: str, username: str | None) -> dict[str, Any]:
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
            "userInfo": {"username": username or f"check:{getpass.getuser()}"},
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
