"""One function finds the same names and paths under ``secret run``, with a state folder, and in a pod."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from admissions import FILES, Kit
from harness import Server

from secrets_svc.core.scope import Scope
from secrets_svc.task import requests_of, requires_secrets, with_secrets
from secrets_svc.task.requests import Secret

#: The task, whole: it tells what it finds, as digests.
TASK = """
import asyncio, hashlib, json, os, sys
from secrets_svc.task import Secret, requires_secrets, secrets

ASKED = json.loads(sys.argv[1])


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


def files():
    base = secrets.path("tls-key")[: -len("/tls/key.pem")]
    for folder, _, names in os.walk(base):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                yield os.path.relpath(path, base), digest(file.read())


@requires_secrets(*(Secret(**each) for each in ASKED))
async def task():
    await asyncio.sleep(0)
    names = [each["env"] for each in ASKED if "env" in each and each["env"] in os.environ]
    return {
        "env": {name: digest(os.environb[name.encode()]) for name in names},
        "files": dict(files()),
        "by name": {each["name"]: digest(secrets.get_bytes(each["name"], b"")) for each in ASKED},
    }


print(json.dumps(asyncio.run(task()), sort_keys=True))
"""
ASKED = (
    Secret("db-password"),
    Secret("tls-key", file="tls/key.pem", mode="0444"),
    Secret("both", env="BOTH_OF_THEM", file="both/value"),
    Secret("extra", optional=True),
)
VALUES = {"db-password": b"p$$ w\n", "tls-key": b"\x00\xff" * 40, "both": "ü".encode()}


@requires_secrets(*ASKED)
def declared() -> None:
    """What :data:`TASK` asks for."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With the secrets in it."""
    made = Server(tmp_path_factory.mktemp("task"))
    made.start()
    for name, value in VALUES.items():
        assert made.create(name, value, project="shop", domain="production").status == 201
    yield made
    assert made.stop() == 0


def pod() -> dict[str, Any]:
    """Asks for what the function declares."""
    container = {"name": "main", "image": "task:1"}
    bare = {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": "task"},
        "spec": {"containers": [container]},
    }
    return with_secrets(bare, requests_of(declared))


def entries(secrets: Sequence[Secret] = ASKED) -> str:
    """For the command line of :data:`TASK`."""
    return json.dumps([each.entry() for each in secrets])


