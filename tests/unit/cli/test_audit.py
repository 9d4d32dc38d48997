"""Reading the audit file."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.audit_files import Filter, complete_end, last_events, parse_since
from cli.context import Context, save_context
from secrets_svc.core.audit import AuditEvent, AuditSecret
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[3]


def event(number: int, **facts: Any) -> bytes:
    fields = {
        "surface": "api",
        "action": "create",
        "actor": "ann",
        "outcome": "ok",
        "request_id": f"r{number}",
    }
    at = NOW + timedelta(minutes=number)
    secret = AuditSecret(f"n{number}", Scope("acme", project="shop"), "v1", "local")
    return AuditEvent(**{**fields, **facts}, secrets=(secret,), at=at.timestamp()).to_json()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(b"".join(event(number) for number in range(100)))
    return path


def ids(out: str) -> list[str]:
    return [json.loads(line)["request_id"] for line in out.splitlines()]


def test_the_last_ones_newest_last(secret: Any, file: Path) -> None:
    line = ("audit", "--file", str(file), "-o", "json")
    assert ids(secret(*line).out) == [f"r{n}" for n in range(50, 100)]
    assert ids(secret(*line, "--limit", "3").out) == ["r97", "r98", "r99"]
    result = secret("audit", "--file", str(file), "--limit", "1")
    assert result.out.splitlines()[1].split() == [
        "2026-01-02T13:39:00.000000Z", "api", "create", "ann", "ok", "n99", "(project", "shop)", "r99",
    ]  # fmt: skip


def test_filters(secret: Any, file: Path) -> None:
    with file.open("ab") as stream:
        stream.write(event(100, actor="bob", outcome="not_found"))
        stream.write(event(101, action="admit", actor="bob"))
    line = ("audit", "--file", str(file), "-o", "json")
    assert ids(secret(*line, "--actor", "bob").out) == ["r100", "r101"]
    assert ids(secret(*line, "--outcome", "not_found").out) == ["r100"]
    assert ids(secret(*line, "--action", "admit", "--actor", "bob").out) == ["r101"]
    assert ids(secret(*line, "--name", "n7").out) == ["r7"]
    assert ids(secret(*line, "--since", "2026-01-02T13:40:00Z").out) == ["r100", "r101"]
    assert ids(secret(*line, "--since", "1s").out) == []
    assert secret(*line, "--since", "yesterday").code == 2


def test_a_torn_last_line_and_nonsense(secret: Any, file: Path) -> None:
    with file.open("ab") as stream:
        stream.write(b"nonsense\n[]\n\n" + event(100) + event(101)[:-20])
    result = secret("audit", "--file", str(file), "-o", "json", "--limit", "3")
    assert ids(result.out) == ["r98", "r99", "r100"]
    assert result.err == f"note: 2 lines of {file} are not events\n"


def test_hostile_lines_dont_steer_the_terminal(secret: Any, tmp_path: Path) -> None:
    path = tmp_path / "a"
    hostile = {"at": 7, "actor": "\x1b[2J", "secrets": [7, {"name": ["x"]}], "outcome": {}, "action": None}
    path.write_text(json.dumps(hostile) + "\n" + json.dumps({"secrets": 7}) + "\n" + "[" * 100_000 + "\n")
    result = secret("audit", "--file", str(path))
    assert result.code == 0
    assert "\x1b" not in result.out


def test_long_lines_across_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a"
    lines = [
        json.dumps({"request_id": str(n), "x": "y" * size}) for n, size in enumerate([5, 200_000, 7, 65536])
    ]
    path.write_text("\n".join(lines) + "\n" + "z" * 150_000)
    with path.open("rb") as stream:
        end = complete_end(stream)
        found, illegible = last_events(stream, end, Filter(), 10)
    assert end == sum(len(line) + 1 for line in lines)
    assert ([entry["request_id"] for entry in found], illegible) == (["0", "1", "2", "3"], 0)


@pytest.mark.parametrize("content", [b"", b"{", b"{}"])
def test_files_without_a_complete_line(secret: Any, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    result = secret("audit", "--file", str(path), "-o", "json")
    assert (result.code, result.out) == (0, "")


def test_where_the_file_is(secret: Any, file: Path) -> None:
    result = secret("audit")
    assert result.code == 2
    assert "--file" in result.err
    save_context("local", Context(state=str(file.parent)))
    assert len(secret("audit").out.splitlines()) == 51
    save_context("local", Context(state=str(file.parent / "absent")))
    assert secret("audit").code == 3


def test_follow(file: Path) -> None:
    command = [sys.executable, "-u", "-m", "cli.main", "audit", "--file", str(file), "-o", "json", "--follow"]
    process = subprocess.Popen([*command, "--limit", "1", "--actor", "ann"], stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    with process:
        try:
            assert ids(process.stdout.readline().decode()) == ["r99"]
            with file.open("ab") as stream:
                stream.write(event(100, actor="bob") + event(101)[:30])
                stream.flush()
                stream.write(event(101)[30:])
            assert ids(process.stdout.readline().decode()) == ["r101"]
            file.rename(file.with_suffix(".1"))
            file.write_bytes(event(102))
            assert ids(process.stdout.readline().decode()) == ["r102"]
            process.send_signal(2)
            assert process.wait(10) == 130
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("15m", NOW - timedelta(minutes=15)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-01-01T00:00:00+01:00", datetime(2025, 12, 31, 23, tzinfo=UTC)),
    ],
)
def test_since(text: str, expected: datetime) -> None:
    assert parse_since(text, now=NOW) == expected


@pytest.mark.parametrize("text", ["", "h", "1", "-1h", "1w", "2026-01-01T00:00:00", "999999999d"])
def test_illegal_since(text: str) -> None:
    with pytest.raises(InvalidArgument, match="--since"):
        parse_since(text, now=NOW)
