"""Ends a node, whoever started it."""

from __future__ import annotations

import signal

from .processes import Processes
from .turns import Turn, owner

#: The process that holds the node's namespaces, and its turn.
NAMESPACES = "node"
_INSIDE = ("kubelet", "containerd")


def end_processes(processes: Processes) -> None:
    """Kill the first process of the namespaces: the kernel ends the others, and their mounts."""
    processes.stop(NAMESPACES, number=signal.SIGKILL)
    processes.ended(*_INSIDE)
    processes.stop("forwarder")


def stop(processes: Processes) -> None:
    """End the node of a cluster, if it has one, and put the machine back as it was."""
    end_processes(processes)
    turn = Turn()
    # If it isn't free, the next one has it already, and has put the machine back.
    if owner() == str(processes.folder) and turn.take_if_free():
        turn.end()
