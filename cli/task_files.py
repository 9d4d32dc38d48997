"""A private folder for a task's files: in memory where the system has such a place, gone at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from secrets_svc.core.errors import InvalidArgument, Unavailable

if TYPE_CHECKING:
    from injector.local_task import TaskFile

_PREFIX = "secret-run-"
DEFAULT_MODE = 0o400
#: Tells a task where its files are; in a pod they are below /var/run/secrets/secrets-svc.
FILES_VARIABLE = "SECRET_FILES"
#: Names the same folder where a task made it for itself. Processes that it starts inherit both.
OWN_FILES_VARIABLE = "SECRET_FILES_LOCAL"


@contextlib.contextmanager
def task_folder(files: Iterable[TaskFile], environ: Mapping[str, str]) -> Iterator[tuple[Path | None, bool]]:
    """Write ``files`` into a new folder (0700) for as long as the block lasts.

    Yields its path (``None`` where there are no files) and whether it is in memory.

    :raises Unavailable: it can't be written.
    """
    files = tuple(files)
    if not files:
        yield None, True
        return
    base, in_memory = _base(environ)
    _sweep(base)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=base))
    except OSError as error:
        raise Unavailable(f"no private folder can be made in {base}") from error
    owner = os.getpid()
    try:
        add_files(folder, files)
        yield folder, in_memory
    finally:
        if os.getpid() == owner:  # not in a process that was forked meanwhile
            shutil.rmtree(folder, ignore_errors=True)


def add_files(folder: Path, files: Iterable[TaskFile]) -> None:
    """Write ``files`` into a task's folder, each at once and in the place of what is there.

    :raises InvalidArgument: one is to be the folder of another. :raises Unavailable: one can't be written.
    """
    files = tuple(files)
    for file in files:
        _refuse_folder(folder, file.path)
    for file in files:
        _write(folder / file.path, file)


def _base(environ: Mapping[str, str]) -> tuple[Path, bool]:
    for name in (environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):  # noqa: S108  # usual places of a tmpfs
        if name and os.access(name, os.W_OK | os.X_OK) and _is_in_memory(Path(name)):
            return Path(name), True
    return Path(tempfile.gettempdir()), False


def _is_in_memory(folder: Path) -> bool:
    """Whether ``folder`` lies in a tmpfs or ramfs, by /proc/self/mounts (proc(5))."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
        place = folder.resolve()
    except OSError:
        return False
    kinds = {fields[1]: fields[2] for fields in mounts if len(fields) > 2}
    nearest = next((str(path) for path in (place, *place.parents) if str(path) in kinds), "/")
    return kinds.get(nearest) in ("tmpfs", "ramfs")


def _sweep(base: Path) -> None:
    """Remove what a killed ``secret run`` of ours left behind."""
    for folder in base.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        try:
            ours = folder.stat(follow_symlinks=False).st_uid == os.getuid()
        except OSError:
            continue
        if ours and pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _refuse_folder(folder: Path, path: str) -> None:
    """:raises InvalidArgument: ``path`` is the folder of a file that is there, or the other way round."""
    parents = [each.as_posix() for each in PurePosixPath(path).parents if (folder / each).is_file()]
    if (folder / path).is_dir():
        raise InvalidArgument(f"file {path} of the task can't be the folder of another of its files too")
    if parents:
        raise InvalidArgument(f"file {parents[0]} of the task can't be the folder of file {path} too")


def _write(path: Path, file: TaskFile) -> None:
    mode = file.mode if file.mode is not None else DEFAULT_MODE
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(prefix=".", dir=path.parent)  # 0600
        try:
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(file.value.reveal_bytes())
            os.chmod(part, mode & 0o777)
            os.replace(part, path)
        except OSError:
            os.unlink(part)
            raise
    except OSError as error:
        raise Unavailable(f"file {file.path} of the task can't be written") from error
