"""Secrets in AWS Secrets Manager, under the names that Flyte's own reader looks for.

    backend.py, settings.py      the entry point's object and its settings
    names.py                     names of secrets, tags
    policy.py                    least IAM policies, from the same names
    identity.py, quiet.py        sessions and credentials; nothing of them or of requests in logs
    api.py, faults.py            one call, and what can come of it as errors of ours
    calls.py                     the calls that are made, and nothing of the client beyond
    values.py                    a value as the API takes it and back: the only module here that sees it
    versions.py, notes.py        ids and staging labels of versions: what they tell
    held.py                      a secret as it is there, without its value
    operations.py                what an operation id stands for
    changes.py, deletion.py      a write in steps that can each be the last one
    writer.py, reader.py         the two sides
    listing.py, history.py       pages of secrets, and earlier versions of one

One secret is one secret there. Its metadata are tags, written with the first value, and a staging label on
each later version, written with that version's value. A version's id tells which operation made it.

May import: ``secrets_svc.core``, ``boto3``, ``botocore``, ``pydantic`` (settings only).
"""

from secrets_svc.backends.aws.backend import BACKEND

__all__ = ["BACKEND"]
