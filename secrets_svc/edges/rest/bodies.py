"""JSON bodies, parsed strictly: what two readers could take for two things is refused (I5)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.edges.rest.shapes import CreateIn, UpdateIn, ValueIn

#: Other fields are not repeated: what is no name of ours may be a secret in the wrong place.
_FIELDS = frozenset({*CreateIn.model_fields, *UpdateIn.model_fields, *ValueIn.model_fields})


class StrictBodies(APIRoute):
    """A route that parses its body with :func:`parse`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, behind the parsing, whose errors so reach our handlers as they are."""
        handle = super().get_route_handler()
        has_body = self.body_field is not None

        async def strictly(request: Request) -> Response:
            strict = _StrictRequest(request.scope, request.receive)
            if has_body and await strict.body():
                await strict.json()
            return await handle(strict)

        return strictly


class _StrictRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_json"):
            self._json = parse(await self.body())
        return self._json


def parse(body: bytes) -> Any:
    """The content of a JSON text (RFC 8259) in UTF-8 whose objects have each key once.

    :raises InvalidArgument: it isn't one.
    """
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise InvalidArgument("the body is not valid JSON") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        counted = Counter(key for key, _ in pairs)
        doubled = next(key for key, times in counted.items() if times > 1)
        what = f'field "{doubled}"' if doubled in _FIELDS else "a field of the body"
        raise InvalidArgument(f"{what} is given twice")
    return found


def _refuse_constant(name: str) -> NoReturn:
    """NaN and the infinities, which Python's parser takes though JSON has none."""
    raise ValueError(name)
