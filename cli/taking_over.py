"""``secret import flyte``: looks, asks, does it, and says what came of each secret."""

from __future__ import annotations

import getpass
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import click

from cli.errors import exit_code
from cli.output import OutputFormat, Table, counted, print_document
from secrets_svc.core.audit import AuditEvent, AuditSecret
from secrets_svc.core.errors import InvalidArgument, SecretsError, Unsupported, is_the_stores
from secrets_svc.core.secret import SecretType
from secrets_svc.core.taking_over import Candidate, Standing, TakeOver, TakesOver
from secrets_svc.runtime.settings import Settings
from secrets_svc.runtime.stores import Store, configured_store, open_audit


class Task(NamedTuple):
    """What is to be done.

    :param store: of the settings; ``None``: the one that there is of this kind.
    :param kubeconfig: with ``context``, of whoever does it.
    :param image_pull: names of secrets that are for pulling images: what wrote them doesn't tell.
    """

    store: str | None
    apply: bool
    yes: bool
    kubeconfig: Path | None
    context: str | None
    image_pull: frozenset[str] = frozenset()


class Seen(NamedTuple):
    """A candidate and what came of it."""

    candidate: Candidate
    error: SecretsError | None = None

    @property
    def outcome(self) -> str:
        """In a word."""
        if self.error is not None:
            return "failed"
        return self.candidate.standing.value


#: The outcome that audit events have before a write.
_BEGUN = "begun"
#: As tables have it: what could be taken, before it is.
_WOULD = "would be taken"


def take_over(task: Task, settings: Settings, state: Path, output: OutputFormat) -> int:
    """Do it, or say what would be done; returns the exit code.

    :raises InvalidArgument: no store is meant, or nobody can be asked. :raises Unsupported: none can do it.
    """
    store, backend = _meant(task, settings, state)
    organization = settings.organization.name
    with closing(
        backend.open_take_over(
            store.settings, organization=organization, kubeconfig=task.kubeconfig, context=task.context
        )
    ) as opened:
        return carry_out(task, store.name, opened, state, output)


def carry_out(task: Task, store: str, opened: TakeOver, state: Path, output: OutputFormat) -> int:
    """As :func:`take_over`, in a store that is open already. :param store: its name, for the record."""
    seen = [Seen(_typed(each, task.image_pull)) for each in opened.candidates()]
    unknown = task.image_pull.difference(each.candidate.ref.name for each in seen if each.candidate.ref)
    if unknown:
        raise InvalidArgument(f"--image-pull: {opened.where} has no secret of Flyte's {min(unknown)!r}")
    foreign = [each for each in seen if each.candidate.standing is Standing.FOREIGN]
    if not task.apply:
        _print(seen, opened.where, output, dry_run=True)
        return 0
    if foreign and not task.yes:
        _ask(len(foreign), opened.where)
    return _apply(store, opened, seen, state, output)


def _typed(candidate: Candidate, image_pull: frozenset[str]) -> Candidate:
    if candidate.standing is not Standing.FOREIGN or candidate.ref is None:
        return candidate
    return replace(candidate, type=SecretType.IMAGE_PULL) if candidate.ref.name in image_pull else candidate


def _apply(store: str, opened: TakeOver, seen: list[Seen], state: Path, output: OutputFormat) -> int:
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    done: list[Seen] = []
    with closing(open_audit(state)) as audit:
        try:
            for each in _watched(seen):
                if each.candidate.standing is not Standing.FOREIGN:
                    done.append(each)
                    continue
                audit.record(_event(each, store, outcome=_BEGUN))  # before: it may be done, and we be killed
                done.append(_taken(each, opened))
                audit.record(_event(done[-1], store))
                if is_the_stores(done[-1].error):
                    break
        except BaseException:
            _print(done, opened.where, output, left=len(seen) - len(done))
            raise
    _print(done, opened.where, output, left=len(seen) - len(done))
    failed = next((each.error for each in done if each.error is not None), None)
    return 0 if failed is None else exit_code(failed)


def _taken(seen: Seen, opened: TakeOver) -> Seen:
    """What came of one."""
    try:
        return Seen(opened.take(seen.candidate))
    except SecretsError as error:
        return Seen(seen.candidate, error)


def _watched(seen: Sequence[Seen]) -> Iterator[Seen]:
    """Each, with a bar where somebody watches."""
    if not sys.stderr.isatty():
        yield from seen
        return
    with click.progressbar(seen, file=sys.stderr, label="taking over") as bar:
        yield from bar


