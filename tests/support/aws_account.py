"""Runs the contract suite in a real AWS account. Run by ``make test-aws``.

As whom: the default chain of credentials, or two profiles, which AWS itself then holds to their policies:
``SECRETS_SVC_TEST_AWS_WRITER_PROFILE`` and ``SECRETS_SVC_TEST_AWS_READER_PROFILE``. All is under a prefix of
this run's own, and purged at its end; that takes rights to list and to delete there.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

#: Where the suite finds the settings of the store.
REAL = "SECRETS_SVC_TEST_AWS"
ROOT = Path(__file__).parents[2]
_NONE = (
    "there are no credentials for AWS: this needs an account and a region; "
    "without them, make contract runs the same suite on moto's server"
)


def main() -> int:
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
    prefix = f"secrets-svc-test/{secrets.token_hex(6)}/"
    settings: dict[str, Any] = {"region": region, "prefix": prefix, "timeout": 20.0}
    for side in ("writer", "reader"):
        profile = os.environ.get(f"{REAL}_{side.upper()}_PROFILE")
        if profile:
            settings[f"{side}_profile"] = profile
    print(f"== the contract suite in a real account: {region}, secrets named {prefix}…", flush=True)
    suite = [sys.executable, "-m", "pytest", "-q", "tests/contract/test_aws.py", "-k", "TestContract"]
    try:
        environment = {**os.environ, REAL: json.dumps(settings)}
        return subprocess.run(suite, cwd=ROOT, env=environment, check=False).returncode
    finally:
        _purge(session.create_client("secretsmanager", region_name=region), prefix)


def _purge(client: Any, prefix: str) -> None:
    pages = client.get_paginator("list_secrets").paginate(
        Filters=[{"Key": "name", "Values": [prefix]}], IncludePlannedDeletion=True
    )
    names = [secret["Name"] for page in pages for secret in page["SecretList"]]
    for name in names:
        if name.startswith(prefix):
            client.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)
    print(f"purged {len(names)} secrets")


if __name__ == "__main__":
    sys.exit(main())
