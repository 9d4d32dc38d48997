"""A task's requests and the injector's dialect have the same rules, in the same words.

They are written twice, since a task image has no injector: here they are held to each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from injector import keys
from injector.dialects import ours
from injector.requests import PodRequests
from injector.review import ObjectMeta
from secrets_svc.core import scope, secret
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.task import InvalidRequest, Secret, pod_request, requests_in, rules
from secrets_svc.task.local_state import VARIABLE
from secrets_svc.task.places import FILES_VARIABLE, OWN_FILES_VARIABLE

MANY = settings(max_examples=400)

NAMES = st.sampled_from(["a", "db-password", "B_1", "1bad", "x" * 128, "x" * 129, "a.b", "", "ü"]) | st.text(
    max_size=4
)
ENVS = st.sampled_from(["A", "DB_PASSWORD", "_", "a1", "1A", "A=B", "A" * 255, "A" * 256, ""]) | st.text(
    max_size=3
)
PATHS = st.sampled_from(
    [
        *("a", "a/b", "a/b/c", "b", "/a", "../a", "a/..b", "a//b", "a/", "x y.pem", "a\n"),
        *("p" * 255, "p" * 256, "/".join(["d" * 9] * 51), "/".join(["d" * 9] * 52)),
    ]
) | st.text(max_size=5)
MODES = st.sampled_from(["0440", "440", "0444", "4755", "0o440", "", "0888"])
LABELS = st.sampled_from(["main", "side-car", "Main", "-x", "x" * 63, "x" * 64, ""])
VERSIONS = st.sampled_from(["1", "0b9c1f", "v 1", "x" * 256, "x" * 257, "", "é"])
FIELDS = st.sampled_from(["user", "a b", "a/b:c@d.e-f_g", "a\n", "", "f" * 253, "f" * 254])
ODD = st.none() | st.integers() | st.booleans() | st.lists(st.text(max_size=2), max_size=2) | st.just({})


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The usual thing, and now and then something that isn't even of its type."""
    return st.one_of(usual, usual, usual, usual, ODD)


def entries() -> st.SearchStrategy[dict[str, Any]]:
    """One request of an annotation, right or wrong."""
    optional = {
        "env": mostly(ENVS),
        "file": mostly(PATHS),
        "mode": mostly(MODES),
        "optional": mostly(st.booleans()),
        "containers": mostly(st.lists(LABELS, max_size=3)),
        "version": mostly(VERSIONS),
        "field": mostly(FIELDS),
        "image_pull": mostly(st.booleans()),
        "unknown": ODD,
    }
    few = st.dictionaries(st.sampled_from(sorted(optional)), st.none(), max_size=3).flatmap(
        lambda chosen: st.fixed_dictionaries(
            {"name": mostly(NAMES), **{key: optional[key] for key in chosen}}  # each on its own
        )
    )
    return st.one_of(few, few, few, st.just({}), st.just({"env": "A"}))


ANNOTATIONS = st.lists(entries(), max_size=4).map(json.dumps) | st.sampled_from(
    ["", "[{", "{}", "[[]]", "null", '[{"name": "a", "name": "b"}]', '["a"]', "[" * 30_000, "[NaN]"]
)


def of_injector(text: str) -> tuple[dict[str, Any], ...] | str:
    """What the injector reads, each container's share looked at; or what it says instead."""
    try:
        parsed = ours.parse(ObjectMeta(annotations={keys.REQUEST: text}))
        for name in parsed.containers if parsed else ():
            assert parsed is not None
            parsed.wanted(name)
    except InvalidArgument as error:
        return f"{error.code}: {error.message}"
    return tuple(plain(parsed))


def plain(parsed: PodRequests | None) -> list[dict[str, Any]]:
    """Requests of the injector as a task has them."""
    return [
        {
            "name": item.name,
            "env": item.env,
            "file": item.file,
            "mode": None if item.mode is None else f"{item.mode:04o}",
            "optional": item.optional,
            "containers": item.containers,
            "version": item.version,
            "field": item.field,
            "image_pull": item.attach,
        }
        for item in (parsed.items if parsed else ())
    ]


