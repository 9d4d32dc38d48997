"""``make test-aws``: what it says without an account, and the whole of it on moto's server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from aws_account import PREFIX, ROOT
from moto_server import ANYTHING, REGION, on_everything, profiles, running

from secrets_svc.backends.aws import BACKEND


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "tests/support/aws_account.py", *arguments]
    given = {"PATH": "/usr/bin:/bin", "AWS_EC2_METADATA_DISABLED": "true", **environment}
    return subprocess.run(
        command, cwd=ROOT, env=given, capture_output=True, text=True, check=False, timeout=100
    )


@pytest.mark.parametrize("region", [{}, {"AWS_DEFAULT_REGION": REGION}], ids=["nothing", "a region"])
def test_without_credentials_it_is_one_line(tmp_path: Path, region: dict[str, str]) -> None:
    done = run({"HOME": str(tmp_path), **region})
    assert (done.returncode, done.stderr) == (0, "")
    [line] = done.stdout.splitlines()
    assert line.startswith("there are no credentials for AWS")
    assert "make contract" in line


def test_two_profiles_are_held_to_the_printed_policies(tmp_path: Path) -> None:
    """They are made for the one prefix; all that was made there is gone afterwards."""
    with running(tmp_path) as moto:
        settings = BACKEND.settings_model(region=REGION, prefix=PREFIX)
        users = {
            role: moto.user(on_everything(BACKEND.policy(settings, role=role)))  # type: ignore[attr-defined]
            for role in ("writer", "reader")
        }
        file = profiles(tmp_path / "credentials", default=moto.user(ANYTHING), **users)
        moto.enforce(True)
        environment = {
            "HOME": str(tmp_path),
            "AWS_SHARED_CREDENTIALS_FILE": str(file),
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": moto.url,
            "SECRETS_SVC_TEST_AWS_WRITER_PROFILE": "writer",
            "SECRETS_SVC_TEST_AWS_READER_PROFILE": "reader",
        }
        done = run(environment, "-k", "TestRefusals and not other_names")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "2 passed" in done.stdout
        assert "one identity for both sides" not in done.stdout
        assert "purged 2 secrets; 0 are of earlier runs" in done.stdout
        moto.enforce(False)
        admin = moto.client("secretsmanager")
        assert admin.list_secrets(IncludePlannedDeletion=True)["SecretList"] == []
        admin.close()
