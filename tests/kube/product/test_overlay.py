"""The overlay of the documentation renders, and holds what it says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import yaml
from installation import MANIFESTS
from kit import Cluster

PAGE = Path(__file__).parents[3] / "docs" / "operating-the-injector.md"


def test_the_documented_overlay_fills_the_operators_lists(cluster: Cluster, tmp_path: Path) -> None:
    [text] = re.findall(r"```yaml\n(# kustomization.yaml.*?)```", PAGE.read_text(), re.DOTALL)
    shutil.copytree(MANIFESTS, tmp_path / "deploy" / "manifests")
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(text)
    rendered = list(yaml.safe_load_all(cluster.kubectl("kustomize", str(overlay)).stdout))
    plain = list(yaml.safe_load_all(cluster.kubectl("kustomize", str(MANIFESTS)).stdout))
    assert len(rendered) == len(plain)
    changed = [new for new, old in zip(rendered, plain, strict=True) if new != old]
    variables = {each["metadata"]["name"]: each["spec"]["variables"][0]["expression"] for each in changed}
    assert variables == {
        "secrets-svc-guard-1-creators": '["system:serviceaccount:flyte:flyte-binary"]',
        "secrets-svc-guard-3-secrets": '"^flyte-tasks$"',
    }
