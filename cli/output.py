"""What commands print: tables for people; JSON, YAML and bare names for programs.

Whatever comes from a server or a file is escaped, so that it can't steer a terminal.
"""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from secrets_svc.core.secret import SecretMetadata


class OutputFormat(enum.StrEnum):
    """What ``--output`` takes."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


def escape(text: object) -> str:
    """``text`` with everything unprintable written as ``\\x1b``, ``\\u202e`` and the like."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else _code(ord(c)) for c in shown)


def _code(point: int) -> str:
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


def coloured(stream: TextIO) -> bool:
    """Whether to use colour: on a terminal, unless NO_COLOR is set or the terminal is a dumb one."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def counted(number: int, what: str) -> str:
    """``1 secret``, ``2 secrets``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def note(text: str) -> None:
    """A remark on stderr, beside the output."""
    sys.stderr.write(f"note: {escape(text)}\n")


def rfc3339(at: datetime) -> str:
    """A time as the interfaces write it: UTC, with ``Z``."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def metadata_json(metadata: SecretMetadata) -> dict[str, Any]:
    """A secret's metadata in the form of the REST interface."""
    scope = metadata.ref.scope
    return {
        "name": metadata.ref.name,
        "organization": scope.organization,
        "domain": scope.domain,
        "project": scope.project,
        "type": metadata.type.value,
        "version": metadata.version,
        "size": metadata.size,
        "created_at": rfc3339(metadata.created_at),
        "updated_at": rfc3339(metadata.updated_at),
        "created_by": metadata.created_by,
        "updated_by": metadata.updated_by,
        "read_only": metadata.read_only,
    }


def kind_of(type: str, *, read_only: bool) -> str:
    """The type, as tables show it."""
    return f"{type}, read-only" if read_only else type


class Table:
    """Aligned columns, row by row; the widths are those of the first rows.

    :param headings: printed before the first row; without any there are only rows.
    """

    def __init__(self, headings: Sequence[str] = (), *, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._headings = headings
        self._widths: list[int] = []

    def write(self, rows: Iterable[Sequence[object]]) -> None:
        """Print ``rows``; may be called again with more."""
        cells = [[escape(cell) for cell in row] for row in rows]
        if not cells:
            return
        if not self._widths:
            lines = [list(self._headings), *cells] if self._headings else cells
            self._widths = [max(len(line[i]) for line in lines) for i in range(len(cells[0]))]
            if self._headings:
                heading = self._line(self._headings)
                heading = f"\x1b[1m{heading}\x1b[0m" if coloured(self._stream) else heading
                self._stream.write(heading + "\n")
        self._stream.writelines(self._line(row) + "\n" for row in cells)

    def _line(self, cells: Sequence[str]) -> str:
        padded = (cell.ljust(width) for cell, width in zip(cells, self._widths, strict=True))
        return "  ".join(padded).rstrip()


def print_document(document: Any, form: OutputFormat) -> None:
    """``document`` as JSON or YAML."""
    if form is OutputFormat.YAML:
        sys.stdout.write(_yaml(document))
    else:
        import json

        sys.stdout.write(json.dumps(document, indent=2) + "\n")


def _yaml(document: Any) -> str:
    import yaml

    return str(yaml.safe_dump(document, sort_keys=False, width=10_000))


class ListPrinter:
    """Prints a list page by page, so that a long one appears while it is still being read.

    Bare names come once each: the same name may be there in several scopes.
    """

    def __init__(self, form: OutputFormat, headings: Sequence[str]) -> None:
        self._form = form
        self._table = Table(headings)
        self._count = 0
        self._names: set[str] = set()

    def write(self, items: Sequence[tuple[Mapping[str, Any], Sequence[object]]]) -> None:
        """Print pairs of document (with a ``name``) and table row."""
        if self._form is OutputFormat.TABLE:
            self._table.write([row for _, row in items])
        elif self._form is OutputFormat.NAME:
            self._write_names([document["name"] for document, _ in items])
        elif self._form is OutputFormat.YAML and items:
            sys.stdout.write(_yaml([dict(document) for document, _ in items]))
        elif self._form is OutputFormat.JSON:
            self._write_json([document for document, _ in items])
        self._count += len(items)
        sys.stdout.flush()

    def _write_names(self, names: Sequence[str]) -> None:
        new = [name for name in dict.fromkeys(names) if name not in self._names]
        self._names.update(new)
        sys.stdout.writelines(escape(name) + "\n" for name in new)

    def _write_json(self, documents: Sequence[Mapping[str, Any]]) -> None:
        import json

        for number, document in enumerate(documents, self._count):
            sys.stdout.write(f"{',' if number else '['}\n  {json.dumps(document)}")

    def close(self) -> int:
        """Finish the list; returns how many items it had."""
        if self._form is OutputFormat.JSON:
            sys.stdout.write("\n]\n" if self._count else "[]\n")
        elif self._form is OutputFormat.YAML and not self._count:
            sys.stdout.write("[]\n")
        return self._count
