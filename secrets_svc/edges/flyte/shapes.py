"""Messages of Flyte's secret service, and what they mean here. Any organization is the configured one."""

from __future__ import annotations

from dataclasses import dataclass

from flyteidl2.common.identifier_pb2 import ClusterIdentifier
from flyteidl2.secret import definition_pb2 as wire
from flyteidl2.secret.payload_pb2 import ListSecretsRequest

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

_TYPES = {
    wire.SECRET_TYPE_GENERIC: SecretType.GENERIC,
    wire.SECRET_TYPE_IMAGE_PULL_SECRET: SecretType.IMAGE_PULL,
}
_NUMBERS = {ours: theirs for theirs, ours in _TYPES.items()}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client's words are heard.

    :param organization: what every organization means. :param cluster: what answers say has the secrets.
    """

    organization: str
    cluster: str

    def ref_of(self, id: wire.SecretIdentifier) -> SecretRef:
        """The secret that ``id`` names."""
        return SecretRef(self._scope(id.domain, id.project), id.name)

    def filter_of(self, request: ListSecretsRequest) -> tuple[Scope, bool]:
        """What a listing is of, and whether of exactly that scope.

        Nothing named is everything, a domain is all that lies in it; with a project it is that scope alone.
        """
        return self._scope(request.domain, request.project), bool(request.project)

    def shown(self, metadata: SecretMetadata) -> wire.Secret:
        """A secret as clients want to see it: it is in the one cluster there is."""
        scope = metadata.ref.scope
        status = wire.SecretStatus(
            overall_status=wire.FULLY_PRESENT,
            cluster_status=[
                wire.ClusterSecretStatus(
                    cluster=ClusterIdentifier(organization=self.organization, name=self.cluster),
                    presence_status=wire.PRESENT,
                )
            ],
        )
        shown = wire.Secret(
            id=wire.SecretIdentifier(
                name=metadata.ref.name,
                organization=scope.organization,
                domain=scope.domain or "",
                project=scope.project or "",
            ),
            secret_metadata=wire.SecretMetadata(secret_status=status, type=_NUMBERS[metadata.type]),
        )
        shown.secret_metadata.created_time.FromDatetime(metadata.created_at)
        return shown

    def _scope(self, domain: str, project: str) -> Scope:
        return Scope(self.organization, domain or None, project or None)


def value_of(spec: wire.SecretSpec) -> SecretValue:
    """The value, of either kind. Raises ``InvalidArgument`` if there is none; an empty one is one."""
    kind = spec.WhichOneof("value")
    if kind is None:
        raise InvalidArgument("there is no value")
    return SecretValue(spec.string_value.encode() if kind == "string_value" else spec.binary_value)


def type_of(spec: wire.SecretSpec) -> SecretType:
    """The type. Raises ``InvalidArgument`` for a number that isn't one."""
    known = _TYPES.get(spec.type)
    if known is None:
        raise InvalidArgument(f"type {int(spec.type)} is not known: 0 is generic, 1 is for image pulls")
    return known
