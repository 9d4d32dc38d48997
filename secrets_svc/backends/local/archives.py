"""The form of a backup: which files it holds, under which names, and how large each may be."""

from __future__ import annotations

import re

from secrets_svc.backends.local.databases import FILE
from secrets_svc.backends.local.keys import FILES, FOLDER, GENERATION
from secrets_svc.core.state_folder import ADMIN_TOKEN_FILE, TLS_FOLDER

MANIFEST = "secrets-svc-backup.json"
FORM = 1
#: What is taken of the server's certificates, which it needs to be the same server again.
TLS_NAME = re.compile(r"[a-z0-9][-a-z0-9]{0,40}\.(?:pem|key)")
#: Members: a generation has four, and rotations leave one or two.
MAX_MEMBERS = 1000

_SMALL = 65_536
_KEY = re.compile(rf"{FOLDER}/(?:{GENERATION.pattern})/(?:{'|'.join(map(re.escape, FILES))})")
_TLS = re.compile(rf"{TLS_FOLDER}/(?:{TLS_NAME.pattern})")


def most_bytes(name: str) -> int | None:
    """Bytes that the member ``name`` may have, 0 for no limit; ``None`` where no backup has such a member."""
    if name == FILE:
        return 0
    if name in (MANIFEST, ADMIN_TOKEN_FILE) or _KEY.fullmatch(name) or _TLS.fullmatch(name):
        return _SMALL
    return None
