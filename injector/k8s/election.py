"""One of the replicas at a time: a lease whose holder renews it (as client-go's leaderelection does).

Expiry is judged by our own clock since we saw the lease change, so that clocks needn't agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

from secrets_svc.kube.api import ApiServer, Object, path_of
from secrets_svc.kube.errors import ApiError

_LEASES = "coordination.k8s.io/v1"
_TIMEOUT = 5.0


class Election:
    """Whether we are the one.

    :param namespace: our own. :param holder: who we are, different on each replica.
    :param duration: seconds after which a holder that doesn't renew is replaced.
    """

    def __init__(
        self,
        api: ApiServer,
        *,
        namespace: str,
        name: str,
        holder: str,
        duration: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._holder = holder
        self._duration = duration
        self._clock = clock
        self._seen = ("", 0.0)

    def stand(self) -> bool:
        """Take or renew the lease; whether we hold it until ``duration`` seconds from the call's beginning.

        Call again well before that. Never raises: who can't reach the API server holds nothing.
        """
        try:
            return self._stand()
        except ApiError:
            return False

    def _stand(self) -> bool:
        path = path_of(_LEASES, "leases", self._namespace, self._name)
        try:
            lease = self._api.call("GET", path, timeout=_TIMEOUT)
        except ApiError as error:
            if not error.is_absent:
                raise
            return self._write("POST", path.rpartition("/")[0], None)
        version = str(lease["metadata"]["resourceVersion"])
        if version != self._seen[0]:
            self._seen = (version, self._clock())
        holder = lease.get("spec", {}).get("holderIdentity")
        expired = self._clock() - self._seen[1] > self._duration
        if holder and holder != self._holder and not expired:
            return False
        return self._write("PUT", path, version)

    def resign(self) -> None:
        """Let another take over at once, if we hold it."""
        path = path_of(_LEASES, "leases", self._namespace, self._name)
        try:
            lease = self._api.call("GET", path, timeout=_TIMEOUT)
            if lease.get("spec", {}).get("holderIdentity") == self._holder:
                self._write("PUT", path, str(lease["metadata"]["resourceVersion"]), holder="")
        except ApiError:
            return  # it expires by itself

    def _write(self, method: str, path: str, version: str | None, *, holder: str | None = None) -> bool:
        try:
            self._api.call(method, path, timeout=_TIMEOUT, body=self._object(version, holder))
        except ApiError as error:
            if error.status == 409:  # somebody was faster
                return False
            raise
        return True

    def _object(self, version: str | None, holder: str | None) -> Object:
        metadata = {"name": self._name, "namespace": self._namespace}
        if version is not None:
            metadata["resourceVersion"] = version
        return {
            "apiVersion": _LEASES,
            "kind": "Lease",
            "metadata": metadata,
            "spec": {
                "holderIdentity": self._holder if holder is None else holder,
                "leaseDurationSeconds": max(1, int(self._duration)),
                "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }
