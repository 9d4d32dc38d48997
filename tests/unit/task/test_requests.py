"""One request, several together, and the annotation they make."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from secrets_svc.task import (
    InvalidRequest,
    LocalStateError,
    Secret,
    SecretsMissing,
    SecretUnreadable,
    TaskError,
    TooLarge,
    pod_request,
    requests_in,
)
from secrets_svc.task import errors as task_errors

REQUEST = "secrets-svc.internal/request"


def test_a_name_alone_is_a_variable_named_as_in_pods() -> None:
    asked = Secret("db-password")
    assert (asked.name, asked.env, asked.file, asked.optional) == ("db-password", "DB_PASSWORD", None, False)


def test_a_request_shows_itself_and_does_not_change() -> None:
    asked = Secret("tls", file="tls/key.pem", mode="440", optional=True, containers=["main"])
    assert repr(asked) == (
        "Secret('tls', file='tls/key.pem', mode='0440', optional=True, containers=['main'])"
    )
    assert asked == Secret("tls", file="tls/key.pem", mode="0440", optional=True, containers=("main",))
    assert len({asked, copy.deepcopy(asked), pickle.loads(pickle.dumps(asked)), Secret("tls")}) == 2
    assert asked != "tls"
    with pytest.raises(AttributeError, match="doesn't change"):
        asked.env = "TLS"
    with pytest.raises(AttributeError, match="doesn't change"):
        del asked.env


def test_places_are_named_and_not_counted() -> None:
    with pytest.raises(TypeError):
        Secret("a", "A")  # type: ignore[misc]  # what would the second one be?


def test_a_pod_asks_by_annotation_and_labels() -> None:
    asked = pod_request(
        ["db-password", Secret("tls", file="key.pem"), "db-password"], project="shop", domain="production"
    )
    assert asked["labels"] == {
        "secrets-svc.internal/project": "shop",
        "secrets-svc.internal/domain": "production",
    }
    assert json.loads(asked["annotations"][REQUEST]) == [
        {"name": "db-password", "env": "DB_PASSWORD"},
        {"name": "tls", "file": "key.pem"},
    ]
    assert requests_in(asked["annotations"][REQUEST]) == (
        Secret("db-password"),
        Secret("tls", file="key.pem"),
    )


def test_nothing_asked_for_is_no_annotation() -> None:
    assert pod_request([]) == {"labels": {}, "annotations": {}}


@pytest.mark.parametrize(
    ("requests", "text"),
    [
        ("db-password", "must be a list"),
        (Secret("a"), "must be a list"),
        ([1], "not something of type int"),
        (["a/b"], 'secret name "a/b" is not valid'),
        (["1bad"], "say which with env"),
        (["a", Secret("b", env="A")], 'two requests want env "A" in one container'),
        ([Secret("a", file="x"), Secret("b", file="x")], 'two requests want file "x"'),
        ([Secret("a", file="x"), Secret("b", file="x/y")], "can't be the folder"),
        ([Secret("a", env="X", containers=["c"]), Secret("b", env="X")], "two requests want env"),
    ],
)
def test_what_a_pod_could_not_ask_for_is_refused_at_once(requests: object, text: str) -> None:
    with pytest.raises(InvalidRequest, match=text) as caught:
        pod_request(requests)  # type: ignore[arg-type]  # wrong on purpose
    assert caught.value.code == "invalid_argument"
    assert isinstance(caught.value, ValueError)


def test_one_place_in_two_containers_is_no_conflict() -> None:
    two = [Secret("a", env="X", containers=["one"]), Secret("b", env="X", containers=["two"])]
    assert len(requests_in(pod_request(two)["annotations"][REQUEST])) == 2


def test_too_many_are_too_large() -> None:
    with pytest.raises(TooLarge, match="257 requests, over the limit of 256") as caught:
        pod_request([f"n{number}" for number in range(257)])
    assert caught.value.code == "too_large"
    long = [Secret(f"n{number}", file=f"{number}/{'f' * 200}/{'f' * 200}") for number in range(200)]
    with pytest.raises(TooLarge, match="over the limit of 65536"):
        pod_request(long)


def test_an_annotation_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="must be a text"):
        requests_in(None)  # type: ignore[arg-type]  # wrong on purpose


def test_errors_travel_between_processes() -> None:
    for error in (
        InvalidRequest("text"),
        SecretsMissing("text", ["a"]),
        LocalStateError("text", "unavailable"),
        SecretUnreadable("text"),
    ):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again), again.code) == (type(error), "text", error.code)
        assert vars(again) == vars(error)


def test_every_error_has_a_code() -> None:
    pending, codes = [TaskError], set()
    while pending:
        kind = pending.pop()
        codes.add(kind.code)
        pending += kind.__subclasses__()
        assert f" {kind.__name__} " in (task_errors.__doc__ or "").replace("\n", " ")
    assert {"invalid_argument", "too_large", "not_found", "unavailable"} <= codes
