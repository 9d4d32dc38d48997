"""Asking for secrets from any Python task, and for any pod template. A distribution of its own.

    from secrets_svc.task import Secret, requires_secrets, secrets

    @requires_secrets("db-password", Secret("tls-key", file="tls/key.pem"))
    def report() -> None:
        connect(password=secrets.get("db-password"), key_file=secrets.path("tls-key"))

    errors.py              the one tree of its errors
    rules.py               what names, variables, paths and modes may be: the injector's rules
    requests.py            one request, and what several may not be together
    declaring.py           the decorator
    running.py             what the functions ask for that are running now
    places.py, presence.py where values are, and what is said where they aren't
    reading.py             values, by the names they were asked for
    local_state.py         a run on a machine that has a state folder
    annotations.py         requests as a pod's annotation and labels
    objects.py             dicts and clients' objects alike
    workloads.py, argo.py, ray.py, spark.py    requests in whatever makes pods

It goes into task images: the standard library only, Python 3.9 or later, quick to import. It imports nothing
else of this project. What a run with a state folder needs is found by entry point, if it is installed.
"""

from secrets_svc.task.annotations import pod_request, requests_in
from secrets_svc.task.declaring import requests_of, requires_secrets
from secrets_svc.task.errors import (
    InvalidRequest,
    LocalStateError,
    SecretsMissing,
    SecretUnreadable,
    TaskError,
    TooLarge,
)
from secrets_svc.task.reading import secrets
from secrets_svc.task.requests import Secret
from secrets_svc.task.workloads import with_secrets

__all__ = [
    "InvalidRequest",
    "LocalStateError",
    "Secret",
    "SecretUnreadable",
    "SecretsMissing",
    "TaskError",
    "TooLarge",
    "pod_request",
    "requests_in",
    "requests_of",
    "requires_secrets",
    "secrets",
    "with_secrets",
]
