"""Outside formats, a package each, unaware of each other: REST now, Flyte's later.

Belongs here: shapes, statuses, authentication of callers. Doesn't: decisions; those are the use cases'.
May import: ``secrets_svc.control``, ``secrets_svc.core`` and the format's libraries.
"""
