"""Container images, made here: nothing is pulled."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PAUSE = "secrets-svc.invalid/pause:1"
#: Debian's busybox, with a link for each applet.
BUSYBOX = "secrets-svc.invalid/busybox:1"
#: Nothing but names: the pod mounts the machine's /usr, so any program of the machine runs in a container.
MACHINE = "secrets-svc.invalid/machine:1"

_FOLDERS = ("bin", "dev", "etc", "opt", "proc", "root", "run", "sys", "tmp", "usr", "var")
_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
_GROUP = b"root:x:0:\nnogroup:x:65534:\n"
_OCI = "application/vnd.oci.image"


@dataclass(frozen=True)
class Image:
    """An image of one layer.

    :param programs: content of executable files by path.
    :param links: targets of symbolic links by path.
    :param config: ``Entrypoint``, ``Env`` and so on (OCI image configuration).
    """

    name: str
    config: Mapping[str, Any]
    programs: Mapping[str, bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    folders: Sequence[str] = ()

    def write(self, path: Path) -> Path:
        """Write it as a tar of an OCI image layout: the same bytes for the same image."""
        architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
        system = {"architecture": architecture, "os": "linux"}
        blobs: dict[str, bytes] = {}
        layer = _blob(blobs, self._layer(), f"{_OCI}.layer.v1.tar")
        root = {"type": "layers", "diff_ids": [layer["digest"]]}
        config = _blob(
            blobs, _json({**system, "config": self.config, "rootfs": root}), f"{_OCI}.config.v1+json"
        )
        kind = f"{_OCI}.manifest.v1+json"
        content = {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]}
        named = {"platform": system, "annotations": {"io.containerd.image.name": self.name}}
        index = {"schemaVersion": 2, "manifests": [_blob(blobs, _json(content), kind) | named]}
        files = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": _json(index)}
        files |= {f"blobs/sha256/{digest}": data for digest, data in blobs.items()}
        path.write_bytes(_tar([(_entry(name, size=len(data)), data) for name, data in files.items()]))
        return path

    def _layer(self) -> bytes:
        files = {name: (data, 0o755) for name, data in self.programs.items()}
        if "etc" in self.folders:
            files |= {"etc/passwd": (_PASSWD, 0o644), "etc/group": (_GROUP, 0o644)}
        folders = [
            (_entry(name, tarfile.DIRTYPE, mode=0o1777 if name == "tmp" else 0o755), b"")
            for name in self.folders
        ]
        regular = [
            (_entry(name, mode=mode, size=len(data)), data) for name, (data, mode) in sorted(files.items())
        ]
        links = [
            (_entry(name, tarfile.SYMTYPE, mode=0o777, link=target), b"")
            for name, target in sorted(self.links.items())
        ]
        return _tar([*folders, *regular, *links])


def write_all(folder: Path, programs: Path) -> list[Path]:
    """All images, as files.

    :param programs: the built ones of a node.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = [_pause(programs), _busybox(programs), _machine()]
    return [image.write(folder / f"{number}.tar") for number, image in enumerate(made)]


def _pause(programs: Path) -> Image:
    config = {"Entrypoint": ["/pause"], "User": "65535:65535"}
    return Image(PAUSE, config, {"pause": (programs / "pause").read_bytes()})


def _busybox(programs: Path) -> Image:
    program = programs / "busybox"
    listed = subprocess.run([str(program), "--list"], capture_output=True, text=True, check=True).stdout
    links = {f"bin/{name}": "busybox" for name in listed.split() if name != "busybox"}
    config = {"Env": ["PATH=/bin"], "Cmd": ["/bin/sh"]}
    return Image(BUSYBOX, config, {"bin/busybox": program.read_bytes()}, links, _FOLDERS)


def _machine() -> Image:
    links = {name: f"usr/{name}" for name in ("bin", "lib", "lib64", "sbin")}
    config = {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"], "Cmd": ["/bin/sh"]}
    return Image(MACHINE, config, {}, links, [name for name in _FOLDERS if name not in links])


def _blob(blobs: dict[str, bytes], data: bytes, kind: str) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    blobs[digest] = data
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _entry(
    name: str, kind: bytes = tarfile.REGTYPE, *, mode: int = 0o644, size: int = 0, link: str = ""
) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.mode, made.size, made.linkname = kind, mode, size, link
    return made


def _tar(members: list[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for entry, data in members:
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
