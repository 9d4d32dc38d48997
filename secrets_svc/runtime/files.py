"""Private files that settings name, and tokens in them."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.private_files import read_if_private, write_private
from secrets_svc.core.value import SecretValue


def default_state_folder(environ: dict[str, str] | os._Environ[str]) -> Path:
    """``secrets-svc`` below ``XDG_STATE_HOME`` (XDG Base Directory Specification), else ~/.local/state.

    :raises InvalidArgument: this user has no home folder.
    """
    base = environ.get("XDG_STATE_HOME", "")
    try:
        folder = Path(base) if base.startswith("/") else Path("~/.local/state").expanduser()
    except RuntimeError:
        raise InvalidArgument(
            "state.folder: this user has no home folder to put it into; name one, e.g. by --state"
        ) from None
    return folder / "secrets-svc"


def read_private(path: Path, field: str) -> bytes:
    """The content of a file that only its owner may read, at most 1 MiB.

    :param field: the setting that names it, for the message.
    :raises InvalidArgument: it is absent, unreadable, or others can read it.
    """
    try:
        return read_if_private(path, limit=1 << 20)
    except InvalidArgument as error:
        raise InvalidArgument(f"{field}: {error}") from None
    except OSError:
        raise InvalidArgument(f"{field}: file {path} can't be read") from None


def read_token(path: Path, field: str) -> SecretValue:
    """A bearer token from a private file, white space around it left out.

    :raises InvalidArgument: see :func:`read_private`; also if it is shorter than 32 characters, or no caller
        could send it.
    """
    token = read_private(path, field).strip()
    if len(token) < 32:
        raise InvalidArgument(f"{field}: the token in {path} has fewer than 32 characters")
    if not all(0x21 <= byte <= 0x7E for byte in token):
        raise InvalidArgument(
            f"{field}: the token in {path} is not one line of printable ASCII characters without spaces, "
            "and no header could carry it"
        )
    return SecretValue(token)


def ensure_token(path: Path, field: str) -> SecretValue:
    """The token in ``path``, made of 256 bits of chance if there is none yet."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32).encode() + b"\n")
    return read_token(path, field)
