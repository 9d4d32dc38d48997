"""What `create`, `update` and `set` share: names and values in, one line or document per secret out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cli.output import OutputFormat, metadata_json, print_document
from cli.scopes import ScopeOptions
from cli.values import read_file, read_value, refuse_argument
from secrets_svc.core.errors import InvalidArgument, SecretsError
from secrets_svc.core.secret import SecretMetadata, validate_name
from secrets_svc.core.value import SecretValue

#: Stores one secret; returns what it did ("created") and what is there now.
Write = Callable[[str, SecretValue], tuple[str, SecretMetadata]]


@dataclass(frozen=True)
class Sources:
    """Where names and values come from, as typed.

    :param refused: what came with ``--value``; only its presence counts.
    """

    command: str
    name: str | None
    file: str | None
    env_file: str | None
    strip_newline: bool
    refused: str | None = field(repr=False)
    scope: ScopeOptions = field(default_factory=ScopeOptions)

    @property
    def usage(self) -> str:
        """The command line so far."""
        return f"secret {self.command} {self.name or 'NAME'}"

    def check(self) -> None:
        """Refuse what can't be meant, before anybody is asked for a value.

        :raises InvalidArgument: contradictions, a missing or illegal name, a value as argument.
        """
        if self.refused is not None or "=" in (self.name or ""):  # NAME=VALUE, as other tools have it
            refuse_argument(self.usage.partition("=")[0] + _scope_words(self.scope))
        if self.name is not None:
            validate_name(self.name)
        if self.env_file is None and self.name is None:
            raise InvalidArgument(f'a name is missing; type "secret {self.command} NAME"')
        if self.env_file is not None and (
            self.name is not None or self.file is not None or self.strip_newline
        ):
            raise InvalidArgument(
                "--from-env-file brings names and values: leave NAME, -f and --strip-newline out"
            )

    def read(self) -> dict[str, SecretValue]:
        """Names and values; may ask on the terminal."""
        if self.env_file is not None:
            from cli.env_files import parse_env_file

            return parse_env_file(read_file(self.env_file), self.env_file)
        assert self.name is not None
        value = read_value(self.file, prompt=f"value of {self.name}", strip_newline=self.strip_newline)
        return {self.name: value}


def _scope_words(scope: ScopeOptions) -> str:
    if scope.org_wide:
        return " --org-wide"
    pairs = (("--project", scope.project), ("--domain", scope.domain))
    return "".join(f" {option} {text}" for option, text in pairs if text)


def store_all(sources: Sources, write: Write, *, form: OutputFormat, dry_run: bool) -> None:
    """Read the values, store each, and say so; the first error stops and says how far it came."""
    values = sources.read()
    documents: list[dict[str, Any]] = []
    progress = len(values) > 1 and sys.stderr.isatty() and not sys.stdout.isatty()
    for name, value in values.items():
        try:
            verb, metadata = write(name, value)
        except SecretsError as error:
            if len(values) > 1:
                sys.stderr.write(f"stopped at {name}: {len(documents)} of {len(values)} secrets are stored\n")
            raise error
        documents.append(metadata_json(metadata))
        if form is OutputFormat.TABLE:
            sys.stdout.write(sentence(verb, metadata, dry_run=dry_run))
        elif form is OutputFormat.NAME:
            sys.stdout.write(f"{name}\n")
        if progress:
            sys.stderr.write(f"{len(documents)} of {len(values)}\n")
    if form in {OutputFormat.JSON, OutputFormat.YAML}:
        print_document(documents if sources.env_file is not None else documents[0], form)


def sentence(verb: str, metadata: SecretMetadata, *, dry_run: bool) -> str:
    """What was done, in words."""
    from cli.output import escape

    if dry_run:
        infinitive = {"created": "create", "updated": "update"}[verb]
        return f"would {infinitive} {metadata.ref.name} in {metadata.ref.scope} (nothing was stored)\n"
    return f"{verb} {metadata.ref.name} in {metadata.ref.scope} (version {escape(metadata.version)})\n"
