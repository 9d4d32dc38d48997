"""Several at once: one wins, and nothing that was acknowledged is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from secrets_svc.core.errors import AlreadyExists, Conflict, NotFound
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.testing.harness import (
    ACTOR,
    BackendHarness,
    create,
    delete,
    eventually,
    operation_id,
    read,
    some_ref,
    some_scope,
    update,
)

T = TypeVar("T")
_ROUNDS = 8


def _at_once(*calls: Callable[[], T]) -> list[T | Exception]:
    """What each answered or raised, all begun at the same moment."""
    gate = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T | Exception:
        gate.wait(30)
        try:
            return call()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def _made(answers: list[SecretMetadata | Exception]) -> list[SecretMetadata]:
    return [answer for answer in answers if isinstance(answer, SecretMetadata)]


class RacingContract:
    """Must have."""

    def test_one_of_two_creates_wins(self, harness: BackendHarness) -> None:
        """The other finds it there, and the value is the winner's."""
        writers, reader = (harness.writer(), harness.writer()), harness.reader()
        for number in range(_ROUNDS):
            ref = some_ref(f"n-{number}")
            answers = _at_once(
                partial(create, writers[0], ref, b"0"),
                partial(create, writers[1], ref, b"1"),
            )
            [made] = _made(answers)
            [lost] = [answer for answer in answers if isinstance(answer, Exception)]
            assert isinstance(lost, AlreadyExists)
            winner = b"%d" % answers.index(made)

            def the_winners(ref: SecretRef = ref, data: bytes = winner) -> None:
                assert read(reader, ref) == data

            eventually(harness, the_winners)
            assert writers[0].describe(ref) == made

    def test_one_of_two_expected_updates_wins(self, harness: BackendHarness) -> None:
        """The other conflicts."""
        writers, ref = (harness.writer(), harness.writer()), some_ref()
        current = create(writers[0], ref).version
        for _ in range(_ROUNDS):
            answers = _at_once(
                partial(update, writers[0], ref, b"0", expected=current),
                partial(update, writers[1], ref, b"1", expected=current),
            )
            [made] = _made(answers)
            assert [type(answer) for answer in answers if isinstance(answer, Exception)] == [Conflict]
            current = made.version
            assert writers[0].describe(ref).version == current

    def test_one_of_two_deletes_wins(self, harness: BackendHarness) -> None:
        """The other finds nothing."""
        writers = (harness.writer(), harness.writer())
        for number in range(_ROUNDS):
            ref = some_ref(f"n-{number}")
            create(writers[0], ref)
            answers = _at_once(partial(delete, writers[0], ref), partial(delete, writers[1], ref))
            assert sorted(type(answer).__name__ for answer in answers) == ["NoneType", NotFound.__name__]

    def test_one_intent_at_once_is_done_once(self, harness: BackendHarness) -> None:
        """Both are told the same: the caller's retry met its first try."""
        writers, ref, operation = (harness.writer(), harness.writer()), some_ref(), operation_id()

        def call(number: int) -> SecretMetadata:
            value = SecretValue(b"value")
            return writers[number].create(ref, value, SecretType.GENERIC, actor=ACTOR, operation_id=operation)

        one, other = _at_once(lambda: call(0), lambda: call(1))
        assert one == other == writers[0].describe(ref)

    def test_nothing_acknowledged_is_lost(self, harness: BackendHarness) -> None:
        """Two writers, each with its own secrets and one that both update."""
        scope, shared, reader = some_scope(), some_ref("shared"), harness.reader()
        create(harness.writer(), shared, b"start")

        def work(letter: str) -> tuple[list[SecretRef], list[str]]:
            writer = harness.writer()
            refs = [SecretRef(scope, f"{letter}-{number}") for number in range(_ROUNDS)]
            tokens = []
            for ref in refs:
                create(writer, ref, ref.name.encode())
                tokens.append(update(writer, shared, ref.name.encode()).version)
            return refs, tokens

        answers = _at_once(lambda: work("a"), lambda: work("b"))
        finished = [answer for answer in answers if not isinstance(answer, Exception)]
        assert len(finished) == 2, answers
        refs = [ref for each, _ in finished for ref in each]
        tokens = [token for _, each in finished for token in each]
        assert len(set(tokens)) == 2 * _ROUNDS
        assert harness.writer().describe(shared).version in {each[-1] for _, each in finished}

        def all_there() -> None:
            assert {ref: read(reader, ref) for ref in refs} == {ref: ref.name.encode() for ref in refs}

        eventually(harness, all_there)

    def test_threads_may_share_one_writer_and_one_reader(self, harness: BackendHarness) -> None:
        """All calls may be made from any thread."""
        scope, writer, reader = some_scope(), harness.writer(), harness.reader()

        def work(number: int) -> None:
            ref = SecretRef(scope, f"n-{number}")
            create(writer, ref, b"%d" % number)

            def its_own() -> None:
                assert read(reader, ref) == b"%d" % number

            eventually(harness, its_own)
            delete(writer, ref)

        assert _at_once(*(partial(work, number) for number in range(8))) == [None] * 8
        assert writer.list(scope).items == ()
