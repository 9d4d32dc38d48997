"""Scopes as callers name them.

Records of this package are named tuples: making a dataclass costs the command line 0.5 ms at every start.
"""

from __future__ import annotations

from typing import NamedTuple

from secrets_svc.core.scope import validate_label


class ScopeParts(NamedTuple):
    """A scope as a caller names it: the server fills in an organization that is left out."""

    organization: str | None = None
    domain: str | None = None
    project: str | None = None

    def as_dict(self) -> dict[str, str]:
        """The parts that are there.

        :raises InvalidArgument: one isn't legal.
        """
        return {kind: validate_label(kind, text) for kind, text in self._asdict().items() if text is not None}
