"""The rights that are printed are those of the documents, which the cluster's tests try."""

from __future__ import annotations

import pytest
from documents import ROOT, blocks, section

from secrets_svc.backends.kubernetes.backend import KubernetesBackend
from secrets_svc.backends.kubernetes.settings import KubernetesSettings
from secrets_svc.core.errors import InvalidArgument


def printed(role: str, namespace: str = "flyte") -> str:
    return KubernetesBackend().policy(KubernetesSettings(namespace=namespace), role=role)


def test_the_page_has_what_is_printed() -> None:
    page = (ROOT / "docs" / "backends.md").read_text()
    [shown] = [block.text for block in blocks(section(page, "kubernetes")) if block.language == "yaml"]
    assert shown == printed("writer") + "---\n" + printed("reader")


def test_another_namespace_is_in_all_of_it() -> None:
    assert "flyte" not in printed("writer", "team")
    assert printed("writer", "team").count("team") == 3


def test_no_other_role() -> None:
    with pytest.raises(InvalidArgument):
        printed("admin")
