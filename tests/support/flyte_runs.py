"""Runs of Flyte's and Union's own command lines against a server of ours, and what its store then has."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import flyte_clients
from harness import Server

from secrets_svc.backends import registry
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

#: Seconds. A run takes about 1.5; a loaded machine may need many times that.
_TIMEOUT = 60.0
#: How ``flyte`` now and then ends after it has done all of its work: 128 and SIGABRT, or as a signal.
_ABORTED = (134, -6)

_NUMBERS = itertools.count(1)


@dataclass
class Client:
    """Somebody with a configuration file.

    :param folder: where all of it lies. :param admin: the table of that name in the file.
    :param environ: further variables.
    """

    folder: Path
    admin: Mapping[str, object]
    environ: Mapping[str, str] = field(default_factory=dict)

    def flyte(self, *arguments: str, stdin: str = "", fails: bool = False) -> str:
        """What ``flyte`` says."""
        return self._run(self._program("flyte"), *arguments, stdin=stdin, fails=fails)

    def union(self, *arguments: str, stdin: str = "", fails: bool = False) -> str:
        """What ``union`` says."""
        return self._run(self._program("union"), *arguments, stdin=stdin, fails=fails)

    def python(self, script: str) -> str:
        """What a program says that has both SDKs, and the path of the configuration file in ``sys.argv``."""
        file = self.folder / f"script-{next(_NUMBERS)}.py"
        file.write_text(script)
        return self._run([str(flyte_clients.programs() / "python"), str(file), str(self._config())])

    def _program(self, name: str) -> list[str]:
        return [str(flyte_clients.programs() / name), "--config", str(self._config())]

    def _config(self) -> Path:
        file = self.folder / "flyte.yaml"
        file.write_text(json.dumps({"admin": dict(self.admin)}))  # JSON is YAML
        return file

    def _run(self, command: list[str], *arguments: str, stdin: str = "", fails: bool = False) -> str:
        empty = self.folder / "empty"
        empty.mkdir(exist_ok=True)
        done = subprocess.run(
            [*command, *arguments],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "COLUMNS": "200",
                "PYTHONWARNINGS": "ignore",
                **flyte_clients.QUIET,
                **self.environ,
            },
            cwd=empty,  # a config.yaml beside us would win
            input=stdin,
            text=True,
            capture_output=True,
            timeout=_TIMEOUT,
            start_new_session=True,  # prompts read what they are given, and not somebody's terminal
            check=False,
        )
        said = done.stdout + done.stderr
        went_well = done.returncode in (0, *_ABORTED)
        assert went_well is not fails, f"exit code {done.returncode}:\n{said}"
        return said


def value_in(server: Server, name: str, *, project: str | None = None, domain: str | None = None) -> bytes:
    """What the server's store has."""
    backend = registry.load("local")
    reader = backend.open_reader(backend.settings_model(), state=server.state)
    try:
        ref = SecretRef(Scope("flyte", domain, project), name)
        return reader.read(ref, reader.resolve([ref])[ref].token).value.reveal_bytes()
    finally:
        reader.close()


def outcomes(server: Server, *actions: str) -> list[tuple[str, str, str]]:
    """Action, actor and outcome of the audit's events of ``actions``."""
    return [
        (event["action"], event["actor"], event["outcome"])
        for event in server.audit()
        if event["action"] in actions
    ]
