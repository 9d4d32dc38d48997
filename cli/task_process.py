"""Runs a task's command as a child: its signals, its terminal and its exit are the command's own."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from secrets_svc.core.errors import TooLarge

#: Exit codes of env(1), for a command that can't be run and one that isn't there.
NOT_EXECUTABLE = 126
NOT_FOUND = 127

_FORWARDED = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGCONT,
)
#: ``siginfo_t.si_code`` of a signal that the kernel sent, such as the terminal's for Ctrl-C (sigaction(2)).
_SI_KERNEL = 0x80


@dataclass(frozen=True, slots=True)
class Before:
    """What signals and core dumps were like at our start; the command gets it back."""

    mask: set[signal.Signals | int]
    cores: tuple[int, int]


@contextmanager
def signals_held() -> Iterator[Before]:
    """Hold signals back while something is to be cleaned up; they take effect when the block has ended."""
    cores = resource.getrlimit(resource.RLIMIT_CORE)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {*_FORWARDED, signal.SIGCHLD})
    resource.setrlimit(resource.RLIMIT_CORE, (0, cores[1]))
    try:
        yield Before(set(mask), cores)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def run_command(command: Sequence[str], environment: Mapping[bytes, bytes], before: Before) -> int:
    """Run ``command`` to its end; returns its exit code, or minus the number of the signal that ended it.

    Inside :func:`signals_held`. Signals sent to us go on to the command. What the terminal sends (Ctrl-C) it
    has got already, being in our process group. One that came before it could start ends us instead.

    :raises TooLarge: variables and arguments together are more than execve(2) takes.
    """
    waiting = signal.sigpending() & {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}
    if waiting:
        return -int(min(waiting))

    def restore() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, before.cores)
        signal.pthread_sigmask(signal.SIG_SETMASK, before.mask)

    try:
        # The child is forked from one thread and only resets limits and mask: preexec_fn is safe here.
        child = subprocess.Popen(  # noqa: S603  # running what was typed is the point
            command,
            env=dict(environment),
            preexec_fn=restore,  # noqa: PLW1509
        )
    except FileNotFoundError:
        sys.stderr.write(f"secret: {command[0]}: command not found\n")
        return NOT_FOUND
    except OSError as error:
        if error.errno == errno.E2BIG:
            raise TooLarge("all variables and arguments together are over what Linux takes") from None
        sys.stderr.write(f"secret: {command[0]}: not executable\n")
        return NOT_EXECUTABLE
    return _wait(child)


def _wait(child: subprocess.Popen[bytes]) -> int:
    while True:
        info = signal.sigwaitinfo({*_FORWARDED, signal.SIGCHLD})
        if info.si_signo == signal.SIGCHLD:
            code = child.poll()
            if code is not None:
                return code
        elif info.si_code != _SI_KERNEL:
            child.send_signal(info.si_signo)


def end_like(code: int) -> int:
    """End as the command ended: the exit code to return, or not at all if a signal is to end us too."""
    if code >= 0:
        return code
    if -code not in (signal.SIGKILL, signal.SIGSTOP):  # those two can't be set, nor need they
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    return 128 - code
