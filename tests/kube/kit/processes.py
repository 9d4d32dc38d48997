"""The programs of one cluster: started, remembered in a file, ended by process id.

A process is known by its id and the moment it began (proc(5)), which together are never used twice. So
whoever reads the file, also another process and long after, ends only what was started here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import KitError
from .progress import tail
from .waiting import until

#: Seconds from the request to end until there is no choice.
GRACE = 10.0


@dataclass(frozen=True)
class Identity:
    """Names one process for ever."""

    pid: int
    began: str

    @classmethod
    def of(cls, pid: int) -> Identity:
        """The process that has this id now."""
        return cls(pid, _began(pid))

    @property
    def alive(self) -> bool:
        """Whether it runs; one that only waits to be reaped doesn't."""
        return bool(self.began) and _began(self.pid) == self.began

    def signal(self, number: int) -> None:
        """Send a signal if it is alive."""
        if self.alive:
            os.kill(self.pid, number)


class Processes:
    """The programs whose record lies in ``folder``.

    :param folder: exists; gets ``processes.json`` and ``log``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._record = folder / "processes.json"
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        found = json.loads(self._record.read_text()) if self._record.exists() else {}
        self._known = {name: Identity(*each) for name, each in found.items()}

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        environ: Mapping[str, str] | None = None,
        inherit: Sequence[int] = (),
    ) -> Identity:
        """Start a program; its output goes to :meth:`log_file`. Of our environment it gets ``PATH`` alone.

        :param inherit: descriptors that it keeps open.
        """
        log = self.log_file(name)
        log.parent.mkdir(exist_ok=True)
        with log.open("ab") as output:
            child = subprocess.Popen(
                [str(each) for each in argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), **(environ or {})},
                pass_fds=inherit,
                start_new_session=True,
            )
        self._children[name] = child
        self._known[name] = Identity.of(child.pid)
        self._write()
        return self._known[name]

    def log_file(self, name: str) -> Path:
        """What the program wrote, over all its starts."""
        return self.folder / "log" / f"{name}.log"

    def names(self) -> list[str]:
        """Of all that were started and not stopped since."""
        return list(self._known)

    def identity(self, name: str) -> Identity | None:
        """Of the program as it was started last; nothing once it was stopped."""
        return self._known.get(name)

    def alive(self, name: str) -> bool:
        """Whether it runs."""
        self._reap(name)
        known = self._known.get(name)
        return known is not None and known.alive

    def ready(self, name: str, probe: Callable[[], bool], *, within: float = 60.0) -> None:
        """Wait until ``probe`` says so; connections that fail count as no.

        :raises KitError: with the end of its log, if it ends or takes longer.
        """

        def looked() -> bool:
            if not self.alive(name):
                raise KitError(f"{name} ended:\n{tail(self.log_file(name))}")
            try:
                return probe()
            except OSError:
                return False

        try:
            until(looked, what=name, within=within)
        except TimeoutError as error:
            raise KitError(f"{name} isn't ready after {within:g} s:\n{tail(self.log_file(name))}") from error

    def stop(self, *names: str, number: int = signal.SIGTERM, grace: float = GRACE) -> None:
        """End programs, together; by force what is still there after ``grace`` seconds."""
        for name in names:
            if known := self._known.get(name):
                known.signal(number)
        self.ended(*names, grace=grace)

    def ended(self, *names: str, grace: float = GRACE) -> None:
        """Wait for the end of programs that were told to; by force after ``grace`` seconds."""
        try:
            until(lambda: not any(map(self.alive, names)), what="the end of programs", within=grace)
        except TimeoutError:
            for name in names:
                self._known[name].signal(signal.SIGKILL)
            until(lambda: not any(map(self.alive, names)), what="the end of programs")
        for name in names:
            self._known.pop(name, None)
            if child := self._children.pop(name, None):
                child.wait()
        self._write()

    def _reap(self, name: str) -> None:
        if child := self._children.get(name):
            child.poll()

    def _write(self) -> None:
        known = {name: [each.pid, each.began] for name, each in self._known.items()}
        made = self._record.with_suffix(".new")
        made.write_text(json.dumps(known))
        made.replace(self._record)


def only_child(pid: int) -> int:
    """The process that a wrapper runs."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _began(pid: int) -> str:
    """When it began; empty if there is no such process, or only what is left of one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
