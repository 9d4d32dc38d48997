"""Fills the settings from a TOML file and the environment: the one reader of both.

A named file that is absent, a key or a prefixed variable that matches nothing, and a value of the wrong type
stop the start (I5); the message names the field and never repeats what was given.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.runtime.settings import Settings

M = TypeVar("M", bound=BaseModel)

PREFIX = "SECRETS_SVC_"
#: Names the settings file; the only prefixed variable that is no setting.
FILE_VARIABLE = "SECRETS_SVC_SETTINGS"


def load_settings(file: Path | None, environ: Mapping[str, str]) -> Settings:
    """Settings from ``file`` (or the one that ``SECRETS_SVC_SETTINGS`` names), then the environment over it.

    :raises InvalidArgument: anything is wrong with them; the message names field or variable.
    """
    named = file or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    tree = _read_file(named) if named else {}
    for name in sorted(environ):
        if name.upper().startswith(PREFIX) and name != FILE_VARIABLE:
            _overlay(tree, name, environ[name])
    _complete_local_store(tree)
    return parse_model(Settings, tree, f"settings file {named}" if named else "settings")


def parse_model(model: type[M], tree: Mapping[str, Any], source: str) -> M:
    """``tree`` as a ``model``; every fault in one message.

    :raises InvalidArgument: naming each field, never repeating a value.
    """
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        faults = "; ".join(_fault(model, fault) for fault in error.errors(include_input=False)[:5])
        raise InvalidArgument(f"{source}: {faults}") from None


def _complete_local_store(tree: dict[str, Any]) -> None:
    """One setting of the store that is there by default need not repeat which backend it is."""
    stores = tree.get("stores")
    if isinstance(stores, dict) and list(stores) == ["local"] and isinstance(stores["local"], dict):
        stores["local"].setdefault("backend", "local")


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidArgument(f"settings file {path} does not exist") from None
    except (OSError, UnicodeDecodeError):
        raise InvalidArgument(f"settings file {path} can't be read") from None
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("(")[2].rstrip(")") if "(at " in str(error) else "somewhere"
        raise InvalidArgument(f"settings file {path} is not valid TOML {place}") from None


def _overlay(tree: dict[str, Any], variable: str, raw: str) -> None:
    """Put one variable in its place; only names that can match something are taken."""
    *groups, field = [part.lower() for part in variable[len(PREFIX) :].split("__")]
    node: dict[str, Any] = tree
    annotation: Any = Settings
    for group in groups:
        annotation = _annotation_in(annotation, group, variable)
        node = node.setdefault(group, {})
        if not isinstance(node, dict):
            raise InvalidArgument(
                f"{group} is not a table in the settings file, as {variable} wants it to be"
            )
    node[field] = _parse(raw, _annotation_in(annotation, field, variable))


def _annotation_in(outer: Any, name: str, variable: str) -> Any:
    """The type of field ``name`` in ``outer``; below a free table any name passes, and is checked later."""
    if _is_model(outer):
        if name in outer.model_fields:
            return outer.model_fields[name].annotation
        known = ", ".join(sorted(outer.model_fields)).upper()
        raise InvalidArgument(f"environment variable {variable} matches no setting; known there: {known}")
    if get_origin(outer) is dict or outer is Any:
        return get_args(outer)[1] if get_args(outer) else Any
    raise InvalidArgument(f"environment variable {variable} matches no setting")


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _parse(raw: str, annotation: object) -> Any:
    """Text for a text field; JSON for lists and tables; else what pydantic makes of the text."""
    origins = {get_origin(annotation), *map(get_origin, get_args(annotation))}
    if origins & {tuple, list, dict}:
        try:
            return json.loads(raw)
        except ValueError:
            return raw
    return raw


def _fault(model: type[BaseModel], fault: Any) -> str:
    field = ".".join(str(part) for part in fault["loc"]) or "it"
    if fault["type"] == "extra_forbidden":
        known = _known_beside(model, fault["loc"])
        return f"{field} is not a setting" + (f"; known here: {', '.join(known)}" if known else "")
    if fault["type"] == "missing":
        return f"{field} is missing"
    return f"{field}: {fault['msg'].removeprefix('Value error, ')}"


def _known_beside(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    current: Any = model
    for part in place[:-1]:
        if not (
            isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields
        ):
            return []
        current = current.model_fields[str(part)].annotation
    return list(current.model_fields) if _is_model(current) else []
