"""From options to a client and a scope: what every command that talks to a server begins with."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from cli.context import Context, load_context
from cli.scopes import ScopeOptions, choose_filter, choose_scope
from secrets_svc.client.scopes import ScopeParts
from secrets_svc.core.errors import InvalidArgument, Unauthenticated
from secrets_svc.core.scope import in_words

if TYPE_CHECKING:
    from secrets_svc.client.http import ControlPlaneClient

DEFAULT_TIMEOUT = 10.0


class Session(NamedTuple):
    """A client and the scope that was asked for."""

    client: ControlPlaneClient
    context: Context
    parts: ScopeParts

    @property
    def place(self) -> str:
        """The scope in words."""
        return in_words(*self.parts)


def connect(context: Context, timeout: float = DEFAULT_TIMEOUT) -> ControlPlaneClient:
    """A client for the context's server; nothing is sent yet.

    :raises InvalidArgument: no server is configured. :raises Unauthenticated: no token for it.
    """
    from secrets_svc.client.http import ControlPlaneClient

    if context.endpoint is None:
        raise InvalidArgument(
            'no server is configured; start one with "secret serve all", or point to one with '
            'SECRET_ENDPOINT and SECRET_TOKEN or "secret login URL"'
        )
    token = context.bearer_token()
    if token is None:
        raise Unauthenticated(
            f'there is no token for {context.endpoint}; set SECRET_TOKEN or type "secret login URL"'
        )
    return ControlPlaneClient(context.endpoint, token, ca_file=context.ca_file, timeout=timeout)


def open_session(
    options: ScopeOptions, *, context_name: str | None, timeout: float, usage: str, looking: bool = False
) -> Session:
    """A session for a command.

    :param usage: the command line so far, for the message when no scope is given.
    :param looking: without any scope, look at the whole organization instead of refusing.
    """
    context = load_context(context_name)
    client = connect(context, timeout)
    if looking:
        parts = choose_filter(options, environ=os.environ, context=context)
    else:
        parts = choose_scope(options, environ=os.environ, context=context, usage=usage)
    if parts.organization is None and parts.project is None and parts.domain is None:
        parts = ScopeParts(client.whoami().organization)
    return Session(client, context, parts)
