"""What task images install: alone, beside PyPI's ``injector``, and beside the whole service."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from documents import ROOT, blocks
from flyte_clients import QUIET as QUIET_CLIENTS
from flyte_clients import programs

FOLDER = ROOT / "secrets_svc" / "task"
LOCK = ROOT / "requirements" / "task-image.txt"
QUIET = ["--quiet", "--disable-pip-version-check"]
#: Seconds that its import may add.
MAX_IMPORT = 0.030
OLDEST = (3, 9)
#: Of installing, and of removing.
ORDERS = [2 * (("task", "whole"),), 2 * (("whole", "task"),)]


class Environment:
    """A virtual environment of this test's own."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=True)
        self.python = folder / "bin" / "python"

    def pip(self, *arguments: str) -> None:
        """Our pip, which works there."""
        command = [sys.executable, "-m", "pip", *QUIET, "--python", str(self.python), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def install(self, wheel: Path) -> None:
        """A wheel, and nothing it would need."""
        self.pip("install", "--no-deps", "--no-index", str(wheel))

    def run(self, code: str, *options: str) -> subprocess.CompletedProcess[str]:
        """Python, without anything of this process' own."""
        return subprocess.run(
            [str(self.python), "-I", "-W", "error", *options, "-c", code],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            cwd="/",
            env={"PATH": "/usr/bin:/bin"},
        )

    def imports(self, *modules: str) -> bool:
        """Whether all of them can be imported."""
        done = self.run("\n".join(f"import {module}" for module in modules))
        assert done.returncode == 0 or "ModuleNotFoundError" in done.stderr, done.stderr
        return done.returncode == 0


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both, as they are built: ``task`` and ``whole``."""
    target = tmp_path_factory.mktemp("wheels")
    build = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(target)]
    command = [sys.executable, "-m", "pip", *build, *QUIET, str(FOLDER), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True, timeout=110)
    [task] = target.glob("secrets_svc_task-*.whl")
    [whole] = target.glob("secrets_svc-*.whl")
    return {"task": task, "whole": whole}


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory, wheels: dict[str, Path]) -> Environment:
    """With PyPI's ``injector``."""
    made = Environment(tmp_path_factory.mktemp("image"))
    made.pip("install", "--require-hashes", "-r", str(LOCK))
    made.install(wheels["task"])
    return made


def content(wheel: Path) -> set[str]:
    """Files in it, but for what says what it is."""
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_a_wheel_brings_its_folder_and_nothing_else(wheels: dict[str, Path]) -> None:
    modules = {path.name for path in FOLDER.glob("*.py")}
    assert content(wheels["task"]) == {f"secrets_svc/task/{name}" for name in modules | {"py.typed"}}
    assert not any(name.startswith("secrets_svc/task/") for name in content(wheels["whole"]))
    assert not content(wheels["task"]) & content(wheels["whole"])
    assert (FOLDER / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert any(name.endswith("/LICENSE") for name in zipfile.ZipFile(wheels["task"]).namelist())


def test_both_distributions_are_of_one_version() -> None:
    described = [tomllib.loads((folder / "pyproject.toml").read_text()) for folder in (ROOT, FOLDER)]
    assert len({each["project"]["version"] for each in described}) == 1
    assert described[1]["project"]["dependencies"] == []


def test_it_lies_beside_another_injector(image: Environment) -> None:
    code = """
import injector, secrets_svc.task
assert "dist-info" not in injector.__file__ and hasattr(injector, "Injector")
assert not hasattr(secrets_svc, "__file__") or secrets_svc.__file__ is None
"""
    [example] = blocks((FOLDER / "README.md").read_text(encoding="utf-8"))
    done = image.run(code + example.text)
    assert done.returncode == 0, done.stderr
    assert not image.imports("cli")
    assert not image.imports("secrets_svc.core")


def asks_for_the_whole(environment: Environment) -> bool:
    """Whether a run with a state folder is refused with what to install."""
    code = """
from secrets_svc.task import LocalStateError, requires_secrets
try:
    requires_secrets("a", local_state="/state")(print)()
except LocalStateError as error:
    print(error.code, error)
"""
    done = environment.run(code)
    assert done.returncode == 0, done.stderr
    return re.match(r"unsupported .* install secrets-svc with its extra server", done.stdout) is not None


def test_without_the_service_a_state_folder_is_refused_with_what_to_install(image: Environment) -> None:
    assert asks_for_the_whole(image)


@pytest.mark.parametrize("orders", ORDERS)
def test_it_lies_beside_the_whole_service_and_each_can_go(
    tmp_path: Path, wheels: dict[str, Path], orders: tuple[tuple[str, str], tuple[str, str]]
) -> None:
    names = {"task": "secrets-svc-task", "whole": "secrets-svc"}
    modules = {"task": "secrets_svc.task", "whole": "secrets_svc.core.scope"}
    environment = Environment(tmp_path)
    installing, removing = orders
    for each in installing:
        environment.install(wheels[each])
    assert environment.imports(*modules.values())
    assert asks_for_the_whole(environment)  # it is there without what it needs
    first, last = removing
    environment.pip("uninstall", "--yes", names[first])
    assert (environment.imports(modules[first]), environment.imports(modules[last])) == (False, True)
    environment.pip("uninstall", "--yes", names[last])
    assert not environment.imports(modules[last])


def test_its_import_is_quick_and_takes_the_standard_library_only(image: Environment) -> None:
    image.imports("secrets_svc.task")  # leaves compiled files
    # Of the processor, so that other work on this machine counts for little; and that only ever adds.
    clock = "time.process_time()"
    timed = f"import time; begun = {clock}; import secrets_svc.task; print({clock} - begun)"
    assert min(float(image.run(timed).stdout) for _ in range(7)) < MAX_IMPORT
    code = "import sys; before = set(sys.modules); import secrets_svc.task; print(*set(sys.modules) - before)"
    imported = {name for name in image.run(code).stdout.split() if not name.startswith("secrets_svc")}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
    assert not imported & {"inspect", "typing", "dataclasses", "asyncio", "importlib.metadata", "subprocess"}


FRAMEWORKS = """
import asyncio, os
import cloudpickle, flyte, flytekit
from secrets_svc.task import Secret, requests_of, requires_secrets, secrets

os.environ["DB_PASSWORD"] = "value"


@requires_secrets("db-password")
def plain():
    return secrets.get("db-password")


@requires_secrets("db-password")
def generator():
    yield secrets.get("db-password")


@requires_secrets("db-password")
async def coroutine():
    return secrets.get("db-password")


def elsewhere(function):
    return cloudpickle.loads(cloudpickle.dumps(function))


assert elsewhere(plain)() == "value"
assert list(elsewhere(generator)()) == ["value"]
assert asyncio.run(elsewhere(coroutine)()) == "value"
assert requests_of(elsewhere(plain)) == (Secret("db-password"),)


@flyte.TaskEnvironment(name="report", image="auto").task
@requires_secrets("db-password")
async def flyte_2() -> int:
    return len(secrets.get("db-password"))


@flytekit.task
@requires_secrets("db-password")
def flyte_1(times: int) -> int:
    return len(secrets.get("db-password")) * times


assert requests_of(flyte_2) == requests_of(flyte_1) == (Secret("db-password"),)
assert flyte_1(times=2) == 10
print("done")
"""


def test_functions_stay_what_frameworks_take_them_for(tmp_path: Path, wheels: dict[str, Path]) -> None:
    """By the frameworks' own packages: pickled by value, and as tasks of Flyte 2 and of Flyte 1."""
    zipfile.ZipFile(wheels["task"]).extractall(tmp_path)
    script = tmp_path / "script.py"  # they read the source
    script.write_text(FRAMEWORKS)
    done = subprocess.run(
        [str(programs() / "python"), str(script)],
        env={**QUIET_CLIENTS, "PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert "done" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("module", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_it_is_written_in_the_oldest_python_that_it_is_for(module: Path) -> None:
    text = module.read_text(encoding="utf-8")
    parsed = ast.parse(text, feature_version=OLDEST)
    annotated = any(isinstance(node, ast.FunctionDef | ast.AnnAssign) for node in ast.walk(parsed))
    assert not annotated or "from __future__ import annotations\n" in text  # newer forms are never evaluated
    described = tomllib.loads((FOLDER / "pyproject.toml").read_text())
    assert described["project"]["requires-python"] == f">={'.'.join(map(str, OLDEST))}"
