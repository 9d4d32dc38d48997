"""``kill -9`` of writing processes, one after the other, and what is left in the store."""

from __future__ import annotations

import json
import random
import secrets
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from places import Place
from whole_values import number_in
from writing_process import Known, State, Write, note

from secrets_svc.core.ports import SecretReader, SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef

NAMES = 3
#: Seconds from a process's first write to its end, at most.
LIFE = 0.8
#: Seconds in which a server finishes what it was told before.
SETTLING = 0.3


class Killing:
    """A store, what was acknowledged in it, and what may have been done beyond.

    :ivar in_flight: kills that met a write. :ivar done: of these, those that were carried out.
    """

    def __init__(self, place: Place, seed: int) -> None:
        self._place = place
        self._chance = random.Random(seed)
        self._organization = f"k{secrets.token_hex(6)}"
        self.state: State = {f"n-{number}": None for number in range(NAMES)}
        self.known: Known = {name: [] for name in self.state}
        self._rolls_back = place.kind().capabilities.rollback
        self._number = 0
        self.writes = self.in_flight = self.done = 0
        self.verbs: Counter[str] = Counter()

    def round(self) -> None:
        """A process writes and is killed; what is left is looked at; then its last call may be repeated."""
        cut = self._write_and_kill()
        if self._place.settings:  # what is local has no server that could go on
            time.sleep(SETTLING)
        with closing(self._place.writer()) as writer, closing(self._place.reader()) as reader:
            found = self._look(writer, reader)
            self._compare(found, cut)
            if cut is not None and self._chance.random() < 0.5:
                cut.carry_out(writer)
                found = self._look(writer, reader)
                assert found == {**self.state, cut.name: cut.number}, "the repeat isn't what was asked for"
        self.state = found
        self.known = {name: [] if found[name] is None else self.known[name] for name in found}

    def _write_and_kill(self) -> Write | None:
        """The write that was begun and not acknowledged, if there is one."""
        process = self._start()
        assert process.stdout is not None
        with process.stdout as said:
            first = said.readline()
            time.sleep(self._chance.random() * LIFE)
            process.kill()
            rest = said.read().splitlines()
        assert process.wait(20) == -9, "it ended by itself"
        begun: Write | None = Write(**json.loads(first))
        for line in rest:
            said_now = json.loads(line)
            if "version" in said_now:
                assert begun is not None
                note(self.known, begun, said_now["version"] if self._rolls_back else None)
                self.state[begun.name] = begun.number
                self.verbs[begun.verb] += 1
                self.writes += 1
                begun = None
            else:
                begun = Write(**said_now)
                self._number = begun.number or self._number
        return begun

    def _start(self) -> subprocess.Popen[str]:
        told = {
            "place": self._place.told(),
            "organization": self._organization,
            "state": self.state,
            "known": self.known,
            "number": self._number + 1,
            "seed": self._chance.randrange(2**32),
        }
        command = [sys.executable, str(Path(__file__).with_name("writing_process.py"))]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        with process.stdin as told_to:
            told_to.write(json.dumps(told) + "\n")
        return process

    def _look(self, writer: SecretWriter, reader: SecretReader) -> State:
        """What is there: whole, and the same to all who ask."""
        scope = Scope(self._organization, "production", "shop")
        listed = {item.ref.name: item for item in writer.list(Scope(self._organization)).items}
        refs = [SecretRef(scope, name) for name in self.state]
        resolved = reader.resolve(refs)
        assert {ref.name for ref in resolved} == set(listed), "listed and readable are not the same"
        found: State = {}
        for ref in refs:
            if ref.name not in listed:
                found[ref.name] = None
                continue
            version = reader.read(ref, resolved[ref].token)
            found[ref.name] = number_in(ref.name, version.value.reveal_bytes())
            _is_told_alike(listed[ref.name], writer.describe(ref), version.token, len(version.value))
        return found

    def _compare(self, found: State, cut: Write | None) -> None:
        """All that was acknowledged is there, and beyond that at most the write that was under way."""
        if cut is not None:
            self.in_flight += 1
            if found == {**self.state, cut.name: cut.number}:
                self.done += 1
                return
        assert found == self.state, (cut and asdict(cut), found)


def _is_told_alike(listed: SecretMetadata, described: SecretMetadata, token: str, size: int) -> None:
    assert listed == described
    assert described.version == token
    assert described.size == size


def kill_writers(place: Place, kills: int, seed: int) -> None:
    """So often. ``seed`` repeats choices, not moments."""
    print(f"seed {seed}")
    killing = Killing(place, seed)
    wanted = {"purge", "rollback"} if place.kind().capabilities.rollback else {"purge"}
    for number in range(4 * kills):  # a machine that is busy lets them write little
        if number >= kills and wanted <= set(killing.verbs):
            break
        killing.round()
    print(dict(killing.verbs))
    print(
        f"{place.backend}: {number} kills, {killing.writes} writes acknowledged, {killing.in_flight} kills "
        f"met a write, of which {killing.done} were carried out"
    )
    assert killing.writes, "they died before they had written"
    assert wanted <= set(killing.verbs), "they never did some of it"
    assert killing.in_flight > kills // 3, "the kills met nobody"
