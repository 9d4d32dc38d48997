"""A copy of one resource's metadata, kept by listing once and watching from there."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from secrets_svc.kube.api import METADATA, METADATA_LIST, ApiServer, Object, Watch
from secrets_svc.kube.errors import ApiError

log = logging.getLogger(__name__)

#: Seconds after which the server ends a watch, so that none lives for ever; and without a word from it.
_WATCH_FOR = 290
_SILENCE = 90.0
#: Seconds between tries, growing from the first to the last.
_BACKOFF = (0.2, 30.0)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What an object says of itself without its content."""

    namespace: str
    name: str
    uid: str
    resource_version: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    terminating: bool = False

    @classmethod
    def of(cls, object_: Object) -> Metadata:
        """Of any object with ``metadata``. Strangers' types count as absent."""
        found = object_.get("metadata")
        metadata: dict[str, Any] = found if isinstance(found, dict) else {}
        return cls(
            namespace=_text(metadata.get("namespace")),
            name=_text(metadata.get("name")),
            uid=_text(metadata.get("uid")),
            resource_version=_text(metadata.get("resourceVersion")),
            labels=_texts(metadata.get("labels")),
            annotations=_texts(metadata.get("annotations")),
            terminating=metadata.get("deletionTimestamp") is not None,
        )

    def brief(self, labels: frozenset[str]) -> Metadata:
        """Only what is worth keeping of very many: of the labels those in ``labels``, no annotations."""
        kept = {key: text for key, text in self.labels.items() if key in labels}
        return replace(self, labels=kept, annotations={})

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name


def seconds_since_boot() -> float:
    """As :func:`time.monotonic`, but it goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if _HAS_BOOTTIME else time.monotonic()


_HAS_BOOTTIME = hasattr(time, "CLOCK_BOOTTIME")  # Linux

#: Told what an object was and is; ``None`` where it wasn't or isn't. Called in the informer's thread.
OnChange = Callable[[Metadata | None, Metadata | None], None]


class Informer:
    """Follows one collection, in a thread of its own, until it is stopped.

    :param path: of the collection. :param selector: of labels, "" for all.
    :param labels: keys of those to keep. :param on_change: see :data:`OnChange`. It must not raise.
    :param clock: seconds; by default one that goes on while the machine sleeps.
    """

    def __init__(
        self,
        api: ApiServer,
        path: str,
        *,
        selector: str = "",
        labels: Iterable[str] = (),
        on_change: OnChange = lambda _was, _is: None,
        clock: Callable[[], float] = seconds_since_boot,
    ) -> None:
        self._api = api
        self._path = path
        self._query = {"labelSelector": selector} if selector else {}
        self._labels = frozenset(labels)
        self._on_change = on_change
        self._clock = clock
        self._known: dict[tuple[str, str], Metadata] = {}
        self._heard_at: float | None = None
        self._version: str | None = None
        self._listed = threading.Event()
        self._stopping = threading.Event()
        self._watch: Watch | None = None
        self._thread = threading.Thread(target=self._follow, name=f"watch {path}", daemon=True)

    def start(self) -> None:
        """Begin; once."""
        self._thread.start()

    def stop(self) -> None:
        """End; may be repeated."""
        self._stopping.set()
        watch = self._watch
        if watch is not None:
            watch.close()
        if self._thread.is_alive():
            self._thread.join(5)

    def wait_listed(self, timeout: float) -> bool:
        """Whether the first list is there, within ``timeout`` seconds."""
        return self._listed.wait(timeout)

    def get(self, namespace: str, name: str) -> Metadata | None:
        """The object as last heard of."""
        return self._known.get((namespace, name))

    def all(self) -> list[Metadata]:
        """All objects as last heard of."""
        return list(self._known.values())

    @property
    def age(self) -> float:
        """Seconds since the server last told us anything (an event, or a bookmark, about once a minute)."""
        return float("inf") if self._heard_at is None else self._clock() - self._heard_at

    def _follow(self) -> None:
        pause = _BACKOFF[0]
        while not self._stopping.is_set():
            try:
                if self._version is None:
                    self._version = self._list()
                self._follow_from(self._version)
                pause = _BACKOFF[0]
                continue
            except ApiError as error:
                if self._stopping.is_set():
                    break
                if error.is_expired:
                    self._version = None
                else:
                    log.warning("watching %s: %s; trying again", self._path, error)
            except Exception as error:
                log.error("unforeseen %s while watching %s", type(error).__name__, self._path)
                self._version = None
            self._stopping.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311  # spreads replicas, no secret
            pause = min(pause * 2, _BACKOFF[1])

    def _list(self) -> str:
        """List everything; returns the version to watch from."""
        found: dict[tuple[str, str], Metadata] = {}
        version = ""
        pages = self._api.pages(self._path, timeout=30.0, query=self._query, accept=METADATA_LIST)
        for page in pages:
            for item in page.get("items") or ():
                metadata = Metadata.of(item).brief(self._labels)
                found[metadata.key] = metadata
            version = _text(page.get("metadata", {}).get("resourceVersion"))
        for key, was in list(self._known.items()):
            if key not in found:
                self._keep(was, None)
        for metadata in found.values():
            self._keep(self._known.get(metadata.key), metadata)
        self._heard()
        self._listed.set()
        return version

    def _follow_from(self, version: str) -> None:
        """Follow events until the server ends the watch; each moves the version to go on from."""
        query = {**self._query, "resourceVersion": version, "timeoutSeconds": str(_WATCH_FOR)}
        self._watch = watch = self._api.watch(self._path, query=query, accept=METADATA, silence=_SILENCE)
        try:
            for event in watch:
                metadata = Metadata.of(event["object"]).brief(self._labels)
                self._version = metadata.resource_version or self._version
                if event["type"] == "DELETED":
                    self._keep(self._known.get(metadata.key), None)
                elif event["type"] in ("ADDED", "MODIFIED"):
                    self._keep(self._known.get(metadata.key), metadata)
                self._heard()
                if self._stopping.is_set():
                    break
        finally:
            self._watch = None

    def _keep(self, was: Metadata | None, now: Metadata | None) -> None:
        if was is not None and now is not None and was.resource_version == now.resource_version:
            return
        if was is not None and now is not None and was.uid != now.uid:
            self._keep(was, None)
            was = None
        if now is not None:
            self._known[now.key] = now
        elif was is not None:
            self._known.pop(was.key, None)
        self._on_change(was, now)

    def _heard(self) -> None:
        self._heard_at = self._clock()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}
