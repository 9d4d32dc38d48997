"""Secrets from a state folder for this very process: what ``secrets_svc.task`` finds by entry point.

A task of one's own machine gets what ``secret run`` would give it, through the same code. It stays to the end
of the process, as in a pod.
"""

from __future__ import annotations

import atexit
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from cli.context import Context, load_context
from cli.scopes import ScopeOptions, choose_filter
from cli.task_environment import environment_of
from cli.task_files import FILES_VARIABLE, OWN_FILES_VARIABLE, add_files, task_folder
from cli.task_reading import read_task
from injector.dialects import ours
from injector.keys import REQUEST
from injector.local_task import TaskFile, TaskRequest
from injector.requests import Claim
from injector.review import ObjectMeta
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import Scope
from secrets_svc.runtime.settings import Settings


def deliver(annotation: str, folder: str) -> tuple[str, ...]:
    """Put what ``annotation`` asks for into this process' environment and files; returns what is absent.

    Nothing is put anywhere if something that isn't optional is absent. Safe for threads.

    :param folder: the state folder. The scope is that of ``SECRET_PROJECT`` and ``SECRET_DOMAIN``, else that
        of the context whose state folder it is.
    :raises SecretsError: no scope is given, a value can't be what is asked of it, or the store failed.
    """
    return _DELIVERY.deliver(annotation, Path(folder))


class _Delivery:
    """What this process got, and the folder of its files."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._folder: Path | None = None
        self._owner: int | None = None  # a fork isn't

    def deliver(self, annotation: str, state: Path) -> tuple[str, ...]:
        requests = ours.parse(ObjectMeta(annotations={REQUEST: annotation}))
        if not requests:
            return ()
        needed = frozenset(each.name for each in requests.items if not each.optional)
        # All of them, so that all that is missing can be told.
        task = TaskRequest(tuple(replace(each, optional=True) for each in requests.items), Claim())
        scope = _scope(state)
        with self._turn, ThreadPoolExecutor(1) as elsewhere:  # this thread may run an event loop
            secrets = elsewhere.submit(read_task, state, task, scope, needed=needed).result()
            if not needed.intersection(secrets.absent):
                folder = self._with_files(secrets.files)
                os.environb.update(environment_of(secrets, folder))
        return secrets.absent

    def _with_files(self, files: tuple[TaskFile, ...]) -> Path | None:
        if not files:
            return None
        if self._folder is not None and self._owner == os.getpid():
            add_files(self._folder, files)
            return self._folder
        _refuse_foreign_folder()
        opened = ExitStack()
        self._folder, _ = opened.enter_context(task_folder(files, os.environ))
        self._owner = os.getpid()
        atexit.register(opened.close)
        os.environ[OWN_FILES_VARIABLE] = str(self._folder)
        return self._folder


def _refuse_foreign_folder() -> None:
    """One that a process made for itself that started this one is none: ours comes in its place."""
    named = os.environ.get(FILES_VARIABLE)
    if named and named != os.environ.get(OWN_FILES_VARIABLE):
        raise InvalidArgument(
            f"{FILES_VARIABLE} names {named} already, which is not this process' own folder: have secret "
            "run bring all files, or unset it"
        )


_DELIVERY = _Delivery()


def _scope(state: Path) -> Scope:
    context = load_context()
    if context.state is None or Path(context.state).resolve() != state.resolve():
        context = Context(state=str(state), organization=Settings().organization.name)
    parts = choose_filter(ScopeOptions(), environ=os.environ, context=context)
    if parts.project is None and parts.domain is None:
        raise InvalidArgument("no scope is given: set SECRET_PROJECT and SECRET_DOMAIN")
    return Scope(context.organization or Settings().organization.name, parts.domain, parts.project)
