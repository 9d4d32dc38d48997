"""Where a value comes from: a file, a pipe, or somebody at a terminal. Never an argument."""

from __future__ import annotations

import os
import stat
import sys
from typing import BinaryIO, NoReturn

from cli.output import note
from secrets_svc.core.errors import InvalidArgument, TooLarge
from secrets_svc.core.scope import shown
from secrets_svc.core.value import SecretValue

#: Bytes. No store holds more; a server's own limits are lower.
MAX_VALUE = 8 * 1024 * 1024
# A terminal in canonical mode hands over 4096 bytes of a line, its end included, and silently drops the rest
# (termios(3)).
_MAX_LINE = 4094


def refuse_argument(usage: str) -> NoReturn:
    """Refuse a value that was given as an argument, without repeating it.

    :param usage: the command line without the value.
    :raises InvalidArgument: always.
    """
    raise InvalidArgument(
        "a value is never an argument: the shell's history and the list of processes would show it (so "
        f'change the one you typed); type "{usage}" and be asked for it, or "{usage} -f FILE"'
    )


def read_value(file: str | None, *, prompt: str, strip_newline: bool = False) -> SecretValue:
    """The value from ``file`` (``-``: standard input); without one from a prompt, or what is piped in.

    The bytes are taken as they are.

    :param prompt: what to ask for, e.g. ``value of db-password``.
    :param strip_newline: leave out one line end at the end.
    :raises InvalidArgument: there is no value to be had. :raises TooLarge: over 8 MiB.
    """
    if file is not None:
        data = read_file(file)
    elif sys.stdin is None or sys.stdin.isatty():
        return prompt_value(prompt)
    else:
        data = _piped()
    if strip_newline:
        data = data.removesuffix(b"\n").removesuffix(b"\r") if data.endswith(b"\n") else data
    elif data.endswith(b"\n"):
        note(f"the value is {len(data)} bytes and ends in a newline; --strip-newline leaves that out")
    return SecretValue(data)


def read_file(file: str, *, limit: int = MAX_VALUE) -> bytes:
    """All bytes of ``file`` (``-``: standard input), read no further than ``limit``.

    :raises InvalidArgument: it can't be read. :raises TooLarge: it is longer.
    """
    try:
        if file == "-":
            if _stdin().isatty():
                note("the terminal shows what is typed; Ctrl-D ends it, Ctrl-C gives up")
            return _bounded(_stdin(), "the standard input", limit)
        with open(file, "rb") as stream:
            return _bounded(stream, f"file {file}", limit)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else "not a legal name"
        raise InvalidArgument(f"file {shown(file)} can't be read: {reason}") from error


def _bounded(stream: BinaryIO, what: str, limit: int) -> bytes:
    status = os.fstat(stream.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size > limit:
        raise TooLarge(f"{what} has {status.st_size} bytes, more than {limit}")
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise TooLarge(f"{what} has more than {limit} bytes")
    return data


def _stdin() -> BinaryIO:
    if sys.stdin is None:
        raise InvalidArgument("the standard input is closed")
    return sys.stdin.buffer


def _piped() -> bytes:
    """What is piped in. Nothing at all is more likely an accident (cron, a failed command) than a value."""
    mode = os.fstat(_stdin().fileno()).st_mode
    data = b""
    if stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode):
        data = _bounded(_stdin(), "the standard input", MAX_VALUE)
    if not data:
        raise InvalidArgument(
            "there is no value: the standard input is neither a terminal nor holds anything; name a file "
            'with -f FILE (an empty value: "-f /dev/null")'
        )
    return data


def prompt_value(prompt: str) -> SecretValue:
    """Ask twice on the terminal, without showing what is typed.

    :raises InvalidArgument: the entries differ, or one is not what a terminal can hand over.
    """
    first = prompt_hidden(f"{prompt}: ")
    if first != prompt_hidden("again: "):
        raise InvalidArgument("the two entries differ; nothing was sent")
    return first


def prompt_hidden(prompt: str) -> SecretValue:
    """Ask once on the terminal, without showing what is typed.

    :raises InvalidArgument: nothing was typed, or what a terminal can't hand over whole.
    """
    import getpass
    import warnings

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", getpass.GetPassWarning)
            entry = getpass.getpass(prompt).encode("utf-8", "surrogateescape")
    except getpass.GetPassWarning:
        raise InvalidArgument("this terminal would show what is typed; use -f FILE") from None
    except EOFError:
        raise InvalidArgument("nothing was typed") from None
    except UnicodeDecodeError:
        raise InvalidArgument("what was typed is not valid UTF-8; use -f FILE") from None
    if not entry:
        raise InvalidArgument('nothing was typed (an empty value: "-f /dev/null")')
    if len(entry) >= _MAX_LINE:
        raise InvalidArgument("a terminal hands over fewer than 4094 bytes of a line whole; use -f FILE")
    return SecretValue(entry)