def ran(server: Server, *prefix: str, asked: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """The task as a process."""
    return subprocess.run(
        [*prefix, sys.executable, "-c", TASK, asked or entries()],
        env={**server.environment, **environ},
        cwd=server.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def found(done: subprocess.CompletedProcess[str]) -> Any:
    """What it told."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def local(server: Server, **more: str) -> dict[str, str]:
    """The environment of a run with a state folder."""
    state = str(server.state)
    return {"SECRET_LOCAL_STATE": state, "SECRET_PROJECT": "shop", "SECRET_DOMAIN": "production", **more}


def under_secret_run(server: Server, folder: Path) -> Any:
    file = folder / "pod.json"
    file.write_text(json.dumps(pod()))
    command = [sys.executable, "-m", "cli.main", "run", "--pod", str(file), "-n", "shop-production", "--"]
    return found(ran(server, *command))


def with_a_state_folder(server: Server) -> Any:
    return found(ran(server, **local(server)))


def in_a_pod(server: Server, folder: Path) -> Any:
    """As the injector lays the pod out; its volume is a folder here, for want of a mount."""
    kit = Kit()
    for name, value in VALUES.items():
        kit.reader.put(name, value, Scope("flyte", "production", "shop"))
    become = kit.mutate(pod())
    values = kit.staging.values
    assert values is not None
    [container] = become["spec"]["containers"]
    environ = {
        entry["name"]: os.fsdecode(values[entry["valueFrom"]["secretKeyRef"]["name"]].reveal_bytes())
        for entry in container["env"]
    }
    [mount] = container["volumeMounts"]
    [volume] = become["spec"]["volumes"]
    assert (mount["mountPath"], mount["name"], mount["readOnly"]) == (FILES, volume["name"], True)
    for source in volume["projected"]["sources"]:
        for item in source["secret"]["items"]:
            path = folder / item["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(values[source["secret"]["name"]].reveal_bytes())
    return found(ran(server, SECRET_FILES=str(folder), **environ))


def test_one_function_finds_the_same_everywhere(server: Server, tmp_path: Path) -> None:
    run = under_secret_run(server, tmp_path)
    assert set(run["env"]) == {"DB_PASSWORD", "BOTH_OF_THEM"}
    assert set(run["files"]) == {"tls/key.pem", "both/value"}
    assert with_a_state_folder(server) == run
    assert in_a_pod(server, tmp_path / "mount") == run


def test_a_run_with_a_state_folder_is_audited_as_secret_run_is(server: Server) -> None:
    before = len(server.audit())
    with_a_state_folder(server)
    [event] = server.audit()[before:]
    assert (event["surface"], event["action"], event["outcome"]) == ("run", "read", "ok")
    assert [each["name"] for each in event["secrets"]] == ["db-password", "tls-key", "both"]


def test_files_are_private_and_gone_when_the_process_has_ended(server: Server) -> None:
    code = """
import os, stat
from secrets_svc.task import Secret, secrets
path = secrets.path(Secret("tls-key", file="tls/key.pem"))
modes = [oct(stat.S_IMODE(os.stat(each).st_mode)) for each in (os.environ["SECRET_FILES"], path)]
print(os.environ["SECRET_FILES"], *modes)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**server.environment, **local(server)},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    folder, *modes = done.stdout.split()
    assert modes == ["0o700", "0o400"]
    assert "secret-run-" in folder
    assert not Path(folder).exists()


def test_all_that_is_missing_is_told_and_recorded(server: Server) -> None:
    asked = entries([*ASKED, Secret("gone"), Secret("lost", file="lost")])
    before = len(server.audit())
    done = ran(server, asked=asked, **local(server))
    assert done.returncode == 1
    assert "SecretsMissing: task() needs " in done.stderr
    assert "  gone: variable GONE is not set\n" in done.stderr
    assert "  secret create gone -p shop -d production\n  secret create lost -p shop" in done.stderr
    assert f"(state folder {server.state})" in done.stderr
    [event] = server.audit()[before:]
    assert (event["outcome"], len(event["secrets"])) == ("not_found", 5)
    assert [each["name"] for each in event["secrets"] if each.get("version") is None] == ["gone", "lost"]


TWICE = """
import json, os, sys
from secrets_svc.task import Secret, requires_secrets, secrets

@requires_secrets("db-password", Secret("extra", optional=True), local_state=sys.argv[1])
def first():
    return len(secrets.get_bytes("db-password"))

@requires_secrets(Secret("tls-key", file="a"), local_state=sys.argv[1])
def second():
    return secrets.path("tls-key")

@requires_secrets(Secret("both", file="b/c"), local_state=sys.argv[1])
def third():
    return secrets.path("both")

first(), first()
one, other = second(), third()
assert one[:-2] == other[:-4], (one, other)
if os.fork() == 0:
    sys.exit(0)  # a child of ours doesn't take the files away
os.wait()
assert os.path.exists(one) and os.path.exists(other)
"""


def test_what_is_there_is_not_fetched_again(server: Server) -> None:
    before = len(server.audit())
    environ = {key: value for key, value in local(server).items() if key != "SECRET_LOCAL_STATE"}
    done = subprocess.run(
        [sys.executable, "-c", TWICE, str(server.state)],
        env={**server.environment, **environ},
        cwd=server.folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [len(event.get("secrets", ())) for event in server.audit()[before:]] == [1, 1, 1]


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        (
            lambda _: {"SECRET_LOCAL_STATE": "/nonexistent"},
            "unavailable",
            "there is no state folder /nonexistent",
        ),
        (lambda _: {"SECRET_PROJECT": "", "SECRET_DOMAIN": ""}, "invalid_argument", "no scope is given"),
        (lambda _: {"SECRET_PROJECT": "Not_One"}, "invalid_argument", "project"),
        (lambda folder: {"SECRET_FILES": str(folder)}, "invalid_argument", "is not this process' own folder"),
    ],
)
def test_what_keeps_a_state_folder_from_being_asked_is_told(
    server: Server, tmp_path: Path, change: Callable[[Path], dict[str, str]], code: str, text: str
) -> None:
    coded = (
        "import sys\nsys.excepthook = lambda k, e, t: print(k.__name__, e.code, e, file=sys.stderr)\n" + TASK
    )
    done = subprocess.run(
        [sys.executable, "-c", coded, entries()],
        env={**server.environment, **local(server), **change(tmp_path)},
        cwd=server.folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"LocalStateError {code} state folder ")
    assert text in done.stderr
    for value in VALUES.values():
        assert value.decode("latin-1").strip() not in done.stderr
