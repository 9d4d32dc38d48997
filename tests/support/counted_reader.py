"""A reader in front of another that takes its time, counts what it is asked, and hangs when it is told to."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable

from secrets_svc.core.ports import Resolved, SecretReader, SecretVersion
from secrets_svc.core.secret import SecretRef


class CountedReader:
    """See :class:`secrets_svc.core.ports.SecretReader`.

    :param latency: seconds that each call takes, at least.
    :ivar look_ups: by reference, calls that asked for it. :ivar reads: calls that read its value.
    :ivar most_at_once: calls that were under way at the same time.
    """

    def __init__(self, reader: SecretReader, *, latency: float = 0.0) -> None:
        self._reader = reader
        self._latency = latency
        self._lock = threading.Lock()
        self._under_way = 0
        self._passing = threading.Event()
        self._passing.set()
        self.look_ups: Counter[SecretRef] = Counter()
        self.reads: Counter[SecretRef] = Counter()
        self.most_at_once = 0

    def hang(self) -> None:
        """Answer nothing from now on."""
        self._passing.clear()

    def go_on(self) -> None:
        """Answer again, also what hangs."""
        self._passing.set()

    def calls_about(self, name: str) -> int:
        """Those about a secret of that name: the most of any scope, and all that read a value."""
        looked_up = max((count for ref, count in self.look_ups.items() if ref.name == name), default=0)
        return looked_up + sum(count for ref, count in self.reads.items() if ref.name == name)

    def resolve(self, refs: Iterable[SecretRef]) -> dict[SecretRef, Resolved]:
        """See the port."""
        asked = tuple(refs)
        self._take_time(self.look_ups, asked)
        return self._reader.resolve(asked)

    def read(self, ref: SecretRef, token: str) -> SecretVersion:
        """See the port."""
        self._take_time(self.reads, (ref,))
        return self._reader.read(ref, token)

    def close(self) -> None:
        """Let everybody go who hangs."""
        self.go_on()
        self._reader.close()

    def _take_time(self, count: Counter[SecretRef], refs: tuple[SecretRef, ...]) -> None:
        with self._lock:
            count.update(refs)
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        time.sleep(self._latency)
        self._passing.wait(60)
        with self._lock:
            self._under_way -= 1
