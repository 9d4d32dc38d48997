"""``secret backend``: what is installed, and the rights it needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def test_all_that_are_installed_are_listed(process: Any) -> None:
    names = ["aws", "kubernetes", "local", "memory", "vault"]
    assert process("backend", "list", "-o", "name").out.split() == names
    items = json.loads(process("backend", "list", "-o", "json").out)["items"]
    assert [item["name"] for item in items] == names
    assert {item["name"] for item in items if item["separate_identities"]} == {"aws", "vault"}
    assert "not separable" in process("backend", "list").out


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Typer's, of Click
def test_one_whose_library_is_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from cli.commands.backend import list_backends
    from cli.output import OutputFormat
    from secrets_svc.backends import registry
    from secrets_svc.core.errors import Unsupported

    whole = registry.load

    def load(name: str) -> Any:
        if name == "aws":
            raise Unsupported("install the extra aws")
        return whole(name)

    monkeypatch.setattr(registry, "load", load)
    list_backends(OutputFormat.TABLE)
    assert "install the extra aws" in capsys.readouterr().out


@pytest.mark.parametrize("backend", ["vault", "aws", "kubernetes"])
def test_the_two_sides_have_rights_of_their_own(process: Any, backend: str) -> None:
    texts = {role: process("backend", "policy", backend, "--role", role) for role in ("writer", "reader")}
    assert [each.code for each in texts.values()] == [0, 0]
    assert texts["writer"].out != texts["reader"].out


def test_a_configured_stores_own_names_are_in_it(process: Any, tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        '[stores.main]\nbackend = "vault"\naddress = "https://vault.example"\nmount = "kv"\nprefix = "acme"\n'
        'login = {method = "kubernetes", role = "r"}\n'
    )
    for name in ("main", "vault"):
        text = process("backend", "policy", name, "--role", "reader", "--settings", str(file)).out
        assert 'path "kv/data/acme/*"' in text


def test_what_has_none_and_what_is_not_there(process: Any) -> None:
    assert process("backend", "policy", "local", "--role", "reader").code == 2
    result = process("backend", "policy", "vualt", "--role", "reader")
    assert result.code == 2
    assert "installed: " in result.err
    assert process("backend", "policy", "vault", "--role", "admin").code == 2
