"""Settings of a store in AWS Secrets Manager."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from secrets_svc.backends.aws.names import OWN_TAGS
from secrets_svc.backends.existing.settings import template

#: What names of secrets may consist of (API_CreateSecret, Name).
_PREFIX = re.compile(r"[A-Za-z0-9/_+=.@-]{0,128}")
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,576}", re.ASCII)
_KEY = re.compile(r"(arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/|alias/)?[A-Za-z0-9/_-]{1,256}")
# Tag keys and values (API_TagResource): the characters that every service takes.
_TAG = re.compile(r"[\w .:/=+@-]*")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _matching(pattern: re.Pattern[str], what: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"must be {what}")
        return text

    return AfterValidator(check)


def _endpoint(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must be a URL") from None
    if parts.username or parts.password or parts.query or parts.fragment or not host:
        raise ValueError("must be a URL with a host, and nothing behind its path")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise ValueError("must begin with https://; http:// is for this machine only")
    return url


def _tags(tags: dict[str, str]) -> dict[str, str]:
    for key, value in tags.items():
        if not (1 <= len(key) <= 127 and len(value) <= 255 and _TAG.fullmatch(key) and _TAG.fullmatch(value)):
            raise ValueError(
                "must be tags: keys of 1 to 127 letters, digits, spaces or _.:/=+-@, values to 255"
            )
        if key.lower().startswith("aws:") or key in OWN_TAGS:
            raise ValueError("must not be tags of AWS or of this service")
    if len(tags) > 50 - len(OWN_TAGS):
        raise ValueError(
            f"must be at most {50 - len(OWN_TAGS)}: a secret can have 50, this service needs the rest"
        )
    return tags


Region = Annotated[str, _matching(_REGION, "a region, such as eu-central-1")]
RoleArn = Annotated[str, _matching(_ROLE, "the ARN of a role")]


@dataclass(frozen=True, slots=True)
class Way:
    """As whom, and where. Without a profile and a role: the default chain of credentials."""

    region: str | None
    endpoint_url: str | None
    profile: str | None
    role_arn: str | None
    external_id: str | None


class AwsSettings(BaseModel):
    """``[stores.NAME]`` with ``backend = "aws"``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    region: Region | None = Field(
        default=None,
        description="Where the secrets are; by default what the environment or the profile says.",
    )
    endpoint_url: Annotated[str, AfterValidator(_endpoint)] | None = Field(
        default=None,
        description="Of Secrets Manager, where it isn't the region's own, e.g. a VPC endpoint's.",
    )
    prefix: Annotated[str, _matching(_PREFIX, "at most 128 letters, digits or /_+=.@-")] = Field(
        default="",
        description="In front of the names of all secrets. Flyte's own reader finds them without one only.",
    )
    existing: Annotated[str, template("-a-zA-Z0-9/_+=.@")] | None = Field(
        default=None,
        description="Read secrets that are there already, and write none: their whole name, e.g. "
        "prod/{project}/{name}#password. What stands behind # is the field of the JSON object.",
    )
    profile: str | None = Field(
        default=None,
        min_length=1,
        description="In the files of the AWS command line; by default the default chain of credentials: "
        "environment, web identity (IRSA), container (pod identity), instance.",
    )
    writer_profile: str | None = Field(default=None, min_length=1, description="The writer's own profile.")
    reader_profile: str | None = Field(default=None, min_length=1, description="The reader's own profile.")
    writer_role_arn: RoleArn | None = Field(default=None, description="A role that the writer assumes.")
    writer_external_id: str | None = Field(
        default=None,
        min_length=2,
        max_length=1224,
        description="What the writer's role asks for, if it does.",
    )
    reader_role_arn: RoleArn | None = Field(default=None, description="A role that the reader assumes.")
    reader_external_id: str | None = Field(
        default=None,
        min_length=2,
        max_length=1224,
        description="What the reader's role asks for, if it does.",
    )
    kms_key: Annotated[str, _matching(_KEY, "the ARN, id or alias of a key")] | None = Field(
        default=None,
        description="What new secrets are encrypted under: ARN, id or alias; by default aws/secretsmanager.",
    )
    tags: Annotated[dict[str, str], AfterValidator(_tags)] = Field(
        default_factory=dict, description="More tags for new secrets, e.g. what costs are told apart by."
    )
    recovery_window_days: int = Field(
        default=7, ge=7, le=30, description="Days for which a deleted secret can be got back."
    )
    timeout: float = Field(
        default=3.0,
        ge=0.1,
        le=60,
        description="Seconds to connect, and again to answer, for one call, also to where credentials come "
        "from: below the injector's deadline, so that it can still say what was the matter.",
    )
    lookups: int = Field(
        default=16,
        ge=1,
        le=128,
        description="Secrets of one admission that are looked up at once: each is a call of its own.",
    )

    @model_validator(mode="after")
    def _prefix_is_for_our_own(self) -> Self:
        if self.existing is not None and self.prefix:
            raise ValueError("existing is a whole name: leave prefix out")
        return self

    @model_validator(mode="after")
    def _external_ids_are_of_a_role(self) -> Self:
        for side in ("writer", "reader"):
            if getattr(self, f"{side}_external_id") and not getattr(self, f"{side}_role_arn"):
                raise ValueError(f"{side}_external_id needs {side}_role_arn")
        return self

    def writer_way(self) -> Way:
        """With the writer's identity."""
        return self._way(self.writer_profile, self.writer_role_arn, self.writer_external_id)

    def reader_way(self) -> Way:
        """With the reader's identity."""
        return self._way(self.reader_profile, self.reader_role_arn, self.reader_external_id)

    def _way(self, profile: str | None, role: str | None, external_id: str | None) -> Way:
        return Way(self.region, self.endpoint_url, profile or self.profile, role, external_id)
