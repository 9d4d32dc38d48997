"""Every installed backend has what a backend must have, and the registry refuses what it must."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from secrets_svc.backends import registry
from secrets_svc.core.errors import InvalidArgument, Unsupported
from secrets_svc.core.ports import Capabilities
from secrets_svc.testing import contract

HERE = Path(__file__).parent
OURS = sorted(
    name for name, point in registry.installed().items() if point.value.startswith("secrets_svc.backends.")
)


#: A harness has the settings that show most; what holds without them is asserted here.
_WITHOUT_ITS_SETTING = {"versions_unset": [HERE.parent / "kube" / "backend_kubernetes" / "test_versions.py"]}


def _install(folder: Path, package: str, line: str) -> None:
    """A distribution with one entry point, as an installer leaves it."""
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{line}\n")


def test_there_are_backends() -> None:
    assert {"aws", "kubernetes", "local", "memory"} <= set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_every_backend_has_a_contract_harness(name: str) -> None:
    """Here; or where a real cluster is, if it takes one."""
    module = name.replace("-", "_")
    places = (HERE / f"test_{module}.py", HERE.parent / "kube" / f"test_backend_{module}.py")
    harness = next((place for place in places if place.is_file()), None)
    assert harness is not None, f"backend {name} has neither {places[0].name} nor kube/{places[1].name}"
    assert "(BackendContract)" in harness.read_text(), f"{harness.name} runs only parts of the contract"


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Capabilities)])
def test_the_suite_asserts_whatever_a_backend_can_declare(field: str) -> None:
    """So that tables made from declarations are true. ``inline`` is how it is called, and in none."""
    parts = [*Path(contract.__file__).parent.glob("*.py"), *_WITHOUT_ITS_SETTING.get(field, ())]
    asserted = "".join(part.read_text() for part in parts)
    assert f"capabilities.{field}" in asserted or field == "inline"


@pytest.mark.parametrize("name", OURS)
def test_every_backend_is_called_as_its_entry_point(name: str) -> None:
    backend = registry.load(name)
    assert backend.name == name
    assert backend.summary
    assert "\n" not in backend.summary


@pytest.mark.parametrize("name", OURS)
def test_settings_models_are_frozen_and_refuse_unknown_fields(name: str) -> None:
    config = registry.load(name).settings_model.model_config
    assert (config["frozen"], config["extra"], config["hide_input_in_errors"]) == (True, "forbid", True)
    for field, info in registry.load(name).settings_model.model_fields.items():
        assert info.description, f"setting {field} of {name} is not described"


def test_an_unknown_backend_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidArgument, match=r"installed: .*local.*memory"):
        registry.load("loacl")


def test_two_packages_with_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, "somebody-elses", "local = somebody_elses:BACKEND")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InvalidArgument, match='two installed packages offer a backend named "local"'):
        registry.load("memory")


def test_a_missing_client_library_says_which_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needs_a_library.py").write_text("import a_library_that_is_not_there\n")
    _install(tmp_path, "needs-a-library", "needy = needs_a_library:BACKEND")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(Unsupported, match=r"a_library_that_is_not_there.*install the extra"):
        registry.load("needy")
    assert registry.load("memory").name == "memory"
