"""A value that can be recognised in every form in which something might show it."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote


@dataclass(frozen=True)
class Canary:
    """A marker, and how to find it.

    :param data: the exact bytes; every form of ``core`` is searched for, so that a cut-off copy is found too.
    """

    data: bytes
    core: bytes

    @classmethod
    def text(cls) -> Canary:
        """One that can be typed, and looks different once escaped."""
        core = 'c"\\ä/+ ' + secrets.token_hex(8)
        return cls(f"canary {core} song".encode(), core.encode())

    @classmethod
    def binary(cls) -> Canary:
        """One that is neither UTF-8 nor free of NUL."""
        core = b"\x00\xff\xfe" + secrets.token_bytes(13)
        return cls(b"canary" + core + b"song", core)

    def forms(self) -> dict[str, bytes]:
        """Names of forms and what to look for; case matters in none of those listed twice."""
        found = {"raw": self.core}
        for shift in range(3):
            # Where the marker begins in its group of three bytes decides how it looks (RFC 4648 section 4).
            encoded = base64.b64encode(bytes(shift) + self.core)
            whole = encoded[-(-8 * shift // 6) : 8 * (shift + len(self.core)) // 6]
            found[f"base64 at {shift}"] = whole
            found[f"base64url at {shift}"] = whole.replace(b"+", b"-").replace(b"/", b"_")
        found["hex"] = self.core.hex().encode()
        found["HEX"] = self.core.hex().upper().encode()
        found["URL"] = quote(self.core, safe="").encode()
        found["URL, slash kept"] = quote(self.core).encode()
        found["url"] = _lower_escapes(quote(self.core, safe=""))
        found["repr"] = repr(self.core)[2:-1].encode()
        for name, encoding in (("UTF-8", "utf-8"), ("Latin-1", "latin-1")):
            try:
                text = self.core.decode(encoding)
            except UnicodeDecodeError:
                continue
            found[f"JSON of {name}"] = json.dumps(text)[1:-1].encode()
            found[f"JSON of {name}, unescaped"] = json.dumps(text, ensure_ascii=False)[1:-1].encode()
            found[f"unicode_escape of {name}"] = text.encode("unicode_escape")
            found[f"UTF-16 of {name}"] = text.encode("utf-16-le")
        return found

    def seen_in(self, haystack: bytes) -> list[str]:
        """The forms in which ``haystack`` shows it."""
        return [name for name, form in self.forms().items() if form in haystack]


def _lower_escapes(text: str) -> bytes:
    import re

    return re.sub("%..", lambda found: found[0].lower(), text).encode()


@dataclass
class Search:
    """Collects whatever somebody could see, and looks for markers in it."""

    canaries: tuple[Canary, ...]
    haystacks: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, data: bytes) -> bytes:
        """Look into ``data`` later; returns it."""
        self.haystacks[f"{len(self.haystacks)}: {name}"] = data
        return data

    def add_files(self, folder: Path) -> int:
        """Look into every file below ``folder``, and at the names; returns how many files there are."""
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        for path in files:
            self.add(str(path.relative_to(folder)), path.read_bytes())
        self.add("names of files", "\n".join(map(str, files)).encode())
        return len(files)

    def hits(self) -> list[tuple[str, str]]:
        """Where which form of a marker was seen."""
        return [
            (place, form)
            for place, data in self.haystacks.items()
            for canary in self.canaries
            for form in canary.seen_in(data)
        ]


def planted(canary: Canary) -> Iterable[tuple[str, bytes]]:
    """Each form of ``canary`` inside other data: what a search must find."""
    for name, form in canary.forms().items():
        yield name, b"{before}" + form + b"{after}"
