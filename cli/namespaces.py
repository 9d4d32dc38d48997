"""What namespaces stand for, as this machine's server has it: left in its state folder for ``secret run``.

``secret check`` asks the server itself; ``secret run --pod`` also works while there is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from injector.requests import Claim
from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.private_files import write_private
from secrets_svc.core.scope import validate_label

FILE = "namespaces.json"


def remember_namespaces(state: Path, namespaces: Mapping[str, Claim]) -> None:
    """Leave ``namespaces`` in the state folder, for its owner alone.

    :raises Unavailable: the file can't be written.
    """
    entries = {
        name: {kind: part for kind, part in (("project", claim.project), ("domain", claim.domain)) if part}
        for name, claim in namespaces.items()
    }
    content = json.dumps(entries, indent=2).encode() + b"\n"
    if not _is_there(state / FILE, content):  # a full disk is no reason not to start again
        write_private(state / FILE, content)


def _is_there(file: Path, content: bytes) -> bool:
    try:
        return file.read_bytes() == content
    except OSError:
        return False


def known_namespaces(state: Path) -> dict[str, Claim]:
    """What the last server of this state folder left; empty if it left nothing.

    :raises Unavailable: the file can't be read. :raises InvalidArgument: it isn't what a server wrote.
    """
    file = state / FILE
    try:
        entries = json.loads(file.read_bytes())
        return {str(name): _claim(entry) for name, entry in entries.items()}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Unavailable(f"file {file} can't be read") from error
    except (ValueError, TypeError, AttributeError, RecursionError, InvalidArgument) as error:
        raise InvalidArgument(
            f"file {file} is not what a server wrote: the next start of one writes it anew"
        ) from error


def _claim(entry: dict[str, object]) -> Claim:
    parts = {kind: validate_label(kind, text) for kind, text in entry.items()}
    return Claim(**parts)
