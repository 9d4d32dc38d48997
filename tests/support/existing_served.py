"""Existing secrets through the whole service: what people type, and what a task gets. Each backend has it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import Server

WHERE = ("-p", "shop", "-d", "production")
_SHOW = (
    "import os; os.write(1, os.environb[b'USER_'] + b' ' + os.environb[b'PASS'] + b' ' + os.environb[b'API'])"
)


@dataclass
class World:
    """A server with a store of existing secrets for projects, and one of its own for the rest.

    :param store: lines of ``[stores.company]``. :param put: has a document lie under a path.
    :param between: what parts a path there. :param lacking: what is said of a field that isn't there.
    :param environ: of the server and of commands.
    """

    store: str
    put: Callable[[str, dict[str, str]], object]
    between: str = "/"
    lacking: str = 'its value has no field "password"'
    environ: dict[str, str] = field(default_factory=dict)

    def settings(self) -> str:
        """Of both stores."""
        template = self.between.join(("teams", "{project}", "{domain}", "{name}"))
        return (
            f'[stores.company]\n{self.store}existing = "{template}"\n'
            '[stores.here]\nbackend = "local"\n'
            '[[routes]]\nstore = "company"\nproject = "*"\ndomain = "*"\n[[routes]]\nstore = "here"\n'
        )

    def launched(self, server: Server) -> World:
        """With that server, which was made with its settings."""
        self.server = server.start()
        return self

    def have(self, name: str, **document: str) -> None:
        """A document of shop's in production."""
        self.put(self.between.join(("teams", "shop", "production", name)), document)

    def type(self, *words: str, stdin: bytes = b"", code: int = 0) -> Any:
        """A command, and what it says; parsed where it is JSON."""
        done = self.server.cli(*words, stdin=stdin)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if "json" in words else done


def _pod(folder: Path) -> Path:
    asked = [
        {"name": "database", "env": "USER_", "field": "user"},
        {"name": "database", "env": "PASS", "field": "password"},
        {"name": "api-key", "env": "API"},
    ]
    annotations = {"secrets-svc.internal/request": json.dumps(asked)}
    metadata = {"name": "task", "namespace": "shop-production", "annotations": annotations}
    spec = {"containers": [{"name": "main", "image": "task:1"}]}
    pod = folder / "pod.json"
    pod.write_text(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
    return pod


class ExistingServed:
    """What holds wherever they lie. A fixture ``world`` gives a :class:`World` that has begun."""

    def test_from_the_document_to_the_task(self, world: World, tmp_path: Path) -> None:
        """Each field as it is now, also after others changed it; the webhook decides as the task is given."""
        world.have("database", user="u", password="first")
        world.type("create", "api-key", "--org-wide", stdin=b"own")
        pod, settings = _pod(tmp_path), tmp_path / "both.toml"
        settings.write_text(world.settings())
        command = ("--settings", str(settings), "--", sys.executable, "-c", _SHOW)
        words = ("run", "--pod", str(pod), *WHERE, *command)
        assert world.type(*words).stdout == b"u first own"
        assert world.type("check", str(pod)).stdout.startswith(b"Pod task: allowed\n")
        world.have("database", user="u", password="second")
        assert world.type(*words).stdout == b"u second own"
        world.have("database", user="u")
        for each in (words, ("check", str(pod))):
            refused = world.type(*each, code=2)
            for said in ("invalid_argument", 'secret "database"', "PASS", world.lacking):
                assert said.encode() in refused.stderr, (each, said, refused.stderr)

    def test_it_is_shown_as_read_only_and_not_written(self, world: World) -> None:
        """By list, get and explain; every write is refused, and nobody sees a value."""
        world.have("database", user="u", password="canary-8c1f")
        world.have("not.a.name", user="u")
        world.type("create", "api-key", "--org-wide", stdin=b"own")
        listed = world.type("list", "-o", "json")
        items = listed["items"] if isinstance(listed, dict) else listed
        shown = [(item["name"], item["read_only"]) for item in items]
        assert shown == [("database", True), ("api-key", False)]
        assert b"generic, read-only" in world.type("list").stdout
        described = world.type("get", "database", *WHERE, "-o", "json")
        assert (described["read_only"], described["size"]) == (True, None)
        explained = world.type("explain", "database", *WHERE, "-o", "json")
        assert (explained["winner"]["read_only"], explained["steps"][0]["store"]) == (True, "company")
        for words in (
            ("create", "new", *WHERE),
            ("create", "new", *WHERE, "--dry-run"),
            ("update", "database", *WHERE),
            ("update", "database", *WHERE, "--dry-run"),
            ("delete", "database", *WHERE, "--yes"),
            ("delete", "database", *WHERE, "--dry-run"),
            ("rollback", "database", *WHERE, "--to", described["version"]),
        ):
            refused = world.type(*words, stdin=b"value", code=2)
            assert b"unsupported" in refused.stderr, words
            assert b"only read here" in refused.stderr, words
        assert b"unsupported" in world.type("history", "database", *WHERE, code=2).stderr
        assert world.type("get", "database", *WHERE, "-o", "json") == described
        everything = world.server.log + world.server.audit_file.read_text()
        assert "canary-8c1f" not in everything
