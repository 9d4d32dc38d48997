"""The documents say what the product does: sessions, help, tables, links, names of tests and commands."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from documents import (
    PAGES,
    ROOT,
    Step,
    anchors,
    blocks,
    commands,
    links,
    section,
    steps,
    with_generated_parts,
    without_code,
)
from harness import Server

from cli.errors import EXIT_CODES
from cli.main import group
from injector.dialects import ours
from injector.keys import REQUEST
from injector.refusals import STATUS_BY_CODE
from injector.review import ObjectMeta
from secrets_svc.core.errors import SecretsError, by_code
from secrets_svc.runtime.settings_reference import reference

#: Typer, as it is held, imports names of Click's that are to go.
pytestmark = pytest.mark.filterwarnings("ignore:'click.utils..*' is deprecated:DeprecationWarning")

IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]
README = ROOT / "README.md"
#: What a session shows otherwise on each machine and at each time.
CHANGING = (
    (re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "…"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"), "…"),
    (re.compile(r"user:\S+"), "…"),
    (re.compile(r"(127\.0\.0\.1):\d+"), r"\1:PORT"),
    (re.compile(r"(state +)\S+"), r"\1FOLDER"),
    (re.compile(r" {2,}"), "  "),
)
BETWEEN = "\x1e"


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def elided(output: str) -> list[str]:
    """``output`` without what changes, and without the width of columns."""
    for pattern, instead in CHANGING:
        output = pattern.sub(instead, output)
    return [line.rstrip() for line in output.strip("\n").splitlines()]


def yaml_elided(output: str) -> list[str]:
    """As :func:`elided`, with the indentation kept."""
    return [
        line[: len(line) - len(line.lstrip())] + " ".join(elided(line.lstrip()))
        for line in output.splitlines()
    ]


def in_one_shell(server: Server, typed: list[Step]) -> list[tuple[int, str]]:
    """Exit code and output of each command, all typed into one shell."""
    script = "".join(f'{{ {step.command}\n}} 2>&1; printf "{BETWEEN}%d{BETWEEN}" $?\n' for step in typed)
    done = subprocess.run(
        ["bash", "-c", script],
        env=server.environment,
        cwd=server.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    parts = done.stdout.split(BETWEEN)
    return [(int(code), output) for output, code in zip(parts[::2], parts[1::2], strict=False)]


def test_the_session_of_the_readme_is_as_shown(tmp_path: Path) -> None:
    first, *others = [
        steps(block.text)
        for block in blocks(section(text_of(README), "A session on a laptop"))
        if block.language == "console"
    ]
    assert [step.command for step in first] == ["make dev", ".venv/bin/secret serve all"]
    server = Server(tmp_path)
    # The commands of the session are found where `make dev` puts them.
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    server.start()
    try:
        assert elided(server.log) == elided(first[1].output)
        typed = [step for block in others for step in block]
        assert len(typed) > 8
        for step, (code, output) in zip(typed, in_one_shell(server, typed), strict=True):
            assert code == 0, f"{step.command}\n{output}"
            assert yaml_elided(output) == yaml_elided(step.output), step.command
    finally:
        assert server.stop() == 0


def test_the_session_with_python_is_as_shown(tmp_path: Path) -> None:
    """Its blocks of code are files, named in their first lines."""
    page = text_of(ROOT / "docs" / "asking-from-python.md")
    server = Server(tmp_path)
    server.start()
    server.environ = {
        "PATH": f"{Path(sys.executable).parent}:{server.environment['PATH']}",
        "STATE": str(server.state),
    }
    for block in blocks(page):
        if block.language == "python":
            name = re.match(r"# (\w+\.py)\n", block.text)
            assert name is not None, block.text
            (tmp_path / name[1]).write_text(block.text)
    typed = [step for block in blocks(page) if block.language == "console" for step in steps(block.text)]
    try:
        assert len(typed) > 6
        for step, (code, output) in zip(typed, in_one_shell(server, typed), strict=True):
            assert code == 0, f"{step.command}\n{output}"
            assert yaml_elided(output) == yaml_elided(step.output), step.command
    finally:
        assert server.stop() == 0


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_generated_parts_are_up_to_date(page: Path) -> None:
    """Help blocks and the table of backends; ``make docs`` makes them anew."""
    assert with_generated_parts(text_of(page)) == text_of(page)


def test_there_are_generated_parts() -> None:
    assert "\n| `local` | " in text_of(README)
    assert "\nUsage: secret [OPTIONS] COMMAND" in text_of(README)


def test_the_settings_reference_is_up_to_date() -> None:
    assert text_of(ROOT / "docs" / "settings.md") == reference()


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_links_lead_somewhere(page: Path) -> None:
    for file, anchor in links(text_of(page)):
        target = page.parent / file if file else page
        assert target.exists(), f"{file} is not there"
        if anchor:
            assert anchor in anchors(text_of(target)), f"{file}#{anchor} is not there"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_commands_and_options_exist(page: Path) -> None:
    for words in commands(text_of(page)):
        check_command(words)


def test_unknown_commands_and_options_would_be_found() -> None:
    for words in commands("`secret gte NAME` `x | secret get NAME --colour` `secret serve data`"):
        with pytest.raises(AssertionError):
            check_command(words)


def check_command(words: list[str]) -> None:
    """Commands are known, and so are their options."""
    command: click.Command = group
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        name = rest.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"there is no command {name!r}: secret {' '.join(words)}"
        command = found
    known = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
    for word in rest:
        if re.match(r"--?[a-z]", word):
            option = word.partition("=")[0]
            assert option in known | {"--help", "-h"}, f"no option {option}: secret {' '.join(words)}"


def test_every_control_is_proven_by_tests_that_exist() -> None:
    text = text_of(ROOT / "SECURITY.md")
    controls = dict(re.findall(r"^\| (C\d+) \| .* \| ([^|]*) \|$", text, re.MULTILINE))
    assert list(controls) == [f"C{number}" for number in range(1, len(controls) + 1)]
    for control, proof in controls.items():
        named = re.findall(r"`([^`:]+)::([^`]+)`", proof)
        assert named, f"{control} names no test"
        for file, test in named:
            assert (ROOT / file).is_file(), f"{control}: there is no {file}"
            assert test in set(proofs_in(ROOT / file)), f"{control}: {file} has no {test}"


def proofs_in(file: Path) -> Iterator[str]:
    """Names of the tests in ``file``, those of classes as ``Class::name``."""
    for node in ast.parse(text_of(file)).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from (
                f"{node.name}::{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            )


def test_threats_and_controls_belong_together() -> None:
    text = text_of(ROOT / "SECURITY.md")
    rows = {found[1]: found[2] for found in re.finditer(r"^\| ([ATCR]\d+) \| (.*) \|$", text, re.MULTILINE)}
    for kind in "ATCR":
        numbers = [int(name[1:]) for name in rows if name.startswith(kind)]
        assert numbers == list(range(1, len(numbers) + 1)), kind
    used = {name for row, cells in rows.items() if row[0] == "T" for name in re.findall(r"\b[AC]\d+", cells)}
    assert used - set(rows) == set()
    assert {name for name in rows if name[0] == "C"} <= used


def test_refusals_of_annotations_are_as_documented() -> None:
    page = text_of(ROOT / "docs" / "asking-from-a-pod.md")
    part = page.partition("### What the annotation must be")[2].partition("###")[0]
    rows = re.findall(r"^\| `(.*?)` \| `(.*)` \|$", part, re.MULTILINE)
    assert len(rows) > 15
    for annotation, text in rows:
        with pytest.raises(SecretsError) as caught:
            ours.parse(ObjectMeta(annotations={REQUEST: annotation}))
        assert caught.value.message == text


def test_codes_are_as_documented() -> None:
    page = text_of(ROOT / "docs" / "asking-from-a-pod.md")
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (yes|no) \|$", page, re.MULTILINE)
    found = {code: (int(status), retry == "yes") for code, status, retry in rows}
    assert found == {code: (STATUS_BY_CODE[code], kind.retryable) for code, kind in by_code().items()}


def test_exit_codes_are_as_documented() -> None:
    part = section(text_of(ROOT / "docs" / "cli.md"), "Exit codes")
    found = {
        code: int(number)
        for number, codes in re.findall(r"^\| (\d+) \| (.*?) \|", part, re.MULTILINE)
        for code in re.findall(r"`(\w+)`", codes)
    }
    assert found == EXIT_CODES


def test_the_makes_that_are_named_exist() -> None:
    known = set(re.findall(r"^([a-z0-9-]+):", text_of(ROOT / "Makefile"), re.MULTILINE))
    named = {
        target
        for page in PAGES
        for target in re.findall(r"`make ([a-z][a-z0-9-]*)`", without_code(text_of(page)))
    }
    assert "test" in named
    assert named <= known


def test_the_layers_are_drawn_as_they_are_checked() -> None:
    rules = configparser.ConfigParser()
    rules.read_string(text_of(ROOT / ".importlinter"))
    drawn = next(block.text for block in blocks(section(text_of(ROOT / "ARCHITECTURE.md"), "Layers")))
    lines = [re.split(r" {3,}", line.strip())[0] for line in drawn.splitlines()]
    for contract in ("distributions", "inside", "injector"):
        layers = rules[f"importlinter:contract:{contract}"]["layers"].split("\n")
        wanted = [re.sub(r"\b(?:secrets_svc|injector)\.", "", layer) for layer in layers if layer]
        assert [line for line in lines if line in wanted] == wanted


def test_the_license_is_the_whole_one() -> None:
    text = text_of(ROOT / "LICENSE")
    assert "Apache License" in text[:100]
    assert len(text.encode()) == 11_358
