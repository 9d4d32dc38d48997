"""A backend in a package of its own, as CONTRIBUTING.md has it: installed, used, held to the contract."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from documents import ROOT, blocks, section
from harness import Server

SAMPLE = section((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), "Adding a backend")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PYTHONPATH, with the package as an installer leaves it, and its test."""
    project, target = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("site")
    module, harness = (block.text for block in blocks(SAMPLE) if block.language == "python")
    [manifest] = [block.text for block in blocks(SAMPLE) if block.language == "toml"]
    (project / "dict_backend.py").write_text(module)
    (project / "pyproject.toml").write_text(manifest)
    plain = ["--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *plain, "--target", str(target), str(project)],
        check=True,
        capture_output=True,
        timeout=100,
    )
    (target / "test_dict.py").write_text(harness)
    return target


def test_it_is_listed_with_what_it_can_do(launch: Callable[..., Server], installed: Path) -> None:
    done = launch(PYTHONPATH=str(installed)).cli("backend", "list", "-o", "json")
    found = {each["name"]: each for each in json.loads(done.stdout)["items"]}
    assert {"local", "vault", "dict"} <= set(found)
    assert (found["dict"]["usable"], found["dict"]["durable"], found["dict"]["versions"]) == (True, False, 1)


def test_a_store_can_be_of_that_kind(launch: Callable[..., Server], installed: Path) -> None:
    settings = '[stores.mine]\nbackend = "dict"\nmount = "a"\n'
    server = launch(settings, PYTHONPATH=str(installed)).start()
    assert server.cli("create", "db", "-p", "shop", stdin=b"value").returncode == 0
    explained = server.cli("explain", "db", "-p", "shop", "-o", "json")
    assert json.loads(explained.stdout)["steps"][0]["store"] == "mine"
    assert server.stop() == 0


def test_its_settings_are_checked_as_ours(launch: Callable[..., Server], installed: Path) -> None:
    server = launch('[stores.mine]\nbackend = "dict"\nmoutn = "a"\n', PYTHONPATH=str(installed))
    code, said = server.fails_to_start()
    assert code == 2
    assert "stores.mine: moutn is not a setting; known here: mount" in said


def test_it_keeps_the_contract(installed: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(installed / "test_dict.py")],
        cwd=tmp_path,
        env={"PYTHONPATH": str(installed), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        timeout=100,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert re.search(r"\b[0-9]{2,3} passed", done.stdout)
