"""The contract suite for authors of backends, here and elsewhere. Product code never imports it.

    contract.py    what authors import
    harness.py     what they provide, and what the parts share
    writing.py, reading.py, listing.py, values.py, operations.py, racing.py, versions.py    the parts

May import: ``secrets_svc.core`` and pytest. Nothing here knows any backend.
"""

import pytest

pytest.register_assert_rewrite(
    "secrets_svc.testing.harness",
    "secrets_svc.testing.listing",
    "secrets_svc.testing.operations",
    "secrets_svc.testing.racing",
    "secrets_svc.testing.reading",
    "secrets_svc.testing.values",
    "secrets_svc.testing.versions",
    "secrets_svc.testing.writing",
)
