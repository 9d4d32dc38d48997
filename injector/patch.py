"""The JSON patch (RFC 6902) that puts references into a pod: a pure function of layout and plan (I9).

Operations are built as bytes, never by comparing two pods; what is as it should be gets no operation, so that
a second pass changes nothing. Command and args are never touched. A plan keeps the fragments that it made:
pods of one template differ in little.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Sequence

import msgspec

from injector.delivery.staging import Staged
from injector.keys import REQUEST, RESERVED, STATUS, VOLUME
from injector.layout import Layout, Share, is_ours
from injector.requests import PodRequests, SecretRequest
from injector.review import EnvVar, Pod, SecretProjection, Volume, VolumeMount
from secrets_svc.core.caches import WeightedCache

_ENCODE = msgspec.json.Encoder().encode
_ANNOTATIONS_PATH = "/metadata/annotations"
_VOLUMES_PATH = "/spec/volumes"
_PULLS_PATH = "/spec/imagePullSecrets"
#: Bytes of fragments and of whole patches that one plan keeps.
_MAX_KEPT = 65_536
#: Bytes of one part of a shape, of which a pod of a thousand containers has five thousand.
_SHAPE_PART = 32

#: One file in a volume: staged Secret and its key, path, mode.
Item = tuple[str, str, str, int | None]
#: A variable: its name, and a staged Secret and its key, or ``None`` and a text.
_Variable = tuple[str, str | None, str]


class PatchPlan:
    """What goes into a pod: for each request the staged Secret, and the status that tells of it.

    :param requests: of the pod. :param staged: the staged Secret for each; ``None`` where an optional one is
        absent. :param status: the status annotation's text.
    """

    def __init__(self, requests: PodRequests, staged: Sequence[Staged | None], status: str) -> None:
        self._requests = requests.items
        self._literals = requests.literals
        self._staged = tuple(staged)
        self.folder = requests.folder
        self.pulls = tuple(dict.fromkeys(self._pulls()))
        self.status = status
        self.status_op = _annotate(STATUS, status)
        self.announced = requests.announced
        self._fragments: WeightedCache[tuple[object, ...], bytes] = WeightedCache(_MAX_KEPT)
        self._env: WeightedCache[tuple[int, ...], tuple[_Variable, ...]] = WeightedCache(1024)
        self.patches: WeightedCache[tuple[object, ...], bytes] = WeightedCache(_MAX_KEPT)

    def _pulls(self) -> Iterator[str]:
        for request, staged in zip(self._requests, self._staged, strict=True):
            if staged is not None and is_attached(request, staged):
                yield staged.name

    def present(self, indexes: tuple[int, ...]) -> bool:
        """Whether any of these requests has something to give."""
        return any(self._staged[index] is not None for index in indexes)

    def env(self, indexes: tuple[int, ...]) -> tuple[_Variable, ...]:
        """Variables for each of these requests that has something to give, and what the readers are told."""
        known = self._env.get(indexes)
        if known is None:
            pairs = ((self._requests[index].env, self._staged[index]) for index in indexes)
            secrets = tuple(
                (name, staged.name, staged.data_key)
                for name, staged in pairs
                if name is not None and staged is not None
            )
            known = secrets + tuple((name, None, text) for name, text in self._literals)
            self._env.put(indexes, known, len(known) + 1)
        return known

    def items(self, indexes: tuple[int, ...]) -> tuple[Item, ...]:
        """Files for each of these requests that has something to give."""
        requests = ((self._requests[index], self._staged[index]) for index in indexes)
        return tuple(
            (staged.name, staged.data_key, request.file, request.mode)
            for request, staged in requests
            if staged is not None and request.file is not None
        )

    def env_block(self, path: str, indexes: tuple[int, ...], whole: bool) -> bytes:
        """Operations that put variables in front of a container's; ``whole``: it has no others."""
        key = (path, indexes, whole)
        block = self._fragments.get(key)
        if block is None:
            entries = [_env_entry(*pair) for pair in self.env(indexes)]
            if whole:
                block = _add(path, b"[" + b",".join(entries) + b"]")
            else:
                block = b",".join(_add(path + "/0", entry) for entry in reversed(entries))
            self._fragments.put(key, block, len(block))
        return block

    def mount_op(self, path: str, number: int, whole: bool) -> bytes:
        """The operation that mounts volume ``number``; ``whole``: there are no other mounts."""
        key = (path, number, whole)
        op = self._fragments.get(key)
        if op is None:
            entry = _ENCODE({"name": f"{VOLUME}{number}", "mountPath": self.folder, "readOnly": True})
            op = _add(path, b"[" + entry + b"]") if whole else _add(path + "/-", entry)
            self._fragments.put(key, op, len(op))
        return op

    def volume_entry(self, number: int, indexes: tuple[int, ...], default_mode: int) -> bytes:
        """Volume ``number`` itself."""
        key = (number, indexes, default_mode)
        entry = self._fragments.get(key)
        if entry is None:
            sources = [_source(item) for item in self.items(indexes)]
            projected = {"defaultMode": default_mode, "sources": sources}
            entry = _ENCODE({"name": f"{VOLUME}{number}", "projected": projected})
            self._fragments.put(key, entry, len(entry))
        return entry


