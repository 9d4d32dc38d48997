"""How an object is changed: one JSON patch for value, metadata and what is kept of before, or nothing at all.

The API server applies it to the object at the very version that was looked at: setting ``resourceVersion``
is refused with a conflict once there is a newer one. Values that are there already are moved, which fails
where there is none (a copy of nothing would leave an empty value).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from secrets_svc.backends.kubernetes import names
from secrets_svc.backends.kubernetes.marks import Mark
from secrets_svc.backends.kubernetes.objects import Held, encoded, labels_and_annotations
from secrets_svc.backends.kubernetes.versions import KEPT, Note, fitting, key_of, text_of
from secrets_svc.core.secret import SecretMetadata, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.kube.api import Object, Patch
from secrets_svc.kube.informer import Metadata


def replacement(
    name: str, current: Held, draft: SecretMetadata, value: SecretValue, mark: Mark, *, versions: int = KEPT
) -> tuple[Patch, ...]:
    """A new value, and how to write it where nothing can be kept of before.

    :param name: storage name. :param draft: metadata as they will be, but for the version.
    :param versions: that are kept; with one, the current value is alone, whatever was beside it.
    """
    data = encoded(value)
    bare = [*_guard(current), _add("/data", {name: data}), *_said(name, current, draft, mark, ())]
    if versions == 1:
        return (bare,)
    kept = _kept(current, draft, versions)
    keeping = [
        *_guard(current),
        *_moved(name, current, kept),
        _add(_data(name), data),
        *_dropped(current.keys, kept),
    ]
    return keeping + list(_said(name, current, draft, mark, kept)), bare


def rollback(
    name: str, current: Held, draft: SecretMetadata, to: Note, mark: Mark, *, versions: int = KEPT
) -> tuple[Patch, ...]:
    """An earlier value in the current place, which nobody sees on its way. Parameters as above.

    :param to: one of ``current.earlier``.
    """
    kept = _kept(current, draft, versions)
    back: Patch = [{"op": "move", "from": _data(to.key), "path": _data(name)}]
    if to in kept:
        back.append({"op": "copy", "from": _data(name), "path": _data(to.key)})
    keeping = [
        *_guard(current),
        *_moved(name, current, kept),
        *back,
        *_dropped(current.keys - {to.key}, kept),
    ]
    bare = [*_guard(current), back[0], *_dropped(current.keys - {to.key}, ())]
    return (
        keeping + list(_said(name, current, draft, mark, kept)),
        bare + list(_said(name, current, draft, mark, ())),
    )


def adoption(name: str, current: Held, metadata: Metadata, type_: SecretType | None = None) -> Patch:
    """What makes a secret ours that somebody else wrote: labels and annotations, and nothing of its value.

    :param name: storage name. :param metadata: of the object, as it was looked at. :param type_: in place of
        the one that is told there.
    """
    patch = _guard(current)
    if not current.annotations:
        patch.append(_add("/metadata/annotations", {}))
    said = labels_and_annotations(name, replace(current.metadata, type=type_ or current.metadata.type), None)
    there = {"labels": metadata.labels, "annotations": metadata.annotations}
    for field, texts in said.items():
        for key, text in texts.items():
            if there[field].get(key) != text:
                patch.append(_add(f"/metadata/{field}/{_pointer(key)}", text))
    # From here on our annotations count again: none may speak of a value before that somebody replaced.
    stale = {names.SIZE, names.OPERATION} if current.metadata.size is None else set()
    for key in sorted(stale & current.annotations):
        patch.append({"op": "remove", "path": f"/metadata/annotations/{_pointer(key)}"})
    return patch


def _kept(current: Held, draft: SecretMetadata, versions: int) -> tuple[Note, ...]:
    return fitting((Note.of(current.metadata), *current.earlier), beside=draft.size, versions=versions)


def _guard(current: Held) -> Patch:
    return [{"op": "replace", "path": "/metadata/resourceVersion", "value": current.resource_version}]


def _moved(name: str, current: Held, kept: tuple[Note, ...]) -> Patch:
    """The current value to the place where it is kept, if it is."""
    key = key_of(current.metadata.version)
    if key not in {note.key for note in kept}:
        return []
    return [{"op": "move", "from": _data(name), "path": _data(key)}]


def _dropped(keys: Iterable[str], kept: tuple[Note, ...]) -> Iterator[Object]:
    for key in sorted(set(keys) - {note.key for note in kept}):
        # First as something that is there in any case: nobody has to know whether it is.
        yield _add(_data(key), "")
        yield {"op": "remove", "path": _data(key)}


def _said(
    name: str, current: Held, draft: SecretMetadata, mark: Mark, kept: tuple[Note, ...]
) -> Iterator[Object]:
    """Labels and annotations."""
    said = labels_and_annotations(name, draft, mark)
    said["annotations"][names.VERSIONS] = text_of(kept)
    if not current.annotations:
        yield _add("/metadata/annotations", {})
    for field, texts in said.items():
        for key, text in texts.items():
            yield _add(f"/metadata/{field}/{_pointer(key)}", text)
    # What speaks of the value before; kubectl leaves a copy of it even.
    for key in sorted({names.SIZE, names.APPLIED} & (current.annotations - set(said["annotations"]))):
        yield {"op": "remove", "path": f"/metadata/annotations/{_pointer(key)}"}


def _add(path: str, value: object) -> Object:
    return {"op": "add", "path": path, "value": value}


def _data(key: str) -> str:
    return f"/data/{_pointer(key)}"


def _pointer(key: str) -> str:
    """A member's name in a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
