"""Existing secrets through the whole service: what people type, and what a task gets."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bao import Bao
from harness import Server

WHERE = ("-p", "shop", "-d", "production")
SHOW = (
    "import os; os.write(1, os.environb[b'USER_'] + b' ' + os.environb[b'PASS'] + b' ' + os.environb[b'API'])"
)


class World:
    def __init__(self, server: Server, bao: Bao, settings: Path) -> None:
        self.server = server
        self.bao = bao
        self.settings = settings

    def type(self, *words: str, stdin: bytes = b"", code: int = 0) -> Any:
        done = self.server.cli(*words, stdin=stdin)
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if "json" in words else done

    def put(self, path: str, **document: Any) -> None:
        self.bao.call("POST", f"secret/data/{path}", {"data": document})


@pytest.fixture
def world(launch: Callable[..., Server], tmp_path: Path) -> Iterator[World]:
    folder = tmp_path / "bao"
    folder.mkdir()
    with Bao(folder) as bao:
        text = (
            f'[stores.company]\nbackend = "vault"\naddress = "{bao.address}"\n'
            f'existing = "teams/{{project}}/{{domain}}/{{name}}"\n'
            f'login = {{ method = "token", token = "{bao.token}" }}\n'
            '[stores.here]\nbackend = "local"\n'
            '[[routes]]\nstore = "company"\nproject = "*"\ndomain = "*"\n[[routes]]\nstore = "here"\n'
        )
        settings = tmp_path / "both.toml"
        settings.write_text(text)
        server = launch(text).start()
        yield World(server, bao, settings)
        assert server.stop() == 0


def test_from_the_document_to_the_task(world: World, tmp_path: Path) -> None:
    world.put("teams/shop/production/database", user="u", password="first")
    world.type("create", "api-key", "--org-wide", stdin=b"own")
    pod = tmp_path / "pod.json"
    asked = [
        {"name": "database", "env": "USER_", "field": "user"},
        {"name": "database", "env": "PASS", "field": "password"},
        {"name": "api-key", "env": "API"},
    ]
    metadata = {"name": "task", "annotations": {"secrets-svc.internal/request": json.dumps(asked)}}
    spec = {"containers": [{"name": "main", "image": "task:1"}]}
    pod.write_text(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
    words = (
        "run",
        "--pod",
        str(pod),
        *WHERE,
        "--settings",
        str(world.settings),
        "--",
        sys.executable,
        "-c",
        SHOW,
    )
    assert world.type(*words).stdout == b"u first own"
    world.put("teams/shop/production/database", user="u", password="second")
    assert world.type(*words).stdout == b"u second own"
    world.put("teams/shop/production/database", user="u")
    refused = world.type(*words, code=2)
    assert b'invalid_argument: secret "database" (env PASS)' in refused.stderr
    assert b'its value has no field "password"' in refused.stderr


def test_it_is_shown_as_read_only_and_not_written(world: World) -> None:
    world.put("teams/shop/production/database", user="u", password="canary-8c1f")
    world.put("teams/shop/production/Not.A.Name", user="u")
    world.type("create", "api-key", "--org-wide", stdin=b"own")
    listed = world.type("list", "-o", "json")
    items = listed["items"] if isinstance(listed, dict) else listed
    assert [(item["name"], item["read_only"]) for item in items] == [("database", True), ("api-key", False)]
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


def test_settings_say_what_is_wrong_with_a_template(launch: Callable[..., Server]) -> None:
    text = '[stores.main]\nbackend = "aws"\nregion = "eu-central-1"\nexisting = "{project}-{domain}/{name}"\n'
    code, said = launch(text).fails_to_start()
    assert code == 2
    assert "stores.main: existing: must have a character behind {project}" in said
    assert "two scopes would have one path" in said
