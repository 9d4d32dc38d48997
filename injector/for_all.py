"""What the operator gives to every pod of a proven scope: secrets that images are pulled with. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

import msgspec

from injector.dialects import Dialect
from injector.requests import Claim, PodRequests, SecretRequest
from injector.review import ObjectMeta
from secrets_svc.core.caches import WeightedCache
from secrets_svc.core.errors import InvalidArgument

#: Pods' requests that are remembered together with what is for all.
_MAX_KNOWN = 16_384


class ForAll:
    """Pull secrets for all pods; nothing where there are none.

    :param pulls: requests with ``attach``; best optional, for a secret that is deleted would stop all pods.
    """

    def __init__(self, pulls: Sequence[SecretRequest]) -> None:
        self._pulls = tuple(pulls)
        self._alone = PodRequests(self._pulls, announced=_announcement(self._pulls)) if pulls else None
        self._joined: WeightedCache[PodRequests, PodRequests] = WeightedCache(_MAX_KNOWN)

    def __bool__(self) -> bool:
        return bool(self._pulls)

    def with_requests(self, requests: PodRequests | None) -> PodRequests | None:
        """``requests`` and what is for all. The same object each time."""
        if requests is None or not self._pulls:
            return requests or self._alone
        known = self._joined.get(requests)
        return known or self._joined.put(requests, requests.joined(self._pulls), len(requests) + 1)


def _announcement(pulls: Sequence[SecretRequest]) -> str:
    """The annotation of our dialect that asks for them.

    A pod that asks for nothing gets it: guards go by it, and it says where the reference comes from.
    """
    entries = [{"name": each.name, "image_pull": True, "optional": each.optional} for each in pulls]
    return msgspec.json.encode(entries).decode()


def possible_claims(dialects: Iterable[Dialect], metadata: ObjectMeta) -> Iterator[Claim]:
    """What a pod that asks in no dialect may mean by its labels."""
    seen: list[Claim] = []
    for dialect in dialects:
        with suppress(InvalidArgument):
            claim = dialect.claim(metadata)
            if claim not in seen:
                seen.append(claim)
                yield claim
