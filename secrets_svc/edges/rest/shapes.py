"""What goes over the wire. Values become ``SecretValue`` while parsed, and exist in requests only."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from secrets_svc.control.service import Explanation, Step
from secrets_svc.core.abilities import VersionInfo
from secrets_svc.core.policy import Binding
from secrets_svc.core.ports import Page
from secrets_svc.core.secret import SecretMetadata
from secrets_svc.core.value import SecretValue


def _from_text(text: Any) -> SecretValue:
    if not isinstance(text, str):
        raise ValueError("must be a string")
    try:
        return SecretValue(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise ValueError("holds half a surrogate pair; send it as base64") from None


def _from_base64(text: Any) -> SecretValue:
    if not isinstance(text, str):
        raise ValueError("must be a string")
    try:
        return SecretValue(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise ValueError("is not valid base64 (RFC 4648 section 4, with padding)") from None


TextValue = Annotated[
    SecretValue, PlainValidator(_from_text), WithJsonSchema({"type": "string", "writeOnly": True})
]
Base64Value = Annotated[
    SecretValue,
    PlainValidator(_from_base64),
    WithJsonSchema({"type": "string", "format": "byte", "writeOnly": True}),
]


class _Request(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )


class ValueIn(_Request):
    """A value: exactly one of ``text`` (stored as UTF-8) and ``base64`` (stored decoded)."""

    text: TextValue | None = Field(default=None)
    base64: Base64Value | None = Field(default=None)

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.text is None) == (self.base64 is None):
            raise ValueError('takes exactly one of "text" and "base64"')
        return self

    @property
    def value(self) -> SecretValue:
        """The value itself."""
        given = self.text if self.text is not None else self.base64
        assert given is not None
        return given


class CreateIn(_Request):
    """A new secret. To create it for the whole organization, name the organization and nothing else."""

    name: str = Field(examples=["db-password"])
    organization: str | None = Field(default=None, examples=["flyte"])
    domain: str | None = Field(default=None, examples=["production"])
    project: str | None = Field(default=None, examples=["shop"])
    type: str = Field(default="generic", examples=["generic"], description="generic or image-pull")
    value: ValueIn = Field(examples=[{"text": "correct horse"}])


class UpdateIn(_Request):
    """A new value for a secret that is there."""

    value: ValueIn = Field(examples=[{"base64": "Y29ycmVjdCBob3JzZQ=="}])


class MetadataOut(BaseModel):
    """All that is known of a secret without its value."""

    name: str = Field(examples=["db-password"])
    organization: str = Field(examples=["flyte"])
    domain: str | None = Field(examples=["production"])
    project: str | None = Field(examples=["shop"])
    type: str = Field(examples=["generic"])
    version: str = Field(
        examples=["5f1d0c5e9a7b4c3d"],
        description="opaque; never the same for two different values; empty in the answer to a dry run",
    )
    size: int | None = Field(examples=[13], description="bytes, where the store can tell")
    created_at: str = Field(examples=["2026-01-31T12:00:00.000000Z"])
    updated_at: str = Field(examples=["2026-01-31T12:00:00.000000Z"])
    created_by: str = Field(examples=["admin"])
    updated_by: str = Field(examples=["admin"])
    read_only: bool = Field(
        False, examples=[False], description="whether it was there before and its store only reads it"
    )

    @classmethod
    def of(cls, metadata: SecretMetadata) -> MetadataOut:
        """From the core's."""
        scope = metadata.ref.scope
        return cls(
            name=metadata.ref.name,
            organization=scope.organization,
            domain=scope.domain,
            project=scope.project,
            type=metadata.type,
            version=metadata.version,
            size=metadata.size,
            created_at=timestamp(metadata.created_at),
            updated_at=timestamp(metadata.updated_at),
            created_by=metadata.created_by,
            updated_by=metadata.updated_by,
            read_only=metadata.read_only,
        )


class PageOut(BaseModel):
    """One page of a listing; ``next_cursor`` is null on the last."""

    items: list[MetadataOut]
    next_cursor: str | None

    @classmethod
    def of(cls, page: Page[SecretMetadata]) -> PageOut:
        """From the core's."""
        return cls(items=[MetadataOut.of(item) for item in page.items], next_cursor=page.cursor)


