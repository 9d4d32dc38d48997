"""Whether what a function asks for is there, and what is said where it isn't."""

from __future__ import annotations

import os

from secrets_svc.task import local_state, places, rules
from secrets_svc.task.annotations import text_of
from secrets_svc.task.errors import SecretsMissing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from secrets_svc.task.requests import Secret


def ensure(requests: Sequence[Secret], what: str, folder: str | None) -> None:
    """Have all ``requests`` here, from the state folder ``folder`` where one is named.

    :param what: asks for them, for the message.
    :raises SecretsMissing: some are not, and the task can't do without them.
    :raises LocalStateError: the state folder couldn't be asked.
    """
    needed = [each for each in requests if not each.optional]
    lacking = frozenset() if folder is None else local_state.fetch(requests, folder)
    missing = [each for each in needed if places.absences(each) and (not lacking or each.name in lacking)]
    if missing:
        raise SecretsMissing(_message(missing, what, folder), [each.name for each in missing])


def _message(missing: list[Secret], what: str, folder: str | None) -> str:
    lines = [f"{what} needs {_counted(len(missing))} not here:"]
    lines += [f"  {each.name}: {', '.join(places.absences(each))}" for each in missing]
    scope = _scope()
    where = f" (state folder {folder}):" if folder else ":"
    new = dict.fromkeys(each.name for each in missing if each.version is None)
    if new:
        lines.append("What doesn't exist yet is created by" + where)
        lines += [f"  secret create {name} {scope}" for name in new]
    pinned = dict.fromkeys(each.name for each in missing if each.version is not None)
    if pinned:
        lines.append("Which versions are kept is told by" + where)
        lines += [f"  secret history {name} {scope}" for name in pinned]
    lines.append("What exists is given to a pod that asks for it by this annotation:")
    lines.append(f"  {rules.REQUEST}: '{text_of(tuple(missing))}'")
    if all(each.version is None and each.field is None for each in missing):
        lines.append("and to a process on this machine by:")
        lines.append(f"  secret run {scope} {' '.join(map(_options, missing))} -- COMMAND")
    return "\n".join(lines)


def _counted(number: int) -> str:
    return "a secret that is" if number == 1 else f"{number} secrets that are"


def _scope() -> str:
    """The scope as options, with words where this process doesn't know it."""
    project, domain = os.environ.get("SECRET_PROJECT"), os.environ.get("SECRET_DOMAIN")
    if not project and not domain:
        project, domain = "PROJECT", "DOMAIN"
    return " ".join(([f"-p {project}"] if project else []) + ([f"-d {domain}"] if domain else []))


def _options(secret: Secret) -> str:
    env = [] if secret.env is None else [f"--env {secret.name}={secret.env}"]
    file = [] if secret.file is None else [f"--file {secret.name}='{secret.file}'"]
    return " ".join(env + file)
