"""Settings: which way each side goes, and what could not be meant."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from documents import ROOT, blocks
from pydantic import ValidationError

from secrets_svc.backends.kubernetes.settings import KubernetesSettings, Way

A, B = Path("/a"), Path("/b")


@pytest.mark.parametrize(
    ("given", "writer", "reader"),
    [
        ({}, Way(None, None), Way(None, None)),
        ({"kubeconfig": A}, Way(A, None), Way(A, None)),
        ({"kubeconfig": A, "context": "c"}, Way(A, "c"), Way(A, "c")),
        ({"kubeconfig": A, "reader_context": "r"}, Way(A, None), Way(A, "r")),
        ({"kubeconfig": A, "context": "c", "writer_context": "w"}, Way(A, "w"), Way(A, "c")),
        ({"kubeconfig": A, "context": "c", "writer_kubeconfig": B}, Way(B, None), Way(A, "c")),
        ({"reader_kubeconfig": B, "reader_context": "r"}, Way(None, None), Way(B, "r")),
    ],
    ids=str,
)
def test_ways(given: dict[str, Any], writer: Way, reader: Way) -> None:
    settings = KubernetesSettings(**given)
    assert (settings.writer_way(), settings.reader_way()) == (writer, reader)


@pytest.mark.parametrize(
    "given",
    [
        {"context": "c"},
        {"writer_context": "c"},
        {"reader_context": "c", "writer_kubeconfig": A},
        {"context": "c", "writer_kubeconfig": A},
        {"kubeconfig": "relative"},
        {"kubeconfig": "/with\x00nul"},
        {"namespace": ""},
        {"namespace": "Flyte"},
        {"namespace": "a/b"},
        {"timeout": 0},
        {"lookups": 0},
        {"lookups": 1000},
        {"token": "x"},
    ],
    ids=str,
)
def test_what_could_not_be_meant(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KubernetesSettings(**given)


def test_a_home_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    assert KubernetesSettings(kubeconfig=Path("~/.kube/config")).kubeconfig == Path(
        "/home/alice/.kube/config"
    )


def test_the_example_is_one() -> None:
    page = (ROOT / "docs" / "backends.md").read_text()
    page = page[page.index("## kubernetes") :]
    [example] = [block.text for block in blocks(page) if 'backend = "kubernetes"' in block.text]
    [table] = tomllib.loads(example)["stores"].values()
    assert table.pop("backend") == "kubernetes"
    assert KubernetesSettings(**table).namespace == "flyte"


def test_versions_are_one_unless_more_are_wanted() -> None:
    """Flyte's own service lists only what has one data key."""
    assert KubernetesSettings().versions == 1
    assert KubernetesSettings(versions=5).versions == 5
    for wrong in (0, 6):
        with pytest.raises(ValidationError):
            KubernetesSettings(versions=wrong)
