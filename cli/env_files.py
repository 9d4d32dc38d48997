"""Files of NAME=VALUE lines. One strict reading, where dotfile dialects differ: what is unclear is refused.

    # a comment
    db-password=s3cr3t-and-no-spaces
    export motd='as it stands here, $ and # and all'
    greeting="one\\ntwo"

Messages name lines, never what is on them.
"""

from __future__ import annotations

import re

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.secret import validate_name
from secrets_svc.core.value import SecretValue

_LINE = re.compile(r"(?:export[ \t]+)?([^=\s]+)=(.*)", re.DOTALL)
_SINGLE = re.compile(r"'([^']*)'[ \t]*")
_DOUBLE = re.compile(r'"((?:[^"\\$`]|\\["\\$`nrt])*)"[ \t]*')
# Characters over which dialects disagree when there are no quotes around them.
_PLAIN = re.compile(r"""[^\s"'\\$`#][^\s"'\\$`]*|""")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def parse_env_file(data: bytes, source: str) -> dict[str, SecretValue]:
    """Names and values, in the order of the file.

    :param source: the file's name, for messages.
    :raises InvalidArgument: a line that isn't clear, an illegal name, or a name that comes twice.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise InvalidArgument(f"{source}, line {number}: not valid UTF-8") from None
    found: dict[str, SecretValue] = {}
    lines: dict[str, int] = {}
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.removesuffix("\r").strip(" \t")
        if not line or line.startswith("#"):
            continue
        name, value = _entry(line, f"{source}, line {number}")
        if name in found:
            raise InvalidArgument(f"{source}, line {number}: the same name as in line {lines[name]}")
        found[name] = SecretValue(value.encode())
        lines[name] = number
    if not found:
        raise InvalidArgument(f"{source} has no NAME=VALUE line")
    return found


def _entry(line: str, where: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if match is None:
        raise InvalidArgument(f"{where}: not NAME=VALUE (a value of several lines is given with -f FILE)")
    try:
        name = validate_name(match[1])
    except InvalidArgument:
        raise InvalidArgument(
            f"{where}: not a legal name: letters, digits, '-' and '_', 1 to 128 characters"
        ) from None
    return name, _value(match[2], where)


def _value(text: str, where: str) -> str:
    if "\x00" in text or "\r" in text:
        raise InvalidArgument(f"{where}: a control character in the value; use -f FILE")
    if single := _SINGLE.fullmatch(text):
        return single[1]
    if double := _DOUBLE.fullmatch(text):
        return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), double[1])
    if _PLAIN.fullmatch(text):
        return text
    raise InvalidArgument(
        f'{where}: put the value in single quotes (double quotes take \\n, \\r, \\t, \\", \\\\ and \\$); '
        "as it stands, programs differ in how they read it"
    )
