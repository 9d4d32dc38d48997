"""The state folder: found again, held by one, and what is wrong with it said in one line."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Server, head, read_reply, value_in
from problems import assert_problem

Launch = Callable[..., Server]
MARKER = "s3cr3t-m4rker"


def one_line(text: str) -> str:
    """The refusal in what a failed start said, without a traceback or anything of a vendor's."""
    assert "Traceback" not in text
    assert "sqlite" not in text.lower()
    assert "Errno" not in text
    lines = [line for line in text.splitlines() if line.startswith("secret: ")]
    assert len(lines) == 1, text
    return lines[0]


def test_the_next_start_finds_everything(launch: Launch) -> None:
    server = launch().start()
    token, version = server.token, server.create("key", "value", project="shop").json()["version"]
    ca = server.ca_file.read_bytes()
    assert server.stop() == 0
    server.start()
    assert (server.token, server.ca_file.read_bytes()) == (token, ca)
    found = server.call("GET", "/v1/secrets/key", query={"project": "shop"}).json()
    assert found["version"] == version
    run = server.cli("run", "-p", "shop", "--env", "key", "--", "sh", "-c", "printf %s $KEY")
    assert (run.returncode, run.stdout) == (0, b"value")


def test_an_idempotency_key_outlives_a_restart(launch: Launch) -> None:
    server = launch().start()
    body = {"name": "key", "project": "shop", "value": value_in("x")}
    first = server.call("POST", "/v1/secrets", body, headers={"idempotency-key": "k"})
    server.kill9()
    server.start()
    again = server.call("POST", "/v1/secrets", body, headers={"idempotency-key": "k"})
    assert (again.status, again.json()) == (201, first.json())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_quickly_and_cleanly(launch: Launch, number: signal.Signals) -> None:
    server = launch().start()
    with server.connect() as idle, server.connect() as used:
        used.sendall(head("GET", "/v1/whoami", server.token))
        assert read_reply(used).status == 200
        started = time.monotonic()
        assert server.stop(number) == 0
        assert time.monotonic() - started < 3
        assert idle.recv(1) == b""
    assert "Traceback" not in server.log
    assert "ERROR" not in server.log
    assert server.stdout_file.read_bytes() == b""
    server.start()


def test_a_request_under_way_is_finished_before_it_stops(launch: Launch) -> None:
    server = launch().start()
    body = b'{"name": "late", "project": "shop", "value": {"text": "x"}}'
    with server.connect() as connection:
        fields = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        connection.sendall(head("POST", "/v1/secrets", server.token, *fields) + body[:-1])
        time.sleep(0.3)
        process = server.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        connection.sendall(body[-1:])
        assert read_reply(connection).status == 201
    assert process.wait(5) == 0
    server.process = None
    server.start()
    assert server.call("GET", "/v1/secrets/late", query={"project": "shop"}).status == 200


def test_a_second_server_is_refused_and_the_first_goes_on(launch: Launch) -> None:
    server = launch().start()
    code, said = server.fails_to_start()
    assert code == 6
    assert f"(pid {server.pid})" in one_line(said)
    assert str(server.state) in said
    assert server.call("GET", "/v1/whoami").status == 200


def test_a_killed_server_holds_nothing(launch: Launch) -> None:
    server = launch().start()
    server.kill9()
    server.start()


