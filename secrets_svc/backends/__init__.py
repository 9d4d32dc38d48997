"""Kinds of stores, one module or package each, found by entry point (``registry.py``) and never by name.

Belongs here: adapters from a port to a store, and the registry. Doesn't: use cases, HTTP, other backends.
May import: ``secrets_svc.core`` and the one client library of its store.
"""
