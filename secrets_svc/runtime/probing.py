"""At the start: whether the stores have what is needed. What is missing is told, and stops nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial

from secrets_svc.core.errors import Internal, SecretsError
from secrets_svc.data.probing import probe_reader, probe_writer
from secrets_svc.runtime.stores import Store, Stores

log = logging.getLogger(__name__)

#: Seconds until a store that lacks something, or couldn't be asked, is asked again.
PAUSE = 15.0

Probe = Callable[[], None]


class Probing:
    """Asks each store once, and again until it has all, in threads that nobody waits for.

    :param side: ``writer`` or ``reader``, whose rights the stores are asked with. :param probes: by store.
    :param pause: seconds between two.
    """

    def __init__(self, side: str, probes: Mapping[str, Probe], *, pause: float = PAUSE) -> None:
        self._side = side
        self._probes = probes
        self._pause = pause
        self._ended = threading.Event()
        self._failed: dict[str, SecretsError] = {}

    def start(self) -> None:
        """Begin."""
        for name, ask in self._probes.items():
            threading.Thread(target=self._insist, args=(name, ask), name=f"probe-{name}", daemon=True).start()

    def close(self) -> None:
        """Ask no more."""
        self._ended.set()

    def beside(self, states: Mapping[str, str]) -> dict[str, str]:
        """How the stores fare, with a hint where something is missing. What it is stands in the log: these
        words are for anybody who can reach the port.
        """
        failed = dict(self._failed)
        return {name: _told(state, failed.get(name)) for name, state in states.items()}

    def _insist(self, name: str, ask: Probe) -> None:
        while not self._ended.is_set():
            failure = self._attempt(name, ask)
            if failure is None:
                return
            self._failed[name] = failure
            self._ended.wait(self._pause)

    def _attempt(self, name: str, ask: Probe) -> SecretsError | None:
        before = self._failed.get(name)
        failure = _failure(ask)
        if failure is not None:
            if not self._ended.is_set() and (before is None or before.message != failure.message):
                log.error('store "%s" can\'t be used by its %s: %s', name, self._side, failure.message)
            return failure
        if before is not None:
            log.warning('store "%s" has what its %s needs now', name, self._side)
        self._failed.pop(name, None)
        return None


def _failure(ask: Probe) -> SecretsError | None:
    """What asking comes to. What a backend of somebody else's raises may say anything: none of it is told."""
    try:
        ask()
    except SecretsError as error:
        return error
    except Exception:
        return Internal("its backend failed in a way that backends never should")
    return None


def _told(state: str, failure: SecretsError | None) -> str:
    return state if failure is None else f"{state}, lacks something: {failure.code}, see the log"


def lacking(stores: Stores) -> list[str]:
    """What the stores lack, a line each, asked with the identities of both sides."""
    lines = []
    for name, store in stores.by_name.items():
        if store.backend.capabilities.inline:
            continue  # opening it might make it, and there is no server to ask
        for side, ask in {"writer": _ask_as_writer, "reader": _ask_as_reader}.items():
            failure = _failure(partial(ask, store))
            if failure is not None:
                lines.append(f'store "{name}", by its {side}: {failure.message} ({failure.code})')
    return lines


def _ask_as_writer(store: Store) -> None:
    with closing(store.backend.open_writer(store.settings, state=store.state)) as writer:
        probe_writer(writer)


def _ask_as_reader(store: Store) -> None:
    with closing(store.backend.open_reader(store.settings, state=store.state)) as reader:
        probe_reader(reader)
