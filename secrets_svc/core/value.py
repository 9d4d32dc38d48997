"""The one type in which a secret's bytes travel.

Printing, formatting, pickling or serialising it never shows them. ``reveal_bytes`` is the only way in;
a test lists the modules that may call it.
"""

from __future__ import annotations

from typing import Any, NoReturn

MASK = "***"


class SecretValue:
    """Bytes that must not be shown.

    :param data: the exact bytes; empty is allowed.
    """

    __slots__ = ("__data",)

    def __init__(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError("SecretValue takes bytes")
        self.__data = data

    def reveal_bytes(self) -> bytes:
        """The bytes themselves. Call it as late as possible, and don't keep what it returns."""
        return self.__data

    def __len__(self) -> int:
        """Size in bytes: metadata, not a secret."""
        return len(self.__data)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"SecretValue({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretValue):
            return NotImplemented
        from hmac import compare_digest  # loads OpenSSL, which no command line should wait for

        return compare_digest(self.__data, other.__data)

    __hash__ = None  # type: ignore[assignment]  # a hash in a dict would outlive the value

    def __copy__(self) -> SecretValue:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> SecretValue:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a SecretValue can't be pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a SecretValue has no state to show")
