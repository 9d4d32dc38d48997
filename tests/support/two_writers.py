"""Two writers that update one secret in rounds, each expecting the version that it has just seen."""

from __future__ import annotations

import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from whole_values import number_in, value_of

from secrets_svc.core.abilities import KeepsHistory, ReadsVersions
from secrets_svc.core.errors import Conflict
from secrets_svc.core.ports import SecretReader, SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue

#: Rounds after which the value is read.
_CHAPTER = 25
#: Versions that a history tells of at most.
MOST = 1000


class Write(NamedTuple):
    """An update that was acknowledged."""

    expected: str
    made: str
    number: int


@dataclass
class Race:
    """A secret, and what became of it.

    :param writers: independent of each other. :param kept: acknowledged versions that are to be in its
        history at least. :param told_apart: refusals that can still be told from these; all, if ``None``.
    :ivar chain: all versions that were acknowledged, in their order. :ivar conflicts: updates refused.
    """

    writers: tuple[SecretWriter, SecretWriter]
    reader: SecretReader
    kept: int
    told_apart: int | None = None

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
        self._last = self._looked_up = 0
        self._gate = threading.Barrier(2)

    def run(self, rounds: int) -> None:
        """In each both look, and both update what they saw."""
        with ThreadPoolExecutor(2) as pool:
            for turn in range(rounds):
                numbers = (2 * turn + 1, 2 * turn + 2)
                came = list(pool.map(self._update, self.writers, numbers))
                self._link([write for write in came if write is not None])
                self.conflicts += came.count(None)
                is_last = turn == rounds - 1
                self._check_current()
                # Two are acknowledged in a round at most: each is seen in the history before it may leave it.
                if is_last or turn % max(1, self.kept // 4) == 0:
                    self._check_history()
                if is_last or turn % _CHAPTER == 0:
                    self._check_value()
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

    def _check_current(self) -> None:
        assert self.writers[0].describe(self.ref).version == self.chain[-1]

    def _check_history(self) -> None:
        newer, self._looked_up = self.chain[self._looked_up :], len(self.chain)
        if len(self.chain) + self.conflicts >= MOST and self.told_apart is not None:
            # moto says of all versions that they were made just now: of so many any may be left out.
            assert isinstance(self.reader, ReadsVersions)
            for version in newer:
                self.reader.resolve_version(self.ref, version)
            return
        history = self._history()
        if history is not None:
            assert set(self.chain[-self.kept :]) <= set(history)
            others = set(history) - set(self.chain)
            forgotten = 0 if self.told_apart is None else max(0, self.conflicts - self.told_apart)
            assert len(others) <= forgotten, "what was refused is told of as if it had been"
            assert len(set(history)) == len(history)

    def _check_value(self) -> None:
        token = self.reader.resolve([self.ref])[self.ref].token
        assert token == self.chain[-1]
        value = self.reader.read(self.ref, token).value.reveal_bytes()
        assert number_in(self.ref.name, value) == self._last

    def _history(self) -> list[str] | None:
        """All versions that the store still keeps; ``None`` where it keeps none."""
        writer = self.writers[1]
        if not isinstance(writer, KeepsHistory):
            return None
        found = writer.history(self.ref, limit=MOST)
        assert [each.version for each in found if each.current] == [self.chain[-1]]
        return [each.version for each in found]


def race(
    writers: tuple[SecretWriter, SecretWriter],
    reader: SecretReader,
    rounds: int,
    *,
    kept: int,
    told_apart: int | None = None,
) -> None:
    """Let them, and close all three; says what came of it. Parameters as of :class:`Race`."""
    began = time.monotonic()
    with closing(writers[0]), closing(writers[1]), closing(reader):
        made = Race(writers, reader, kept, told_apart)
        made.run(rounds)
    acknowledged = len(made.chain) - 1
    print(
        f"{rounds} rounds: {acknowledged} updates acknowledged, {made.conflicts} refused, "
        f"{time.monotonic() - began:.0f} s"
    )
    assert acknowledged + made.conflicts == 2 * rounds
    assert made.conflicts, "they never met: this shows nothing"
