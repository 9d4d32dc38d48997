"""Takes over what Flyte's own service wrote: labels and annotations in one write, value untouched."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

from secrets_svc.backends.kubernetes import names
from secrets_svc.backends.kubernetes.foreign import judged, storage_name_in
from secrets_svc.backends.kubernetes.listing import Objects
from secrets_svc.backends.kubernetes.namespace import SECRETS, Change, Namespace
from secrets_svc.backends.kubernetes.objects import held
from secrets_svc.backends.kubernetes.patches import adoption
from secrets_svc.core.errors import Conflict, DeadlineExceeded, SecretsError, Unavailable, Unreadable
from secrets_svc.core.taking_over import Candidate, Standing
from secrets_svc.kube.informer import Metadata

#: Objects of one page; tries while others write the same one.
_AT_ONCE = 500
_ATTEMPTS = 5


class KubernetesTakeOver:
    """See :class:`~secrets_svc.core.taking_over.TakeOver`. It asks for metadata alone.

    :param namespace: where the Secrets are; closed with this.
    :param organization: whose secrets can become ours.
    """

    def __init__(self, namespace: Namespace, organization: str) -> None:
        self._namespace = namespace
        self._organization = organization

    @property
    def where(self) -> str:
        """See the port."""
        return f'namespace "{self._namespace.name}"'

    def candidates(self) -> Iterator[Candidate]:
        """See the port. In the order of names, those of Flyte's service first."""
        seen = 0
        with self._namespace.listing(SECRETS):
            for selector in names.written_by_flyte():
                for _, object_ in Objects(self._namespace, selector, _AT_ONCE).behind(""):
                    seen += 1
                    yield judged(object_, self._organization)
        if not seen:
            self._namespace.check()

    def take(self, candidate: Candidate) -> Candidate:
        """See the port.

        :raises Conflict: others write it all the time.
        """
        for _ in range(_ATTEMPTS):
            object_ = self._namespace.find(SECRETS, candidate.place)
            if object_ is None:
                self._namespace.check()
                return replace(candidate, standing=Standing.LEFT, why="it was deleted meanwhile")
            now = judged(object_, self._organization)
            if now.standing is not Standing.FOREIGN:
                return now
            found = Metadata.of(object_)
            name = storage_name_in(object_, found)
            patch = adoption(name, held(object_, name), found, candidate.type)
            try:
                changed = self._namespace.change(SECRETS, candidate.place, patch)
            except (Unavailable, DeadlineExceeded) as error:
                # What wasn't answered may be done all the same.
                if isinstance(error, Unreadable) or not self._is_ours(candidate.place):
                    raise
                return replace(now, standing=Standing.TAKEN, type=candidate.type)
            if not isinstance(changed, Change):
                return replace(now, standing=Standing.TAKEN, type=candidate.type)
        raise Conflict(f'Secret "{candidate.place}" is being written by others all the time: try again later')

    def _is_ours(self, place: str) -> bool:
        """Whether one look says so."""
        with suppress(SecretsError):
            object_ = self._namespace.find(SECRETS, place)
            return object_ is not None and judged(object_, self._organization).standing is Standing.OURS
        return False

    def close(self) -> None:
        """See the port."""
        self._namespace.close()
