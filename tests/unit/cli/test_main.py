"""The frame around the commands: exit codes, errors, completion, start-up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from cli.errors import EXIT_CODES, exit_code, from_refusal, from_unexpected, report, wants_json
from cli.main import COMMANDS, group
from secrets_svc.core.errors import NotFound, SecretsError, by_code

ROOT = Path(__file__).resolve().parents[3]
GET = ("get", "db", "-p", "shop")


def subclasses(cls: type[SecretsError]) -> set[type[SecretsError]]:
    return {cls, *(found for below in cls.__subclasses__() for found in subclasses(below))}


def test_every_error_has_an_exit_code() -> None:
    assert set(EXIT_CODES) == set(by_code())
    assert {error.code for error in subclasses(SecretsError)} <= set(EXIT_CODES)


@pytest.mark.parametrize("code", sorted(by_code()))
def test_every_code_from_the_server_is_shown_and_ends_as_it_should(
    connected: Any, secret: Any, code: str
) -> None:
    document = {"code": code, "detail": "told\x1b why", "request_id": "r-9"}
    connected.instead = [(400, document), (400, document)]
    result = secret(*GET)
    assert (result.code, result.out) == (EXIT_CODES[code], "")
    assert result.err == f"secret: {code}: told why\n"
    result = secret(*GET, "-o", "json")
    assert (result.code, result.out) == (EXIT_CODES[code], "")
    assert json.loads(result.err) == {
        "code": code,
        "detail": "told why",
        "retryable": by_code()[code].retryable,
        "request_id": "r-9",
    }


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("get a -o json", True),
        ("get a -ojson", True),
        ("get a --output json", True),
        ("get a --output=json", True),
        ("get json", False),
        ("get a -o yaml", False),
        ("run -- jq -o json", False),
    ],
)
def test_whether_errors_are_json(line: str, expected: bool) -> None:
    assert wants_json(line.split()) is expected


@pytest.mark.parametrize("name", ["create", "update", "set", "delete", "get", "list", "explain", "whoami"])
def test_without_a_server_one_line_says_what_to_do(secret: Any, name: str) -> None:
    names = [] if name in {"list", "whoami"} else ["db"]
    result = secret(name, *names)
    assert result.code == 2
    assert result.err == (
        'secret: invalid_argument: no server is configured; start one with "secret serve all", or point to '
        'one with SECRET_ENDPOINT and SECRET_TOKEN or "secret login URL"\n'
    )


def test_without_a_token(secret: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_ENDPOINT", "http://127.0.0.1:1")
    result = secret(*GET)
    assert result.code == 5
    assert "there is no token for http://127.0.0.1:1; set SECRET_TOKEN" in result.err


def test_when_nothing_listens(secret: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("SECRET_TOKEN", "t")
    result = secret(*GET)
    assert (result.code, result.err) == (
        6,
        'secret: unavailable: nothing listens at http://127.0.0.1:1; start it with "secret serve all"\n',
    )


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ('secret "a" (env A): not_found; looked in x', 'secret "a" (env A): looked in x'),
        ("not_found: nothing; no store was asked", "nothing; no store was asked"),
        ("not_found: its text: not_found; stays", "its text: not_found; stays"),
        ("of another code: conflict; stays", "of another code: conflict; stays"),
    ],
)
def test_a_refusals_code_is_in_front_once(message: str, shown: str) -> None:
    assert from_refusal(NotFound, message).message == shown
    assert from_refusal(NotFound, message, "Pod report").message == f"Pod report: {shown}"


class TestUnexpected:
    def failure(self) -> SecretsError:
        canary = "s3cret-canary"
        try:
            try:
                raise KeyError(canary)
            except KeyError:
                raise ValueError(canary)  # noqa: B904 (a chain as careless code makes it)
        except ValueError as error:
            return from_unexpected(error)

    @pytest.mark.parametrize("as_json", [True, False])
    def test_one_line_without_its_text(self, capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
        assert report(self.failure(), as_json=as_json) == 1
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        assert "unexpected ValueError; SECRET_DEBUG=1 shows where" in err
        assert "canary" not in err

    def test_where_it_was_but_never_its_text(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SECRET_DEBUG", "1")
        report(self.failure(), as_json=False)
        err = capsys.readouterr().err
        assert "builtins.KeyError:" in err
        assert "in failure" in err
        assert err.count("canary") == err.count("raise KeyError(canary)") + err.count(
            "raise ValueError(canary)"
        )

    def test_an_output_that_cant_be_written(self, connected: Any) -> None:
        with open("/dev/full", "wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "cli.main", "whoami"],
                stdout=full,
                stderr=subprocess.PIPE,
                cwd=ROOT,
                check=False,
            )
        assert done.returncode == 1
        assert done.stderr.startswith(b"secret: internal: unexpected OSError (No space left on device)")
        assert done.stderr.count(b"\n") == 1

    def test_a_missing_module_names_the_extra(self) -> None:
        error = from_unexpected(ModuleNotFoundError("x", name="uvicorn.config"))
        assert exit_code(error) == 2
        assert 'pip install "secrets-svc[server]"' in str(error)
        assert from_unexpected(ModuleNotFoundError("x", name="cli.absent")).code == "internal"


def test_a_reader_that_goes_away(connected: Any) -> None:
    connected.page = 500
    for number in range(3000):
        key = (f"a{number}", "acme", None, "shop")
        connected.store(key, "generic", {"base64": ""}, False)
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_unknown_commands_and_options(secret: Any) -> None:
    assert 'There is no command "gte". Did you mean "get"?' in secret("gte").err
    result = secret("get", "db", "--vaule=canary")
    assert result.code == 2
    assert "canary" not in result.err
    assert secret("get").code == 2
    assert secret().code == 2


def test_a_command_line_that_cannot_be_parsed_is_json_where_that_is_asked_for(secret: Any) -> None:
    for line in (("list", "-o", "json", "--limit", "0"), ("gte", "-o", "json"), ("get", "-ojson")):
        result = secret(*line)
        assert (result.code, result.out) == (2, "")
        assert json.loads(result.err)["code"] == "invalid_argument"
    assert secret("list", "--limit", "0").err.startswith("Usage: secret list")


@pytest.mark.filterwarnings("ignore:'click:DeprecationWarning")  # of Typer's own import, see decision 2
@pytest.mark.parametrize("seconds", ["-1", "0", "nan", "inf", "1e400", "3601", "x"])
@pytest.mark.parametrize("line", [("list",), ("check", "pod.yaml"), ("login", "http://127.0.0.1:9")])
def test_a_timeout_is_more_than_nothing_and_at_most_an_hour(
    secret: Any, line: tuple[str, ...], seconds: str
) -> None:
    result = secret(*line, "--timeout", seconds)
    assert (result.code, "'--timeout'" in result.err) == (2, True)


def test_the_overview_lists_every_command(secret: Any) -> None:
    result = secret("--help")
    assert result.code == 0
    for name, entry in COMMANDS.items():
        assert f"  {name} " in result.out
        assert entry.summary in result.out


@pytest.mark.parametrize(
    "name",
    ["create", "update", "set", "delete", "get", "list", "explain", "audit", "login", "whoami"],
)
def test_every_command_has_help_with_an_example(secret: Any, name: str) -> None:
    result = secret(name, "--help")
    assert result.code == 0
    assert f"secret {name}" in result.out.partition("Examples:")[2]


def test_get_says_where_values_can_be_used(secret: Any) -> None:
    assert "secret run" in secret("get", "--help").out


def test_version(secret: Any) -> None:
    result = secret("--version")
    assert result.code == 0
    assert result.out.startswith("secret ")


class TestCompletion:
    def complete(self, process: Any, *words: str) -> list[str]:
        result = process(
            _SECRET_COMPLETE="bash_complete", COMP_WORDS=" ".join(words), COMP_CWORD=str(len(words) - 1)
        )
        assert result.err == ""
        return [line.partition(",")[2] for line in result.out.splitlines()]

    def test_commands_and_options(self, process: Any) -> None:
        assert self.complete(process, "secret", "ge") == ["get"]
        assert self.complete(process, "secret", "--ver") == ["--version"]
        assert self.complete(process, "secret", "get", "--proj") == ["--project"]
        assert self.complete(process, "secret", "get", "-o", "") == ["table", "json", "yaml", "name"]
        assert "--value" not in self.complete(process, "secret", "create", "--val")

    def test_the_overview_needs_no_command(self, process: Any) -> None:
        code = (
            "import sys; from cli.main import group; import click\n"
            "names = group.shell_complete(click.Context(group), '')\n"
            "assert len(names) > 15\n"
            "assert not [m for m in sys.modules if m.startswith(('cli.commands', 'typer'))]"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_scripts(self, secret: Any, monkeypatch: pytest.MonkeyPatch, home: Path, shell: str) -> None:
        monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
        assert "_SECRET_COMPLETE" in secret("--show-completion").out
        assert secret("--show-completion", shell).out == secret("--show-completion").out
        for _ in range(2):
            assert secret("--install-completion").code == 0
        start = home / f".{shell}rc"
        if shell == "fish":
            assert (home / ".config/fish/completions/secret.fish").exists()
        else:
            assert len(start.read_text().splitlines()) == 1

    def test_another_shell(self, secret: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHELL", "/bin/tcsh")
        assert secret("--show-completion").code == 2
        assert secret("--install-completion", "tcsh").code == 2


HEAVY = {"pydantic", "fastapi", "rich", "yaml", "cryptography", "httpx", "asyncio", "ssl", "email", "typer"}


@pytest.mark.parametrize("arguments", [["--help"], ["get", "--help"], ["get", "db", "-p", "shop"]])
def test_a_start_imports_nothing_heavy(connected: Any, arguments: list[str]) -> None:
    code = (
        "import sys; from cli.main import main\n"
        "code = main(sys.argv[1:])\n"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}), file=sys.stderr)\n"
        "sys.exit(code)"
    )
    connected.store(("db", "acme", None, "shop"), "generic", {"base64": ""}, False)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert HEAVY & set(done.stderr.decode().split()) == set()


def test_commands_are_where_the_table_says() -> None:
    context = click.Context(group)
    for name in ("create", "update", "set", "delete", "get", "list", "explain", "audit", "login", "whoami"):
        command = group.get_command(context, name)
        assert command is not None
        assert command.name == name
