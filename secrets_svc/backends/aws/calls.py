"""The calls to Secrets Manager that this backend makes, each with what it may come to."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from secrets_svc.backends.aws import names
from secrets_svc.backends.aws.api import Api
from secrets_svc.backends.aws.faults import Refused, nonsense
from secrets_svc.backends.aws.held import Held, key_of
from secrets_svc.backends.aws.values import parameters, value_in
from secrets_svc.core.secret import SecretRef
from secrets_svc.core.value import SecretValue

_ABSENT = "ResourceNotFoundException"
_EXISTS = "ResourceExistsException"
_STATE = "InvalidRequestException"
_PARAMETER = "InvalidParameterException"
#: Items of one answer, at most (API_ListSecrets, MaxResults).
_PAGE = 100


class Put(enum.Enum):
    """What came of putting a version."""

    DONE = enum.auto()
    OTHER_VALUE = enum.auto()  # that version is there, and isn't this
    NOT_NOW = enum.auto()  # the secret is gone, or its deletion is scheduled


class Calls:
    """Calls about secrets whose names begin with one prefix.

    :param kms_key: and ``tags``: of secrets that are created.
    """

    def __init__(
        self, api: Api, *, prefix: str, kms_key: str | None = None, tags: Mapping[str, str] | None = None
    ):
        self._api = api
        self._prefix = prefix
        self._kms_key = kms_key
        self._tags = dict(tags or {})

    def name(self, ref: SecretRef) -> str:
        """Of the secret there. :raises InvalidArgument: it would be too long."""
        return names.secret_name(self._prefix, ref)

    def look(self, ref: SecretRef) -> Held | None:
        """What is there, also if its deletion is scheduled; ``None`` if there is nothing."""
        try:
            answer = self._about(ref, "DescribeSecret", "look at", (_ABSENT,))
        except Refused:
            return None
        return Held.of(answer, ref, self.name(ref))

    def create(self, ref: SecretRef, value: SecretValue, version: str, tags: Mapping[str, str]) -> str | None:
        """A new secret with its first version: its key; ``None`` if something is there, or just was."""
        name = self.name(ref)
        params = {
            "Name": name,
            "ClientRequestToken": version,
            "Tags": [{"Key": key, "Value": text} for key, text in {**self._tags, **tags}.items()],
            **parameters(value),
        }
        if self._kms_key is not None:
            params["KmsKeyId"] = self._kms_key
        try:
            answer = self._api.call(
                "CreateSecret", params, what=f"create secret {ref}", expected=(_EXISTS, _STATE)
            )
        except Refused:
            return None
        return key_of(answer, name)

    def put(self, ref: SecretRef, value: SecretValue, version: str, labels: list[str]) -> Put:
        """A version with these labels, none of which is AWS's own. Nothing if it is there with that value."""
        try:
            answer = self._about(
                ref,
                "PutSecretValue",
                "write",
                (_EXISTS, _STATE, _ABSENT),
                ClientRequestToken=version,
                VersionStages=labels,
                **parameters(value),
            )
        except Refused as refusal:
            return Put.OTHER_VALUE if refusal.code == _EXISTS else Put.NOT_NOW
        if answer.get("VersionId") != version:
            raise nonsense("that is another version")
        return Put.DONE

    def make_current(self, ref: SecretRef, version: str, *, instead_of: str) -> bool:
        """In one step; ``False`` unless ``instead_of`` is current."""
        return self._stage(ref, names.CURRENT, MoveToVersionId=version, RemoveFromVersionId=instead_of)

    def label(self, ref: SecretRef, version: str, label: str) -> bool:
        """Put one on; ``False`` if there is no such version."""
        return self._stage(ref, label, MoveToVersionId=version)

    def unlabel(self, ref: SecretRef, version: str, label: str) -> None:
        """Take one off, if it is there."""
        self._stage(ref, label, RemoveFromVersionId=version)

    def _stage(self, ref: SecretRef, label: str, **versions: str) -> bool:
        expected = (_PARAMETER, _STATE, _ABSENT)
        return self._was_done(
            ref, "UpdateSecretVersionStage", "write", expected, VersionStage=label, **versions
        )

    def delete(self, ref: SecretRef, *, days: int) -> bool:
        """Schedule its deletion; ``False`` if that was done, or it is gone."""
        return self._was_done(ref, "DeleteSecret", "delete", (_STATE, _ABSENT), RecoveryWindowInDays=days)

    def purge(self, ref: SecretRef) -> bool:
        """Delete it for good; ``False`` if it is gone, or that isn't allowed in its state."""
        return self._was_done(
            ref, "DeleteSecret", "delete", (_STATE, _ABSENT), ForceDeleteWithoutRecovery=True
        )

    def restore(self, ref: SecretRef) -> bool:
        """Take back that its deletion is scheduled; ``False`` if it wasn't, or the secret is gone."""
        return self._was_done(ref, "RestoreSecret", "restore", (_STATE, _ABSENT))

    def versions(self, ref: SecretRef) -> dict[str, datetime]:
        """All versions that have a value, without labels too, and when AWS says that they were made."""
        found: dict[str, datetime] = {}
        more: dict[str, Any] = {"IncludeDeprecated": True, "MaxResults": _PAGE}
        while True:
            try:
                answer = self._about(
                    ref, "ListSecretVersionIds", "look at the versions of", (_ABSENT,), **more
                )
            except Refused:
                return found
            found.update(_versions(answer))
            if not answer.get("NextToken"):
                return found
            more["NextToken"] = _text(answer["NextToken"])

    def value(self, ref: SecretRef, version: str, stage: str | None) -> tuple[str, SecretValue] | None:
        """Key and value of that version; ``None`` if it is gone, or hasn't that label any more."""
        more = {} if stage is None else {"VersionStage": stage}
        expected = (_STATE, _ABSENT, _PARAMETER)
        try:
            answer = self._about(ref, "GetSecretValue", "read", expected, VersionId=version, **more)
        except Refused:
            return None
        if answer.get("VersionId") != version:
            raise nonsense("that is another version")
        return key_of(answer, self.name(ref)), value_in(answer)

    def _was_done(
        self, ref: SecretRef, operation: str, verb: str, expected: tuple[str, ...], **params: Any
    ) -> bool:
        try:
            self._about(ref, operation, verb, expected, **params)
        except Refused:
            return False
        return True

    def _about(
        self, ref: SecretRef, operation: str, verb: str, expected: tuple[str, ...], **params: Any
    ) -> Mapping[str, Any]:
        """The answer to a call about one secret, if it is about that one."""
        name = self.name(ref)
        params["SecretId"] = name
        answer = self._api.call(operation, params, what=f"{verb} secret {ref}", expected=expected)
        if operation != "ListSecretVersionIds":  # moto tells a name for an ARN there
            key_of(answer, name)
        return answer

    def listed(self, beginning: str) -> Iterator[Mapping[str, Any]]:
        """Secrets of ours whose names begin so, without those whose deletion is scheduled, in no order."""
        return listed(self._api, beginning, tagged=names.MANAGED)

    def close(self) -> None:
        """May be repeated."""
        self._api.close()


