"""Secrets in the KV version 2 engine of HashiCorp Vault or OpenBao.

    backend.py, settings.py    the entry point's object and its settings
    paths.py                   where everything lies
    limits.py                  how large a value may be
    policy.py                  the least policies, made of the same paths
    sessions.py                tokens: logins, renewals
    server.py                  calls to the server, and its answers as errors of ours
    documents.py               a secret as a document and back: the only module here that sees values
    operations.py              what an operation id stood for, and where that rests
    writer.py, listing.py      the writer's side: it asks for names of keys alone
    reader.py                  the reader's side

One secret is one document. Its metadata are names of keys in it, beside the value: the server tells the names
of keys (``subkeys``) to whoever may not see values, and one check-and-set write carries all.

May import: ``secrets_svc.core``, ``hvac`` and ``requests`` (server only), ``pydantic`` (settings only).
"""

from secrets_svc.backends.vault.backend import BACKEND

__all__ = ["BACKEND"]
