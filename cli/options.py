"""The shared options for commands declared with Typer: those that load much more than Typer anyway."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cli.output import OutputFormat
from cli.parameters import CONTEXT, DOMAIN, ORG_WIDE, ORGANIZATION, OUTPUT, PROJECT, SECONDS, TIMEOUT, Spec


def _option(spec: Spec) -> Any:
    return typer.Option(*spec.flags, metavar=spec.metavar, help=spec.help, show_default=spec is OUTPUT)


Organization = Annotated[str | None, _option(ORGANIZATION)]
Project = Annotated[str | None, _option(PROJECT)]
Domain = Annotated[str | None, _option(DOMAIN)]
OrgWide = Annotated[bool, _option(ORG_WIDE)]
Output = Annotated[OutputFormat, _option(OUTPUT)]
ContextName = Annotated[str | None, _option(CONTEXT)]
Timeout = Annotated[
    float, typer.Option(*TIMEOUT.flags, metavar=TIMEOUT.metavar, help=TIMEOUT.help, click_type=SECONDS)
]


def new_app() -> typer.Typer:
    """The ``app`` of a command's module: plain help, no completion options of its own."""
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        suggest_commands=False,  # Click does that
    )
