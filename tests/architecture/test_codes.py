"""Every error has a stable code, and every edge knows all of them (DESIGN.md §9)."""

from __future__ import annotations

import re

import pytest

from cli.errors import EXIT_CODES
from injector import refusals
from secrets_svc.core import errors
from secrets_svc.core.errors import SecretsError, by_code
from secrets_svc.edges.flyte import refusals as flyte
from secrets_svc.edges.oauth import refusals as oauth
from secrets_svc.edges.rest import problems

#: code: REST, Connect, admission, CLI exit, whether a retry helps. The table of DESIGN.md §9.
TABLE = {
    "invalid_argument": (400, "invalid_argument", 400, 2, False),
    "unsupported": (501, "unimplemented", 400, 2, False),
    "too_large": (413, "invalid_argument", 400, 2, False),
    "unauthenticated": (401, "unauthenticated", 403, 5, False),
    "permission_denied": (403, "permission_denied", 403, 5, False),
    "not_found": (404, "not_found", 400, 3, False),
    "already_exists": (409, "already_exists", 400, 4, False),
    "conflict": (409, "aborted", 400, 4, False),
    "throttled": (429, "resource_exhausted", 429, 6, True),
    "quota_exceeded": (429, "resource_exhausted", 429, 6, True),
    "unavailable": (503, "unavailable", 503, 6, True),
    "deadline_exceeded": (504, "unavailable", 503, 6, True),
    "internal": (500, "internal", 500, 1, True),
}


def descendants(kind: type[SecretsError]) -> set[type[SecretsError]]:
    return {kind}.union(*(descendants(each) for each in kind.__subclasses__())) - {SecretsError}


OURS = sorted(
    (
        kind
        for kind in descendants(SecretsError)
        if kind.__module__.partition(".")[0] in ("secrets_svc", "injector", "cli")
    ),
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", OURS)
def test_every_error_is_known_at_every_edge(kind: type[SecretsError]) -> None:
    mapped = (
        problems.STATUS_BY_CODE[kind.code],
        flyte.CODE_BY_CODE[kind.code],
        refusals.STATUS_BY_CODE[kind.code],
        EXIT_CODES[kind.code],
    )
    assert (*mapped, kind.retryable) == TABLE[kind.code]


@pytest.mark.parametrize(
    "mapping",
    [
        problems.STATUS_BY_CODE,
        flyte.CODE_BY_CODE,
        oauth.ANSWER_BY_CODE,
        refusals.STATUS_BY_CODE,
        EXIT_CODES,
        TABLE,
    ],
)
def test_no_edge_knows_more(mapping: dict[str, object]) -> None:
    assert set(mapping) == set(by_code()) == {kind.code for kind in OURS}


def test_codes_are_words_that_scripts_can_go_by() -> None:
    assert [code for code in by_code() if not re.fullmatch("[a-z]+(_[a-z]+)*", code)] == []


def test_the_tree_is_drawn_in_its_module() -> None:
    drawn = dict(re.findall(r"[├└]── (\w+) +(\w+)", errors.__doc__ or ""))
    assert drawn == {kind.__name__: kind.code for kind in OURS if kind.__module__ == errors.__name__}


def test_an_error_shows_its_own_text_only() -> None:
    for kind in OURS:
        if kind.__module__ != errors.__name__:
            continue
        error = kind("what happened")
        error.__cause__ = RuntimeError("a vendor's text")
        assert str(error) == "what happened"
