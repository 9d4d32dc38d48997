"""The command against a real server: what people type, pipes and odd names included."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness import Server


def shell(server: Server, line: str) -> subprocess.CompletedProcess[bytes]:
    """Type ``line`` into a shell that finds the command."""
    path = f"{Path(sys.executable).parent}:{server.environment['PATH']}"
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        env={**server.environment, "PATH": path},
        cwd=server.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_names_that_are_listed_are_those_that_are_deleted(server: Server, project: str) -> None:
    for name in ("db", "-y", "--org-wide"):
        assert server.create(name, "x", project=project).status == 201
        assert server.create(name, "x", project=project, domain="production").status == 201
    listed = f"secret list -p {project} --exact -o name"
    done = shell(server, f"{listed} | xargs secret delete -p {project} --yes --")
    assert done.returncode == 0, done.stderr
    assert server.cli("list", "-p", project, "--exact", "-o", "name").stdout == b""
    rest = server.cli("list", "-p", project, "-o", "name")
    assert sorted(rest.stdout.split()) == [b"--org-wide", b"-y", b"db"]
    assert rest.stderr.startswith(b"note: 3 of 3 secrets are inside project ")
