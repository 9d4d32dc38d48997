"""What stands in one annotation of Flyte's: base32 of a text-format protobuf of ``flyteidl.core.Secret``.

The message is flat and has five fields, so this reads it directly: a general parser takes milliseconds over a
hostile text, in which all other pods wait. A test holds it to protobuf's own.
"""

from __future__ import annotations

import base64
import binascii
import enum
import re
from collections.abc import Callable
from dataclasses import dataclass

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import shown

#: Flyte's alphabet (flyteplugins ``encoding/encoder.go``) and the one of RFC 4648, digit by digit.
_ALPHABET = "abcdefghijklmnopqrstuvwxyz123456"
_TO_RFC = str.maketrans(_ALPHABET, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
_ENCODED = re.compile(f"[{_ALPHABET}\r\n]*")  # Go's decoder passes over line ends

_GAP = re.compile(rb"(?:[ \t\r\n]+|#[^\n]*)*")
_FIELD = re.compile(rb"([A-Za-z_][A-Za-z0-9_]*)")
_STRING = re.compile(rb"\"((?:[^\"\\\n]|\\[^\n])*)\"|'((?:[^'\\\n]|\\[^\n])*)'")
_ESCAPE = re.compile(
    rb"\\(?:([0-7]{1,3})|[xX]([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([abfnrtv?'\"\\]))"
    rb"|\\(.)"
)
_SINGLE = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
#: Strings in a row that are one; the SDKs write one.
_MAX_PIECES = 16
_ENUM = re.compile(rb"(?:[A-Za-z_][A-Za-z0-9_]*|0[xX][0-9A-Fa-f]+|0|[1-9][0-9]*)(?![A-Za-z0-9_.])")


class Mount(enum.Enum):
    """``Secret.MountType`` (flyteidl ``core/security.proto``)."""

    ANY = 0
    ENV_VAR = 1
    FILE = 2


@dataclass(frozen=True, slots=True)
class FlyteSecret:
    """One request as Flyte's SDKs write it; empty where nothing is said."""

    group: str = ""
    group_version: str = ""
    key: str = ""
    mount: Mount = Mount.ANY
    env_var: str = ""


def decode(text: str) -> FlyteSecret:
    """The request in an annotation's value.

    :raises InvalidArgument: it is none; the message says what is wrong and repeats nothing long.
    """
    return parse(_base32(text))


def _base32(text: str) -> bytes:
    if not _ENCODED.fullmatch(text):
        raise InvalidArgument("it is not base32 in Flyte's alphabet (a to z, 1 to 6, without padding)")
    digits = text.replace("\r", "").replace("\n", "").translate(_TO_RFC)
    try:
        return base64.b32decode(digits + "=" * (-len(digits) % 8))
    except binascii.Error:
        raise InvalidArgument("it is not base32 in Flyte's alphabet: it ends within a byte") from None


def parse(data: bytes) -> FlyteSecret:
    """The message that ``data`` is in protobuf's text format (protobuf.dev, "Text Format Language").

    :raises InvalidArgument: it isn't one: also for what is there twice, or unknown.
    """
    found: dict[str, str | Mount] = {}
    at = _skip(data, 0)
    while at < len(data):
        match = _FIELD.match(data, at)
        if match is None:
            raise _bad("a field's name is expected")
        name = match[1].decode()
        if name not in _READERS:
            raise InvalidArgument(f"it has an unknown field {shown(name)}; known: {', '.join(_READERS)}")
        if name in found:
            raise InvalidArgument(f"it has {name} twice")
        at = _skip(data, match.end())
        if data[at : at + 1] != b":":
            raise _bad(f'":" is expected behind {name}')
        found[name], at = _READERS[name](data, _skip(data, at + 1))
        at = _skip(data, at)
        if data[at : at + 1] in (b",", b";"):
            at = _skip(data, at + 1)
    mount = found.pop("mount_requirement", Mount.ANY)
    return FlyteSecret(mount=mount, **found)  # type: ignore[arg-type]  # the others are strings


def _skip(data: bytes, at: int) -> int:
    """Behind white space and comments."""
    match = _GAP.match(data, at)
    return match.end() if match else at


def _string(data: bytes, at: int) -> tuple[str, int]:
    """One string, or several in a row, which are one."""
    parts: list[bytes] = []
    end = at
    while match := _STRING.match(data, at):
        if len(parts) == _MAX_PIECES:
            raise _bad(f"a string has more than {_MAX_PIECES} pieces")
        parts.append(_ESCAPE.sub(_unescaped, match[1] if match[1] is not None else match[2]))
        end = match.end()
        at = _skip(data, end)
    if not parts:
        raise _bad("a string in quotes is expected")
    try:
        return b"".join(parts).decode(), end
    except UnicodeDecodeError:
        raise InvalidArgument("it has a string that is not UTF-8") from None


def _unescaped(match: re.Match[bytes]) -> bytes:
    octal, hexadecimal, short, long, single, unknown = match.groups()
    if octal is not None or hexadecimal is not None:
        code = int(octal, 8) if octal is not None else int(hexadecimal, 16)
        if code > 0xFF:
            raise _bad("an escape stands for no byte")
        return bytes([code])
    if short is not None or long is not None:
        try:
            return chr(int(short or long, 16)).encode()
        except (ValueError, OverflowError):  # beyond Unicode, or half of a character
            raise _bad("an escape stands for no character") from None
    if unknown is not None:
        raise _bad("an escape is unknown")
    return _SINGLE.get(single, single)


def _mount(data: bytes, at: int) -> tuple[Mount, int]:
    match = _ENUM.match(data, at)
    if match is None:
        raise _bad("mount_requirement must be ANY, ENV_VAR or FILE")
    word = match[0].decode()
    try:
        return (Mount(int(word, 0)) if word[0].isdigit() else Mount[word]), match.end()
    except (KeyError, ValueError):
        raise InvalidArgument(f"mount_requirement {shown(word)} is not known: ANY, ENV_VAR or FILE") from None


def _bad(what: str) -> InvalidArgument:
    return InvalidArgument(f"it is not a Secret in protobuf's text format: {what}")


_Reader = Callable[[bytes, int], tuple["str | Mount", int]]
_READERS: dict[str, _Reader] = {
    "group": _string,
    "group_version": _string,
    "key": _string,
    "mount_requirement": _mount,
    "env_var": _string,
}
