"""The JSON patch (RFC 6902) that puts references into a pod: a pure function of layout and staged names (I9).

Operations are built as bytes, never by comparing two pods; what is as it should be gets no operation, so that
a second pass changes nothing. Command and args are never touched.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from injector.keys import DATA_KEY, FILES, STATUS, VOLUME
from injector.layout import Layout, Share, is_ours
from injector.review import EnvVar, Pod, SecretProjection, Volume, VolumeMount

_ENCODE = msgspec.json.Encoder().encode

#: Name of the staged Secret for each request of the layout; ``None`` where an optional one is absent.
Staged = Sequence[str | None]


def build_patch(pod: Pod, layout: Layout, staged: Staged, status: str) -> bytes:
    """The patch as base64, empty where the pod is as it should be already.

    :param staged: per request of ``layout``. :param status: the status annotation's text.
    """
    ops: list[bytes] = []
    volumes = _volumes_with_something(layout, staged)
    for share in layout.shares:
        _env_ops(ops, share, layout, staged)
        _mount_ops(ops, share, share.volume if share.volume in volumes else None)
    _volume_ops(ops, pod, layout, staged, volumes)
    if (pod.metadata.annotations or {}).get(STATUS) != status:
        ops.append(_add(_STATUS_PATH, _ENCODE(status)))
    return binascii.b2a_base64(b"[" + b",".join(ops) + b"]", newline=False) if ops else b""


def _volumes_with_something(layout: Layout, staged: Staged) -> dict[int, tuple[int, ...]]:
    """Volumes by number, less what is absent; one that would be empty is left out."""
    present = {
        number: tuple(index for index in indexes if staged[index] is not None)
        for number, indexes in enumerate(layout.volumes)
    }
    return {number: indexes for number, indexes in present.items() if indexes}


def _env_ops(ops: list[bytes], share: Share, layout: Layout, staged: Staged) -> None:
    wanted = _wanted_env(share, layout, staged)
    ours = share.ours
    env = share.container.env or ()
    if len(ours) == len(wanted) and all(
        index == position and _reference(env[index]) == wanted[position]
        for position, index in enumerate(ours)
    ):
        return
    path = share.path + "/env"
    ops.extend(_remove(path, index) for index in reversed(ours))
    if wanted:
        ops.append(_env_block(path, wanted, len(env) == len(ours)))


def _wanted_env(share: Share, layout: Layout, staged: Staged) -> tuple[tuple[str, str], ...]:
    wanted: list[tuple[str, str]] = []
    for index in share.env:
        secret, name = staged[index], layout.requests[index].env
        if secret is not None and name is not None:
            wanted.append((name, secret))
    return tuple(wanted)


def _reference(entry: EnvVar) -> tuple[str, str] | None:
    """Name and staged Secret of an entry exactly as we write it."""
    source = entry.value_from.secret_key_ref if entry.value_from else None
    if source is None or source.key != DATA_KEY or source.optional:
        return None
    return entry.name, source.name


@lru_cache(maxsize=8192)
def _env_block(path: str, wanted: tuple[tuple[str, str], ...], whole: bool) -> bytes:
    """Operations that put ``wanted`` in front of a container's env; ``whole``: it has no other entries."""
    if whole:
        return _add(path, b"[" + b",".join(_env_entry(*pair) for pair in wanted) + b"]")
    return b",".join(_add(path + "/0", _env_entry(*pair)) for pair in reversed(wanted))


def _mount_ops(ops: list[bytes], share: Share, number: int | None) -> None:
    mounts = share.container.volume_mounts or []
    ours = [index for index, mount in enumerate(mounts) if mount.name.startswith(VOLUME)]
    if number is None and not ours:
        return
    if number is not None and len(ours) == 1 and _is_mount(mounts[ours[0]], number):
        return
    path = share.path + "/volumeMounts"
    ops.extend(_remove(path, index) for index in reversed(ours))
    if number is not None:
        ops.append(_mount_op(path, number, len(mounts) == len(ours)))


@lru_cache(maxsize=1024)
def _mount_op(path: str, number: int, whole: bool) -> bytes:
    entry = _ENCODE({"name": f"{VOLUME}{number}", "mountPath": FILES, "readOnly": True})
    return _add(path, b"[" + entry + b"]") if whole else _add(path + "/-", entry)


def _is_mount(mount: VolumeMount, number: int) -> bool:
    return (
        mount.name == f"{VOLUME}{number}"
        and mount.mount_path == FILES
        and bool(mount.read_only)
        and not mount.sub_path
    )


def _volume_ops(
    ops: list[bytes], pod: Pod, layout: Layout, staged: Staged, wanted: dict[int, tuple[int, ...]]
) -> None:
    volumes = pod.spec.volumes or []
    ours = [index for index, volume in enumerate(volumes) if is_ours(volume)]
    if not ours and not wanted:
        return
    items = {number: _items(layout, staged, indexes) for number, indexes in wanted.items()}
    if ours and [_volume_content(volumes[index]) for index in ours] == [
        (f"{VOLUME}{number}", layout.default_mode, content) for number, content in items.items()
    ]:
        return
    path = "/spec/volumes"
    ops.extend(_remove(path, index) for index in reversed(ours))
    entries = [_volume_entry(number, layout.default_mode, content) for number, content in items.items()]
    if len(volumes) == len(ours) and entries:
        ops.append(_add(path, b"[" + b",".join(entries) + b"]"))
    else:
        ops.extend(_add(path + "/-", entry) for entry in entries)


#: One file in a volume: staged Secret, path, mode.
Item = tuple[str, str, int | None]


def _items(layout: Layout, staged: Staged, indexes: Iterable[int]) -> tuple[Item, ...]:
    items: list[Item] = []
    for index in indexes:
        secret, request = staged[index], layout.requests[index]
        if secret is not None and request.file is not None:
            items.append((secret, request.file, request.mode))
    return tuple(items)


def _volume_content(volume: Volume) -> tuple[str, int | None, tuple[Item | None, ...]]:
    projected = volume.projected
    sources = (projected.sources or []) if projected else []
    items = tuple(_item(source.secret) for source in sources if source.secret)
    return volume.name, projected.default_mode if projected else None, items


def _item(source: SecretProjection) -> Item | None:
    if source.optional or source.items is None or len(source.items) != 1 or source.items[0].key != DATA_KEY:
        return None
    return source.name, source.items[0].path, source.items[0].mode


@lru_cache(maxsize=4096)
def _volume_entry(number: int, default_mode: int, items: tuple[Item, ...]) -> bytes:
    sources = [
        {
            "secret": {
                "name": secret,
                "items": [{"key": DATA_KEY, "path": path} | ({} if mode is None else {"mode": mode})],
            }
        }
        for secret, path, mode in items
    ]
    projected = {"defaultMode": default_mode, "sources": sources}
    return _ENCODE({"name": f"{VOLUME}{number}", "projected": projected})


@lru_cache(maxsize=16_384)
def _env_entry(name: str, secret: str) -> bytes:
    reference = {"name": secret, "key": DATA_KEY}
    return _ENCODE({"name": name, "valueFrom": {"secretKeyRef": reference}})


def _add(path: str, value: bytes) -> bytes:
    return b'{"op":"add","path":"%b","value":%b}' % (path.encode(), value)


def _remove(path: str, index: int) -> bytes:
    return b'{"op":"remove","path":"%b/%d"}' % (path.encode(), index)


_STATUS_PATH = "/metadata/annotations/" + STATUS.replace("~", "~0").replace("/", "~1")
