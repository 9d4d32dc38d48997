"""Lists that take more than one answer of AWS's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aws_front import Answer, Front
from aws_store import Store, create, some_ref

from secrets_svc.core.errors import Unavailable
from secrets_svc.core.secret import SecretRef


def test_more_than_fit_into_one_answer(store: Store, troubled: Store, front: Front) -> None:
    """A hundred a call; each page of ours lists all."""
    scope = some_ref().scope
    refs = {SecretRef(scope, f"n-{number:03}") for number in range(130)}
    for ref in refs:
        create(store.writer(), ref)
    found: list[SecretRef] = []
    cursor = None
    with front.scripted(lambda number, operation, params: None):
        writer = troubled.writer(timeout=20.0)
        while True:
            page = writer.list(scope, limit=60, cursor=cursor)
            found += [item.ref for item in page.items]
            cursor = page.cursor
            if cursor is None:
                break
        assert front.operations == ["ListSecrets"] * 6
    assert found == sorted(refs, key=lambda ref: ref.name)


def test_one_that_is_spoilt_hides_no_other(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    ref = some_ref()
    made = create(store.writer(), ref)
    spoilt = SecretRef(ref.scope, "spoilt")
    create(store.writer(), spoilt)
    tag = {"Key": "secrets-svc.internal/type", "Value": "none"}
    store.admin.tag_resource(SecretId=store.name(spoilt), Tags=[tag])
    assert store.writer().list(ref.scope).items == (made,)
    assert "not listed: secret" in caplog.text


@pytest.mark.parametrize(
    "body",
    [
        {"SecretList": None},
        {"SecretList": [], "NextToken": 7},
        {},
    ],
    ids=str,
)
def test_what_is_no_list_is_not_an_empty_one(troubled: Store, front: Front, body: dict[str, Any]) -> None:
    answer = Answer(200, json.dumps(body).encode())
    with front.failing("ListSecrets", answer), pytest.raises(Unavailable):
        troubled.writer().list(some_ref().scope)
