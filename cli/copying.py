"""``secret backend copy``: opens both stores, shows how far it is, and says what came of each secret."""

from __future__ import annotations

import asyncio
import getpass
import sys
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click

from cli.errors import exit_code
from cli.output import OutputFormat, Table, counted, escape, print_document
from secrets_svc.client.scopes import ScopeParts
from secrets_svc.core.audit import AuditEvent, AuditSecret, AuditSink
from secrets_svc.core.errors import Conflict, InvalidArgument, Unsupported
from secrets_svc.core.ports import Page
from secrets_svc.core.scope import Scope, in_words
from secrets_svc.core.secret import SecretMetadata
from secrets_svc.data.copying import Copied, Copier, Outcome, Waiting, pages_of
from secrets_svc.runtime.settings import Settings
from secrets_svc.runtime.stores import Store, configured_store, open_audit

#: Seconds for one call of a reader; nobody waits for an answer.
_DEADLINE = 30.0
_DONE = (Outcome.COPIED, Outcome.REPLACED, Outcome.WOULD_BE_COPIED, Outcome.WOULD_BE_REPLACED)
_NOTED = (Outcome.DIFFERENT, Outcome.GONE, Outcome.FAILED)


class Task(NamedTuple):
    """What is to be copied. ``parts`` say which scopes; with ``exact`` that one alone."""

    source: str
    target: str
    parts: ScopeParts
    exact: bool
    overwrite: bool
    dry_run: bool
    at_once: int


def copy_between(task: Task, settings: Settings, state: Path, output: OutputFormat) -> int:
    """Do it, and print what came of it; returns the exit code.

    :raises InvalidArgument: no two stores. :raises Unsupported: the target can't be written.
    """
    if task.source == task.target:
        raise InvalidArgument("--from and --to are the same store")
    stores = [configured_store(settings, state, name) for name in (task.source, task.target)]
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    organization = settings.organization.name
    within = Scope(organization, domain=task.parts.domain, project=task.parts.project)
    with closing(open_audit(state)) as audit, _opened(task, *stores) as (copier, listed):
        report = _Report(task, audit, output)
        waiting = Waiting(listed(within), heard=report.expect)
        try:
            asyncio.run(copier.copy_all(waiting, at_once=task.at_once, each=report.add))
        except BaseException:
            report.end(waiting)
            raise
    return report.end(waiting)


@contextmanager
def _opened(
    task: Task, source: Store, target: Store
) -> Iterator[tuple[Copier, Callable[[Scope], Iterator[Page[SecretMetadata]]]]]:
    with ExitStack() as undo:
        lister = source.open_writer(at_once=task.at_once)
        undo.callback(lister.close)
        writer = target.open_writer(at_once=task.at_once)
        undo.callback(writer.close)
        if writer.is_read_only:
            raise Unsupported(
                f'store "{target.name}" is one of existing secrets: nothing can be written there'
            )
        read = source.open_reading(deadline=_DEADLINE)
        undo.callback(read.close)
        read_back = target.open_reading(deadline=_DEADLINE)
        undo.callback(read_back.close)
        copier = Copier(read, read_back, writer, _actor(), task.overwrite, task.dry_run)
        yield copier, lambda within: pages_of(lister, within, exact=task.exact)


def _actor() -> str:
    return f"user:{getpass.getuser()}"


