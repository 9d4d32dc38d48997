"""Secrets as Kubernetes Secrets of one namespace, in the form that Flyte's own webhook reads.

    backend.py, settings.py    the entry point's object and its settings
    policy.py                  the least rights, as manifests
    names.py                   labels, annotations, names of objects, selectors
    namespace.py               calls to the API server, and its answers as errors of ours
    objects.py                 a secret as an object and back: the only module here that sees values
    versions.py, patches.py    what is kept of before; a change of an object, all of it or nothing
    provenance.py              who wrote a value last, as the server itself keeps account of it
    marks.py, operations.py    what an operation id stood for, and where that rests
    writer.py, listing.py      the writer's side: it asks for metadata alone
    reader.py                  the reader's side
    foreign.py, taking_over.py what Flyte's own service wrote here, made ours in place

One secret is one Secret, and its metadata are that Secret's labels and annotations, written with the value.
Beside them lie one Secret with the key that operations are compared under, and a Lease for each operation of
the last hours: what a repeated call is told by. Neither holds anything of a secret that could drift.

May import: ``secrets_svc.core``, ``secrets_svc.kube``, ``pydantic`` (settings only).
"""

from secrets_svc.backends.kubernetes.backend import BACKEND

__all__ = ["BACKEND"]
