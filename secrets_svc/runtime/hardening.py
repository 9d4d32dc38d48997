"""What a process that holds values, or serves for a long time, does to itself at its start."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

_PR_SET_DUMPABLE = 4
_M_ARENA_MAX = -8
#: Heaps that threads share. Python runs one of them at a time, so that more of them gain nothing.
_HEAPS = 2


def harden_process() -> None:
    """No core dumps, no reading of our memory by others of our user, private files by default.

    ``PR_SET_DUMPABLE`` (prctl(2)) also keeps debuggers of the same user out; it exists on Linux only.
    """
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def share_heaps() -> None:
    """Keep what is free together: before threads begin.

    glibc gives each of many threads a heap of its own (mallopt(3), ``M_ARENA_MAX``), in which what others
    freed can't be used. ``MALLOC_ARENA_MAX`` in the environment counts more; other C libraries have one heap.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _HEAPS)


def raise_file_limit() -> None:
    """As many open connections as the hard limit allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 65_536
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
