"""The commands behind ``make kube-build``, ``make kube-up`` and ``make kube-down``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from . import build, recipes
from .cluster import Cluster, stop
from .errors import KitError
from .layout import Layout
from .node import Node


def main() -> None:
    """Parse the command line and do it."""
    parser = argparse.ArgumentParser(prog="kit", description=__doc__)
    parser.add_argument("command", choices=["build", "up", "down", "guard"])
    parser.add_argument("folder", nargs="?", type=Path, default=build.cache_folder() / "up")
    parser.add_argument("--no-node", action="store_true", help="up: the control plane alone, also as root")
    arguments = parser.parse_intermixed_args()
    try:
        if arguments.command == "build":
            _build()
        elif arguments.command == "up":
            _up(arguments.folder, node=not arguments.no_node and os.geteuid() == 0)
        elif arguments.command == "down":
            _down(arguments.folder)
        else:
            _guard(arguments.folder)
    except KitError as error:
        sys.exit(f"kube: {error}")


def _build() -> None:
    build.ensure(recipes.CONTROL_PLANE, recipes.NODE)
    for part in (recipes.CONTROL_PLANE, recipes.NODE):
        print(build.programs_of(part))


def _up(folder: Path, *, node: bool) -> None:
    if folder.exists():
        raise KitError(f"{folder} is there already: `make kube-down` first")
    cluster = Cluster(folder).start()
    if node:
        try:
            Node(cluster).start()
        except BaseException:
            cluster.stop()
            raise
    else:
        print("No node, so pods stay pending: a node needs root.")
    cluster.leave_running()
    print(f"export KUBECONFIG={cluster.admin_kubeconfig}")
    print(f"export PATH={cluster.programs}:$PATH")


def _down(folder: Path) -> None:
    if not folder.exists():
        print(f"nothing runs in {folder}")
        return
    Layout.read(folder)
    stop(folder)
    print(f"stopped; {folder} is gone")


def _guard(folder: Path) -> None:
    """End a cluster when whoever started it is gone: nobody holds the other end of our input then."""
    sys.stdin.buffer.read()
    stop(folder)


if __name__ == "__main__":
    main()
