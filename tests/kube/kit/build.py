"""Builds the programs once and keeps them outside the checkout.

The cache is ``$SECRETS_SVC_KUBE_CACHE``, else ``$XDG_CACHE_HOME/secrets-svc/kube``, else
``~/.cache/secrets-svc/kube``. In it a part's programs lie in ``PART-DIGEST/bin``; the digest is of all that
they are made from, so a folder that exists is complete and right.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from . import debian, go, recipes
from .errors import KitError
from .progress import Say, to_stderr
from .recipes import Part

TOOLS = Path(__file__).parents[1] / "tools"
VARIABLE = "SECRETS_SVC_KUBE_CACHE"


def cache_folder() -> Path:
    """Where the programs are kept."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "secrets-svc" / "kube"


def programs_of(part: Part, cache: Path | None = None) -> Path:
    """Where the part's programs lie once they are built."""
    return (cache or cache_folder()) / f"{part.name}-{_digest(part)}" / "bin"


def ensure(*parts: Part, cache: Path | None = None, say: Say = to_stderr) -> None:
    """Build what isn't built yet. Safe beside others who do the same.

    :raises KitError: with what is missing, or the end of the compiler's output.
    """
    cache = cache or cache_folder()
    if _missing(parts, cache):
        with _alone(cache, say):
            _build_all(_missing(parts, cache), cache, say)


def _missing(parts: tuple[Part, ...], cache: Path) -> list[Part]:
    return [part for part in parts if not programs_of(part, cache).is_dir()]


def _digest(part: Part) -> str:
    files = [Path(recipes.__file__)]
    for folder in part.folders:
        files += sorted(path for path in (TOOLS / folder).rglob("*") if path.is_file())
    made = hashlib.sha256(platform.machine().encode())
    for path in files:
        made.update(hashlib.sha256(path.read_bytes()).digest())
    return made.hexdigest()[:16]


@contextlib.contextmanager
def _alone(cache: Path, say: Say) -> Iterator[None]:
    """One build at a time in a cache; the lock ends with the process that holds it."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / "lock").open("w")
    except OSError as error:
        raise KitError(f"can't write {cache} ({error.strerror}): set {VARIABLE} to a folder") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"somebody else is building in {cache}: waiting")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_all(parts: list[Part], cache: Path, say: Say) -> None:
    """In the lock. What a failed build compiled stays for the next try; a good one leaves only programs."""
    if not parts:
        return
    scratch = cache / "scratch"
    scratch.mkdir(exist_ok=True)
    for part in parts:
        _build(part, cache, scratch, say)
    shutil.rmtree(scratch)


def _build(part: Part, cache: Path, scratch: Path, say: Say) -> None:
    began = time.monotonic()
    ready = programs_of(part, cache).parent
    say(f"building the programs of the {part.name}, once: {part.takes} on two cores; into {ready}")
    for left in cache.glob(f"{ready.name}.*"):
        shutil.rmtree(left)
    made = Path(tempfile.mkdtemp(prefix=f"{ready.name}.", dir=cache))
    (made / "bin").mkdir()
    for package, name in part.unpacked:
        debian.unpack(package, name, made / "bin" / name, scratch=scratch, say=say)
    toolchain = go.find(go.needed(TOOLS, part.folders), scratch=scratch, tools=TOOLS, say=say)
    total = len(part.programs)
    for number, program in enumerate(part.programs, 1):
        target = made / "bin" / program.name
        toolchain.build(program, target, what=f"{program.name} ({number} of {total})", say=say)
    made.chmod(0o755)
    made.rename(ready)
    say(f"the programs of the {part.name} are built: {time.monotonic() - began:.0f} s")
