"""What every backend must do, as pytest classes. A harness file is all that an author writes::

    # tests/contract/test_NAME.py, NAME as in the entry point
    class TestContract(BackendContract):
        @pytest.fixture()
        def harness(self, tmp_path):
            harness = NameHarness(tmp_path)
            yield harness
            harness.close()

``BackendContract`` is all parts at once. Parts that a declared capability makes optional are never left out:
without the capability they assert that the store refuses.
"""

from __future__ import annotations

from secrets_svc.testing.harness import BackendHarness
from secrets_svc.testing.listing import ListingContract
from secrets_svc.testing.operations import OperationContract
from secrets_svc.testing.operators import IdentityContract, RecoveryContract
from secrets_svc.testing.racing import RacingContract
from secrets_svc.testing.reading import ReaderContract, ScopeContract
from secrets_svc.testing.values import DurabilityContract, EmptyValueContract, ValueContract
from secrets_svc.testing.versions import RollbackContract, VersionContract
from secrets_svc.testing.writing import WriterContract

__all__ = [
    "BackendContract",
    "BackendHarness",
    "DurabilityContract",
    "EmptyValueContract",
    "IdentityContract",
    "ListingContract",
    "OperationContract",
    "RacingContract",
    "ReaderContract",
    "RecoveryContract",
    "RollbackContract",
    "ScopeContract",
    "ValueContract",
    "VersionContract",
    "WriterContract",
]


class BackendContract(
    WriterContract,
    OperationContract,
    ReaderContract,
    ScopeContract,
    ValueContract,
    EmptyValueContract,
    DurabilityContract,
    ListingContract,
    RacingContract,
    VersionContract,
    RollbackContract,
    IdentityContract,
    RecoveryContract,
):
    """All of it."""
