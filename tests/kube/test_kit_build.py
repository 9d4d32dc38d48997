"""How the kit's programs come to be: once, whole, or not at all with a reason."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit import KitError, build
from kit.recipes import Part, Program

HERE = Path(__file__).parent
SMALL = Part("small", (Program("pause", "pause", "."),), takes="a moment")
ENSURE = """
import pathlib, sys
from kit import KitError, build, recipes
programs = (recipes.Program("pause", "pause", "."),)
small = recipes.Part("small", programs, unpacked={unpacked}, takes="a moment")
try:
    build.ensure(small, cache=pathlib.Path(sys.argv[1]))
except KitError as error:
    sys.exit(str(error))
"""


def builder(cache: Path, unpacked: str = "()", **environ: str) -> subprocess.Popen[str]:
    """Somebody who wants the small part."""
    return subprocess.Popen(
        [sys.executable, "-c", ENSURE.format(unpacked=unpacked), str(cache)],
        cwd=HERE,
        env={**os.environ, **environ},
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_who_build_at_once_build_once(tmp_path: Path) -> None:
    ready = build.programs_of(SMALL, tmp_path).parent
    (tmp_path / f"{ready.name}.killed" / "bin").mkdir(parents=True)
    both = [builder(tmp_path) for _ in range(2)]
    said = [one.communicate()[1] for one in both]
    assert [one.returncode for one in both] == [0, 0], said
    assert sum("building the programs of the small, once" in each for each in said) == 1
    assert sum("somebody else is building" in each for each in said) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", ready.name]
    assert [path.name for path in (ready / "bin").iterdir()] == ["pause"]
    assert os.access(ready / "bin" / "pause", os.X_OK)
    heard: list[str] = []
    build.ensure(SMALL, cache=tmp_path, say=heard.append)
    assert heard == []


@pytest.mark.parametrize(
    ("unpacked", "expected"),
    [("()", "Install Go 1.24 or later"), ("(('busybox-static', 'busybox'),)", "this machine has no apt-get")],
)
def test_what_is_missing_is_named(tmp_path: Path, unpacked: str, expected: str) -> None:
    bare = {"PATH": "/nonexistent", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    one = builder(tmp_path / "cache", unpacked, **bare)
    said = one.communicate()[1]
    assert (one.returncode, expected in said) == (1, True), said
    assert not build.programs_of(SMALL, tmp_path / "cache").exists()


def test_a_cache_that_cant_be_written_is_named() -> None:
    with pytest.raises(KitError, match=r"/dev/null/kube .*: set SECRETS_SVC_KUBE_CACHE"):
        build.ensure(SMALL, cache=Path("/dev/null/kube"))


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.delenv(build.VARIABLE, raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert build.cache_folder() == Path("/home/somebody/.cache/secrets-svc/kube")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert build.cache_folder() == tmp_path / "secrets-svc" / "kube"
    monkeypatch.setenv(build.VARIABLE, str(tmp_path / "mine"))
    assert build.programs_of(SMALL).parents[1] == tmp_path / "mine"