@pytest.mark.parametrize("setting", ["server", "injector"])
def test_a_port_in_use_is_named(launch: Launch, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = launch(f'[{setting}]\nlisten = "{address}"\n').fails_to_start()
    assert code == 6
    line = one_line(said)
    assert f"{setting}.listen" in line
    assert address in line


def settings_cases(folder: Path) -> dict[str, tuple[str, dict[str, str], str]]:
    """Settings, environment, and what the refusal names."""
    open_key, short = folder / "open.key", folder / "short.token"
    for path in (open_key, short):
        path.touch(mode=0o600)
    open_key.write_text(MARKER + "x" * 40)
    open_key.chmod(0o644)
    short.write_text(MARKER)
    tokens = '[[authentication.tokens]]\nprincipal = "a"\ntoken_file = '
    return {
        "unknown key": (f'[server]\nlisen = "{MARKER}"', {}, "server.lisen"),
        "unknown table": (f'[sever]\nlisten = "{MARKER}"', {}, "sever"),
        "wrong type": (f'[server]\nbody_deadline = "{MARKER}"', {}, "server.body_deadline"),
        "syntax": (f'[audit]\nfile = "{MARKER}', {}, "not valid TOML at line 2"),
        "misspelt variable": ("", {"SECRETS_SVC_SERVR__LISTEN": MARKER}, "SECRETS_SVC_SERVR__LISTEN"),
        "variable's type": ("", {"SECRETS_SVC_INJECTOR__DEADLINE": MARKER}, "injector.deadline"),
        "two stores": ('[stores.a]\nbackend = "local"\n[stores.b]\nbackend = "local"', {}, "stores"),
        "unknown backend": (f'[stores.a]\nbackend = "{"x" * 8}"', {}, "backend"),
        "token file open to others": (f'{tokens}"{open_key}"', {}, "authentication.tokens[0].token_file"),
        "token file absent": (f'{tokens}"{folder}/none"', {}, "authentication.tokens[0].token_file"),
        "short token": (f'{tokens}"{short}"', {}, "authentication.tokens[0].token_file"),
        "principal twice": (f'{tokens}"{short}"'.replace('"a"', '"admin"'), {}, "admin"),
        "key open to others": (
            f'[injector]\ntls_cert = "{open_key}"\ntls_key = "{open_key}"',
            {},
            "injector.tls_key",
        ),
        "certificate without key": (f'[server]\ntls_cert = "{open_key}"', {}, "server.tls_key"),
        "not beyond loopback": ('[server]\nlisten = "0.0.0.0:0"', {}, "server.listen"),
        "no such address": ('[server]\nlisten = "192.0.2.1:0"', {}, "server.listen"),
        "audit folder absent": (f'[audit]\nfile = "{folder}/none/audit"', {}, "audit"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "unknown key",
        "unknown table",
        "wrong type",
        "syntax",
        "misspelt variable",
        "variable's type",
        "two stores",
        "unknown backend",
        "token file open to others",
        "token file absent",
        "short token",
        "principal twice",
        "key open to others",
        "certificate without key",
        "not beyond loopback",
        "no such address",
        "audit folder absent",
    ],
)
def test_wrong_settings_stop_the_start_in_one_line(launch: Launch, tmp_path: Path, case: str) -> None:
    text, environ, named = settings_cases(tmp_path)[case]
    code, said = launch(text, **environ).fails_to_start()
    assert code in (2, 6)
    assert named in one_line(said)
    assert MARKER not in said


def test_a_named_settings_file_must_be_there(launch: Launch) -> None:
    server = launch()
    server.prepare()
    server.settings_file.unlink()
    done = subprocess.run(
        server.command(),
        env=server.environment,
        cwd=server.folder,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    assert "settings.toml does not exist" in one_line(done.stderr.decode())


@pytest.mark.parametrize("wrong", [0o755, 0o770, 0o701])
def test_a_state_folder_open_to_others_is_refused(launch: Launch, wrong: int) -> None:
    server = launch()
    server.state.mkdir()
    server.state.chmod(wrong)
    code, said = server.fails_to_start()
    assert code == 2
    assert f"chmod 700 {server.state}" in one_line(said)


@pytest.mark.parametrize("key", ["admin-token", "tls/server.key"])
def test_a_key_file_open_to_others_stops_the_next_start(launch: Launch, key: str) -> None:
    server = launch().start()
    server.stop()
    (server.state / key).chmod(0o644)
    code, said = server.fails_to_start()
    assert code == 2
    assert f"chmod 600 {server.state / key}" in one_line(said)
    (server.state / key).chmod(0o600)
    server.start()


def test_store_keys_open_to_others_stop_the_next_start(launch: Launch) -> None:
    server = launch().start()
    server.stop()
    key = next((server.state / "keys").glob("*/reader.key"))
    key.chmod(0o644)
    code, said = server.fails_to_start()
    assert code == 2
    assert str(key) in one_line(said)


def database(server: Server) -> Path:
    return server.state / "secrets.db"


def garbage_in_front(path: Path) -> None:
    path.write_bytes(b"not a database at all" * 1000)


def garbage_inside(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for at in range(4096, len(data) - 512, 997):
        data[at : at + 64] = os.urandom(64)
    path.write_bytes(bytes(data))


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 - 100])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def another_programs(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    path.chmod(0o600)


@pytest.mark.parametrize("spoil", [garbage_in_front, garbage_inside, cut_off, emptied, another_programs])
def test_a_damaged_database_is_refused_in_plain_words(launch: Launch, spoil: Callable[[Path], None]) -> None:
    server = launch().start()
    for number in range(60):
        server.create(f"key{number}", "x" * 2000, project="shop")
    assert server.stop() == 0
    for companion in server.state.glob("secrets.db-*"):
        companion.unlink()
    spoil(database(server))
    before = database(server).read_bytes()
    code, said = server.fails_to_start()
    assert code in (2, 6)
    assert str(database(server)) in one_line(said)
    assert database(server).read_bytes() == before  # and nothing is made anew over it


def test_damage_while_it_runs_is_503_and_says_so_to_probes(launch: Launch) -> None:
    server = launch().start()
    server.create("key", "x" * 50_000, project="shop")
    with database(server).open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        file.write(os.urandom(size))
    for companion in server.state.glob("secrets.db-wal"):
        companion.write_bytes(os.urandom(companion.stat().st_size))
    replies = [
        server.call("GET", "/v1/secrets", query={"project": "shop"}),
        server.call("GET", "/readyz", token=None),
        server.create("other", "x", project="shop"),
    ]
    refused = [reply for reply in replies if reply.status >= 400]
    for reply in refused:
        assert "sqlite" not in assert_problem(reply, 503, "unavailable").lower()
    assert server.call("GET", "/livez", token=None).status == 200
    assert server.call("GET", "/v1/whoami").status == 200
    server.stop()
    code, said = server.fails_to_start()
    assert code in (2, 6)
    assert str(database(server)) in one_line(said)


def test_an_audit_file_that_cannot_be_written_refuses_every_call(launch: Launch) -> None:
    server = launch('[audit]\nfile = "/dev/full"\n').start()
    for token in (server.token, "wrong"):
        reply = server.call("GET", "/v1/secrets", token=token)
        assert "audit" in assert_problem(reply, 503, "unavailable")
    assert server.call("GET", "/livez", token=None).status == 200


def test_a_full_disk_is_503_until_there_is_room(launch: Launch) -> None:
    """The disk is played by a limit on the size of files, prlimit(1), which is lifted again."""
    server = launch().start()
    server.create("before", "x", project="shop")
    shutil.which("prlimit") or pytest.fail("prlimit(1) of util-linux is needed")
    largest = max(path.stat().st_size for path in server.state.iterdir() if path.is_file())
    subprocess.run(
        ["prlimit", "--pid", str(server.pid), f"--fsize={largest + 200_000}:unlimited"], check=True
    )
    statuses = [server.create(f"big{number}", "x" * 400_000, project="shop") for number in range(4)]
    refused = [reply for reply in statuses if reply.status != 201]
    assert refused
    for reply in refused:
        assert_problem(reply, 503, "unavailable")
    subprocess.run(["prlimit", "--pid", str(server.pid), "--fsize=unlimited:unlimited"], check=True)
    assert server.create("after", "x", project="shop").status == 201
    names = {item["name"] for item in server.call("GET", "/v1/secrets").json()["items"]}
    written = {f"big{number}" for number, reply in enumerate(statuses) if reply.status == 201}
    assert names == {"before", "after"} | written
    assert server.stop() == 0
    server.start()


def without_root_power() -> list[str]:
    """In front of a command of root's: files' modes count for it as for everybody, setpriv(1)."""
    if os.geteuid() != 0:
        return []
    shutil.which("setpriv") or pytest.fail("setpriv(1) of util-linux is needed")
    powers = "-dac_override,-dac_read_search,-fowner"
    return ["setpriv", "--bounding-set", powers, "--inh-caps", powers]


@pytest.mark.parametrize("read_only", ["", "secrets.db", "audit.jsonl", "lock"])
def test_a_read_only_state_is_refused_in_plain_words(launch: Launch, read_only: str) -> None:
    server = launch()
    server.prefix = without_root_power()
    server.start()
    server.create("key", "x", project="shop")
    assert server.stop() == 0
    target = server.state / read_only
    before = target.stat().st_mode & 0o777
    target.chmod(before & ~0o222)
    try:
        code, said = server.fails_to_start()
    finally:
        target.chmod(before)
    assert code == 6
    assert str(target) in one_line(said)
    server.start()
    assert server.call("GET", "/v1/secrets/key", query={"project": "shop"}).status == 200


def test_nothing_in_the_state_folder_is_open_to_others(launch: Launch) -> None:
    server = launch().start()
    server.create("key", "x", project="shop")
    server.cli("run", "-p", "shop", "--env", "key", "--", "true")
    loose = [path for path in [server.state, *server.state.rglob("*")] if path.stat().st_mode & 0o077]
    assert [path for path in loose if path.suffix not in (".pub", ".pem")] == []
    config = server.folder / "config.toml"
    assert config.stat().st_mode & 0o077 == 0


def test_no_core_is_dumped_and_nobody_looks_inside(launch: Launch) -> None:
    server = launch().start()
    limits = Path(f"/proc/{server.pid}/limits").read_text()
    assert "Max core file size        0                    0" in limits
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            Path(f"/proc/{server.pid}/environ").read_bytes()
    assert Path(f"/proc/{server.pid}/environ").stat().st_uid == 0


def test_contexts_keep_what_the_user_put_there_and_are_not_taken_over(launch: Launch) -> None:
    first = launch().start()
    config = Path(first.environment["SECRET_CONFIG"])
    config.write_text(config.read_text() + 'project = "mine"\n')
    assert first.stop() == 0
    first.start()
    assert 'project = "mine"' in config.read_text()
    second = launch("", folder="second", SECRET_CONFIG=str(config)).start()
    assert second.stop() == 0
    assert '[contexts."local-2"]' in config.read_text()
    assert first.cli("list", "--org-wide").returncode == 0


def test_a_broken_cli_configuration_stops_no_server(launch: Launch) -> None:
    server = launch()
    server.prepare()
    config = Path(server.environment["SECRET_CONFIG"])
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text("this is no TOML [")
    server.start()
    assert "context   not written" in server.log
    assert config.read_text() == "this is no TOML ["


def test_two_principals_with_one_token_stop_the_start(launch: Launch, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("x" * 40)
    file.chmod(0o600)
    tokens = "".join(
        f'[[authentication.tokens]]\nprincipal = "{name}"\ntoken_file = "{file}"\n' for name in ("a", "b")
    )
    code, errors = launch(tokens).fails_to_start()
    assert code == 2
    assert "authentication.tokens[1].token_file: another principal has the same token" in errors


def test_another_audit_file_is_found_by_run_and_audit(launch: Launch, tmp_path: Path) -> None:
    server = launch(f'[audit]\nfile = "{tmp_path / "elsewhere.jsonl"}"\n').start()
    server.create("v", "value", project="p")
    assert server.cli("run", "-p", "p", "--env", "v", "--", "true").returncode == 0
    shown = server.cli("audit").stdout
    assert b"create" in shown
    assert b"run" in shown
    assert not (server.state / "audit.jsonl").exists()
