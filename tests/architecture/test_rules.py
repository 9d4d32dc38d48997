"""Rules about the code that the import rules (``.importlinter``) can't say."""

from __future__ import annotations

import ast
import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import cli
import injector
import secrets_svc

ROOT = Path(__file__).parents[2]
PACKAGES = ("cli", "injector", "secrets_svc")
#: The only modules that may see the bytes of a value (STYLE: a handful), and why.
MAY_REVEAL = {
    "cli/context.py": "the token in the command line's configuration",
    "cli/task_environment.py": "a task's environment",
    "cli/task_files.py": "a task's files",
    "injector/k8s/staging.py": "stages them beside pods",
    "secrets_svc/backends/aws/values.py": "sends them",
    "secrets_svc/backends/existing/places.py": "takes a field out of a document",
    "secrets_svc/backends/kubernetes/objects.py": "sends them",
    "secrets_svc/backends/local/sealing.py": "seals them",
    "secrets_svc/backends/vault/documents.py": "sends them",
    "secrets_svc/client/http.py": "sends them",
    "secrets_svc/core/intents.py": "fingerprints of writes, under a key",
    "secrets_svc/data/limits.py": "looks whether they are of their type, or fit a variable",
    "secrets_svc/edges/gate/authentication.py": "digests of tokens",
}
MAX_MODULE = 500
MAX_FUNCTION = 60


def modules() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_values_are_revealed_in_a_listed_handful_of_modules() -> None:
    assert list(MAY_REVEAL) == sorted(MAY_REVEAL)
    found = {
        shown(path)
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute) and node.attr == "reveal_bytes"
    }
    # The contract suite compares values of its own.
    assert {name for name in found if not name.startswith("secrets_svc/testing/")} == set(MAY_REVEAL)


def test_nothing_reaches_around_the_type_of_values() -> None:
    around = re.compile(r"_SecretValue__|object\.__getattribute__")
    assert [shown(path) for path in modules() if around.search(path.read_text(encoding="utf-8"))] == []


def test_modules_are_short() -> None:
    lengths = {shown(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {name: length for name, length in lengths.items() if length > MAX_MODULE} == {}


def test_functions_are_short() -> None:
    long = {
        f"{shown(path)}:{function.lineno} {function.name}": length
        for path in modules()
        for function in functions(tree(path))
        if (length := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION
    }
    assert long == {}


def test_nothing_is_printed_or_left_to_do() -> None:
    left = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    assert [shown(path) for path in modules() if left.search(path.read_text(encoding="utf-8"))] == []
    printing = [
        shown(path)
        for path in modules()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("print", "breakpoint")
    ]
    assert printing == []


def test_every_package_says_what_belongs_there() -> None:
    folders = {path.parent for path in modules()}
    silent = [
        shown(folder)
        for folder in sorted(folders)
        if not (folder / "__init__.py").exists() or not ast.get_docstring(tree(folder / "__init__.py"))
    ]
    assert silent == []


def test_every_module_has_a_docstring() -> None:
    assert [shown(path) for path in modules() if not ast.get_docstring(tree(path))] == []


@pytest.mark.parametrize("package", [cli, injector, secrets_svc], ids=PACKAGES)
def test_packages_are_ours(package: object) -> None:
    """Another project's distribution has the name of our folder ``injector``."""
    assert Path(str(package.__file__)).resolve().is_relative_to(ROOT)  # type: ignore[attr-defined]
    with pytest.raises(importlib.metadata.PackageNotFoundError):
        importlib.metadata.distribution("injector")


def test_no_other_distribution_brings_our_packages() -> None:
    brought = importlib.metadata.packages_distributions()
    for package in PACKAGES:
        assert set(brought.get(package, ["secrets-svc"])) == {"secrets-svc"}


def test_types_are_shipped() -> None:
    assert [package for package in PACKAGES if not (ROOT / package / "py.typed").exists()] == []
