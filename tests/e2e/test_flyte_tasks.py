"""Tasks of Flyte's find every secret: their own entry points run with what our injector gives them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from admissions import Kit
from flyte_clients import QUIET, programs
from flyte_pods import TASKS, pod_of, secrets_of, template_of

from injector.dialects import ours
from injector.dialects.flyte import FlyteDialect, Groups

#: Gives the process a /etc of its own, where files lie as the kubelet puts them, and its environment, which a
#: shell would not pass on whole: it drops names that hold a "-".
_IN_A_POD = 'mount --bind "$0" /etc && exec "$@"'
_START = "import json, os, sys; os.execvpe(sys.argv[2], sys.argv[2:], json.load(open(sys.argv[1])))"


class Task:
    """A task, from its source to what it found."""

    def __init__(self, folder: Path, module: str, dialect: FlyteDialect) -> None:
        self._folder = folder
        self._module = module
        self._kit = Kit(dialects=[ours, dialect])

    def keep(self, name: str) -> str:
        """Store a secret; returns its value."""
        value = f"value of {name}"
        self._kit.reader.put(name, value.encode())
        return value

    def run(self) -> list[str]:
        """What it found when its entry point ran it."""
        inputs = self._folder / "inputs.pb"
        inputs.touch()
        asking = pod_of(
            self._module,
            "read",
            input=str(inputs),
            outputPrefix=str(self._folder),
            rawOutputDataPrefix=str(self._folder),
            runName="r1",
            actionName="a0",
        )
        mutated = self._kit.mutate(asking)
        assert "patch" not in self._kit.admit(mutated)
        [container] = mutated["spec"]["containers"]
        etc = self._etc(mutated["spec"].get("volumes", []), container)
        environment = self._folder / "environment.json"
        environment.write_text(json.dumps(self._environment(container)))
        start = [sys.executable, "-c", _START, environment, *container["args"]]
        done = subprocess.run(
            ["unshare", *_PRIVILEGE, "--mount", "sh", "-c", _IN_A_POD, etc, *start],
            cwd=TASKS,
            capture_output=True,
            check=False,
            timeout=60,
        )
        lines = done.stdout.decode().splitlines()
        found = [line.removeprefix("FOUND ") for line in lines if line.startswith("FOUND ")]
        assert found, done.stderr.decode()
        return list(json.loads(found[0]))

    def _value(self, name: str) -> bytes:
        assert self._kit.staging.values is not None
        return self._kit.staging.values[name].reveal_bytes()

    def _environment(self, container: dict[str, Any]) -> dict[str, str]:
        environment = {
            "PATH": f"{programs()}:{os.environ['PATH']}",
            "HOME": str(self._folder),
            "PYTHONDONTWRITEBYTECODE": "1",
            "_U_RUN_BASE": str(self._folder),
            **QUIET,
        }
        for entry in container["env"]:
            reference = entry.get("valueFrom", {}).get("secretKeyRef")
            text = self._value(reference["name"]).decode() if reference else entry.get("value", "")
            environment[entry["name"]] = text
        return environment

    def _etc(self, volumes: list[dict[str, Any]], container: dict[str, Any]) -> Path:
        etc = self._folder / "etc"
        etc.mkdir()
        for name in ("passwd", "group", "hosts", "nsswitch.conf", "localtime", "ssl", "mime.types"):
            source = Path("/etc", name)
            if source.is_dir():
                shutil.copytree(source, etc / name, ignore=shutil.ignore_patterns("private"))
            elif source.exists():
                shutil.copy(source, etc / name)
        projected = {volume["name"]: volume["projected"]["sources"] for volume in volumes}
        for mount in container.get("volumeMounts", []):
            for source in projected[mount["name"]]:
                [item] = source["secret"]["items"]
                file = etc / mount["mountPath"].removeprefix("/etc/") / item["path"]
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(self._value(source["secret"]["name"]))
        return etc


_PRIVILEGE = [] if os.geteuid() == 0 else ["--map-root-user"]
_DIALECTS = {
    "groups ignored": FlyteDialect(),
    "groups named": FlyteDialect(groups=Groups.NAMED),
    "_FSEC_": FlyteDialect(env_prefix="_FSEC_"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", _DIALECTS)
def test_a_task_of_flytekits_finds_all_by_every_call(tmp_path: Path, case: str) -> None:
    named = case == "groups named"
    task = Task(tmp_path, "tasks_of_flytekit", _DIALECTS[case])
    secrets = {
        each.key: task.keep("_".join(filter(None, [each.group, each.group_version, each.key])))
        if named
        else task.keep(each.key)
        for each in secrets_of(template_of("tasks_of_flytekit", "read"))
    }
    keys = ["env-key", "named-key", "any_key", "Tls-Cert", "user_secret", "user_secret", "any-in-group"]
    keys += ["password", "password", "Token", "Token", "Cert", "Cert"]
    assert task.run() == [secrets[key] for key in keys]


def test_flyte_2_knows_no_other_folder_than_the_one_we_fill() -> None:
    """A path isn't part of the request: only this one ever arrives."""
    made = subprocess.run(
        [programs() / "python", "-c", "import flyte; flyte.Secret('a', mount='/run/elsewhere')"],
        env={"PATH": os.environ["PATH"], "HOME": os.devnull, **QUIET},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert b"/etc/flyte/secrets" in made.stderr
    assert made.returncode != 0


@pytest.mark.slow
def test_a_task_of_flyte_2s_finds_all_where_its_documents_say(tmp_path: Path) -> None:
    task = Task(tmp_path, "tasks_of_flyte2", FlyteDialect())
    keys = ["env-key", "token", "any_key", "both", "Tls-Cert", "password"]
    values = [task.keep(key) for key in keys]
    assert task.run() == values
