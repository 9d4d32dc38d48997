"""Files that must stay private: made with the right mode, and refused with the wrong one."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.value import SecretValue


def default_state_folder(environ: dict[str, str] | os._Environ[str]) -> Path:
    """``secrets-svc`` below ``XDG_STATE_HOME`` (XDG Base Directory Specification), else ~/.local/state."""
    base = environ.get("XDG_STATE_HOME", "")
    folder = Path(base) if base.startswith("/") else Path("~/.local/state").expanduser()
    return folder / "secrets-svc"


def read_private(path: Path, field: str) -> bytes:
    """The content of a file that only its owner may read.

    A group may read it where that is how we do, being another user: so the kubelet mounts Secrets (fsGroup).

    :param field: the setting that names it, for the message.
    :raises InvalidArgument: it is absent, unreadable, or others can read it.
    """
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(1 << 20)
    except OSError:
        raise InvalidArgument(f"{field}: file {path} can't be read") from None
    mode = stat.S_IMODE(status.st_mode)
    if mode & (0o077 if status.st_uid == os.geteuid() else 0o037):
        raise InvalidArgument(
            f"{field}: file {path} is open to others (mode {mode:04o}): type chmod 600 {path}"
        )
    return content


def write_private(path: Path, content: bytes) -> None:
    """Write ``path`` whole or not at all, mode 0600, on the disk when this returns.

    :raises Unavailable: it can't be written.
    """
    try:
        _replace(path, content)
    except OSError as error:
        raise Unavailable(f"file {path} can't be written: look at its folder and its disk") from error


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read_token(path: Path, field: str) -> SecretValue:
    """A bearer token from a private file, white space around it left out.

    :raises InvalidArgument: see :func:`read_private`; also if it is shorter than 32 characters.
    """
    token = read_private(path, field).strip()
    if len(token) < 32:
        raise InvalidArgument(f"{field}: the token in {path} has fewer than 32 characters")
    return SecretValue(token)


def ensure_token(path: Path, field: str) -> SecretValue:
    """The token in ``path``, made of 256 bits of chance if there is none yet."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode() + b"\n")
    return read_token(path, field)
