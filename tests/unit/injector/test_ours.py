"""Our dialect: what the request annotation may say."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from injector.dialects import ours
from injector.keys import DOMAIN_LABEL, PROJECT, REQUEST
from injector.requests import Claim, PodRequests, SecretRequest
from injector.review import ObjectMeta
from secrets_svc.core.errors import InvalidArgument, TooLarge


def parse(requests: object) -> tuple[SecretRequest, ...]:
    text = requests if isinstance(requests, str) else json.dumps(requests)
    parsed = ours.parse(ObjectMeta(annotations={REQUEST: text}))
    assert parsed is not None
    return parsed.items


def test_every_field_is_understood() -> None:
    assert parse(
        [
            {"name": "db-password", "env": "DB_PASSWORD"},
            {
                "name": "tls-key",
                "file": "tls/key.pem",
                "mode": "0440",
                "optional": True,
                "containers": ["main"],
            },
            {"name": "both", "env": "BOTH", "file": "both"},
        ]
    ) == (
        SecretRequest("db-password", env="DB_PASSWORD"),
        SecretRequest("tls-key", file="tls/key.pem", mode=0o440, optional=True, containers=("main",)),
        SecretRequest("both", env="BOTH", file="both"),
    )


def test_without_a_place_the_variable_is_named_as_flyte_names_it() -> None:
    assert parse([{"name": "db-password"}]) == (SecretRequest("db-password", env="DB_PASSWORD"),)


def test_a_pod_without_the_annotation_asks_nothing() -> None:
    assert ours.parse(ObjectMeta()) is None
    assert ours.parse(ObjectMeta(annotations={REQUEST: "[]"})) is None


BAD: dict[str, tuple[object, str]] = {
    "not JSON": ("[{", "is not valid JSON"),
    "empty text": ("", "is not valid JSON"),
    "deep nesting": ("[" * 30_000, "is not valid JSON"),
    "an object": ({"name": "a"}, "must be a JSON array"),
    "a text in the array": (["a"], "request 0 of annotation .* is not an object"),
    "duplicate keys": ('[{"name": "a", "name": "b"}]', 'has "name" twice'),
    "unknown field": ([{"name": "a", "enviroment": "A"}], 'unknown field "enviroment"; known: containers'),
    "no name": ([{"env": "A"}], "secret name"),
    "a name with a slash": ([{"name": "../x"}], "secret name"),
    "a name with a dot": ([{"name": "a.b"}], "secret name"),
    "a number as name": ([{"name": 7}], "secret name"),
    "env with =": ([{"name": "a", "env": "A=B"}], r'env "A=B" is not valid'),
    "env with a digit first": ([{"name": "a", "env": "1A"}], "env .* is not valid"),
    "env with NUL": ([{"name": "a", "env": "A\x00"}], "env .* is not valid"),
    "empty env": ([{"name": "a", "env": ""}], "env .* is not valid"),
    "env as a list": ([{"name": "a", "env": ["A"]}], "env .* is not valid"),
    "a name that makes no variable": ([{"name": "1bad"}], "say which with env"),
    "path upwards": ([{"name": "a", "file": "../../x"}], "has a part that is not allowed"),
    "path upwards inside": ([{"name": "a", "file": "x/../y"}], "has a part that is not allowed"),
    "path beginning with two dots": ([{"name": "a", "file": "..data"}], "has a part that is not allowed"),
    "absolute path": ([{"name": "a", "file": "/etc/passwd"}], "must be relative"),
    "empty path": ([{"name": "a", "file": ""}], "must be a relative path"),
    "path with an empty part": ([{"name": "a", "file": "x//y"}], "has a part that is not allowed"),
    "path ending in a slash": ([{"name": "a", "file": "x/"}], "has a part that is not allowed"),
    "path with a backslash": ([{"name": "a", "file": "x\\y"}], "has a part that is not allowed"),
    "path with NUL": ([{"name": "a", "file": "x\x00"}], "has a part that is not allowed"),
    "long path": ([{"name": "a", "file": "x/" * 300 + "y"}], "1 to 512 characters"),
    "two requests for one path": (
        [{"name": "a", "file": "x"}, {"name": "b", "file": "x"}],
        "two requests want file",
    ),
    "two requests for one env": (
        [{"name": "a", "env": "X"}, {"name": "b", "env": "X"}],
        "two requests want env",
    ),
    "the same request twice": ([{"name": "a"}, {"name": "a"}], "two requests want env"),
    "a file beside its folder": (
        [{"name": "a", "file": "a"}, {"name": "b", "file": "a/b"}],
        "can't be the folder",
    ),
    "the folder far below": (
        [{"name": "a", "file": "a/b/c"}, {"name": "b", "file": "a"}],
        "can't be the folder",
    ),
    "mode without file": ([{"name": "a", "mode": "0440"}], "mode is for files"),
    "mode as a number": ([{"name": "a", "file": "x", "mode": 440}], "octal in quotes"),
    "mode with setuid": ([{"name": "a", "file": "x", "mode": "4755"}], "octal in quotes"),
    "optional as text": ([{"name": "a", "optional": "yes"}], "optional must be true or false"),
    "no containers": ([{"name": "a", "containers": []}], "leave it out"),
    "containers as text": ([{"name": "a", "containers": "main"}], "leave it out"),
    "a container that can't be": ([{"name": "a", "containers": ["Main"]}], "container .* is not valid"),
}


@pytest.mark.parametrize(("requests", "text"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_understood_is_refused_by_name(requests: object, text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        parse(requests)


def test_too_many_requests_are_too_large() -> None:
    assert len(parse([{"name": f"n{index}"} for index in range(256)])) == 256
    with pytest.raises(TooLarge, match="257 requests, over the limit of 256"):
        parse([{"name": f"n{index}"} for index in range(257)])


def test_ten_thousand_requests_are_too_large() -> None:
    with pytest.raises(TooLarge, match="over the limit of 65536"):
        parse([{"name": f"n{index}"} for index in range(10_000)])


def test_one_place_in_two_containers_is_no_conflict() -> None:
    requests: list[dict[str, Any]] = [
        {"name": "a", "env": "X", "file": "f", "containers": ["one"]},
        {"name": "b", "env": "X", "file": "f", "containers": ["two"]},
    ]
    asked = PodRequests(parse(requests))
    assert [asked.wanted(name).env for name in ("one", "two", "three")] == [(0,), (1,), ()]
    asked = PodRequests(parse([*requests, {"name": "c", "env": "X"}]))
    assert asked.wanted("three").env == (2,)
    with pytest.raises(InvalidArgument, match="two requests want env"):
        asked.wanted("one")


def test_many_containers_are_too_large() -> None:
    names = [f"c{index}" for index in range(33)]
    assert parse([{"name": "a", "containers": names[:32]}])
    with pytest.raises(TooLarge, match="33 names, over the limit of 32"):
        parse([{"name": "a", "containers": names}])


def test_a_hostile_object_is_refused_in_no_time() -> None:
    pairs = ",".join(f'"k{index}":1' for index in range(6000))
    begun = time.process_time()
    with pytest.raises(InvalidArgument, match="twice in one request"):
        parse(f'[{{{pairs},"k5999":1}}]')
    assert time.process_time() - begun < 0.5


def test_the_claim_is_in_the_labels() -> None:
    assert ours.claim(ObjectMeta()) == Claim()
    assert ours.claim(ObjectMeta(labels={PROJECT: "shop"})) == Claim("shop")
    assert ours.claim(ObjectMeta(labels={PROJECT: "shop", DOMAIN_LABEL: "dev"})) == Claim("shop", "dev")


@pytest.mark.parametrize("text", ["Shop", "a_b", "../x", "", "shоp"])
def test_a_claim_that_cannot_be_a_scope_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"domain .* is not valid"):
        ours.claim(ObjectMeta(labels={DOMAIN_LABEL: text}))
