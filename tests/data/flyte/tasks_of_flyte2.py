"""A task of Flyte 2's that asks in every way. It runs in the clients' environment."""

import json
import os
from pathlib import Path

import flyte

_FOLDER = "/etc/flyte/secrets"
environment = flyte.TaskEnvironment(
    "reads",
    image="img:1",
    secrets=[
        flyte.Secret("env-key"),
        flyte.Secret("token", group="db"),
        flyte.Secret("any_key", as_env_var="CHOSEN"),
        flyte.Secret("both", as_env_var="BOTH", mount=Path(_FOLDER)),
        flyte.Secret("Tls-Cert", mount=Path(_FOLDER)),
        flyte.Secret("password", group="db", mount=Path(_FOLDER)),
    ],
)


@environment.task
async def read() -> str:
    """Print what is where Flyte 2's documents say."""
    found = [os.environ.get(name, "MISS") for name in ("ENV_KEY", "DB_TOKEN", "CHOSEN", "BOTH")]
    found += [_content(f"{_FOLDER}/{name}") for name in ("Tls-Cert", "password")]
    print("FOUND " + json.dumps(found), flush=True)
    return ""


def _content(path):
    return Path(path).read_text() if os.path.exists(path) else "MISS"
