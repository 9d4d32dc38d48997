"""``secret run``: what a task's process gets, and what is left of it afterwards."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness import Server

WHERE = ("-p", "shop", "-d", "production")
DIGEST = (
    "import hashlib, os, pathlib, sys; digest = lambda data: hashlib.sha256(data).hexdigest(); "
    "folder = pathlib.Path(os.environ['SECRET_FILES']); "
    "print(digest(os.environb[b'VALUE']), *(digest((folder / p).read_bytes()) for p in sys.argv[1:]))"
)


def digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def start(server: Server, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", "run", *arguments],
        env=server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def leftovers(pid: int) -> list[Path]:
    return list(Path("/dev/shm").glob(f"secret-run-{pid}-*"))


@pytest.mark.parametrize(
    "value",
    [b"$$ $(HOME) ${X}", b"a\r\nb\n", " ä\u2028€".encode(), b"", b"x" * 100_000],
    ids=["dollars", "CRLF", "UTF-8", "empty", "large"],
)
def test_exact_bytes_reach_env_and_file(server: Server, project: str, value: bytes, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(value)
    assert server.cli("create", "v", "-p", project, "-f", str(tmp_path / "v")).returncode == 0
    done = server.cli(
        "run", "-p", project, "--env", "v=VALUE", "--file", "v=a/b", "--", sys.executable, "-c", DIGEST, "a/b"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [digest(value).encode()] * 2


def test_binary_goes_into_files_and_is_refused_as_variable(
    server: Server, project: str, tmp_path: Path
) -> None:
    value = bytes(range(256))
    (tmp_path / "v").write_bytes(value)
    server.cli("create", "v", "-p", project, "-f", str(tmp_path / "v"))
    done = server.cli("run", "-p", project, "--file", "v", "--", "sh", "-c", "sha256sum < $SECRET_FILES/v")
    assert done.stdout.split()[0] == digest(value).encode()
    refused = server.cli("run", "-p", project, "--env", "v", "--", "true")
    assert refused.returncode == 2
    assert b'secret "v" (env V): it holds a NUL byte' in refused.stderr


def test_the_narrowest_scope_wins_and_the_context_helps(server: Server, project: str) -> None:
    server.create("scoped", "wide", project=project)
    server.create("scoped", "narrow", project=project, domain="production")
    script = ("--env", "scoped", "--", "sh", "-c", "echo $SCOPED")
    assert server.cli("run", "-p", project, "-d", "production", *script).stdout == b"narrow\n"
    assert server.cli("run", "-p", project, "-d", "staging", *script).stdout == b"wide\n"


def test_a_missing_secret_is_refused_and_nothing_runs(server: Server, project: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    done = server.cli("run", "-p", project, "-d", "x", "--env", "absent", "--", "touch", str(marker))
    assert done.returncode == 3
    assert b'secret: not_found: secret "absent" (env ABSENT): looked in project-domain' in done.stderr
    assert not marker.exists()


def test_a_pods_own_request_is_taken(server: Server, project: str, tmp_path: Path) -> None:
    server.create("v", "from-pod", project=project, domain="production")
    request = [{"name": "v", "env": "VALUE", "file": "deep/v", "mode": "0440", "containers": ["main"]}]
    labels = {"secrets-svc.internal/project": project, "secrets-svc.internal/domain": "production"}
    document = {
        "kind": "Pod",
        "metadata": {"labels": labels, "annotations": {"secrets-svc.internal/request": json.dumps(request)}},
        "spec": {"containers": [{"name": "main"}, {"name": "side"}]},
    }
    (tmp_path / "pod.json").write_text(json.dumps(document))
    task = ("--", sys.executable, "-c", DIGEST, "deep/v")
    done = server.cli("run", "--pod", str(tmp_path / "pod.json"), "--container", "main", *task)
    assert done.stdout.split() == [digest(b"from-pod").encode()] * 2
    unclear = server.cli("run", "--pod", str(tmp_path / "pod.json"), *task)
    assert unclear.returncode == 2
    assert b"--container: main, side" in unclear.stderr


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ({}, b"the pod has no containers"),
        ({"containers": []}, b"the pod has no containers"),
        ({"containers": [{"name": "\ud800"}]}, b"that is not a pod"),
        ({"containers": "main"}, b"that is not a pod"),
        ({"containers": [{"name": "a"}, {"name": "b"}]}, b"with --container: a, b"),
    ],
)
def test_a_pod_that_is_none_is_refused(
    server: Server, tmp_path: Path, spec: dict[str, object], text: bytes
) -> None:
    asks = {"secrets-svc.internal/request": '[{"name": "a"}]'}
    path = tmp_path / "pod.json"
    path.write_text(json.dumps({"kind": "Pod", "metadata": {"annotations": asks}, "spec": spec}))
    done = server.cli("run", "--pod", str(path), *WHERE, "--", "true")
    assert (done.returncode, text in done.stderr) == (2, True), done.stderr


def test_a_pods_namespace_counts_as_for_check(server: Server, tmp_path: Path) -> None:
    server.create("ns-password", "of-the-namespace", project="shop", domain="production")
    path = tmp_path / "pod.json"

    def outcomes(namespace: str | None, *options: str, labels: dict[str, str] | None = None) -> list[int]:
        asks = {"secrets-svc.internal/request": '[{"name": "ns-password"}]'}
        metadata = {"annotations": asks, "labels": labels or {}}
        document = {"kind": "Pod", "metadata": metadata, "spec": {"containers": [{"name": "main"}]}}
        document["metadata"] |= {"namespace": namespace} if namespace else {}
        path.write_text(json.dumps(document))
        task = ("--", "sh", "-c", 'test "$NS_PASSWORD" = of-the-namespace')
        lines = (("check", str(path), *options), ("run", "--pod", str(path), *options, *task))
        return [server.cli(*line).returncode for line in lines]

    assert outcomes("shop-production") == [0, 0]
    assert outcomes(None, "-n", "shop-production") == [0, 0]
    assert outcomes("elsewhere", "-n", "shop-production") == [0, 0]
    assert outcomes("elsewhere") == [5, 5]
    assert outcomes("shop-production", labels={"secrets-svc.internal/project": "bank"}) == [5, 5]
    assert outcomes(None) == [2, 2]
    chosen = server.cli("run", "--pod", str(path), *WHERE, "--", "sh", "-c", "echo $NS_PASSWORD")
    assert chosen.stdout == b"of-the-namespace\n"


def test_files_are_private_in_memory_and_gone_afterwards(server: Server, project: str) -> None:
    server.create("v", "value", project=project)
    show = "cd $SECRET_FILES; stat -c %a . v; df --output=fstype . | tail -1; pwd"
    done = server.cli("run", "-p", project, "--file", "v", "--", "sh", "-c", show)
    folder_mode, file_mode, kind, folder = done.stdout.decode().split()
    assert (folder_mode, file_mode, kind) == ("700", "400", "tmpfs")
    assert not Path(folder).exists()


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_the_exit_code_is_the_commands(server: Server, project: str, code: int) -> None:
    server.create("v", "value", project=project)
    assert server.cli("run", "-p", project, "--env", "v", "--", "sh", "-c", f"exit {code}").returncode == code


@pytest.mark.parametrize(("command", "code"), [("/nonexistent/command", 127), ("/etc/hostname", 126)])
def test_what_cannot_be_run_ends_as_with_env(server: Server, project: str, command: str, code: int) -> None:
    server.create("v", "value", project=project)
    done = server.cli("run", "-p", project, "--file", "v", "--", command)
    assert done.returncode == code
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_go_to_the_command_and_files_go_too(
    server: Server, project: str, number: signal.Signals
) -> None:
    server.create("v", "value", project=project)
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got; exit 7' {name}; echo ready; while :; do sleep 0.05; done"
    process = start(server, "-p", project, "--file", "v", "--", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    assert leftovers(process.pid)
    process.send_signal(number)
    output, errors = process.communicate(timeout=20)
    assert (output, process.returncode) == (b"got\n", 7), errors
    assert not leftovers(process.pid)


def test_a_command_ended_by_a_signal_ends_us_by_it(server: Server, project: str) -> None:
    server.create("v", "value", project=project)
    process = start(server, "-p", project, "--file", "v", "--", "sh", "-c", "kill -TERM $$")
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM
    assert not leftovers(process.pid)


def test_what_a_killed_run_left_is_removed_by_the_next(server: Server, project: str) -> None:
    server.create("v", "value", project=project)
    process = start(server, "-p", project, "--file", "v", "--", "sh", "-c", "echo $$; exec sleep 30")
    assert process.stdout is not None
    child = int(process.stdout.readline())
    process.kill()
    process.wait(20)
    os.kill(child, signal.SIGTERM)
    process.communicate(timeout=20)
    assert leftovers(process.pid)
    time.sleep(0.1)
    assert server.cli("run", "-p", project, "--file", "v", "--", "true").returncode == 0
    assert not leftovers(process.pid)


def test_the_task_does_not_get_our_token_and_the_reading_is_audited(server: Server, project: str) -> None:
    server.create("v", "value", project=project)
    environment = {**server.environment, "SECRET_TOKEN": "x" * 40}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "run", "-p", project, "--env", "v", "--", "env"],
        env=environment,
        capture_output=True,
        check=True,
    )
    assert b"V=value\n" in done.stdout
    assert b"SECRET_TOKEN" not in done.stdout
    line = [line for line in server.audit() if line["surface"] == "run"][-1]
    assert (line["action"], line["outcome"]) == ("read", "ok")
    assert line["secrets"][0]["project"] == project


def test_a_refused_run_records_what_it_read_and_what_was_missing(server: Server, project: str) -> None:
    server.create("v", "value", project=project)
    refused = server.cli(
        "run", "-p", project, *("--env", "v", "--env", "gone", "--env", "lost"), "--", "true"
    )
    assert refused.returncode == 3
    assert b'secret "gone" (env GONE), secret "lost" (env LOST)' in refused.stderr
    line = [line for line in server.audit() if line["surface"] == "run"][-1]
    assert line["outcome"] == "not_found"
    assert [(each["name"], each.get("project")) for each in line["secrets"]] == [
        ("v", project),
        ("gone", None),
        ("lost", None),
    ]
    server.create("nul", b"\0", project=project)
    assert server.cli("run", "-p", project, "--env", "nul", "--", "true").returncode == 2
    line = [line for line in server.audit() if line["surface"] == "run"][-1]
    assert [(each["name"], each.get("project")) for each in line["secrets"]] == [("nul", project)]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), b"say which secrets"),
        (("--env", "a/b"), b"secret name"),
        (("--env", "a=sk-live-1"), b"--env a=\xe2\x80\xa6: what follows is the name of a variable"),
        (("--file", "a="), b"--file a=\xe2\x80\xa6: what follows is a relative path"),
        (("--file", "a=../sk-live"), b"--file a=\xe2\x80\xa6: what follows is a relative path"),
        (("--env", "a", "--env", "b=A"), b"two requests want env"),
        (("--pod", "/nonexistent.yaml"), b"can't be read"),
        (("--pod", "x", "--env", "a"), b"brings its own request"),
        (("--env", "a", "--container", "main"), b"name one with --pod"),
        (("--env", "a", "-n", "shop-production"), b"name one with --pod"),
    ],
)
def test_what_cannot_be_meant_is_refused(server: Server, arguments: tuple[str, ...], text: bytes) -> None:
    done = server.cli("run", *WHERE, *arguments, "--", "true")
    assert done.returncode == 2
    assert text in done.stderr
    assert b"sk-live" not in done.stderr


def test_a_value_typed_as_other_tools_have_it_is_not_repeated(server: Server) -> None:
    done = server.cli("create", "db-password=hunter2", *WHERE)
    assert done.returncode == 2
    assert b"hunter2" not in done.stderr + done.stdout


def test_a_command_that_is_killed_ends_us_as_well(server: Server, project: str) -> None:
    server.create("v", "value", project=project)
    process = start(server, "-p", project, "--file", "v", "--", "sh", "-c", "kill -KILL $$")
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGKILL
    assert not leftovers(process.pid)


def test_the_command_has_the_core_limit_that_we_had(server: Server, project: str) -> None:
    server.create("v", "value", project=project)
    line = f"ulimit -c 64; {sys.executable} -m cli.main run -p {project} --env v -- sh -c 'ulimit -c'"
    done = subprocess.run(["sh", "-c", line], env=server.environment, capture_output=True, check=True)
    assert done.stdout == b"64\n"


def test_signals_at_any_moment_leave_no_files(server: Server, project: str) -> None:
    server.create("v", "value", project=project)
    for number in range(25):
        process = start(server, "-p", project, "--file", "v", "--", "sleep", "0.05")
        until = time.monotonic() + 5
        while not leftovers(process.pid) and process.poll() is None and time.monotonic() < until:
            pass
        time.sleep(number * 0.004)
        for _ in range(30):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.002)
        process.communicate(timeout=20)
        assert not leftovers(process.pid), f"in round {number}"


def test_without_a_state_folder_there_is_no_reader(server: Server) -> None:
    environment = {**server.environment, "SECRET_ENDPOINT": "http://127.0.0.1:9", "SECRET_TOKEN": "x" * 40}
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "run", "--org", "flyte", *WHERE, "--env", "a", "--", "true"],
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"secret: unsupported: only a reader can run a task" in done.stderr
