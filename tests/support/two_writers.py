"""Two writers that update one secret in rounds, each expecting the version that it has just seen."""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from whole_values import number_in, value_of

from secrets_svc.core.abilities import KeepsHistory
from secrets_svc.core.errors import Conflict
from secrets_svc.core.ports import SecretReader, SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue

#: Rounds after which the value is read.
_CHAPTER = 25


class Write(NamedTuple):
    """An update that was acknowledged."""

    expected: str
    made: str
    number: int


@dataclass
class Race:
    """A secret, and what became of it.

    :param writers: independent of each other. :param kept: versions of each secret that the store keeps.
    :ivar chain: all versions that were acknowledged, in their order. :ivar conflicts: updates refused.
    """

    writers: tuple[SecretWriter, SecretWriter]
    reader: SecretReader
    kept: int

    def __post_init__(self) -> None:
        self.ref = SecretRef(Scope(f"r{secrets.token_hex(6)}", "production", "shop"), "contested")
        made = self.writers[0].create(
            self.ref,
            SecretValue(value_of(self.ref.name, 0)),
            SecretType.GENERIC,
            actor="t",
            operation_id=secrets.token_hex(8),
        )
        self.chain = [made.version]
        self.conflicts = 0
        self._last = 0
        self._gate = threading.Barrier(2)

    def run(self, rounds: int) -> None:
        """In each both look, and both update what they saw."""
        with ThreadPoolExecutor(2) as pool:
            for turn in range(rounds):
                numbers = (2 * turn + 1, 2 * turn + 2)
                came = list(pool.map(self._update, self.writers, numbers))
                self._link([write for write in came if write is not None])
                self.conflicts += came.count(None)
                self._check(whole=turn % _CHAPTER == 0 or turn == rounds - 1)
        assert len(set(self.chain)) == len(self.chain), "a version stands for two values"

    def _update(self, writer: SecretWriter, number: int) -> Write | None:
        """``None`` where it was refused as a conflict."""
        self._gate.wait(60)
        seen = writer.describe(self.ref).version
        value = SecretValue(value_of(self.ref.name, number))
        operation = secrets.token_hex(8)
        try:
            made = writer.update(self.ref, value, actor="t", operation_id=operation, expected=seen)
        except Conflict:
            return None
        return Write(seen, made.version, number)

    def _link(self, writes: list[Write]) -> None:
        """Each acknowledged update replaced the one acknowledged before it: none is lost."""
        assert writes, "both were refused, but nobody else writes"
        while writes:
            [following] = [write for write in writes if write.expected == self.chain[-1]]
            writes.remove(following)
            self.chain.append(following.made)
            self._last = following.number

    def _check(self, *, whole: bool) -> None:
        assert self.writers[0].describe(self.ref).version == self.chain[-1]
        history = self._history()
        if history is not None:
            assert set(self.chain[-self.kept :]) <= set(history) <= set(self.chain)
            assert len(set(history)) == len(history)
        if whole:
            token = self.reader.resolve([self.ref])[self.ref].token
            assert token == self.chain[-1]
            value = self.reader.read(self.ref, token).value.reveal_bytes()
            assert number_in(self.ref.name, value) == self._last

    def _history(self) -> list[str] | None:
        """All versions that the store still keeps; ``None`` where it keeps none."""
        writer = self.writers[1]
        if not isinstance(writer, KeepsHistory):
            return None
        found = writer.history(self.ref)
        assert [each.version for each in found if each.current] == [self.chain[-1]]
        return [each.version for each in found]


def race(
    writers: tuple[SecretWriter, SecretWriter], reader: SecretReader, rounds: int, *, kept: int, of_each: int
) -> None:
    """Let them, and close all three.

    :param kept: versions that the store keeps. :param of_each: rounds after which another secret is taken.
    """
    acknowledged = refused = 0
    with closing(writers[0]), closing(writers[1]), closing(reader):
        for done in range(0, rounds, of_each):
            made = Race(writers, reader, kept)
            made.run(min(of_each, rounds - done))
            acknowledged += len(made.chain) - 1
            refused += made.conflicts
    print(f"{rounds} rounds: {acknowledged} updates acknowledged, {refused} refused")
    assert acknowledged + refused == 2 * rounds
    assert refused, "they never met: this shows nothing"
