"""Which server the command line talks to: contexts in a file, overridden by the environment."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from secrets_svc.core.errors import InvalidArgument, NotFound
from secrets_svc.core.scope import shown
from secrets_svc.core.value import SecretValue

_NAME = r"[A-Za-z0-9][-._:A-Za-z0-9]{0,127}"


class Context(NamedTuple):
    """A server and how to talk to it; all of it optional.

    :param token_file: read at every call; takes effect where there is no ``token``.
    :param ca_file: authorities to trust for ``endpoint``; ``injector_ca`` those for ``injector``.
    :param state: the state folder of a server on this machine.
    :param project: default for ``--project``; ``domain`` for ``--domain``.
    """

    endpoint: str | None = None
    token: SecretValue | None = None
    token_file: str | None = None
    ca_file: str | None = None
    injector: str | None = None
    injector_ca: str | None = None
    state: str | None = None
    organization: str | None = None
    project: str | None = None
    domain: str | None = None

    def bearer_token(self) -> SecretValue | None:
        """The token to send, from ``token`` or ``token_file``.

        :raises InvalidArgument: the file can't be read.
        """
        if self.token is not None or self.token_file is None:
            return self.token
        try:
            with open(self.token_file, "rb") as file:
                return SecretValue(file.read(64 * 1024).strip())
        except OSError as error:
            raise InvalidArgument(f"token_file {self.token_file} can't be read: {error.strerror}") from error


class Configuration(NamedTuple):
    """The whole file."""

    current: str | None
    contexts: Mapping[str, Context]


_KEYS = Context._fields


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the configuration lies: $SECRET_CONFIG, or ``secrets-svc/config.toml`` in the XDG folder.

    :raises InvalidArgument: neither is set, and this user has no home folder.
    """
    if named := environ.get("SECRET_CONFIG"):
        return Path(named)
    base = environ.get("XDG_CONFIG_HOME", "")
    try:
        folder = Path(base) if base.startswith("/") else Path.home() / ".config"
    except RuntimeError:  # a user that isn't in passwd(5), as in many containers
        raise InvalidArgument("there is no home folder for the configuration: set SECRET_CONFIG") from None
    return folder / "secrets-svc" / "config.toml"


def load_context(name: str | None = None, environ: Mapping[str, str] = os.environ) -> Context:
    """The context called ``name`` (else $SECRET_CONTEXT, else the current one), with the environment applied.

    Empty if nothing is configured. What belongs to the file's server (token, CA, …) is left out where
    $SECRET_ENDPOINT names another one.

    :raises InvalidArgument: the file isn't legal, or readable by others while it holds a token.
    :raises NotFound: no context of that name.
    """
    name = name or environ.get("SECRET_CONTEXT") or None
    stored = _stored(config_path(environ), name)
    endpoint = environ.get("SECRET_ENDPOINT") or None
    if endpoint is not None and (stored.endpoint or "").rstrip("/") != endpoint.rstrip("/"):
        stored = Context(endpoint=endpoint, project=stored.project, domain=stored.domain)
    if authorities := environ.get("SECRET_CA_FILE"):
        stored = stored._replace(ca_file=authorities)
    if token := environ.get("SECRET_TOKEN"):
        stored = stored._replace(token=SecretValue(token.encode("utf-8", "surrogateescape")))
    return stored


def _stored(path: Path, name: str | None) -> Context:
    configuration = read_configuration(path)
    name = name or configuration.current
    if name is None:
        return Context()
    if name not in configuration.contexts:
        known = ", ".join(sorted(configuration.contexts)) or "none"
        raise NotFound(f"there is no context {shown(name)} in {path}; there: {known}")
    return configuration.contexts[name]


def read_configuration(path: Path) -> Configuration:
    """The file at ``path``; empty if there is none."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read()
    except FileNotFoundError:
        return Configuration(None, {})
    except OSError as error:
        raise InvalidArgument(f"{path} can't be read: {error.strerror}") from error
    configuration = _parse(data, path)
    if mode & 0o077 and any(context.token is not None for context in configuration.contexts.values()):
        raise InvalidArgument(f"{path} holds a token and has mode {mode:04o}: chmod 600 {path}")
    return configuration


def _parse(data: bytes, path: Path) -> Configuration:
    import tomllib

    try:
        document = tomllib.loads(data.decode())
    except ValueError as error:  # also UnicodeDecodeError; texts of both may quote a token
        where = re.search(r"\(at line \d+, column \d+\)", str(error))
        raise InvalidArgument(f"{path} is not valid TOML{' ' + where[0] if where else ''}") from None
    contexts = document.pop("contexts", {})
    current = document.pop("current", None)
    if document:
        raise InvalidArgument(f"{path}: {shown(next(iter(document)))} is not known: current or contexts.NAME")
    if not isinstance(contexts, dict) or not (current is None or isinstance(current, str)):
        raise InvalidArgument(f"{path}: current is a text, contexts holds tables")
    return Configuration(current, {name: _context(name, table, path) for name, table in contexts.items()})


def _context(name: str, table: Any, path: Path) -> Context:
    if not isinstance(table, dict):
        raise InvalidArgument(f"{path}: contexts.{name} is not a table")
    for key, text in table.items():
        if key not in _KEYS:
            raise InvalidArgument(f"{path}: contexts.{name}.{key} is not known: one of {', '.join(_KEYS)}")
        if not isinstance(text, str):
            raise InvalidArgument(f"{path}: contexts.{name}.{key} is not a text")
    token = table.get("token")
    return Context(**{**table, "token": None if token is None else SecretValue(token.encode())})


def validate_context_name(name: str) -> str:
    """Return ``name`` if a context may be called so.

    :raises InvalidArgument: with the rule.
    """
    if not re.fullmatch(_NAME, name):
        raise InvalidArgument(
            f"context name {shown(name)} is not valid: letters, digits and -._:, the first a letter or digit"
        )
    return name


def save_context(
    name: str, context: Context, *, make_current: bool = True, environ: Mapping[str, str] = os.environ
) -> Path:
    """Write ``context`` under ``name``, keeping the others; returns the file's path.

    The file is replaced in one step and readable by its owner alone; comments in it are lost.

    :raises InvalidArgument: the file that is there isn't legal, or the name isn't.
    :raises Unavailable: it can't be written.
    """
    from cli.context_files import locked
    from secrets_svc.core.private_files import write_private

    validate_context_name(name)
    path = config_path(environ).resolve()
    with locked(path):
        before = read_configuration(path)
        current = name if make_current else before.current
        write_private(path, render(Configuration(current, {**before.contexts, name: context})))
    return path


def render(configuration: Configuration) -> bytes:
    """``configuration`` as TOML.

    :raises InvalidArgument: a text that TOML can't hold.
    """
    lines = ["# Written by the command secret; comments are not kept."]
    if configuration.current is not None:
        lines.append(f"current = {_toml(configuration.current)}")
    for name, context in configuration.contexts.items():
        lines += ["", f"[contexts.{_toml(name)}]"]
        for key in _KEYS:
            text = getattr(context, key)
            if isinstance(text, SecretValue):
                text = text.reveal_bytes().decode("utf-8", "surrogateescape")
            if text is not None:
                lines.append(f"{key} = {_toml(text)}")
    try:
        return ("\n".join(lines) + "\n").encode()
    except UnicodeEncodeError:
        raise InvalidArgument("the configuration can hold only texts that are valid UTF-8") from None


def _toml(text: str) -> str:
    """A basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'
