"""``secret import flyte``: what is refused before anybody is asked, and what is printed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from cli.errors import exit_code
from cli.kubeconfigs import own_kubeconfig
from cli.main import main
from cli.output import OutputFormat
from cli.taking_over import Task, carry_out
from secrets_svc.core.errors import (
    Conflict,
    DeadlineExceeded,
    InvalidArgument,
    SecretsError,
    Throttled,
    Unavailable,
    Unreadable,
)
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef
from secrets_svc.core.state_folder import remember_audit_file
from secrets_svc.core.taking_over import Candidate, Standing
from secrets_svc.runtime.audit_file import AuditFile

REF = SecretRef(Scope("flyte", "production", "shop"), "db-password")
TWO = '[stores.a]\nbackend = "kubernetes"\n[stores.b]\nbackend = "kubernetes"\n[[routes]]\nstore = "a"\n'
#: Typer, as it is held, imports names of Click's that are to go.
pytestmark = pytest.mark.filterwarnings("ignore:'click.utils..*' is deprecated:DeprecationWarning")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code, and what was written to standard error."""
    code = main(["import", "flyte", *arguments])
    return code, capsys.readouterr().err


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SECRET_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.delenv("KUBECONFIG", raising=False)


@pytest.mark.parametrize(
    ("settings", "arguments", "code", "text"),
    [
        ("", (), 2, "the settings have no store of Kubernetes Secrets"),
        ("", ("--store", "local"), 2, 'store "local" holds no Kubernetes Secrets'),
        ("", ("--store", "other"), 2, 'the settings have no store "other"'),
        ("", ("--yes",), 2, "--yes answers the question of --apply"),
        ("", ("--kubeconfig", "/nonexistent"), 2, "there is no kubeconfig /nonexistent"),
        ("", ("--kube-context", "prod"), 2, "there is no kubeconfig"),
        (TWO, (), 2, "several such stores: say --store, one of a, b"),
        (
            '[stores.a]\nbackend = "kubernetes"\nexisting = "{project}.{name}#v"\n',
            (),
            2,
            "a store of existing Secrets takes none over",
        ),
        ('[stores.a]\nbackend = "kubernetes"\n', (), 2, "this process runs in no cluster"),
    ],
)
def test_what_can_not_be_done_is_told(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    settings: str,
    arguments: tuple[str, ...],
    code: int,
    text: str,
) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(settings)
    found, said = run(capsys, "--settings", str(file), "--state", str(tmp_path / "state"), *arguments)
    assert (found, text in said) == (code, True), said


class FakeStore:
    """Candidates, and what taking each of them comes to (:class:`~secrets_svc.core.taking_over.TakeOver`)."""

    where = 'namespace "flyte"'

    def __init__(self, *standings: Standing, failing: dict[int, BaseException] | None = None) -> None:
        self.candidates_ = [Candidate(f"object-{i}", REF, each) for i, each in enumerate(standings)]
        self.failing = failing or {}
        self.took: list[str] = []

    def candidates(self) -> Iterator[Candidate]:
        return iter(self.candidates_)

    def take(self, candidate: Candidate) -> Candidate:
        self.took.append(candidate.place)
        error = self.failing.get(len(self.took))
        if error is not None:
            raise error
        return replace(candidate, standing=Standing.TAKEN)

    def close(self) -> None:
        pass


