"""Outside formats, a package each, unaware of each other, above the ``gate`` that stands before all of them.

Belongs here: shapes, statuses, authentication of callers. Doesn't: decisions; those are the use cases'.
May import: ``secrets_svc.control``, ``secrets_svc.core`` and the format's libraries.
"""
