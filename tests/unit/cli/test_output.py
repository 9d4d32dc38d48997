"""Tables and documents."""

from __future__ import annotations

import io
import json

import pytest
import yaml

from cli.output import ListPrinter, OutputFormat, Table, coloured, escape, print_document

HOSTILE = "a\x1b[31m\r\n\x00\x9b\u202e\U000e0001\ud800b\u00e4"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_nothing_steers_a_terminal() -> None:
    assert escape(HOSTILE) == "a\\x1b[31m\\x0d\\x0a\\x00\\x9b\\u202e\\U000e0001\\ud800b\u00e4"
    escape(HOSTILE).encode()


def test_columns_are_aligned_and_nothing_trails() -> None:
    stream = io.StringIO()
    table = Table(("NAME", "B"), stream=stream)
    table.write([("a", "x"), ("long-name", "")])
    table.write([("much-longer-than-before", "y")])
    assert stream.getvalue() == "NAME       B\na          x\nlong-name\nmuch-longer-than-before  y\n"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colour(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], expected: bool) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for variable, text in environ.items():
        monkeypatch.setenv(variable, text)
    stream = Terminal()
    assert coloured(stream) is expected
    Table(("A",), stream=stream).write([("x",)])
    assert ("\x1b" in stream.getvalue()) is expected
    assert not coloured(io.StringIO())


@pytest.mark.parametrize("count", [0, 1, 2, 5])
@pytest.mark.parametrize("form", [OutputFormat.JSON, OutputFormat.YAML])
def test_pages_make_one_document(capsys: pytest.CaptureFixture[str], form: OutputFormat, count: int) -> None:
    documents = [{"name": f"n{i}", "by": HOSTILE.replace("\ud800", "")} for i in range(count)]
    printer = ListPrinter(form, ("NAME",))
    for start in range(0, count, 2):
        printer.write([(document, (document["name"],)) for document in documents[start : start + 2]])
    assert printer.close() == count
    out = capsys.readouterr().out
    assert (json.loads(out) if form is OutputFormat.JSON else yaml.safe_load(out)) == documents
    assert "\x1b" not in out


def test_documents(capsys: pytest.CaptureFixture[str]) -> None:
    print_document({"b": 1, "a": None}, OutputFormat.YAML)
    assert capsys.readouterr().out == "b: 1\na: null\n"
