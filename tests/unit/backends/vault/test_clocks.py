"""Writers whose clocks are ten minutes off: one intent is done once, whoever of them hears of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from secrets_svc.backends.vault.paths import BUCKET
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue

OFF = 600
#: When another folder of operations begins.
BOUNDARY = (time.time() // BUCKET + 1) * BUCKET


def with_clock(open_store: Callable[..., Any], now: float) -> Any:
    store = open_store(prefix="clocks")
    store.writer._operations._clock = lambda: now
    return store


@pytest.mark.parametrize("before", [1, OFF // 2, OFF - 1])
@pytest.mark.parametrize("first_is_ahead", [True, False])
def test_a_repeat_by_a_writer_with_another_clock_is_recognised(
    open_store: Callable[..., Any], ref: SecretRef, first_is_ahead: bool, before: int
) -> None:
    behind = with_clock(open_store, BOUNDARY - before)
    ahead = with_clock(open_store, BOUNDARY - before + OFF)
    first, second = (ahead, behind) if first_is_ahead else (behind, ahead)
    intent = {"actor": "ann", "operation_id": f"clock-{first_is_ahead}-{before}"}
    ref = SecretRef(ref.scope, f"s-{first_is_ahead}-{before}")
    made = first.writer.create(ref, SecretValue(b"x"), SecretType.GENERIC, **intent)
    assert second.writer.create(ref, SecretValue(b"x"), SecretType.GENERIC, **intent) == made
    with pytest.raises(InvalidArgument, match="operation id"):
        second.writer.create(ref, SecretValue(b"y"), SecretType.GENERIC, **intent)
    again = {"actor": "ann", "operation_id": f"update-{first_is_ahead}-{before}"}
    changed = first.writer.update(ref, SecretValue(b"new"), **again)
    assert second.writer.update(ref, SecretValue(b"new"), **again) == changed
    assert len(first.writer.history(ref)) == 2


@pytest.mark.parametrize("off", [-OFF, OFF])
def test_a_whole_life_by_a_clock_that_is_off(
    open_store: Callable[..., Any], ref: SecretRef, off: int
) -> None:
    """Times that people see are the server's."""
    store = with_clock(open_store, time.time() + off)
    ref = SecretRef(ref.scope, f"life-{abs(off)}-{off > 0}")
    made = store.create(ref, b"first")
    assert abs(made.created_at.timestamp() - time.time()) < OFF / 2
    store.update(ref, b"second", expected=made.version)
    assert store.get(ref) == b"second"
    store.delete(ref)
    store.create(ref, b"third")
    assert store.get(ref) == b"third"