class RollbackIn(_Request):
    """Which version is to be current again."""

    to: str = Field(min_length=1, max_length=256, examples=["5f1d0c5e9a7b4c3d"])


class VersionOut(BaseModel):
    """One version of a secret, without its value."""

    version: str = Field(examples=["5f1d0c5e9a7b4c3d"])
    created_at: str = Field(examples=["2026-01-31T12:00:00.000000Z"])
    created_by: str | None = Field(examples=["admin"], description="where the store can tell")
    current: bool
    readable: bool = Field(description="whether the value is still kept")
    size: int | None = Field(examples=[13], description="bytes, where the store can tell")


class HistoryOut(BaseModel):
    """The versions of a secret, newest first."""

    items: list[VersionOut]

    @classmethod
    def of(cls, versions: tuple[VersionInfo, ...]) -> HistoryOut:
        """From the core's."""
        return cls(
            items=[
                VersionOut(
                    version=each.version,
                    created_at=timestamp(each.created_at),
                    created_by=each.created_by,
                    current=each.current,
                    readable=each.readable,
                    size=each.size,
                )
                for each in versions
            ]
        )


class StepOut(BaseModel):
    """One scope that was looked at."""

    level: str = Field(examples=["project-domain"])
    scope: str = Field(examples=["project-domain shop/production"])
    outcome: str = Field(
        examples=["hit"],
        description="hit, shadowed, absent, or hidden: behind the hit, where you may not look",
    )
    store: str
    version: str | None
    type: str | None
    updated_at: str | None
    read_only: bool | None

    @classmethod
    def of(cls, step: Step) -> StepOut:
        """From the control plane's."""
        found = step.metadata
        return cls(
            level=step.scope.level,
            scope=str(step.scope),
            outcome=step.outcome,
            store=step.store,
            version=found.version if found else None,
            type=found.type if found else None,
            updated_at=timestamp(found.updated_at) if found else None,
            read_only=found.read_only if found else None,
        )


class WinnerOut(BaseModel):
    """The secret that a pod would get. Where the caller may not get it, only name and scope are told."""

    name: str
    organization: str
    domain: str | None
    project: str | None
    type: str | None
    version: str | None
    size: int | None
    created_at: str | None
    updated_at: str | None
    created_by: str | None
    updated_by: str | None
    read_only: bool | None

    @classmethod
    def of(cls, name: str, step: Step) -> WinnerOut:
        """From the control plane's."""
        if step.metadata is not None:
            return cls(**MetadataOut.of(step.metadata).model_dump())
        told = {
            "name": name,
            "organization": step.scope.organization,
            "domain": step.scope.domain,
            "project": step.scope.project,
        }
        return cls(**{**dict.fromkeys(cls.model_fields), **told})


class ExplanationOut(BaseModel):
    """Which secret a name means in a scope, and why. What the caller may not get is null."""

    name: str
    organization: str
    domain: str | None
    project: str | None
    winner: WinnerOut | None
    steps: list[StepOut]

    @classmethod
    def of(cls, explanation: Explanation) -> ExplanationOut:
        """From the control plane's."""
        scope, winner = explanation.scope, explanation.winner
        return cls(
            name=explanation.name,
            organization=scope.organization,
            domain=scope.domain,
            project=scope.project,
            winner=WinnerOut.of(explanation.name, winner) if winner else None,
            steps=[StepOut.of(step) for step in explanation.steps],
        )


class BindingOut(BaseModel):
    """A role somewhere."""

    role: str
    scope: str


class WhoamiOut(BaseModel):
    """Whom the token belongs to, and what they may do."""

    principal: str
    organization: str
    bindings: list[BindingOut]

    @classmethod
    def of(cls, principal: str, organization: str, bindings: tuple[Binding, ...]) -> WhoamiOut:
        """From the policy's."""
        shown = [BindingOut(role=each.role, scope=str(each.scope)) for each in bindings]
        return cls(principal=principal, organization=organization, bindings=shown)


class ProblemOut(BaseModel):
    """RFC 9457, with a stable ``code``."""

    type: str = Field(examples=["urn:secrets-svc:problem:not_found"])
    title: str = Field(examples=["not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=['there is no secret "db-password" in project-domain shop/production'])
    code: str = Field(examples=["not_found"])
    retryable: bool = Field(examples=[False])
    request_id: str = Field(examples=["8e1f2a3b"])


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
