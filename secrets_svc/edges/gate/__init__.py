"""What stands in front of every edge: who calls, a bounded body, an audit event for each call.

Belongs here: what holds for all of them alike. Does not: a format, a path, the encoding of a refusal; an
edge hands those in as its ``Manners``. May import: ``secrets_svc.control``, ``secrets_svc.core``; no edge.
"""
