"""Functions of one process that want different values in the same places, with a state folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Server

VALUES = {"shop-db": b"of shop", "billing-db": b"of billing"}

START = """
import os, subprocess, sys
from secrets_svc.task import LocalStateError, Secret, SecretsMissing, requires_secrets, secrets
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """With the secrets in it."""
    made = Server(tmp_path_factory.mktemp("turns"))
    made.start()
    for name, value in VALUES.items():
        assert made.create(name, value, project="shop", domain="production").status == 201
    assert made.create("shop-db", b"of staging", project="shop", domain="staging").status == 201
    yield made
    assert made.stop() == 0


def run(server: Server, code: str, **more: str) -> None:
    """``code`` as a task with the state folder; it asserts by itself."""
    script = Path(server.folder) / "task_turns.py"
    script.write_text(START + code)
    scope = {"SECRET_PROJECT": "shop", "SECRET_DOMAIN": "production"}
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**server.environment, "SECRET_LOCAL_STATE": str(server.state), **scope, **more},
        cwd=server.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr


FUNCTIONS = """
@requires_secrets(Secret("shop-db", env="DB_PASSWORD", file="db/password"))
def shop(then=lambda: None):
    then()
    with open(secrets.path("shop-db")) as file:
        return secrets.get("shop-db"), file.read()

@requires_secrets(Secret("billing-db", env="DB_PASSWORD", file="db/password"))
def billing():
    return os.environ["DB_PASSWORD"], secrets.get_bytes("billing-db").decode()
"""


def test_each_function_gets_its_own_value(server: Server) -> None:
    before = len(server.audit())
    code = """
assert shop() == ("of shop", "of shop")
assert shop() == ("of shop", "of shop")
assert billing() == ("of billing", "of billing")
assert shop(then=billing) == ("of shop", "of shop")
"""
    run(server, FUNCTIONS + code)
    names = [each["secrets"][0]["name"] for each in server.audit()[before:]]
    assert names == ["shop-db", "billing-db", "shop-db", "billing-db", "shop-db"]


def test_another_version_and_another_scope_are_other_values(server: Server) -> None:
    before = len(server.audit())
    code = """
assert shop() == ("of shop", "of shop")

@requires_secrets(Secret("shop-db", env="DB_PASSWORD", version="1"))
def old():
    return os.environ["DB_PASSWORD"]

try:
    old()
except (LocalStateError, SecretsMissing):
    pass  # the store has no such version
else:
    raise AssertionError
os.environ["SECRET_DOMAIN"] = "staging"
assert secrets.get(Secret("shop-db", env="DB_PASSWORD")) == "of staging"
assert shop() == ("of staging", "of staging")
"""
    run(server, FUNCTIONS + code)
    assert [each["outcome"] for each in server.audit()[before:]].count("ok") == 3


def test_what_is_absent_leaves_nobody_elses_value(server: Server) -> None:
    code = """
@requires_secrets(Secret("gone", env="DB_PASSWORD", file="db/password", optional=True))
def optional():
    return os.environ.get("DB_PASSWORD"), secrets.get_bytes("gone", None)

@requires_secrets(Secret("shop-db", env="DB_PASSWORD", optional=True))
def by_scope():
    return os.environ.get("DB_PASSWORD")

@requires_secrets(Secret("gone", env="DB_PASSWORD"))
def needed():
    raise AssertionError

@requires_secrets(Secret("shop-db", env="SHOP_DB"), Secret("gone", env="GONE"))
def needed_beside_another():
    raise AssertionError

for _ in range(2):
    assert shop() == ("of shop", "of shop")
    assert optional() == (None, None)
for each in (needed, needed_beside_another):
    shop()
    try:
        each()
    except SecretsMissing as error:
        assert error.names == ("gone",)
        assert "secret create gone " in str(error) and "shop-db" not in str(error)
    else:
        raise AssertionError
    assert "SHOP_DB" not in os.environ
os.environ["SECRET_DOMAIN"] = "nowhere"
assert by_scope() is None
os.environ["SECRET_DOMAIN"] = "staging"
assert by_scope() == "of staging"
"""
    run(server, FUNCTIONS + code)


