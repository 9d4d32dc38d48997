"""Errors as the command line shows them: one line on stderr, and an exit code that scripts can go by."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from secrets_svc.core.errors import Internal, SecretsError, Unsupported

#: Exit code of every error code; 130 is an interrupt, 2 also a command line that can't be parsed.
EXIT_CODES = {
    "invalid_argument": 2,
    "unsupported": 2,
    "too_large": 2,
    "unauthenticated": 5,
    "permission_denied": 5,
    "not_found": 3,
    "already_exists": 4,
    "conflict": 4,
    "throttled": 6,
    "quota_exceeded": 6,
    "unavailable": 6,
    "deadline_exceeded": 6,
    "internal": 1,
}
_OURS = ("cli", "injector", "secrets_svc")


def exit_code(error: SecretsError) -> int:
    """The process's exit code for ``error``."""
    return EXIT_CODES.get(error.code, 1)


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a command line asks for JSON, also one that can't be parsed. What follows ``--`` isn't ours."""
    previous = ""
    for argument in arguments:
        if argument == "--":
            return False
        if argument in {"-ojson", "-o=json", "--output=json"}:
            return True
        if argument == "json" and previous in {"-o", "--output"}:
            return True
        previous = argument
    return False


def report(error: SecretsError, *, as_json: bool) -> int:
    """Print ``error`` on stderr; returns the exit code."""
    from cli.output import escape

    if as_json:
        import json

        shown: dict[str, object] = {"code": error.code, "detail": error.message, "retryable": error.retryable}
        request_id = getattr(error.__cause__, "request_id", None)
        if request_id is not None:
            shown["request_id"] = request_id
        sys.stderr.write(json.dumps(shown) + "\n")
    else:
        sys.stderr.write(f"secret: {error.code}: {escape(error.message)}\n")
    _trace(error)
    return exit_code(error)


def from_refusal(kind: type[SecretsError], message: str, about: str = "") -> SecretsError:
    """A refusal of the injector's as an error; its code, which every error is shown with, leaves the text.

    :param kind: stands for the refusal's code. :param about: put in front, such as ``Pod report``.
    """
    text = message.removeprefix(f"{kind.code}: ")
    if text == message:
        text = message.replace(f": {kind.code};", ":", 1)
    return kind(f"{about}: {text}" if about else text)


def from_unexpected(error: Exception) -> SecretsError:
    """What to report for an exception that nobody expected; its text, which may hold a value, stays out."""
    if isinstance(error, ModuleNotFoundError) and (error.name or "").partition(".")[0] not in _OURS:
        return Unsupported(
            f"this needs the module {error.name}, which the plain install leaves out: "
            'pip install "secrets-svc[server]"'
        )
    hint = "" if _debugging() else "; SECRET_DEBUG=1 shows where"
    reason = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
    wrapped = Internal(f"unexpected {type(error).__name__}{reason}{hint}")
    wrapped.__cause__ = error
    return wrapped


def _debugging() -> bool:
    return os.environ.get("SECRET_DEBUG", "") not in {"", "0"}


def _trace(error: BaseException) -> None:
    """Where ``error`` came from, with SECRET_DEBUG=1: lines of code, never texts of exceptions or locals."""
    if not _debugging():
        return
    import traceback

    seen: BaseException | None = error
    for _ in range(20):
        if seen is None:
            return
        sys.stderr.write(f"{type(seen).__module__}.{type(seen).__name__}:\n")
        sys.stderr.writelines(traceback.format_tb(seen.__traceback__))
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
