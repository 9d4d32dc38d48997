"""Takes programs out of packages of Debian without installing them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from .errors import KitError
from .progress import Say


def unpack(package: str, program: str, target: Path, *, scratch: Path, say: Say) -> None:
    """Put ``program`` of ``package`` at ``target``. The machine stays as it is, also its package lists.

    :raises KitError: if apt or the package is missing.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise KitError(
            f"a node needs {program} from Debian's package {package}, and this machine has no apt-get. "
            "Use Debian 12 or a later one; the control plane alone runs everywhere."
        )
    folder = scratch / package
    folder.mkdir(parents=True, exist_ok=True)
    say(f"{program} from Debian's package {package}")
    archive = _download(package, folder)
    subprocess.run(["dpkg-deb", "-x", str(archive), str(folder / "root")], check=True)
    found = [path for path in sorted((folder / "root").rglob(program)) if path.is_file()]
    programs = [path for path in found if path.parent.name in ("bin", "sbin")]
    if not programs:
        raise KitError(f"Debian's package {package} has no program {program}")
    shutil.copy(programs[0], target)


def _download(package: str, folder: Path) -> Path:
    own_lists = [f"-oDir::State::Lists={folder}/lists", f"-oDir::Cache={folder}/cache"]
    (folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    failed = _apt(folder, "download", package)
    if failed:
        # The machine's lists may be missing, or out of date.
        failed = _apt(folder, *own_lists, "update") or _apt(folder, *own_lists, "download", package)
    archives = sorted(folder.glob(f"{package}_*.deb"))
    if failed or not archives:
        raise KitError(f"apt-get could not download {package}:\n{failed}")
    return archives[0]


def _apt(folder: Path, *arguments: str) -> str:
    """What went wrong; empty if nothing did."""
    argv = ["apt-get", "-q", "-oAPT::Sandbox::User=root", *arguments]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    return (done.stderr or "apt-get failed") if done.returncode else ""