def is_attached(request: SecretRequest, staged: Staged) -> bool:
    """Whether the pod's images are pulled with what is staged for ``request``."""
    return request.attach is not False and staged.is_pull_secret


def build_patch(pod: Pod, layout: Layout, plan: PatchPlan) -> bytes:
    """The patch as base64, empty where the pod is as it should be already."""
    if layout.shape is None:
        return _build(pod, layout, plan)
    known = plan.patches.get(layout.shape)
    if known is None:
        patch = _build(pod, layout, plan)
        known = plan.patches.put(layout.shape, patch, len(patch) + len(layout.shape) * _SHAPE_PART)
    return known


def _build(pod: Pod, layout: Layout, plan: PatchPlan) -> bytes:
    ops: list[bytes] = []
    volumes = {number: indexes for number, indexes in enumerate(layout.volumes) if plan.present(indexes)}
    for share in layout.shares:
        _env_ops(ops, share, plan)
        _mount_ops(ops, share, plan, share.volume if share.volume in volumes else None)
    _volume_ops(ops, layout, plan, volumes)
    _pull_ops(ops, layout, plan)
    _annotation_ops(ops, pod.metadata.annotations, plan)
    return binascii.b2a_base64(b"[" + b",".join(ops) + b"]", newline=False) if ops else b""


def _annotation_ops(ops: list[bytes], annotations: dict[str, str] | None, plan: PatchPlan) -> None:
    if annotations is None:
        ops.append(_add(_ANNOTATIONS_PATH, b"{}"))
    if plan.announced is not None and (annotations or {}).get(REQUEST) != plan.announced:
        ops.append(_annotate(REQUEST, plan.announced))
    if (annotations or {}).get(STATUS) != plan.status:
        ops.append(plan.status_op)


def _annotate(key: str, text: str) -> bytes:
    return _add(f"{_ANNOTATIONS_PATH}/{key.replace('~', '~0').replace('/', '~1')}", _ENCODE(text))


def _env_ops(ops: list[bytes], share: Share, plan: PatchPlan) -> None:
    path = share.path + "/env"
    if share.ours:
        references = tuple(_reference(entry) for _, entry in share.ours)
        in_front = [index for index, _ in share.ours] == list(range(len(share.ours)))
        if in_front and references == plan.env(share.env):
            return
        ops.extend(_remove(path, index) for index, _ in reversed(share.ours))
    if plan.env(share.env):
        ops.append(plan.env_block(path, share.env, not share.others))


def _reference(entry: EnvVar) -> _Variable | None:
    """An entry as the variable that it is, if it is exactly as we write it."""
    if entry.value_from is None:
        return entry.name, None, entry.value or ""
    source = entry.value_from.secret_key_ref
    if source is None or source.optional:
        return None
    return entry.name, source.name, source.key


