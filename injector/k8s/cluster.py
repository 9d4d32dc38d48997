"""Everything of one cluster, joined: namespaces, staging, janitor."""

from __future__ import annotations

import logging
import os
import socket
import uuid
from collections.abc import Callable, Iterable

from injector.k8s.calls import Calls
from injector.k8s.election import Election
from injector.k8s.janitor import Janitor, Rounds
from injector.k8s.namespaces import PATH as NAMESPACES
from injector.k8s.namespaces import WatchedNamespaces
from injector.k8s.staging import LEASES, ClusterStaging
from injector.keys import KEY_ID, SCOPE_LABELS, STAGED_SELECTOR
from secrets_svc.core.scope import Scope
from secrets_svc.kube.api import ApiServer, path_of
from secrets_svc.kube.informer import Informer, Metadata

log = logging.getLogger(__name__)

ELECTION = "secrets-svc-janitor"
#: Seconds that the start waits for the first lists; after that, live looks have to do.
_FIRST_LIST = 10.0


class Cluster:
    """What the injector needs of one cluster. Threads run from :meth:`start` to :meth:`close`.

    :param store_of: the name of the store that a scope's secrets are in. :param key: the installation's.
    :param previous_keys: the ones it had before.
    :param namespace: the injector's own. :param call_timeout: seconds for one call to the API server.
    :param lease_duration: seconds; see :class:`~injector.k8s.staging.ClusterStaging`.
    """

    def __init__(
        self,
        api: ApiServer,
        *,
        store_of: Callable[[Scope], str],
        key: bytes,
        previous_keys: Iterable[bytes] = (),
        namespace: str,
        call_timeout: float,
        lease_duration: float,
        every: float = 10.0,
    ) -> None:
        holder = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._calls = Calls(api, timeout=call_timeout)
        self._namespaces = Informer(api, NAMESPACES, labels=SCOPE_LABELS)
        self._leases = Informer(
            api,
            path_of(LEASES, "leases"),
            selector=STAGED_SELECTOR,
            labels=[KEY_ID],
            on_change=self._lease_changed,
        )
        self.namespaces = WatchedNamespaces(self._namespaces, self._calls)
        self.staging = ClusterStaging(
            self._calls, self.namespaces, store_of=store_of, key=key, holder=holder, duration=lease_duration
        )
        self._janitor = Janitor(
            api, self._leases, installation_keys=[key, *previous_keys], duration=lease_duration
        )
        self._election = Election(api, namespace=namespace, name=ELECTION, holder=holder)
        self._rounds = Rounds(self._janitor, stand=self._election.stand, every=every)

    def _lease_changed(self, was: Metadata | None, now: Metadata | None) -> None:
        self.staging.saw(was, now)
        self._janitor.saw(was, now)

    def start(self) -> None:
        """Begin to follow the cluster; waits a while for what is in it."""
        for informer in (self._namespaces, self._leases):
            informer.start()
        for informer in (self._namespaces, self._leases):
            if not informer.wait_listed(_FIRST_LIST):
                log.warning("the API server doesn't answer yet; admissions will ask it one by one")
        self._rounds.start()

    def is_ready(self) -> bool:
        """Whether the cluster's namespaces and our leases are known."""
        return self._namespaces.wait_listed(0) and self._leases.wait_listed(0)

    def close(self) -> None:
        """Stop following; let another replica tidy up."""
        self._rounds.stop()
        self._election.resign()
        for informer in (self._namespaces, self._leases):
            informer.stop()
        self._calls.close()
