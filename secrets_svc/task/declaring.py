"""The decorator: a function says which secrets it needs, and runs where they are."""

from __future__ import annotations

import functools
import os

from secrets_svc.task import local_state
from secrets_svc.task.errors import InvalidRequest
from secrets_svc.task.presence import ensure
from secrets_svc.task.requests import Secret, together
from secrets_svc.task.running import Running

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from typing import Any, TypeVar

    from secrets_svc.task.requests import Request

    F = TypeVar("F", bound=Callable[..., Any])

#: Attribute of a decorated function.
_REQUESTS = "__secret_requests__"
#: What decorators around ours keep the function as: functools, methods, Flyte 2, Flyte 1, Prefect.
_INNER = ("__wrapped__", "__func__", "func", "task_function", "fn")
_MAX_DEPTH = 32


def requires_secrets(
    *requests: Request, local_state: str | os.PathLike[str] | None = None
) -> Callable[[F], F]:
    """Declare that a function needs secrets, and see at each call that they are here.

    For functions, coroutine functions, generators of both kinds and methods. A generator looks when it begins
    to run, and only then tells of wrong arguments: what would do so at the call wouldn't be a generator
    function for ``inspect`` and who asks it.

    :param requests: names, or :class:`~secrets_svc.task.Secret` where a name doesn't say it all.
    :param local_state: state folder of this machine to take them from where they aren't here; by default the
        one that ``SECRET_LOCAL_STATE`` names, if any. The scope is that of ``SECRET_PROJECT`` and
        ``SECRET_DOMAIN``.
    :raises InvalidRequest: the injector would refuse such requests, and why.
    """
    if _is_bare(requests):
        raise InvalidRequest('@requires_secrets needs the names: write @requires_secrets("NAME", …)')
    if not requests:
        raise InvalidRequest('@requires_secrets() names no secret: write @requires_secrets("NAME", …)')
    made = together(requests)

    def decorate(function: F) -> F:
        decorated: F = _decorated(function, made, local_state)
        return decorated

    return decorate


def _is_bare(requests: tuple[object, ...]) -> bool:
    """Whether it stands above a function without parentheses."""
    return len(requests) == 1 and not isinstance(requests[0], (str, Secret)) and callable(requests[0])


def requests_of(function: object) -> tuple[Secret, ...]:
    """What ``function`` declares that it needs; nothing, if it declares nothing.

    Other decorators may be around ours, as long as they keep the function as ``functools.wraps`` does.
    """
    for _ in range(_MAX_DEPTH):
        found = getattr(function, _REQUESTS, None)
        if isinstance(found, tuple):
            return found
        inner = next((each for each in (getattr(function, name, None) for name in _INNER) if each), None)
        if inner is None:
            return ()
        function = inner
    return ()


def _decorated(function: Any, requests: tuple[Secret, ...], folder: Any) -> Any:
    if isinstance(function, (staticmethod, classmethod)):
        return type(function)(_decorated(function.__func__, requests, folder))
    if isinstance(function, type) or not callable(function):
        raise InvalidRequest(
            f"@requires_secrets is for functions, not for something of type {type(function).__name__}"
        )
    wrapper = _wrapped(function, _Needs(requests, _name_of(function), folder))
    # The decorators below this one count too.
    setattr(wrapper, _REQUESTS, together((*requests, *requests_of(function))))
    return wrapper


class _Needs:
    """What a function needs. Plain data, so that frameworks can send the function elsewhere."""

    def __init__(self, requests: tuple[Secret, ...], what: str, folder: Any) -> None:
        self.requests = requests
        self.what = what
        self.folder = folder

    def ensured(self) -> Running:
        """Enter it to run the function. Raises where something is missing."""
        ensure(self.requests, self.what, local_state.chosen_folder(self.folder))
        return Running(self.requests)

    def running(self) -> Running:
        """As :meth:`ensured`, for what goes on."""
        return Running(self.requests)


def _name_of(function: Any) -> str:
    return f"{getattr(function, '__qualname__', type(function).__name__)}()"


def _wrapped(function: Any, needs: _Needs) -> Any:
    import inspect  # slow to import, and nothing but a definition needs it

    if inspect.isasyncgenfunction(function):
        return _async_generator(function, needs)
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, needs)
    if inspect.isgeneratorfunction(function):
        return _generator(function, needs)
    return _function(function, needs)


def _function(function: Any, needs: _Needs) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with needs.ensured():
            return function(*args, **kwargs)

    return wrapper


def _coroutine(function: Any, needs: _Needs) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with needs.ensured():
            return await function(*args, **kwargs)

    return wrapper


def _generator(function: Any, needs: _Needs) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from _stepped(function(*args, **kwargs), needs))

    return wrapper


def _stepped(inner: Generator[Any, Any, Any], needs: _Needs) -> Generator[Any, Any, Any]:
    """``inner``, with its requests declared while it runs and not while whoever iterates does."""
    step: Callable[[], Any] = functools.partial(next, inner)
    running = needs.ensured()
    while True:
        try:
            with running:
                item = step()
        except StopIteration as stop:
            return stop.value
        running = needs.running()
        try:
            sent = yield item
        except GeneratorExit:
            with running:
                inner.close()
            raise
        except BaseException as error:  # whatever is thrown in is the generator's own
            step = functools.partial(inner.throw, error)
        else:
            step = functools.partial(inner.send, sent)


def _async_generator(function: Any, needs: _Needs) -> Any:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner = function(*args, **kwargs)
        step: Callable[[], Any] = inner.__anext__
        running = needs.ensured()
        while True:
            try:
                with running:
                    item = await step()
            except StopAsyncIteration:
                return
            running = needs.running()
            try:
                sent = yield item
            except GeneratorExit:
                with running:
                    await inner.aclose()
                raise
            except BaseException as error:  # whatever is thrown in is the generator's own
                step = functools.partial(inner.athrow, error)
            else:
                step = functools.partial(inner.asend, sent)

    return wrapper
