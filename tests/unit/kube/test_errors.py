"""What the API server answers, told apart."""

from __future__ import annotations

from typing import Any

import pytest

from secrets_svc.kube.errors import NoAnswer, TimedOut, of_status


def status(reason: str, message: str = "", **details: Any) -> dict[str, Any]:
    return {"kind": "Status", "reason": reason, "message": message, "details": details}


QUOTA = 'secrets "ss-1" is forbidden: exceeded quota: few, requested: count/secrets=1, used: 1, limited: 1'
TERMINATING = {"causes": [{"reason": "NamespaceTerminating", "field": "metadata.namespace"}]}


@pytest.mark.parametrize(
    ("code", "body", "retry_after", "expected", "text"),
    [
        (
            403,
            status("Forbidden", QUOTA),
            None,
            "quota_exceeded",
            "a ResourceQuota of the namespace is used up",
        ),
        (403, status("Forbidden", "x", **TERMINATING), None, "unavailable", "the namespace is being deleted"),
        (403, status("Forbidden", "no"), None, "unavailable", "this service's identity has no right to"),
        (401, status("Unauthorized"), None, "unavailable", "doesn't accept this service's identity"),
        (404, status("NotFound"), None, "unavailable", "it isn't there"),
        (409, status("Conflict"), None, "conflict", "somebody else changed it"),
        (413, None, None, "too_large", "too large for the API server"),
        (422, status("Invalid"), None, "internal", "can't make sense of it"),
        (429, status("TooManyRequests"), "7", "throttled", "asks us to slow down"),
        (429, status("TooManyRequests", retryAfterSeconds=3), None, "throttled", "asks us to slow down"),
        (500, "garbage", None, "unavailable", "doesn't answer as it should"),
        (503, None, "-4", "unavailable", "doesn't answer as it should"),
        (504, status("Timeout"), None, "deadline_exceeded", "didn't answer in time"),
    ],
)
def test_each_answer_has_its_code_and_our_words(
    code: int, body: Any, retry_after: str | None, expected: str, text: str
) -> None:
    error = of_status(code, body, retry_after)
    ours = error.translated('stage it in namespace "a"')
    assert ours.code == expected
    assert ours.message.startswith('can\'t stage it in namespace "a": ')
    assert text in ours.message
    assert "exceeded quota" not in ours.message
    assert ours.__cause__ is error
    assert ours.retry_after == {"7": 7.0}.get(retry_after or "", 3.0 if code == 429 else None)


def test_no_answer_at_all() -> None:
    assert NoAnswer().translated("look").message == "can't look: the API server can't be reached"
    assert NoAnswer().translated("look").code == "unavailable"
    assert TimedOut().translated("look").code == "deadline_exceeded"


def test_two_kinds_of_409() -> None:
    there, changed = of_status(409, status("AlreadyExists")), of_status(409, status("Conflict"))
    assert (there.is_there_already, there.is_conflict) == (True, False)
    assert (changed.is_there_already, changed.is_conflict) == (False, True)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "x",
        {"reason": 5, "message": [], "details": "x"},
        {"details": {"causes": [None, {"reason": 3}]}},
    ],
)
def test_nonsense_is_no_more_than_its_status(body: Any) -> None:
    error = of_status(403, body)
    assert (error.reason, error.text, error.causes) == ("", "", ())
    assert "403" in str(error)


@pytest.mark.parametrize(
    ("code", "body", "absent"),
    [
        (404, status("NotFound", kind="secrets", name="a"), True),
        (404, status("NotFound", kind="secrets", name="b"), False),
        (404, status("NotFound", kind="namespaces", name="a"), False),
        (404, status("NotFound"), False),
        (404, {"details": {"kind": "secrets", "name": "a"}}, False),
        (404, {"details": {"kind": ["secrets"], "name": 5}, "reason": "NotFound"}, False),
        (404, "not here", False),
        (410, status("NotFound", kind="secrets", name="a"), False),
    ],
)
def test_only_the_server_itself_tells_that_just_this_is_not_there(code: int, body: Any, absent: bool) -> None:
    assert of_status(code, body).is_absence_of("secrets", "a") is absent


def test_a_namespace_that_is_not_there() -> None:
    error = of_status(404, status("NotFound", kind="namespaces", name="a"))
    assert error.translated("look").message == "can't look: there is no such namespace"