def _meant(task: Task, settings: Settings, state: Path) -> tuple[Store, TakesOver]:
    names = list(settings.stores) if task.store is None else [task.store]
    stores = [configured_store(settings, state, name) for name in names]
    able = [(store, store.backend) for store in stores if isinstance(store.backend, TakesOver)]
    if len(able) == 1:
        return able[0]
    if able:
        known = ", ".join(store.name for store, _ in able)
        raise InvalidArgument(f"the settings have several such stores: say --store, one of {known}")
    if task.store is not None:
        raise Unsupported(f'store "{task.store}" holds no Kubernetes Secrets: there is nothing to take over')
    raise InvalidArgument(
        'the settings have no store of Kubernetes Secrets: add [stores.NAME] with backend = "kubernetes" and '
        "the namespace of Flyte's service, and name the file with --settings"
    )


def _ask(number: int, where: str) -> None:
    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidArgument("there is no terminal to ask at: add --yes")
    sys.stderr.write(f"take over {counted(number, 'Secret')} in {where}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        sys.stderr.write("nothing was taken over\n")
        raise click.exceptions.Exit(1)


def _event(seen: Seen, store: str, *, outcome: str = "") -> AuditEvent:
    outcome = outcome or ("ok" if seen.error is None else seen.error.code)
    ref = seen.candidate.ref
    secrets = () if ref is None else (AuditSecret.of(ref, store=store),)
    detail: dict[str, object] = {"from": "flyte", "outcome_of_import": seen.outcome}
    return AuditEvent(
        "import", "import", f"user:{getpass.getuser()}", outcome, uuid.uuid4().hex, secrets, detail
    )


def _print(
    seen: Sequence[Seen], where: str, output: OutputFormat, *, left: int = 0, dry_run: bool = False
) -> None:
    if output is OutputFormat.NAME:
        wanted = Standing.FOREIGN if dry_run else Standing.TAKEN
        for each in seen:
            if each.candidate.standing is wanted and each.candidate.ref is not None:
                click.echo(each.candidate.ref.name)
    elif output is OutputFormat.TABLE:
        Table(("NAME", "SCOPE", "SECRET", "OUTCOME", "WHY")).write(map(_row, seen))
        click.echo(_sentence(seen, where))
    else:
        print_document(
            {"items": [_document(each) for each in seen], "left": left, "dry_run": dry_run}, output
        )
    if left:
        sys.stderr.write(f"{counted(left, 'Secret')} left: the same command goes on with them\n")
    elif dry_run and output is OutputFormat.TABLE:
        sys.stderr.write("nothing was written: --apply does it\n")


def _row(seen: Seen) -> tuple[object, ...]:
    ref, error = seen.candidate.ref, seen.error
    note = f"as {seen.candidate.type.value}" if seen.candidate.type is not None else ""
    why = seen.candidate.why or note if error is None else f"{error.code}: {error.message}"
    outcome = _WOULD if seen.outcome == Standing.FOREIGN else seen.outcome
    return ref.name if ref else "", ref.scope if ref else "", seen.candidate.place, outcome, why


def _document(seen: Seen) -> dict[str, Any]:
    candidate, error = seen.candidate, seen.error
    scope = candidate.ref.scope if candidate.ref is not None else None
    return {
        "name": candidate.ref.name if candidate.ref is not None else None,
        "organization": scope.organization if scope is not None else None,
        "domain": scope.domain if scope is not None else None,
        "project": scope.project if scope is not None else None,
        "secret": candidate.place,
        "outcome": seen.outcome,
        "type": None if candidate.type is None else candidate.type.value,
        "written_by": candidate.written_by or None,
        "code": None if error is None else error.code,
        "detail": candidate.why or None if error is None else error.message,
    }


def _sentence(seen: Sequence[Seen], where: str) -> str:
    counts = Counter(each.outcome for each in seen)
    words = {
        Standing.FOREIGN.value: _WOULD,
        Standing.TAKEN.value: "taken",
        Standing.OURS.value: "ours already",
        Standing.LEFT.value: "left alone",
        "failed": "failed",
    }
    parts = [f"{counts[outcome]} {text}" for outcome, text in words.items() if counts[outcome]]
    return f"{where}: {', '.join(parts) or 'nothing of Flyte there'}"