Start = Callable[..., int]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Runs the use case around a :class:`FakeStore`."""

    def start(
        store: FakeStore, *pulls: str, apply: bool = True, yes: bool = True, output: str = "json"
    ) -> int:
        task = Task(None, apply, yes, None, None, frozenset(pulls))
        return carry_out(task, "cluster", store, tmp_path / "state", OutputFormat(output))

    return start


def audited(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "state" / "audit.jsonl").read_bytes().splitlines()]


FOREIGN, OURS, LEFT = Standing.FOREIGN, Standing.OURS, Standing.LEFT


def test_a_dry_run_takes_nothing(tmp_path: Path, start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    store = FakeStore(FOREIGN, OURS, LEFT)
    assert start(store, apply=False) == 0
    assert store.took == []
    assert not (tmp_path / "state").exists()
    printed = json.loads(capsys.readouterr().out)
    assert [each["outcome"] for each in printed["items"]] == ["foreign", "ours", "left alone"]
    assert printed["dry_run"] is True
    start(store, apply=False, output="table")
    out, err = capsys.readouterr()
    assert 'namespace "flyte": 1 would be taken, 1 ours already, 1 left alone\n' in out
    assert "nothing was written: --apply does it" in err
    start(store, apply=False, output="name")
    assert capsys.readouterr().out == "db-password\n"


def test_the_type_of_some_is_said(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    store = FakeStore(FOREIGN, OURS, LEFT)
    other = SecretRef(REF.scope, "other")
    store.candidates_.append(Candidate("object-3", other, FOREIGN))
    assert start(store, "db-password") == 0
    printed = json.loads(capsys.readouterr().out)
    assert [each["type"] for each in printed["items"]] == ["image-pull", None, None, None]
    assert start(store, "db-password", apply=False, output="table") == 0
    assert "as image-pull" in capsys.readouterr().out
    before = len(store.took)
    with pytest.raises(InvalidArgument, match="has no secret of Flyte's 'tpyo'"):
        start(store, "db-password", "tpyo")
    assert len(store.took) == before


def test_one_that_fails_does_not_keep_the_others(
    tmp_path: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    store = FakeStore(FOREIGN, FOREIGN, FOREIGN, OURS, failing={2: Conflict("it is busy")})
    assert start(store) == 4
    printed = json.loads(capsys.readouterr().out)
    assert [each["outcome"] for each in printed["items"]] == ["taken", "failed", "taken", "ours"]
    assert (printed["items"][1]["code"], printed["items"][1]["detail"]) == ("conflict", "it is busy")
    events = audited(tmp_path)
    came = ["begun", "ok", "begun", "conflict", "begun", "ok"]
    assert [event["outcome"] for event in events] == came
    assert {(event["surface"], event["action"]) for event in events} == {("import", "import")}
    assert events[0]["secrets"][0]["name"] == "db-password"


@pytest.mark.parametrize("error", [Unavailable("down"), DeadlineExceeded("late"), Throttled("slow")])
def test_a_store_that_fails_is_not_asked_for_the_rest(
    tmp_path: Path, start: Start, capsys: pytest.CaptureFixture[str], error: SecretsError
) -> None:
    store = FakeStore(*[FOREIGN] * 5, failing={2: error})
    assert start(store) == exit_code(error)
    assert len(store.took) == 2
    out, err = capsys.readouterr()
    printed = json.loads(out)
    assert [each["outcome"] for each in printed["items"]] == ["taken", "failed"]
    assert printed["left"] == 3
    assert "3 Secrets left: the same command goes on with them" in err
    assert [event["outcome"] for event in audited(tmp_path)] == ["begun", "ok", "begun", error.code]


def test_one_that_keeps_us_out_says_nothing_of_the_others(start: Start) -> None:
    store = FakeStore(FOREIGN, FOREIGN, failing={1: Unreadable("no right to it")})
    assert start(store) == 6
    assert len(store.took) == 2


def test_an_interruption_says_what_is_left(
    tmp_path: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    store = FakeStore(FOREIGN, FOREIGN, FOREIGN, failing={2: KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        start(store, output="table")
    out, err = capsys.readouterr()
    assert 'namespace "flyte": 1 taken\n' in out
    assert "2 Secrets left: the same command goes on with them" in err
    # The second may be done.
    assert [event["outcome"] for event in audited(tmp_path)] == ["begun", "ok", "begun"]


def test_without_a_record_it_stops(tmp_path: Path, start: Start) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    remember_audit_file(tmp_path / "state", Path("/dev/full"))
    store = FakeStore(FOREIGN, FOREIGN)
    with pytest.raises(Unavailable):
        start(store)
    assert store.took == []


def test_what_is_taken_when_the_record_fails_is_told(
    tmp_path: Path, start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it was begun is recorded, and it stops."""
    record, number = AuditFile.record_all, iter(range(10))

    def fails_second(self: AuditFile, events: Any) -> None:
        if next(number) == 1:
            raise Unavailable("the disk is full")
        record(self, events)

    monkeypatch.setattr(AuditFile, "record_all", fails_second)
    store = FakeStore(FOREIGN, FOREIGN)
    with pytest.raises(Unavailable, match="the disk is full"):
        start(store)
    assert len(store.took) == 1
    printed = json.loads(capsys.readouterr().out)
    assert ([each["outcome"] for each in printed["items"]], printed["left"]) == (["taken"], 1)
    assert [event["outcome"] for event in audited(tmp_path)] == ["begun"]


@pytest.mark.parametrize(("typed", "code", "took"), [("y\n", 0, 1), ("\n", 1, 0), ("no\n", 1, 0)])
def test_it_asks_first(
    start: Start, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, took: int
) -> None:
    terminal = io.StringIO(typed)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    store = FakeStore(FOREIGN, OURS)
    if code:
        with pytest.raises(click.exceptions.Exit) as ended:
            start(store, yes=False)
        assert ended.value.exit_code == code
    else:
        assert start(store, yes=False) == 0
    assert len(store.took) == took


def test_with_nobody_to_ask_it_wants_to_be_told(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(InvalidArgument, match="add --yes"):
        start(FakeStore(FOREIGN), yes=False)
    assert start(FakeStore(OURS, LEFT), yes=False) == 0  # there is nothing to ask about


def test_the_own_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert own_kubeconfig(None, None) is None
    default, named = tmp_path / ".kube" / "config", tmp_path / "named"
    default.parent.mkdir()
    default.touch()
    named.touch()
    assert own_kubeconfig(None, "prod") == default
    monkeypatch.setenv("KUBECONFIG", f"{named}:/other")
    assert own_kubeconfig(None, None) == named
    assert own_kubeconfig(default, None) == default
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    with pytest.raises(SecretsError, match="there is no kubeconfig /nonexistent"):
        own_kubeconfig(None, None)