def fields(secret_: Secret) -> dict[str, Any]:
    """All of a task's request."""
    return {key: getattr(secret_, key) for key in Secret.__slots__}


def of_task(text: str) -> tuple[dict[str, Any], ...] | str:
    """What a task reads, or what is said instead."""
    try:
        return tuple(map(fields, requests_in(text)))
    except InvalidRequest as error:
        return f"{error.code}: {error.message}"


@MANY
@given(ANNOTATIONS)
@example(json.dumps([{"name": "a", "containers": ["x"]}, {"name": "a", "containers": ["x"]}]))
@example(json.dumps([{"name": "a", "file": "a"}, {"name": "b", "file": "a/b", "containers": ["main"]}]))
@example(json.dumps([{"name": f"n{number}"} for number in range(257)]))
@example(" " * 65_537)
@example(json.dumps([{"name": "a", "image_pull": True}, {"name": "a", "image_pull": True, "optional": True}]))
@example(json.dumps([{"name": "a", "image_pull": True, "env": None}, {"name": "a", "env": "A"}]))
@example(json.dumps([{"name": "a", "image_pull": True, "field": "x"}]))
def test_an_annotation_is_read_alike_or_refused_alike(text: str) -> None:
    assert of_task(text) == of_injector(text)


@MANY
@given(st.lists(entries(), max_size=4))
def test_what_a_task_asks_for_is_what_the_injector_reads(found: list[dict[str, Any]]) -> None:
    try:
        asked = [Secret(**entry) for entry in found]
        annotations = pod_request(asked)["annotations"]
    except (InvalidRequest, TypeError):  # an unknown field, or none called name, is Python's to refuse
        return
    if not asked:
        assert annotations == {}
        return
    assert of_injector(annotations[keys.REQUEST]) == tuple(map(fields, dict.fromkeys(asked)))
    assert requests_in(annotations[keys.REQUEST]) == tuple(dict.fromkeys(asked))


@pytest.mark.parametrize(
    ("theirs", "mine"),
    [
        (keys.REQUEST, rules.REQUEST),
        (keys.PROJECT, rules.PROJECT_LABEL),
        (keys.DOMAIN_LABEL, rules.DOMAIN_LABEL),
        (keys.FILES, rules.FILES),
        (ours.MAX_ANNOTATION, rules.MAX_ANNOTATION),
        (ours.MAX_REQUESTS, rules.MAX_REQUESTS),
        (ours.MAX_CONTAINERS, rules.MAX_CONTAINERS),
        (ours.MAX_PATH, rules.MAX_PATH),
        (secret.MAX_NAME, rules.MAX_NAME),
        (scope.MAX_LABEL, rules.MAX_LABEL),
    ],
)
def test_words_and_limits_are_the_same(theirs: object, mine: object) -> None:
    assert theirs == mine


def test_variables_are_those_of_the_command_line() -> None:
    from cli import task_environment, task_files
    from secrets_svc.task.given import VARIABLE as GIVEN

    assert (FILES_VARIABLE, OWN_FILES_VARIABLE) == (task_files.FILES_VARIABLE, task_files.OWN_FILES_VARIABLE)
    assert task_environment.GIVEN_VARIABLE == GIVEN
    assert not VARIABLE.startswith("SECRETS_SVC_")  # such a variable is a setting, or stops a server


def said(call: Callable[[], str]) -> str:
    """What comes of it."""
    try:
        return call()
    except (InvalidArgument, InvalidRequest) as error:
        return f"{error.code}: {error.message}"


@MANY
@given(mostly(LABELS))
def test_a_claim_is_what_a_scope_can_be(text: object) -> None:
    if text is None:
        return
    assert said(lambda: scope.validate_label("project", text)) == said(
        lambda: pod_request(["a"], project=text)["labels"][keys.PROJECT]  # type: ignore[arg-type]  # hostile
    )
