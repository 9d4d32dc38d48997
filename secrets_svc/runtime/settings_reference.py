"""The settings reference, made of the settings' own descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeGuard, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from secrets_svc.backends import registry
from secrets_svc.core.errors import Unsupported
from secrets_svc.runtime.settings import Settings
from secrets_svc.runtime.settings_source import PREFIX

_HEAD = """# Settings

Made by `make docs` from the settings' own descriptions; a test compares. Settings come from a TOML file
(`secret serve all --settings FILE`, or `SECRETS_SVC_SETTINGS=FILE`) and from environment variables over it:
`SECRETS_SVC_<GROUP>__<FIELD>`, lists and tables as JSON. A key or a prefixed variable that matches nothing, a
named file that is absent, or a value of the wrong type stops the start; the message names the field and does
not repeat the value.
"""


def reference() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for name, field in Settings.model_fields.items():
        parts += _group(name, field)
    for name in sorted(registry.installed()):
        parts += _backend(name)
    return "\n".join(parts).rstrip() + "\n"


def _backend(name: str) -> Iterator[str]:
    try:
        backend = registry.load(name)
    except Unsupported as error:  # its library isn't installed, which is nobody's mistake here
        yield f'## [stores.NAME] with backend = "{name}"\n\nNot shown: {error}\n'
        return
    yield f'## [stores.NAME] with backend = "{name}"\n\n{backend.summary}\n'
    model = backend.settings_model
    yield from _table(model, "")
    places: dict[type[BaseModel], list[str]] = {}
    for field_name, field in model.model_fields.items():
        for inner in filter(_is_model, get_args(field.annotation)):
            places.setdefault(inner, []).append(f"[stores.NAME.{field_name}]")
    for inner, names in places.items():
        yield f"### {', '.join(names)}\n\n{_first_line(inner)}\n"
        yield from _table(inner, "")


def _group(name: str, field: FieldInfo) -> Iterator[str]:
    annotation = field.annotation
    if _is_model(annotation):
        yield f"## [{name}]\n\n{_first_line(annotation)}\n"
        yield from _table(annotation, f"{PREFIX}{name.upper()}__")
        for inner_name, inner in annotation.model_fields.items():
            yield from _nested(f"{name}.{inner_name}", inner.annotation)
    else:
        yield f"## [{name}]\n\n{field.description}\n"


def _nested(path: str, annotation: Any) -> Iterator[str]:
    model = next((each for each in get_args(annotation) if _is_model(each)), None)
    if model is not None:
        forms = {dict: f"[{path}.NAME]", tuple: f"[[{path}]]"}
        form = forms.get(get_origin(annotation), f"[{path}]")
        yield f"### {form}\n\n{_first_line(model)}\n"
        yield from _table(model, "")
        for inner_name, inner in model.model_fields.items():
            yield from _nested(f"{path}.{inner_name}", inner.annotation)


def _table(model: type[BaseModel], prefix: str) -> Iterator[str]:
    if not model.model_fields:
        yield "No settings.\n"
        return
    yield "| field | default | meaning |" + (" variable |" if prefix else "")
    yield "|---|---|---|" + ("---|" if prefix else "")
    for name, field in model.model_fields.items():
        variable = f" `{prefix}{name.upper()}` |" if prefix else ""
        yield f"| `{name}` | {_default(field)} | {field.description} |{variable}"
    yield ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if default is None or default in ((), {}, ""):
        return "none"
    return f"`{default}`"


def _is_model(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]
