"""The configuration file: what is written is what is read, and a token goes only where it belongs."""

from __future__ import annotations

import stat
import threading
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.context import (
    Configuration,
    Context,
    config_path,
    load_context,
    read_configuration,
    render,
    save_context,
)
from secrets_svc.core.errors import InvalidArgument, NotFound
from secrets_svc.core.value import SecretValue

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
CONTEXTS = st.builds(
    Context,
    endpoint=st.none() | TEXTS,
    token=st.none() | TEXTS.map(lambda text: SecretValue(text.encode())),
    ca_file=st.none() | TEXTS,
    project=st.none() | TEXTS,
)


@given(current=st.none() | TEXTS, contexts=st.dictionaries(TEXTS, CONTEXTS, max_size=3))
def test_what_is_written_is_what_is_read(current: str | None, contexts: dict[str, Context]) -> None:
    document = tomllib.loads(render(Configuration(current, contexts)).decode())
    assert document.get("current") == current
    assert set(document.get("contexts", {})) == set(contexts)
    for name, context in contexts.items():
        plain = context._asdict()
        if context.token is not None:
            plain["token"] = context.token.reveal_bytes().decode()
        assert document["contexts"][name] == {k: v for k, v in plain.items() if v is not None}


def test_saving_keeps_the_others_and_is_private(home: Path) -> None:
    first = Context(endpoint="http://127.0.0.1:1", token=SecretValue(b't"\\\x7f'), state="/st\u00e4te")
    path = save_context("one", first)
    save_context("two", Context(endpoint="https://two"), make_current=False)
    assert path == home / ".config" / "secrets-svc" / "config.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_context() == first
    assert load_context("two").endpoint == "https://two"
    save_context("two", Context(endpoint="https://new"))
    assert load_context().endpoint == "https://new"
    assert load_context("one") == first


def test_writers_at_the_same_time_lose_nothing(home: Path) -> None:
    def save(number: int) -> None:
        save_context(f"c{number}", Context(endpoint=f"http://127.0.0.1:{number}"))

    threads = [threading.Thread(target=save, args=(number,)) for number in range(1, 13)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_configuration(config_path()).contexts) == 12
    assert not [
        entry
        for entry in config_path().parent.iterdir()
        if ".config.toml." in entry.name and ".lock" not in entry.name
    ]


def test_a_link_stays_a_link(home: Path) -> None:
    real = home / "dotfiles.toml"
    config_path().parent.mkdir(parents=True)
    config_path().symlink_to(real)
    save_context("one", Context(endpoint="http://localhost:1"))
    assert config_path().is_symlink()
    assert "one" in read_configuration(real).contexts


@pytest.mark.parametrize("name", ["", "a b", "-a", "../x", "a" * 200, "a\n"])
def test_illegal_context_names(name: str) -> None:
    with pytest.raises(InvalidArgument):
        save_context(name, Context())


def test_where_the_file_lies(home: Path) -> None:
    assert config_path({"XDG_CONFIG_HOME": "/x"}) == Path("/x/secrets-svc/config.toml")
    assert config_path({"XDG_CONFIG_HOME": "relative"}) == home / ".config/secrets-svc/config.toml"
    assert config_path({"SECRET_CONFIG": "/y.toml", "XDG_CONFIG_HOME": "/x"}) == Path("/y.toml")


def write(text: str, mode: int = 0o600) -> None:
    config_path().parent.mkdir(parents=True, exist_ok=True)
    config_path().write_text(text)
    config_path().chmod(mode)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_token_that_others_can_read_is_refused(mode: int) -> None:
    write('[contexts.a]\ntoken = "t-canary"\n', mode)
    with pytest.raises(InvalidArgument, match="chmod 600") as caught:
        load_context("a")
    assert "canary" not in str(caught.value)


