"""Pods for tests: what they are made of, and one namespace's of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .access import Access
from .images import BUSYBOX, MACHINE
from .waiting import until

Object = dict[str, Any]


def shell(script: str, *, name: str = "main", **fields: Any) -> Object:
    """A container in which busybox runs a script.

    :param fields: further ones of the container: ``env``, ``volumeMounts`` and so on.
    """
    return {"name": name, "image": BUSYBOX, "command": ["sh", "-c", script], **fields}


def python(*arguments: str, name: str = "main", **fields: Any) -> Object:
    """A container in which this machine's Python, the one that runs us, gets ``arguments``."""
    command = [os.path.realpath(sys.executable), *arguments]
    return {"name": name, "image": MACHINE, "command": command, **fields}


def pod(
    name: str,
    *containers: Object,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    paths: Sequence[Path] = (),
    **spec: Any,
) -> Object:
    """A pod that runs once and ends at once when told to. It has no API token unless ``spec`` says so.

    :param paths: folders of this machine that all containers see, read-only, at the same place. What
        :func:`python` needs is added where it is used.
    :param spec: further fields of the pod's spec, ``initContainers`` for one.
    """
    meta = {"name": name, "labels": dict(labels or {}), "annotations": dict(annotations or {})}
    usual = {
        "automountServiceAccountToken": False,
        "dnsPolicy": "Default",
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 0,
    }
    made = {"containers": list(containers), **usual, **spec}
    if any(each["image"] == MACHINE for each in _all_containers(made)):
        paths = [*_interpreter(), *paths]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": _with_paths(made, paths)}


class Pods:
    """The pods of one namespace.

    :param namespace: exists; see ``Cluster.namespace``.
    """

    def __init__(self, access: Access, namespace: str) -> None:
        self.namespace = namespace
        self._api = access.api

    def create(self, pod: Object, *, dry_run: bool = False) -> Object:
        """Create one; what is stored, with all that admission made of it.

        :raises AssertionError: with the reason, if it is refused.
        """
        query = "?dryRun=All" if dry_run else ""
        made: Object = self._api("POST", self.path() + query, pod).ok()
        return made

    def get(self, name: str) -> Object:
        """The pod as it is now."""
        found: Object = self._api("GET", self.path(name)).ok()
        return found

    def phase(self, name: str) -> str:
        """``Pending``, ``Running``, ``Succeeded`` or ``Failed``."""
        return str(self.get(name)["status"].get("phase"))

    def finished(self, name: str, *, within: float = 60.0) -> str:
        """Wait until all its containers ended; its phase then."""
        return self._reached(name, ("Succeeded", "Failed"), within)

    def running(self, name: str, *, within: float = 60.0) -> None:
        """Wait until it runs.

        :raises AssertionError: if it has ended instead.
        """
        phase = self._reached(name, ("Running", "Succeeded", "Failed"), within)
        assert phase == "Running", f"the pod {name} has {phase}"

    def log(self, name: str, container: str = "main") -> str:
        """What a container wrote so far."""
        text: str = self._api("GET", f"{self.path(name)}/log?container={container}").ok()
        return text

    def output(self, pod: Object, *, within: float = 60.0) -> str:
        """Create a pod, wait for its end, and return what its container ``main`` wrote.

        :raises AssertionError: if it failed.
        """
        name = self.create(pod)["metadata"]["name"]
        phase = self.finished(name, within=within)
        text = self.log(name)
        assert phase == "Succeeded", f"the pod {name} has {phase}: {text}"
        return text

    def delete(self, name: str, *, within: float = 60.0) -> None:
        """Delete one, and wait until it is gone."""
        self._api("DELETE", f"{self.path(name)}?gracePeriodSeconds=0").ok()
        until(
            lambda: self._api("GET", self.path(name)).status == 404,
            what=f"the end of the pod {name}",
            within=within,
        )

    def path(self, name: str = "") -> str:
        """Of a pod, or of all."""
        return f"/api/v1/namespaces/{self.namespace}/pods" + (f"/{name}" if name else "")

    def _reached(self, name: str, phases: Sequence[str], within: float) -> str:
        def looked() -> str | None:
            phase = self.phase(name)
            return phase if phase in phases else None

        try:
            return until(looked, what=f"the pod {name}", within=within)
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {self.get(name)['status']}") from None


def _all_containers(spec: Object) -> list[Object]:
    return [*spec["containers"], *spec.get("initContainers", [])]


def _interpreter() -> list[Path]:
    """Folders without which our Python doesn't run."""
    base = Path(sys.base_prefix)
    usr = Path("/usr")
    return [usr] if base.is_relative_to(usr) else [usr, base]


def _with_paths(spec: Object, paths: Sequence[Path]) -> Object:
    named = {f"machine-{number}": str(path) for number, path in enumerate(paths)}
    volumes = [{"name": name, "hostPath": {"path": path}} for name, path in named.items()]
    mounts = [{"name": name, "mountPath": path, "readOnly": True} for name, path in named.items()]

    def mounted(containers: Sequence[Object]) -> list[Object]:
        return [{**each, "volumeMounts": [*mounts, *each.get("volumeMounts", [])]} for each in containers]

    made = {**spec, "containers": mounted(spec["containers"])}
    made["volumes"] = [*volumes, *spec.get("volumes", [])]
    if "initContainers" in spec:
        made["initContainers"] = mounted(spec["initContainers"])
    return made
