"""Reads the project's documents: fenced blocks, sessions, generated parts, links.

A session is a ``console`` block: lines that begin with ``$`` are typed, ``>`` continues them, the rest is
what is answered. A help block is a ``text`` block whose first line is ``$ secret … --help``. A generated part
lies between ``<!-- NAME: … -->`` and ``<!-- end of NAME -->``.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
#: As wide as help is ever printed.
WIDTH = "100"

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HELP = re.compile(r"(?<=^```text\n)\$ (secret[^\n]* --help)\n(.*?)(?=^```$)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str


@dataclass(frozen=True)
class Step:
    """One command of a session, and what it answers."""

    command: str
    output: str


def blocks(text: str) -> list[Block]:
    """All fenced blocks of a page's ``text``."""
    return [Block(*found.groups()) for found in _FENCED.finditer(text)]


def section(text: str, heading: str) -> str:
    """What stands below the heading ``## heading``, down to the next of that level."""
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"there is no section {heading!r}"
    return found[1]


def steps(block: str) -> list[Step]:
    """The commands of a session."""
    found: list[tuple[list[str], list[str]]] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif line.startswith("> ") and not found[-1][1]:
            found[-1][0].append(line[2:])
        else:
            found[-1][1].append(line)
    return [Step("\n".join(typed), "\n".join(answered)) for typed, answered in found]


def without_code(text: str) -> str:
    """``text`` without its fenced blocks."""
    return _FENCED.sub("", text)


def links(text: str) -> Iterator[tuple[str, str]]:
    """File and anchor of each link within the project; either may be empty."""
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(text)):
        if not re.match(r"[a-z]+:", target):
            file, _, anchor = target.partition("#")
            yield file, anchor


def anchors(text: str) -> set[str]:
    """Anchors of a page's headings, as they are usually made."""
    headings = re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(text: str) -> Iterator[list[str]]:
    """Each ``secret …`` that a page tells people to type, as words."""
    lines: list[str] = []
    for block in blocks(text):
        if block.language == "console":
            lines += [step.command.split("\n")[0] for step in steps(block.text)]
        elif block.language in ("text", "sh"):
            lines += [line.strip().removeprefix("$ ") for line in block.text.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", without_code(text))
    for line in lines:
        for found in re.finditer(r"(?:^|[|;&(] *|\.venv/bin/)secret +([-a-z].*)", line):
            yield _words(found[1])


def _words(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    try:
        for word in lexer:
            if word in ("--", "|", ";", "&&", "||", ">", "<", "<<", ")") or word.startswith("#"):
                break
            words.append(word)
    except ValueError:  # a quotation that the line does not end
        pass
    return words


def help_of(command: str) -> str:
    """What ``secret … --help`` prints."""
    arguments = shlex.split(command)[1:]
    environment = {"PATH": os.environ["PATH"], "COLUMNS": WIDTH, "LANG": "C.UTF-8"}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=True,
        timeout=60,
    )
    return done.stdout.decode()


def with_generated_parts(text: str) -> str:
    """A page with its help blocks and its tables as they are now."""
    from secrets_svc.runtime.backend_table import TABLES

    text = _HELP.sub(lambda found: f"$ {found[1]}\n{help_of(found[1])}", text)
    return re.sub(
        rf"(<!-- ({'|'.join(TABLES)}): [^\n]* -->\n).*?(<!-- end of \2 -->)",
        lambda found: f"{found[1]}{TABLES[found[2]]()}{found[3]}",
        text,
        flags=re.DOTALL,
    )
