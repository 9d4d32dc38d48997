"""The decorator, around every kind of function."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from secrets_svc.task import (
    InvalidRequest,
    Secret,
    SecretsMissing,
    requests_of,
    requires_secrets,
    secrets,
)

URL = Secret("db-url", env="REPORT_DB")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPORT_DB", "canary-url")
    for name in ("SECRET_LOCAL_STATE", "SECRET_FILES", "SECRET_PROJECT", "SECRET_DOMAIN", "DB_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@requires_secrets(URL)
def report(number: int, *, word: str = "w") -> tuple[int, str, str]:
    """What it is about."""
    return number, word, secrets.get("db-url")


def test_a_function_stays_what_it_is() -> None:
    assert report(1, word="x") == (1, "x", "canary-url")
    assert (report.__name__, report.__doc__) == ("report", "What it is about.")
    assert list(inspect.signature(report).parameters) == ["number", "word"]
    assert requests_of(report) == (URL,)


def test_a_coroutine_function_stays_one() -> None:
    @requires_secrets(URL)
    async def fetch() -> str:
        await asyncio.sleep(0)
        return secrets.get("db-url")

    assert inspect.iscoroutinefunction(fetch)

    async def several() -> list[str]:
        return list(await asyncio.gather(fetch(), fetch()))

    assert asyncio.run(several()) == ["canary-url", "canary-url"]


def test_a_coroutine_that_nobody_finishes_can_be_closed_from_anywhere() -> None:
    @requires_secrets(URL)
    async def waits() -> None:
        await asyncio.Future()

    loop = asyncio.new_event_loop()

    async def begin() -> Any:
        begun: Any = waits()
        contextvars.copy_context().run(begun.send, None)
        return begun

    begun = loop.run_until_complete(begin())
    loop.close()
    begun.close()
    with pytest.raises(SecretsMissing):
        secrets.get("db-url")


def test_a_generator_stays_one_and_declares_only_while_it_runs() -> None:
    closed = []

    @requires_secrets(URL)
    def numbers() -> Iterator[Any]:
        try:
            got = yield secrets.get("db-url")
            try:
                yield got, secrets.get("db-url")
            except KeyError:
                yield "caught", secrets.get("db-url")
        finally:
            closed.append(secrets.get("db-url"))

    assert inspect.isgeneratorfunction(numbers)
    running: Any = numbers()
    assert next(running) == "canary-url"
    with pytest.raises(SecretsMissing):
        secrets.get("db-url")  # here nobody asked for it in that place
    assert running.send("sent") == ("sent", "canary-url")
    assert running.throw(KeyError()) == ("caught", "canary-url")
    running.close()
    assert closed == ["canary-url"]


def test_what_a_generator_returns_and_raises_comes_through() -> None:
    @requires_secrets(URL)
    def once(*, fails: bool) -> Any:
        yield 1
        if fails:
            raise KeyError("own")
        return "end"

    def outer() -> Any:
        return (yield from once(fails=False))

    running = outer()
    next(running)
    with pytest.raises(StopIteration) as stopped:
        next(running)
    assert stopped.value.value == "end"
    with pytest.raises(KeyError, match="own"):
        list(once(fails=True))


def test_an_async_generator_stays_one() -> None:
    closed = []

    @requires_secrets(URL)
    async def numbers() -> AsyncIterator[Any]:
        try:
            got = yield secrets.get("db-url")
            try:
                yield got, secrets.get("db-url")
            except KeyError:
                yield "caught", secrets.get("db-url")
        finally:
            closed.append(secrets.get("db-url"))

    async def use() -> None:
        running: Any = numbers()
        assert await anext(running) == "canary-url"
        with pytest.raises(SecretsMissing):
            secrets.get("db-url")
        assert await running.asend("sent") == ("sent", "canary-url")
        assert await running.athrow(KeyError()) == ("caught", "canary-url")
        await running.aclose()
        async for each in numbers():
            assert each == "canary-url"
            break
        await asyncio.sleep(0)

    assert inspect.isasyncgenfunction(numbers)
    asyncio.run(use())
    assert closed == ["canary-url", "canary-url"]


def test_a_generator_looks_when_it_begins_to_run() -> None:
    @requires_secrets("db-password")
    def numbers() -> Iterator[int]:
        yield 1

    running = numbers()
    with pytest.raises(SecretsMissing, match=r"numbers\(\) needs a secret"):
        next(running)


class Task:
    """Has methods of every kind."""

    @requires_secrets(URL)
    def method(self) -> tuple[str, str]:
        return type(self).__name__, secrets.get("db-url")

    @classmethod
    @requires_secrets(URL)
    def of_class(cls) -> tuple[str, str]:
        return cls.__name__, secrets.get("db-url")

    @requires_secrets(URL)
    @staticmethod
    def of_nobody() -> str:
        return secrets.get("db-url")

    @requires_secrets(URL)
    @classmethod
    def the_other_way(cls) -> tuple[str, str]:
        return cls.__name__, secrets.get("db-url")


def test_methods() -> None:
    task = Task()
    assert task.method() == task.of_class() == task.the_other_way() == ("Task", "canary-url")
    assert Task.of_nobody() == "canary-url"
    for each in (task.method, Task.method, Task.of_class, Task.of_nobody, Task.the_other_way):
        assert requests_of(each) == (URL,)


def test_several_decorators_add_up() -> None:
    @requires_secrets("db-password", URL)
    @requires_secrets(URL, "api-key")
    def both() -> None: ...

    assert requests_of(both) == (Secret("db-password"), URL, Secret("api-key"))
    with pytest.raises(InvalidRequest, match="two requests want env"):
        requires_secrets(Secret("other", env="REPORT_DB"))(report)


def test_requests_are_found_below_other_decorators() -> None:
    class Framework:
        """Keeps a function as Flyte's and Prefect's tasks do."""

        def __init__(self, function: Any) -> None:
            self.func = function

    @functools.wraps(report)
    def around() -> None: ...

    assert requests_of(Framework(around)) == requests_of(functools.partial(report, 1)) == (URL,)
    assert requests_of(print) == requests_of(None) == ()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: requires_secrets(print), r'write @requires_secrets\("NAME", …\)'),
        (requires_secrets, "names no secret"),
        (lambda: requires_secrets("a/b"), "secret name"),
        (lambda: requires_secrets(7), "a request is a name or a Secret"),
        (lambda: requires_secrets("a", Secret("b", env="A")), "two requests want env"),
        (lambda: requires_secrets("a")(Task), "is for functions, not for something of type type"),
        (lambda: requires_secrets("a")(7), "is for functions, not for something of type int"),
    ],
)
def test_misuse_is_told_at_once(make: Any, text: str) -> None:
    with pytest.raises(InvalidRequest, match=text):
        make()


def test_all_that_is_missing_is_told_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_PROJECT", "shop")
    monkeypatch.setenv("SECRET_FILES", "/nonexistent")
    called = []

    @requires_secrets(URL, "db-password", Secret("tls", file="a b/key.pem"), Secret("extra", optional=True))
    def task() -> None:
        called.append(1)

    with pytest.raises(SecretsMissing) as caught:
        task()
    assert called == []
    assert caught.value.names == ("db-password", "tls")
    assert caught.value.code == "not_found"
    assert str(caught.value).splitlines() == [
        f"{task.__qualname__}() needs 2 secrets that are not here:",
        "  db-password: variable DB_PASSWORD is not set",
        "  tls: file /nonexistent/a b/key.pem is not there",
        "What doesn't exist yet is created by:",
        "  secret create db-password -p shop",
        "  secret create tls -p shop",
        "What exists is given to a pod that asks for it by this annotation:",
        '  secrets-svc.internal/request: \'[{"name": "db-password", "env": "DB_PASSWORD"}, '
        '{"name": "tls", "file": "a b/key.pem"}]\'',
        "and to a process on this machine by:",
        "  secret run -p shop --env db-password=DB_PASSWORD --file tls='a b/key.pem' -- COMMAND",
    ]


def test_what_secret_run_cannot_bring_is_not_advised_from_it() -> None:
    with pytest.raises(SecretsMissing) as caught:
        requires_secrets(Secret("a", version="v1"))(print)()
    assert "\n  secret history a -p PROJECT -d DOMAIN\n" in str(caught.value)
    assert "secret run" not in str(caught.value)
    assert "secret create" not in str(caught.value)  # which makes no version that somebody can name


def test_threads_have_requests_of_their_own() -> None:
    seen: list[object] = []

    @requires_secrets(URL)
    def task() -> None:
        def other() -> None:
            try:
                seen.append(secrets.get("db-url"))
            except SecretsMissing as error:
                seen.append(error.names)
            seen.append(secrets.get(URL))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    task()
    assert seen == [("db-url",), "canary-url"]