def _mount_ops(ops: list[bytes], share: Share, plan: PatchPlan, number: int | None) -> None:
    mounts = share.container.volume_mounts or ()
    ours = [index for index, mount in enumerate(mounts) if mount.name.startswith(VOLUME)] if mounts else []
    if number is None and not ours:
        return
    if number is not None and len(ours) == 1 and _is_mount(mounts[ours[0]], number, plan.folder):
        return
    path = share.path + "/volumeMounts"
    ops.extend(_remove(path, index) for index in reversed(ours))
    if number is not None:
        ops.append(plan.mount_op(path, number, len(mounts) == len(ours)))


def _is_mount(mount: VolumeMount, number: int, folder: str) -> bool:
    return (
        mount.name == f"{VOLUME}{number}"
        and mount.mount_path == folder
        and bool(mount.read_only)
        and not mount.sub_path
    )


def _volume_ops(
    ops: list[bytes], layout: Layout, plan: PatchPlan, wanted: dict[int, tuple[int, ...]]
) -> None:
    volumes = layout.pod_volumes
    ours = [index for index, volume in enumerate(volumes) if is_ours(volume)] if volumes else []
    mode = layout.default_mode
    if ours and [_content(volumes[index]) for index in ours] == [
        (f"{VOLUME}{number}", mode, plan.items(indexes)) for number, indexes in wanted.items()
    ]:
        return
    ops.extend(_remove(_VOLUMES_PATH, index) for index in reversed(ours))
    entries = [plan.volume_entry(number, indexes, mode) for number, indexes in wanted.items()]
    if len(volumes) == len(ours) and entries:
        ops.append(_add(_VOLUMES_PATH, b"[" + b",".join(entries) + b"]"))
    else:
        ops.extend(_add(_VOLUMES_PATH + "/-", entry) for entry in entries)


def _pull_ops(ops: list[bytes], layout: Layout, plan: PatchPlan) -> None:
    """The pod's own pull secrets, and then ours: the kubelet tries all of them."""
    ours = [index for index, name in enumerate(layout.pull_secrets) if name.startswith(RESERVED)]
    if tuple(layout.pull_secrets[index] for index in ours) == plan.pulls:
        return
    ops.extend(_remove(_PULLS_PATH, index) for index in reversed(ours))
    entries = [_ENCODE({"name": name}) for name in plan.pulls]
    if len(layout.pull_secrets) == len(ours) and entries:
        ops.append(_add(_PULLS_PATH, b"[" + b",".join(entries) + b"]"))
    else:
        ops.extend(_add(_PULLS_PATH + "/-", entry) for entry in entries)


def _content(volume: Volume) -> tuple[str, int | None, tuple[Item | None, ...]]:
    projected = volume.projected
    sources = (projected.sources or []) if projected else []
    items = tuple(_item(source.secret) for source in sources if source.secret)
    return volume.name, projected.default_mode if projected else None, items


def _item(source: SecretProjection) -> Item | None:
    if source.optional or source.items is None or len(source.items) != 1:
        return None
    item = source.items[0]
    return source.name, item.key, item.path, item.mode


def _source(item: Item) -> dict[str, object]:
    secret, key, path, mode = item
    entry: dict[str, object] = {"key": key, "path": path}
    if mode is not None:
        entry["mode"] = mode
    return {"secret": {"name": secret, "items": [entry]}}


def _env_entry(name: str, secret: str | None, text: str) -> bytes:
    if secret is None:
        return _ENCODE({"name": name, "value": text})
    return _ENCODE({"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": text}}})


def _add(path: str, value: bytes) -> bytes:
    return b'{"op":"add","path":"%b","value":%b}' % (path.encode(), value)


def _remove(path: str, index: int) -> bytes:
    return b'{"op":"remove","path":"%b/%d"}' % (path.encode(), index)
