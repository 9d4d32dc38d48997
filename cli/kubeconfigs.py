"""Which kubeconfig is this person's."""

from __future__ import annotations

import os
from pathlib import Path

from secrets_svc.core.errors import InvalidArgument


def own_kubeconfig(named: Path | None, context: str | None) -> Path | None:
    """The one that is named, that ``KUBECONFIG`` names first, or ``~/.kube/config``; ``None`` for none.

    :param context: wanted in it. :raises InvalidArgument: the named one, or any for the context, isn't there.
    """
    told = named or os.environ.get("KUBECONFIG", "").partition(os.pathsep)[0] or None
    file = Path(told or "~/.kube/config").expanduser()
    if file.exists():
        return file
    if told or context is not None:
        raise InvalidArgument(f"there is no kubeconfig {file}: say which with --kubeconfig")
    return None
