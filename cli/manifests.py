"""Manifests as Kubernetes reads them: YAML or JSON, and JSON in the end. A file may be anybody's."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from secrets_svc.core.errors import InvalidArgument, TooLarge
from secrets_svc.core.scope import shown

#: Bytes. A manifest is not larger than what the API server takes.
MAX_FILE = 3 * 1024 * 1024
#: Characters and values of all documents, aliases written out: a few lines of aliases can stand for anything.
_MAX_WEIGHT = 2 * MAX_FILE
_MAX_MERGED = 500_000


def read_manifests(path: Path) -> list[Any]:
    """All documents in a file (``-``: the standard input).

    :raises InvalidArgument: it can't be read, or isn't YAML that could be JSON. :raises TooLarge: over 3 MiB.
    """
    name = "the standard input" if str(path) == "-" else str(path)
    try:
        documents = list(yaml.load_all(_read(path, name), _Loader))  # a SafeLoader
    except OSError as error:
        raise InvalidArgument(f"{name} can't be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InvalidArgument(f"{name} is not valid YAML") from None
    _check_plain(documents, name)
    return documents


def _read(path: Path, name: str) -> bytes:
    if str(path) == "-":
        return _bounded(sys.stdin.buffer, name)
    with path.open("rb") as file:
        return _bounded(file, name)


def _bounded(file: BinaryIO, name: str) -> bytes:
    content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise TooLarge(f"{name} is over {MAX_FILE} bytes")
    return content


class _Loader(yaml.SafeLoader):
    """Has no dates, as JSON (``creationTimestamp`` is a text), and takes no key twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # as the base class has it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    _merged = 0

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) != len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise InvalidArgument(f"the manifest has the key {shown(twice)} twice in one place")
        return node

    def flatten_mapping(self, node: Any) -> None:
        super().flatten_mapping(node)
        self._merged += len(node.value)
        if self._merged > _MAX_MERGED:
            raise TooLarge(
                f"the manifest has more than {_MAX_MERGED} entries once its merges are written out"
            )


def _check_plain(documents: list[Any], name: str) -> None:
    """Refuse what JSON doesn't have, and what aliases blow up."""
    weight = 0
    pending: list[Any] = [documents]
    while pending:
        value = pending.pop()
        weight += 1 + (len(value) if isinstance(value, str) else 0)
        if weight > _MAX_WEIGHT:
            raise TooLarge(f"{name} is over {_MAX_WEIGHT} characters once its aliases are written out")
        if isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, list):
            pending += value
        elif not _is_scalar(value):
            raise InvalidArgument(f"{name} holds what JSON has no form for: a value {shown(value)}")


def _is_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)
