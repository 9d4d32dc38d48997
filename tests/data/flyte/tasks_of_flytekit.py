"""A task of flytekit's that asks in every way and looks in every way. It runs in the clients' environment."""

import json

from flytekit import Secret, current_context, task

_Mount = Secret.MountType
REQUESTS = [
    Secret(key="env-key", mount_requirement=_Mount.ENV_VAR),
    Secret(key="named-key", mount_requirement=_Mount.ENV_VAR, env_var="NAMED_KEY"),
    Secret(key="any_key"),
    Secret(key="Tls-Cert", mount_requirement=_Mount.FILE),
    Secret(group="user-info", key="user_secret", mount_requirement=_Mount.ENV_VAR),
    Secret(group="mail", key="any-in-group"),
    Secret(group="db", key="password", mount_requirement=_Mount.FILE),
    Secret(group="db", group_version="kv2", key="Token", mount_requirement=_Mount.ENV_VAR),
    Secret(group="db", group_version="kv2", key="Cert", mount_requirement=_Mount.FILE),
]
#: Group, key, version: how a task's author may look for what was asked.
CALLS = [
    (None, "env-key", None),
    (None, "named-key", None),
    (None, "any_key", None),
    (None, "Tls-Cert", None),
    ("user-info", "user_secret", None),
    (None, "user_secret", None),
    ("mail", "any-in-group", None),
    ("db", "password", None),
    (None, "password", None),
    ("db", "Token", "kv2"),
    ("db", "Token", None),
    ("db", "Cert", "kv2"),
    ("db", "Cert", None),
]


@task(secret_requests=REQUESTS)
def read() -> str:
    """Print what each call finds."""
    found = [_look(*call) for call in CALLS]
    print("FOUND " + json.dumps(found), flush=True)
    return ""


def _look(group, key, version):
    try:
        return current_context().secrets.get(group, key, version)
    except ValueError as error:
        return f"MISS {error}"
