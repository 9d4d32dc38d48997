"""Shell completion: the script, and where each shell looks for it."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from secrets_svc.core.errors import InvalidArgument

SHELLS = ("bash", "zsh", "fish")
_VARIABLE = "_SECRET_COMPLETE"
# A fresh zsh has no completion system running; without it, the script's last line would fail.
_ZSH_START = "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n"


def show(group: click.Group, shell: str) -> str:
    """The script for ``shell`` (``auto``: the one in $SHELL).

    :raises InvalidArgument: a shell we have no script for.
    """
    name = _shell(shell)
    found = get_completion_class(name)
    if found is None:
        raise InvalidArgument(f"there is no completion for {name}")
    script = found(group, {}, "secret", _VARIABLE).source().strip()
    return _ZSH_START + script if name == "zsh" else script


def install(group: click.Group, shell: str) -> str:
    """Put the script where ``shell`` finds it; says what was done. May be repeated."""
    name = _shell(shell)
    script = show(group, name)
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    if name == "fish":
        target = config / "fish" / "completions" / "secret.fish"
        _write(target, script)
        return f"wrote {target}; a new fish completes secret"
    target = config / "secrets-svc" / f"completion.{name}"
    _write(target, script)
    start = Path.home() / f".{name}rc"
    line = f'[ -r "{target}" ] && . "{target}"'
    present = start.read_text() if start.exists() else ""
    if line not in present.splitlines():
        with start.open("a") as file:
            file.write(("" if not present or present.endswith("\n") else "\n") + line + "\n")
    return f"wrote {target}, which {start} now reads; a new {name} completes secret"


def _shell(shell: str) -> str:
    name = os.path.basename(os.environ.get("SHELL", "")) if shell == "auto" else shell
    if name not in SHELLS:
        raise InvalidArgument(f"name the shell: one of {', '.join(SHELLS)}")
    return name


def _write(target: Path, script: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(script + "\n")
