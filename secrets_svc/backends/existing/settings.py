"""The setting ``existing`` of stores."""

from __future__ import annotations

import re

from pydantic import AfterValidator

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.templates import PathTemplate


def template(characters: str, *, parts: int | None = None) -> AfterValidator:
    """Of a :class:`~secrets_svc.core.templates.PathTemplate`.

    :param characters: of its text, as in a regular expression's set. :param parts: at most, between ``/``.
    """

    def check(text: str) -> str:
        try:
            found = PathTemplate(text)
        except InvalidArgument as error:
            raise ValueError(error.message) from None
        if parts is not None and len(found.segments) > parts:
            raise ValueError(f"must have at most {parts} parts with '/' between them")
        if not re.fullmatch(f"[{characters}]*", found.text):
            raise ValueError(f"must have nothing but [{characters}] beside its placeholders")
        return text

    return AfterValidator(check)
