"""Tries every fault with every store and writes the table of docs/reliability.md."""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from fault_store import kubernetes
from fault_stores import STORES, Behind
from fault_table import CAUSES, Trial, causes_of, check, trial
from kit import Cluster

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_MARKED = re.compile(r"(<!-- table: .*?-->\n).*?(<!-- end of table -->)", re.DOTALL)


def main() -> None:
    """All of them, one store after the other."""
    columns: dict[str, dict[str, Trial]] = {}
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="reliability-")))
        cluster = undo.enter_context(Cluster())
        for name in ("vault", "aws", "kubernetes"):
            own = folder / name
            own.mkdir()
            made = kubernetes(cluster, own) if name == "kubernetes" else STORES[name](own)
            with made as behind:
                columns[name] = column(name, behind)
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_MARKED.sub(lambda match: match[1] + table(columns) + match[2], text), encoding="utf-8")
    print(table(columns))


def column(name: str, behind: Behind) -> dict[str, Trial]:
    """What came of each cause."""
    proxy, service = behind
    came: dict[str, Trial] = {}
    for cause in causes_of(name):
        print(f"{name}: {cause}", file=sys.stderr, flush=True)
        came[cause] = trial(service, proxy, cause)
        check(cause, came[cause])
    return came


def table(columns: dict[str, dict[str, Trial]]) -> str:
    """As Markdown."""
    lines = [
        "| cause | " + " | ".join(f"`{name}`" for name in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for cause in CAUSES:
        cells = [cell(found[cause]) if cause in found else "–" for found in columns.values()]
        lines.append(f"| {cause} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def cell(came: Trial) -> str:
    """What a look-up and a create were told, what each took, and the time until both worked again."""
    codes = came.read if came.read == came.wrote else f"{came.read}; {came.wrote}"
    return f"{codes}, {came.looking:.1f} s, {came.writing:.1f} s; {came.recovery:.1f} s"


if __name__ == "__main__":
    main()
