"""What rests with the store and who operates it: two identities, and what is left of what was deleted.

A harness shows each by methods of its own; one that can't has a store that declares nothing of the kind.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import pytest

from secrets_svc.core.abilities import Purges
from secrets_svc.core.errors import NotFound, Unreadable
from secrets_svc.core.ports import SecretReader, SecretWriter
from secrets_svc.core.secret import SecretRef
from secrets_svc.testing.harness import (
    ACTOR,
    BackendHarness,
    create,
    delete,
    eventually,
    operation_id,
    read,
    some_ref,
    update,
)


@runtime_checkable
class SwapsIdentities(Protocol):
    """A harness whose store has two identities that a policy engine holds to their sides."""

    def reader_of_writer(self) -> SecretReader:
        """A reader with the writer's identity. The harness closes it at its end."""

    def writer_of_reader(self) -> SecretWriter:
        """A writer with the reader's identity. The harness closes it at its end."""


@runtime_checkable
class BringsBack(Protocol):
    """A harness that looks behind the store, as who operates it can."""

    def bring_back(self, ref: SecretRef) -> bool:
        """Get back what was deleted, as the documents say; ``False`` if nothing is left to get back."""


class IdentityContract:
    """Optional: ``separate_identities``."""

    def test_each_identity_is_refused_the_other_side(self, harness: BackendHarness) -> None:
        """The store itself does so: the writer's reads nothing, the reader's writes nothing (I10)."""
        ref, other, writer, reader = some_ref(), some_ref("other"), harness.writer(), harness.reader()
        made = create(writer, ref)
        if not harness.capabilities.separate_identities:
            return
        assert isinstance(harness, SwapsIdentities), "the harness has to show that: see SwapsIdentities"
        with pytest.raises(Unreadable):
            harness.reader_of_writer().read(ref, made.version)
        intruder = harness.writer_of_reader()
        with pytest.raises(Unreadable):
            create(intruder, other)
        with pytest.raises(Unreadable):
            update(intruder, ref, b"another")
        with pytest.raises(Unreadable):
            delete(intruder, ref)
        assert writer.describe(ref) == made
        assert reader.resolve([other]) == {}


class RecoveryContract:
    """Optional: ``recovery``."""

    def test_what_was_deleted_can_be_got_back_or_is_gone(self, harness: BackendHarness) -> None:
        """As is declared; by who operates the store, with its own means."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        create(writer, ref, b"first")
        update(writer, ref, b"last")
        delete(writer, ref)
        can = harness.capabilities.recovery != "none"
        if not isinstance(harness, BringsBack):
            assert not can, "the harness has to show that: see BringsBack"
            return
        assert harness.bring_back(ref) is can
        if not can:
            with pytest.raises(NotFound):
                writer.describe(ref)
            return

        def as_it_was() -> None:
            assert read(reader, ref) == b"last"

        eventually(harness, as_it_was)

    def test_nothing_is_left_of_what_was_purged(self, harness: BackendHarness) -> None:
        """Also of what was deleted before, where that leaves something."""
        writer = harness.writer()
        if not isinstance(writer, Purges):
            assert harness.capabilities.recovery == "none"
            return
        for deleted_before in (False, True):
            ref = some_ref()
            create(writer, ref)
            if deleted_before:
                delete(writer, ref)
            writer.purge(ref, actor=ACTOR, operation_id=operation_id())
            assert not (isinstance(harness, BringsBack) and harness.bring_back(ref))
