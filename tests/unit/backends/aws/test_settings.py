"""Settings: as whom each side goes, and what could not be meant."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from documents import ROOT, blocks
from pydantic import ValidationError

from secrets_svc.backends.aws.settings import AwsSettings, Way

ROLE = "arn:aws:iam::123456789012:role/secrets-svc"


@pytest.mark.parametrize(
    ("given", "writer", "reader"),
    [
        ({}, Way(None, None, None, None, None), Way(None, None, None, None, None)),
        (
            {"region": "eu-central-1", "endpoint_url": "https://vpce.example"},
            Way("eu-central-1", "https://vpce.example", None, None, None),
            Way("eu-central-1", "https://vpce.example", None, None, None),
        ),
        ({"profile": "p"}, Way(None, None, "p", None, None), Way(None, None, "p", None, None)),
        (
            {"profile": "p", "reader_profile": "r"},
            Way(None, None, "p", None, None),
            Way(None, None, "r", None, None),
        ),
        (
            {"writer_role_arn": ROLE, "writer_external_id": "id"},
            Way(None, None, None, ROLE, "id"),
            Way(None, None, None, None, None),
        ),
        (
            {"reader_role_arn": ROLE, "profile": "p"},
            Way(None, None, "p", None, None),
            Way(None, None, "p", ROLE, None),
        ),
    ],
    ids=str,
)
def test_ways(given: dict[str, Any], writer: Way, reader: Way) -> None:
    settings = AwsSettings(**given)
    assert (settings.writer_way(), settings.reader_way()) == (writer, reader)


@pytest.mark.parametrize(
    "given",
    [
        {"region": "eu"},
        {"region": "eu-central-1/x"},
        {"region": ""},
        {"endpoint_url": "http://secretsmanager.example"},
        {"endpoint_url": "http://127.0.0.1.example"},
        {"endpoint_url": "ftp://127.0.0.1"},
        {"endpoint_url": "https://user:secret@example"},
        {"endpoint_url": "https://"},
        {"endpoint_url": "https://example/?x=1"},
        {"endpoint_url": "https://example:port"},
        {"prefix": "a b"},
        {"prefix": "*"},
        {"prefix": "x" * 129},
        {"profile": ""},
        {"writer_role_arn": "arn:aws:iam::1:role/x"},
        {"writer_role_arn": "secrets-svc"},
        {"writer_external_id": "id"},
        {"reader_external_id": "id", "writer_role_arn": ROLE},
        {"kms_key": "a key"},
        {"kms_key": "*"},
        {"tags": {"aws:x": "y"}},
        {"tags": {"": "y"}},
        {"tags": {"k": "v" * 256}},
        {"tags": {"k" * 128: "v"}},
        {"tags": {"k": "*"}},
        {"tags": {"secrets-svc.internal/managed": "false"}},
        {"tags": {f"k{number}": "" for number in range(41)}},
        {"recovery_window_days": 6},
        {"recovery_window_days": 31},
        {"timeout": 0},
        {"lookups": 0},
        {"lookups": 129},
        {"regoin": "eu-central-1"},
    ],
    ids=str,
)
def test_what_could_not_be_meant(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AwsSettings(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"region": "us-gov-west-1"},
        {"region": "ap-southeast-2"},
        {"endpoint_url": "http://127.0.0.1:5000"},
        {"endpoint_url": "http://[::1]:5000"},
        {"prefix": "team-a/secrets_svc+=.@"},
        {"kms_key": "alias/secrets"},
        {"kms_key": "1234abcd-12ab-34cd-56ef-1234567890ab"},
        {"kms_key": "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"},
        {"writer_role_arn": "arn:aws-us-gov:iam::123456789012:role/path/to/x"},
        {"tags": {"cost centre": "a+b=c @ d/e:f_g"}},
        {"tags": {f"k{number}": "" for number in range(40)}},
    ],
    ids=str,
)
def test_what_is_taken(given: dict[str, Any]) -> None:
    AwsSettings(**given)


def test_the_example_is_one() -> None:
    page = (ROOT / "docs" / "backends.md").read_text()
    [example] = [block.text for block in blocks(page) if 'backend = "aws"' in block.text]
    [table] = tomllib.loads(example)["stores"].values()
    assert table.pop("backend") == "aws"
    assert AwsSettings(**table).recovery_window_days == 7