def test_without_a_token_the_file_may_be_public() -> None:
    write('[contexts.a]\nendpoint = "https://a"\ntoken_file = "/t"\n', 0o644)
    assert load_context("a").token_file == "/t"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[contexts.a]\ntokn = "canary"\n', "contexts.a.tokn"),
        ("[contexts.a]\ntoken = 4711\n", "contexts.a.token"),
        ('curent = "canary"\n', '"curent"'),
        ("current = 4711\n", "current"),
        ("contexts = 4711\n", "contexts"),
        ('contexts.a = "canary"\n', "contexts.a"),
        ('[contexts.a]\ntoken = "canary\n', "line 2"),
        ("[contexts.a]\ntoken = canary\n", "line 2"),
        ("\x00canary", "not valid TOML"),
    ],
)
def test_illegal_files_are_refused_by_place_and_without_what_they_hold(text: str, named: str) -> None:
    write(text)
    with pytest.raises(InvalidArgument) as caught:
        load_context()
    assert named in str(caught.value)
    assert "canary" not in str(caught.value)
    assert "4711" not in str(caught.value)
    with pytest.raises(InvalidArgument):
        save_context("b", Context())
    assert config_path().read_text() == text


def test_bytes_that_are_not_utf8() -> None:
    write("")
    config_path().write_bytes(b'current = "\xff"')
    with pytest.raises(InvalidArgument, match="not valid TOML"):
        load_context()


def test_an_unknown_context_is_named_with_those_that_are_there() -> None:
    save_context("prod", Context())
    with pytest.raises(NotFound, match=r'"prd".*there: prod'):
        load_context("prd")
    with pytest.raises(NotFound):
        load_context(environ={"SECRET_CONTEXT": "prd", "SECRET_CONFIG": str(config_path())})


class TestEnvironment:
    @pytest.fixture(autouse=True)
    def stored(self) -> None:
        context = Context(
            endpoint="https://one",
            token=SecretValue(b"t1"),
            ca_file="/ca",
            organization="acme",
            project="shop",
        )
        save_context("one", context)

    def environ(self, **variables: str) -> dict[str, str]:
        return {"SECRET_CONFIG": str(config_path()), **variables}

    def test_a_token_is_not_sent_to_another_server(self) -> None:
        found = load_context(environ=self.environ(SECRET_ENDPOINT="https://two"))
        assert found == Context(endpoint="https://two", project="shop")

    def test_but_to_the_same_one(self) -> None:
        found = load_context(environ=self.environ(SECRET_ENDPOINT="https://one/"))
        assert found.token == SecretValue(b"t1")
        assert found.ca_file == "/ca"

    def test_a_token_from_the_environment_wins(self) -> None:
        found = load_context(environ=self.environ(SECRET_TOKEN="t2"))
        assert (found.endpoint, found.token) == ("https://one", SecretValue(b"t2"))

    def test_an_authority_from_the_environment_wins_and_goes_with_any_server(self) -> None:
        assert load_context(environ=self.environ(SECRET_CA_FILE="/other")).ca_file == "/other"
        found = load_context(environ=self.environ(SECRET_ENDPOINT="https://two", SECRET_CA_FILE="/other"))
        assert (found.endpoint, found.ca_file) == ("https://two", "/other")

    def test_empty_variables_count_as_absent(self) -> None:
        empty = dict.fromkeys(("SECRET_TOKEN", "SECRET_ENDPOINT", "SECRET_CONTEXT", "SECRET_CA_FILE"), "")
        found = load_context(environ=self.environ(**empty))
        assert (found.token, found.ca_file) == (SecretValue(b"t1"), "/ca")


def test_a_token_file_is_read_when_it_is_needed(tmp_path: Path) -> None:
    context = Context(token_file=str(tmp_path / "token"))
    with pytest.raises(InvalidArgument, match="token_file"):
        context.bearer_token()
    (tmp_path / "token").write_text("t3\n")
    assert context.bearer_token() == SecretValue(b"t3")
    assert Context(token=SecretValue(b"t4"), token_file="/absent").bearer_token() == SecretValue(b"t4")


def test_a_context_does_not_show_its_token() -> None:
    assert "canary" not in repr(Context(token=SecretValue(b"t-canary")))
