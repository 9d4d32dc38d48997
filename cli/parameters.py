"""Options that commands share, as decorators; the commands that people wait for use these.

They are declared with Click alone: importing Typer on top of it costs 20 ms, a fifth of the time that
`secret get` may take. `cli.options` has the same options for commands declared with Typer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeVar

import click

from cli.output import OutputFormat, counted
from cli.scopes import ScopeOptions
from cli.session import DEFAULT_TIMEOUT

F = TypeVar("F", bound=Callable[..., Any])


class Spec(NamedTuple):
    """Flags and texts of an option, for both ways of declaring it."""

    flags: tuple[str, ...]
    help: str
    metavar: str | None = None


ORGANIZATION = Spec(("--organization", "--org"), "Organization; the server has a default.", "ORG")
PROJECT = Spec(
    ("--project", "-p"), 'Project [env: SECRET_PROJECT]; "" for none, whatever the context says.', "PROJECT"
)
DOMAIN = Spec(
    ("--domain", "-d"), 'Domain [env: SECRET_DOMAIN]; "" for none, whatever the context says.', "DOMAIN"
)
ORG_WIDE = Spec(("--org-wide",), "The organization's own scope, whatever environment and context say.")
OUTPUT = Spec(("--output", "-o"), "How to print the result.")
CONTEXT = Spec(("--context",), "Context to use [env: SECRET_CONTEXT].", "NAME")
TIMEOUT = Spec(("--timeout",), "How long to wait for the server.", "SECONDS")


class _Seconds(click.FloatRange):
    """More than 0, at most an hour."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):  # which is in every range
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


SECONDS = _Seconds(0, 3600, min_open=True)


class NoSurplus(click.Command):
    """A command that doesn't repeat surplus arguments in its message: one of them may be a value."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and refuse what is left over."""
        ctx.allow_extra_args = True
        rest = super().parse_args(ctx, args)
        if ctx.args and not ctx.resilient_parsing:
            ctx.fail(
                f"{counted(len(ctx.args), 'argument')} too many (not repeated here). If one is a value: a "
                "value is never an argument, because the shell's history and the list of processes show "
                "those (so change it). Leave it out and be asked for it, or name a file with -f."
            )
        return rest


def command(name: str, *examples: str) -> Callable[[Callable[..., None]], click.Command]:
    """Declare a command.

    :param examples: lines to type, shown at the end of the help.
    """
    epilog = "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples)
    return click.command(name, cls=NoSurplus, epilog=epilog)


def _option(spec: Spec, variable: str, **more: Any) -> Callable[[F], F]:
    return click.option(*spec.flags, variable, help=spec.help, metavar=spec.metavar, **more)


def scope_options(function: F) -> F:
    """Adds the scope's options; they arrive together, as ``scope``."""

    @wraps(function)
    def collected(
        *args: Any,
        organization: str | None,
        project: str | None,
        domain: str | None,
        org_wide: bool,
        **rest: Any,
    ) -> Any:
        return function(*args, scope=ScopeOptions(organization, project, domain, org_wide), **rest)

    decorated: Any = collected
    for option in (
        _option(ORGANIZATION, "organization"),
        _option(ORG_WIDE, "org_wide", is_flag=True),
        _option(DOMAIN, "domain"),
        _option(PROJECT, "project"),
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def server_options(function: F) -> F:
    """Adds ``output``, ``context`` and ``timeout``."""
    function = _option(TIMEOUT, "timeout", type=SECONDS, default=DEFAULT_TIMEOUT, show_default=True)(function)
    function = _option(CONTEXT, "context")(function)
    return _output(function, tuple(OutputFormat))


def audit_output_option(function: F) -> F:
    """Adds ``output``, table or json."""
    return _output(function, (OutputFormat.TABLE, OutputFormat.JSON))


def _output(function: F, forms: tuple[OutputFormat, ...]) -> F:
    return _option(
        OUTPUT,
        "output",
        type=click.Choice([form.value for form in forms]),
        default=OutputFormat.TABLE.value,
        show_default=True,
        callback=lambda _ctx, _param, text: OutputFormat(text),
    )(function)


def dry_run_option(function: F) -> F:
    """Adds ``dry_run``."""
    return click.option("--dry-run", is_flag=True, help="Check everything, change nothing.")(function)


def value_options(function: F) -> F:
    """Adds ``file`` and ``strip_newline``, and ``refused`` for a value that was given as an argument."""
    for option in (
        click.option("--value", "--from-literal", "refused", hidden=True),
        click.option("--strip-newline", is_flag=True, help="Leave out one line end at the end of the value."),
        click.option(
            "--value-file",
            "--from-file",
            "-f",
            "file",
            metavar="FILE",
            help='File with the value, taken byte for byte; "-" is the standard input.',
        ),
    ):
        function = option(function)
    return function


def new_secret_options(function: F) -> F:
    """Adds ``type_name`` and ``env_file``."""
    kind = "generic (the default) or image-pull; fixed from then on."
    function = click.option("--type", "type_name", metavar="TYPE", help=kind)(function)
    lines = 'File of NAME=VALUE lines, a secret each; "-" is the standard input.'
    return click.option("--from-env-file", "env_file", metavar="FILE", help=lines)(function)
