"""Whether a value can be what a request wants of it (I8). Pure."""

from __future__ import annotations

from injector.delivery.staging import Staged, ValueFacts
from injector.requests import SecretRequest
from secrets_svc.core.errors import InvalidArgument, SecretsError, TooLarge
from secrets_svc.data.limits import MAX_FILE, env_string_excess


def misfit(request: SecretRequest, staged: Staged) -> SecretsError | None:
    """Why not, or ``None``: ``InvalidArgument`` for what can't be that, ``TooLarge`` for sizes."""
    if staged.facts.objection is not None:
        return InvalidArgument(f"its value {staged.facts.objection}")
    if request.attach and not staged.is_pull_secret:
        return InvalidArgument(
            f"it is of type {staged.resolved.type}, and images are pulled with secrets of type image-pull"
        )
    return value_misfit(request, staged.facts)


def value_misfit(request: SecretRequest, facts: ValueFacts) -> SecretsError | None:
    """As :func:`misfit`, of the value alone."""
    if request.env is not None:
        if facts.env_objection is not None:
            return InvalidArgument(facts.env_objection)
        excess = env_string_excess(request.env, facts.size)
        if excess > 0:
            return TooLarge(f"as a variable it is {excess} bytes over what Linux takes; ask for it as a file")
    if request.file is not None and facts.size > MAX_FILE:
        return TooLarge(f"its {facts.size} bytes are over what a file can hold, {MAX_FILE}")
    return None
