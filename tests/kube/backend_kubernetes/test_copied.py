"""Secrets that are moved into Kubernetes."""

from __future__ import annotations

import asyncio
from contextlib import closing

from kubernetes_store import Store, read, some_ref

from secrets_svc.backends.kubernetes import BACKEND
from secrets_svc.backends.memory import MemoryStore
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.data.copying import Copied, Copier, Outcome, Waiting, pages_of
from secrets_svc.data.store_reading import ReadingOptions, StoreReading
from secrets_svc.data.writing import ValidatedWriter


def test_all_is_copied_as_it_was_and_read_back(own_store: Store) -> None:
    source = MemoryStore()
    here = ValidatedWriter(writer=source.writer(), capabilities=BACKEND.capabilities, store="here")
    there = ValidatedWriter(writer=own_store.writer(), capabilities=BACKEND.capabilities, store="there")
    values = {some_ref(): bytes(range(256)), some_ref(): b"", SecretRef(Scope("flyte"), "wide"): b"wide"}
    for ref, value in values.items():
        here.create(ref, SecretValue(value), SecretType.GENERIC, actor="t", operation_id=ref.name)

    def copied() -> list[Copied]:
        came: list[Copied] = []
        inline = ReadingOptions(inline=True)
        with (
            closing(StoreReading(store="here", reader=source.reader(), options=inline)) as reading,
            closing(StoreReading(store="there", reader=own_store.reader())) as read_back,
        ):
            waiting = Waiting(pages_of(here, Scope("flyte"), exact=False), heard=lambda size: None)
            copier = Copier(reading, read_back, there, "user:t")
            asyncio.run(copier.copy_all(waiting, at_once=2, each=came.append))
        return came

    assert [(each.outcome, each.error) for each in copied()] == [(Outcome.COPIED, None)] * 3
    reader = own_store.reader()
    assert {ref: read(reader, ref) for ref in values} == values
    assert {each.outcome for each in copied()} == {Outcome.SAME}
