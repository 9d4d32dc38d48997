"""Least IAM policies for writer and reader, from the names that this backend uses."""

from __future__ import annotations

import json
import re
from typing import Any

from secrets_svc.backends.aws import names
from secrets_svc.backends.aws.settings import AwsSettings
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.templates import PathTemplate

#: What each side calls, besides what it needs for all secrets at once or for new ones.
_READS = ("DescribeSecret", "ListSecretVersionIds")
_READS_VALUES = ("GetSecretValue",)
_LOOKS = ("DescribeSecret",)
_WRITES = ("PutSecretValue", "UpdateSecretVersionStage", "DeleteSecret", "RestoreSecret")
_CREATES = ("CreateSecret", "TagResource")
_LISTS = ("ListSecrets",)

_MANAGED = f"secretsmanager:ResourceTag/{names.MANAGED}"
_NEW = f"aws:RequestTag/{names.MANAGED}"
_ALIAS = re.compile(r"alias/.+")


def policy(settings: AwsSettings, *, role: str, account: str = "*") -> str:
    """An identity's policy as JSON.

    A look at a secret must not depend on its tags: AWS would deny what isn't there, and absent is not failed.

    :param role: ``writer`` or ``reader``. :param account: 12 digits, or ``*`` for any.
    :raises InvalidArgument: neither, or no account.
    """
    if role not in ("writer", "reader"):
        raise InvalidArgument("role is not valid: writer or reader")
    if not re.fullmatch(r"\*|[0-9]{12}", account):
        raise InvalidArgument("account is not valid: 12 digits, or *")
    if settings.existing is not None:
        return _existing(settings, PathTemplate(settings.existing), role, account)
    secrets = _secrets(settings, account, names.every_name(settings.prefix) + "*")
    statements = [_statement("Look", _READS, secrets)]
    if role == "writer":
        statements += [
            _statement("List", _LISTS, "*"),
            _statement("Create", _CREATES, secrets, {_NEW: names.MANAGED_VALUE}),
            _statement("Write", _WRITES, secrets, {_MANAGED: names.MANAGED_VALUE}),
        ]
    else:
        statements.append(_statement("Read", _READS_VALUES, secrets, {_MANAGED: names.MANAGED_VALUE}))
    if settings.kms_key is not None:
        statements.append(_key(settings, role, account))
    return _document(statements)


def _existing(settings: AwsSettings, template: PathTemplate, role: str, account: str) -> str:
    """For secrets that are there already: neither side writes, the writer lists and the reader reads."""
    path = "/".join(template.segments)
    secrets = _secrets(settings, account, re.sub(r"\{[a-z]+\}", "*", path) + "-??????")
    statements = [_statement("Look", _LOOKS, secrets)]
    if role == "writer":
        return _document([*statements, _statement("List", _LISTS, "*")])
    statements.append(_statement("Read", _READS_VALUES, secrets))
    if settings.kms_key is not None:
        statements.append(_key(settings, role, account))
    return _document(statements)


def _document(statements: list[dict[str, Any]]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2)


def _secrets(settings: AwsSettings, account: str, names_: str) -> str:
    return _arn(settings, "secretsmanager", account, f"secret:{names_}")


def _statement(
    sid: str, actions: tuple[str, ...], resource: str, equal: dict[str, str] | None = None
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "Sid": sid,
        "Effect": "Allow",
        "Action": [f"secretsmanager:{action}" for action in actions],
        "Resource": resource,
    }
    return {**made, "Condition": {"StringEquals": equal}} if equal else made


def _key(settings: AwsSettings, role: str, account: str) -> dict[str, Any]:
    """To use the key for Secrets Manager, and for nothing else.

    AWS asks for ``Decrypt`` from whoever writes, too (API_CreateSecret): alone it opens no secret.
    """
    key = settings.kms_key or ""
    actions = ["kms:Decrypt"] + (["kms:GenerateDataKey"] if role == "writer" else [])
    service = f"secretsmanager.{settings.region or '*'}.amazonaws.com"
    condition: dict[str, Any] = {"StringLike": {"kms:ViaService": service}}
    alias = _ALIAS.fullmatch(key.rpartition(":")[2])
    if alias:
        condition["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": alias[0]}
        resource = (
            f"{key.rpartition(':')[0]}:key/*" if ":" in key else _arn(settings, "kms", account, "key/*")
        )
    else:
        resource = key if ":" in key else _arn(settings, "kms", account, f"key/{key}")
    return {"Sid": "Key", "Effect": "Allow", "Action": actions, "Resource": resource, "Condition": condition}


def _arn(settings: AwsSettings, service: str, account: str, resource: str) -> str:
    region = settings.region or "*"
    partition = "aws"
    if region == "*":
        partition = "aws*"
    elif region.startswith("cn-"):
        partition = "aws-cn"
    elif region.startswith("us-gov-"):
        partition = "aws-us-gov"
    return f"arn:{partition}:{service}:{region}:{account}:{resource}"