def test_what_somebody_else_put_there_stays(server: Server) -> None:
    code = """
assert billing() == ("mine", "mine")
del os.environ["DB_PASSWORD"]
assert shop() == ("of shop", "of shop")
os.environ["DB_PASSWORD"] = "mine too"
assert billing()[0] == "mine too"
"""
    run(server, FUNCTIONS + code, DB_PASSWORD="mine")


def test_overlapping_files_are_fetched_once_and_clashing_ones_told(server: Server) -> None:
    before = len(server.audit())
    code = """
@requires_secrets(Secret("shop-db", file="a"))
def first():
    return secrets.path("shop-db")

@requires_secrets(Secret("shop-db", file="a"), Secret("billing-db", file="b/c"))
def second():
    return secrets.path("shop-db"), secrets.get("billing-db")

@requires_secrets(Secret("shop-db", file="b"))
def folder():
    raise AssertionError

@requires_secrets(Secret("shop-db", file="a/b"))
def below():
    raise AssertionError

assert second() == (first(), "of billing")
for clash, text in ((folder, "file b "), (below, "file a ")):
    try:
        clash()
    except LocalStateError as error:
        assert error.code == "invalid_argument", error
        assert text in str(error) and "the folder of" in str(error), error
    else:
        raise AssertionError
"""
    run(server, code)
    assert [len(each["secrets"]) for each in server.audit()[before:]][:1] == [2]


def test_a_process_that_it_starts_makes_a_folder_of_its_own(server: Server) -> None:
    code = """
import multiprocessing

READ = "import os; open(os.environ['SECRET_FILES'] + '/a').close()"

@requires_secrets(Secret("shop-db", file="a"))
def first():
    return secrets.path("shop-db"), secrets.get("shop-db")

@requires_secrets(Secret("billing-db", file="a"), Secret("shop-db", file="b"))
def second():
    return secrets.path("billing-db"), secrets.get("billing-db"), secrets.get("shop-db")

def child(results):
    inherited = os.environ["SECRET_FILES"]
    path, *values = second()
    texts = [str(each) for each in (*values, first()[1])]
    results.put((texts, path.startswith(inherited), os.path.exists(inherited + "/a")))

if __name__ == "__main__":
    path, value = first()
    for method in ("spawn", "fork"):
        context = multiprocessing.get_context(method)
        results = context.SimpleQueue()
        process = context.Process(target=child, args=(results,))
        process.start()
        process.join()
        assert process.exitcode == 0
        assert results.get() == (["of billing", "of shop", "of shop"], False, True)
    with open(path) as file:
        assert file.read() == "of shop"
    env = {key: value for key, value in os.environ.items() if key != "SECRET_LOCAL_STATE"}
    subprocess.run([sys.executable, "-c", READ], env=env, check=True)
"""
    run(server, code)


def test_a_process_that_it_starts_gets_its_own_variables(server: Server) -> None:
    code = """
if sys.argv[1:] == ["child"]:
    assert shop()[0] == "of shop"
    assert billing()[0] == "of billing"
    os.environ["DB_PASSWORD"] = "mine"
    assert billing()[0] == "mine"
    sys.exit()
if sys.argv[1:] == ["spoilt"]:
    assert shop()[0] == "of shop"
    sys.exit()
shop()
assert "of shop" not in os.environ["SECRET_LOCAL_GIVEN"]
subprocess.run([sys.executable, __file__, "child"], check=True)
run = [sys.executable, "-m", "cli.main", "run", "--env", "billing-db=DB_PASSWORD", "--"]
told = "import os; print(os.environ['DB_PASSWORD'], 'SECRET_LOCAL_GIVEN' in os.environ)"
done = subprocess.run([*run, sys.executable, "-c", told], check=True, capture_output=True, text=True)
assert done.stdout == "of billing False\\n", done
for spoilt in ("[", "[]", '{"DB_PASSWORD": 1}', "null", '{"DB_PASSWORD": ["a", 1, 2]}'):
    env = {**os.environ, "SECRET_LOCAL_GIVEN": spoilt}
    subprocess.run([sys.executable, __file__, "spoilt"], env=env, check=True)
"""
    run(server, FUNCTIONS + code)