def listed(api: Api, beginning: str, *, tagged: str | None = None) -> Iterator[Mapping[str, Any]]:
    """Secrets whose names begin so, without those whose deletion is scheduled, in no order.

    :param tagged: only those that have such a tag.
    """
    filters = [{"Key": "name", "Values": [beginning]}] if beginning else []
    filters += [{"Key": "tag-key", "Values": [tagged]}] if tagged is not None else []
    params: dict[str, Any] = {"Filters": filters, "MaxResults": _PAGE}
    while True:
        answer = api.call("ListSecrets", params, what="list secrets")
        items = answer.get("SecretList")
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise nonsense("there is no list")
        yield from items
        if not answer.get("NextToken"):
            return
        params["NextToken"] = _text(answer["NextToken"])


def _versions(answer: Mapping[str, Any]) -> Iterator[tuple[str, datetime]]:
    versions = answer.get("Versions")
    if not isinstance(versions, list):
        raise nonsense("there are no versions")
    for version in versions:
        id_, at = (
            (version.get("VersionId"), version.get("CreatedDate")) if isinstance(version, dict) else (0, 0)
        )
        if not isinstance(id_, str) or not isinstance(at, datetime):
            raise nonsense("versions are no versions")
        yield id_, at.astimezone(UTC)


def _text(token: Any) -> str:
    if not isinstance(token, str):
        raise nonsense("there is no token")
    return token