class _Report:
    """Hears of each secret, records it, and says in the end how things stand."""

    def __init__(self, task: Task, audit: AuditSink, output: OutputFormat) -> None:
        self._task = task
        self._audit = audit
        self._output = output
        self.copied: list[Copied] = []
        watched = sys.stderr.isatty()
        self._bar: Any = (
            click.progressbar(length=0, file=sys.stderr, label="copying", show_pos=True) if watched else None
        )

    def expect(self, more: int) -> None:
        """So many more are known of."""
        if self._bar is not None and more:
            self._bar.length += more
            self._bar.finished = False
            self._bar.render_progress()

    def add(self, copied: Copied) -> None:
        """One more is dealt with. Raises ``Unavailable`` where that can't be recorded."""
        self.copied.append(copied)
        if self._bar is not None:
            self._bar.update(1)
        self._audit.record(_event(self._task, copied))

    def end(self, waiting: Waiting) -> int:
        """Print it; the exit code."""
        if self._bar is not None:
            self._bar.render_finish()
        counts = Counter(each.outcome for each in self.copied)
        self._print(counts, waiting.listed - len(self.copied), is_whole=waiting.is_whole)
        failed = next((each.error for each in self.copied if each.error is not None), None)
        if failed is None and counts[Outcome.DIFFERENT]:
            failed = Conflict("")
        return 0 if failed is None else exit_code(failed)

    def _print(self, counts: Counter[Outcome], left: int, *, is_whole: bool) -> None:
        if self._output is OutputFormat.NAME:
            for each in self.copied:
                if each.outcome in _DONE:
                    click.echo(each.ref.name)
        elif self._output is OutputFormat.TABLE:
            noted = [each for each in self.copied if each.outcome in _NOTED]
            if noted:
                Table(("NAME", "SCOPE", "OUTCOME", "WHY")).write(map(_row, noted))
            click.echo(_sentence(self._task, counts))
        else:
            tallies = {outcome.value: counts[outcome] for outcome in Outcome}
            items = [_document(each) for each in self.copied]
            print_document(
                {
                    "items": items,
                    **tallies,
                    "left": left,
                    "listed_to_the_end": is_whole,
                    "dry_run": self._task.dry_run,
                },
                self._output,
            )
        if is_whole and not self.copied and not left:
            parts = self._task.parts
            where = f"of {in_words(*parts)} " if parts.project or parts.domain else ""
            sys.stderr.write(f'there is nothing {where}in store "{self._task.source}"\n')
        if left or not is_whole:
            more = "" if is_whole else ", and what wasn't listed yet,"
            sys.stderr.write(f"{counted(left, 'secret')}{more} left: the same command goes on with them\n")


def _event(task: Task, copied: Copied) -> AuditEvent:
    outcome = copied.error.code if copied.error is not None else "ok"
    detail: dict[str, object] = {"from": task.source, "outcome_of_copy": copied.outcome.value}
    if task.dry_run:
        detail["dry_run"] = True
    secret = AuditSecret.of(copied.ref, version=copied.version, store=task.target)
    return AuditEvent("copy", "copy", _actor(), outcome, uuid.uuid4().hex, (secret,), detail)


_WHY = {
    Outcome.DIFFERENT: "another value is there: --overwrite replaces it",
    Outcome.GONE: "it was deleted meanwhile",
}


def _row(copied: Copied) -> tuple[object, ...]:
    error = copied.error
    why = _WHY.get(copied.outcome, "") if error is None else f"{error.code}: {escape(error.message)}"
    return copied.ref.name, copied.ref.scope, copied.outcome.value, why


def _document(copied: Copied) -> dict[str, Any]:
    scope, error = copied.ref.scope, copied.error
    return {
        "name": copied.ref.name,
        "organization": scope.organization,
        "domain": scope.domain,
        "project": scope.project,
        "outcome": copied.outcome.value,
        "version": copied.version,
        "code": None if error is None else error.code,
        "detail": None if error is None else error.message,
    }


def _sentence(task: Task, counts: Counter[Outcome]) -> str:
    done = sum(counts[outcome] for outcome in _DONE)
    verb = "would be copied" if task.dry_run else "copied and read back"
    parts = [f"{counted(done, 'secret')} {verb}", f"{counts[Outcome.SAME]} the same already"]
    parts += [f"{counts[outcome]} {outcome.value}" for outcome in _NOTED if counts[outcome]]
    return ", ".join(parts) + f" ({task.source} -> {task.target})"
