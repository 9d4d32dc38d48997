"""The command `secret`: a table of commands, each imported when it is used."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from click.shell_completion import CompletionItem


class Entry(NamedTuple):
    """A command: where it is (``module:attribute``, a Click command or a Typer), and a line about it."""

    target: str
    summary: str


SECTIONS: dict[str, dict[str, Entry]] = {
    "Secrets": {
        "create": Entry("cli.commands.create:create", "Store a new secret."),
        "update": Entry("cli.commands.update:update", "Replace the value of a secret."),
        "set": Entry("cli.commands.set:set_secret", "Create or update a secret, whichever it takes."),
        "delete": Entry("cli.commands.delete:delete", "Remove secrets."),
        "get": Entry("cli.commands.get:get", "Show what is known of a secret (never its value)."),
        "list": Entry("cli.commands.list:list_secrets", "List secrets."),
        "history": Entry("cli.commands.history:history", "Show the versions of a secret."),
        "rollback": Entry("cli.commands.rollback:rollback", "Make an earlier version current again."),
        "explain": Entry("cli.commands.explain:explain", "Say which scope wins for a name, and why."),
    },
    "Tasks": {
        "run": Entry("cli.commands.run:app", "Run a command with secrets in its environment or files."),
        "check": Entry("cli.commands.check:app", "Say what an admission would answer to a pod."),
    },
    "Connection": {
        "login": Entry("cli.commands.login:login", "Point this command to a server."),
        "whoami": Entry("cli.commands.whoami:whoami", "Show whom the server takes you for."),
    },
    "Server": {
        "serve": Entry("cli.commands.serve:app", "Run the service, or one of its roles."),
        "backend": Entry(
            "cli.commands.backend:app", "See which kinds of stores there are, and their rights."
        ),
        "import": Entry("cli.commands.importing:app", "Take over secrets that another service wrote."),
        "keys": Entry("cli.commands.keys:app", "Look after the keys of the local store."),
        "backup": Entry("cli.commands.backup:app", "Copy the state folder while the service runs."),
        "restore": Entry("cli.commands.restore:app", "Bring a copy of the state folder back."),
        "audit": Entry("cli.commands.audit:audit", "Show who did what."),
        "settings": Entry("cli.commands.settings:app", "Show the settings and what they mean."),
    },
}
#: Where a shell puts the question "what could come next?".
COMPLETION_VARIABLE = "_SECRET_COMPLETE"
INTERRUPTED = 130
BROKEN_PIPE = 141

COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class LazyGroup(click.Group):
    """Knows its commands by the table; a command's module is loaded when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (Click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (as above)
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry.target.partition(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, click.Command):
            return found
        from typer.main import get_command

        command = get_command(found)
        command.name = cmd_name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS)
            hint = f' Did you mean "{near[0]}"?' if near else ""
            ctx.fail(f'There is no command "{args[0]}".{hint}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, section in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, entry.summary) for name, entry in section.items()], col_max=12)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = [CompletionItem(n, help=e.summary) for n, e in COMMANDS.items() if n.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"secret {version('secrets-svc')}")
        ctx.exit()


def _completion(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value and not ctx.resilient_parsing:
        from cli.completion import install, show

        click.echo(install(group, value) if param.name == "install_completion" else show(group, value))
        ctx.exit()


def _completion_option(flag: str, text: str) -> click.Option:
    return click.Option(
        [flag],
        is_flag=False,
        flag_value="auto",
        metavar="[bash|zsh|fish]",
        expose_value=False,
        is_eager=True,
        callback=_completion,
        help=text,
    )


_EPILOG = (
    'First type "secret serve all", then in another terminal '
    '"secret create NAME --project PROJECT --domain DOMAIN".'
)

group = LazyGroup(
    "secret",
    help="Secrets for tasks: stored under a scope, given to the tasks that ask for them, never shown.",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_version,
            help="Show the version and exit.",
        ),
        _completion_option("--install-completion", "Set up completion for your shell, or the one named."),
        _completion_option(
            "--show-completion", "Print the completion script of your shell, or the one named."
        ),
    ],
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process by default); returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        code = _run(arguments)
    except BrokenPipeError:  # whoever read our output has gone: nothing more to say
        code = BROKEN_PIPE
    except KeyboardInterrupt:
        code = INTERRUPTED
    try:
        sys.stdout.flush()
    except OSError:  # it has been reported; the interpreter would do so again at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run(arguments: Sequence[str]) -> int:
    try:
        if COMPLETION_VARIABLE in os.environ:
            from click.shell_completion import shell_complete

            return shell_complete(group, {}, "secret", COMPLETION_VARIABLE, os.environ[COMPLETION_VARIABLE])
        with group.make_context("secret", list(arguments)) as context:
            result = group.invoke(context)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as request:
        return request.exit_code
    except click.ClickException as error:
        return _report_usage(error, arguments)
    except click.Abort:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        from cli.errors import from_unexpected, report, wants_json
        from secrets_svc.core.errors import SecretsError

        known = error if isinstance(error, SecretsError) else from_unexpected(error)
        return report(known, as_json=wants_json(arguments))


def _report_usage(error: click.ClickException, arguments: Sequence[str]) -> int:
    """A command line that can't be parsed: Click's words, for programs in the form of all errors."""
    from cli.errors import report, wants_json
    from secrets_svc.core.errors import InvalidArgument

    if wants_json(arguments):
        report(InvalidArgument(error.format_message()), as_json=True)
    else:
        error.show()
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
