"""Runs the contract suite in a real AWS account. Run by ``make test-aws``.

As whom: two profiles, ``SECRETS_SVC_TEST_AWS_WRITER_PROFILE`` and ``SECRETS_SVC_TEST_AWS_READER_PROFILE``,
which AWS itself holds to the printed policies for :data:`PREFIX`: then it is also shown what each is refused.
Without them the default chain of credentials does for both, and only the contract is run. What the run made
is purged at its end, by the default chain: that takes rights to list and to delete there.

Arguments are handed on to pytest instead of the choice of tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

#: Where the suite finds the settings of the store.
REAL = "SECRETS_SVC_TEST_AWS"
#: In front of all names: always the same, so that policies can be made for it once and for all.
PREFIX = "secrets-svc-test/"
ROOT = Path(__file__).parents[2]
_SKEW = timedelta(minutes=5)
_NONE = (
    "there are no credentials for AWS: this needs an account and a region; "
    "without them, make contract runs the same suite on moto's server"
)


def main(arguments: list[str]) -> int:
    """The suite's exit code; 0 where there is nothing to run it with."""
    import botocore.session
    from botocore.exceptions import BotoCoreError

    session = botocore.session.Session()
    try:
        region, credentials = session.get_config_variable("region"), session.get_credentials()
    except BotoCoreError:
        region = credentials = None
    if not region or credentials is None:
        print(_NONE)
        return 0
    settings: dict[str, Any] = {"region": region, "prefix": PREFIX, "timeout": 20.0}
    for side in ("writer", "reader"):
        profile = os.environ.get(f"{REAL}_{side.upper()}_PROFILE")
        if profile:
            settings[f"{side}_profile"] = profile
    print(f"== the contract suite in a real account: {region}, secrets named {PREFIX}…", flush=True)
    began = datetime.now(UTC)
    try:
        return _run(settings, arguments)
    finally:
        _purge(session.create_client("secretsmanager", region_name=region), since=began - _SKEW)


def _run(settings: dict[str, Any], arguments: list[str]) -> int:
    classes = "TestContract"
    if {"writer_profile", "reader_profile"} <= set(settings):
        classes = "TestContract or TestRefusals"
    else:
        print("one identity for both sides: what each of two is refused isn't shown", flush=True)
    suite = [sys.executable, "-m", "pytest", "-q", "tests/contract/test_aws.py"]
    environment = {**os.environ, REAL: json.dumps(settings)}
    chosen = arguments or ["-k", classes]
    return subprocess.run([*suite, *chosen], cwd=ROOT, env=environment, check=False).returncode


def _purge(client: Any, *, since: datetime) -> None:
    """What was made since then: another's run may be older, and is its own business."""
    pages = client.get_paginator("list_secrets").paginate(
        Filters=[{"Key": "name", "Values": [PREFIX]}], IncludePlannedDeletion=True
    )
    found = [secret for page in pages for secret in page["SecretList"] if secret["Name"].startswith(PREFIX)]
    ours = [secret["Name"] for secret in found if secret["CreatedDate"] >= since]
    for name in ours:
        client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    print(f"purged {len(ours)} secrets; {len(found) - len(ours)} are of earlier runs")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
