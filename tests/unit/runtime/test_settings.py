"""Settings: what is unknown, misspelt, absent or wrong stops the start, and is not repeated (I5)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from secrets_svc.core.errors import InvalidArgument, SecretsError
from secrets_svc.core.scope import Scope
from secrets_svc.runtime.settings import Settings
from secrets_svc.runtime.settings_source import load_settings
from secrets_svc.runtime.stores import configured_stores

MARKER = "s3cr3t-m4rker"
Refusal = Callable[..., str]


@pytest.fixture
def refusal(tmp_path: Path) -> Refusal:
    """The message with which ``text`` and environment are refused."""

    def load(text: str = "", **environ: str) -> str:
        file = tmp_path / "settings.toml"
        file.write_text(text)
        with pytest.raises(InvalidArgument) as caught:
            load_settings(file, environ)
        error: BaseException = caught.value
        assert error.__cause__ is None
        assert error.__context__ is None or error.__suppress_context__
        assert MARKER not in str(error)
        return str(error)

    return load


def load(tmp_path: Path, text: str = "", **environ: str) -> Settings:
    file = tmp_path / "settings.toml"
    file.write_text(text)
    return load_settings(file, environ)


def test_nothing_is_needed() -> None:
    settings = load_settings(None, {"PATH": "/bin", "SECRETS_SV": "x", "OTHER": "y"})
    assert settings == Settings()
    assert settings.server.listen.startswith("127.0.0.1:")
    assert settings.policy.bindings == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f'tokn = "{MARKER}"', "tokn is not a setting; known here: server, state"),
        (f'[server]\nlisen = "{MARKER}"', "server.lisen is not a setting; known here: listen"),
        (f'[injector.namespaces.a]\nprojct = "{MARKER}"', "injector.namespaces.a.projct is not a setting"),
        (f'[[policy.bindings]]\nprincipal = "{MARKER}"', "policy.bindings.0.role is missing"),
        (f'[[authentication.tokens]]\nprincipal = "a"\ntoken = "{MARKER}"', "authentication.tokens.0.token"),
        (f'server = "{MARKER}"', "server: "),
        (f'[server]\nbody_deadline = "{MARKER}"', "server.body_deadline: "),
        (f'[server]\nlisten = "{MARKER}"', "server.listen: "),
        ('[server]\nlisten = "127.0.0.1:70000"', "server.listen: "),
        ("[server]\nidle_timeout = 0", "server.idle_timeout: "),
        (f'[logging]\nlevel = "{MARKER}"', "logging.level: "),
        (f'[organization]\nname = "{MARKER} X"', "organization.name: "),
        (f'[policy]\nbindings = [{{principal = "a", role = "{MARKER}"}}]', "policy.bindings.0.role: "),
        (f'[policy]\nbindings = "{MARKER}"', "policy.bindings: "),
        (f'[stores]\nlocal = "{MARKER}"', "stores.local: "),
        (f'[injector]\nmax_staleness = ["{MARKER}"]', "injector.max_staleness: "),
    ],
)
def test_what_is_wrong_is_named_and_not_repeated(refusal: Refusal, text: str, says: str) -> None:
    message = refusal(text)
    assert says in message
    assert "settings.toml" in message


@pytest.mark.parametrize(
    "text",
    [
        f'token = "{MARKER}\n',
        f"token = {MARKER}",
        f'token = "{MARKER}" "{MARKER}"',
        f'"{MARKER}" = 1\n"{MARKER}" = 2',
        f"[{MARKER}\n",
        f'a = "\\q{MARKER}"',
        f"= {MARKER}",
        f'a = """{MARKER}',
    ],
    ids=range(8),
)
def test_a_syntax_error_is_a_place_and_no_text(refusal: Refusal, text: str) -> None:
    assert "is not valid TOML at " in refusal(text)


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_bytes(b'token = "\xff' + MARKER.encode() + b'"')
    with pytest.raises(InvalidArgument, match="can't be read") as caught:
        load_settings(file, {})
    assert MARKER not in str(caught.value)


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    absent = tmp_path / "absent.toml"
    with pytest.raises(InvalidArgument, match=r"absent\.toml does not exist"):
        load_settings(absent, {})
    with pytest.raises(InvalidArgument, match=r"absent\.toml does not exist"):
        load_settings(None, {"SECRETS_SVC_SETTINGS": str(absent)})
    with pytest.raises(InvalidArgument, match="can't be read"):
        load_settings(tmp_path, {})


@pytest.mark.parametrize(
    "name",
    [
        "SECRETS_SVC_SERVER__LISEN",
        "SECRETS_SVC_SERVR__LISTEN",
        "SECRETS_SVC_SERVER_LISTEN",
        "SECRETS_SVC_SERVER__LISTEN__X",
        "SECRETS_SVC_",
        "SECRETS_SVC___",
        "SECRETS_SVC_SETTING",
        "secrets_svc_settings",
        "SECRETS_SVC_TOKEN",
        "SECRETS_SVC_POLICY__BINDINGS__0__ROLE",
    ],
)
def test_a_misspelt_variable_stops_the_start(refusal: Refusal, name: str) -> None:
    assert f"environment variable {name} matches no setting" in refusal(**{name: MARKER})


def test_variables_go_over_the_file(tmp_path: Path) -> None:
    text = '[server]\nlisten = "127.0.0.1:1"\nbody_deadline = 5\n[injector]\ndeadline = 3\n'
    settings = load(
        tmp_path, text, SECRETS_SVC_SERVER__LISTEN="127.0.0.1:2", secrets_svc_logging__level="debug"
    )
    assert settings.server.listen == "127.0.0.1:2"
    assert settings.server.body_deadline == 5
    assert settings.injector.deadline == 3
    assert settings.logging.level == "debug"


def test_a_variable_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text('[organization]\nname = "acme"\n')
    assert load_settings(None, {"SECRETS_SVC_SETTINGS": str(file)}).organization.name == "acme"


def test_lists_and_tables_are_json_in_variables(tmp_path: Path) -> None:
    bindings = [{"principal": "alice", "role": "viewer", "project": "shop"}]
    settings = load(
        tmp_path,
        SECRETS_SVC_POLICY__BINDINGS=json.dumps(bindings),
        SECRETS_SVC_INJECTOR__NAMESPACES='{"shop-production": {"project": "shop"}}',
    )
    assert settings.policy.bindings[0].project == "shop"
    assert settings.injector.namespaces["shop-production"].project == "shop"


def test_tables_can_be_reached_into(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        '[injector.namespaces.a]\nproject = "shop"\n[stores.main]\nbackend = "local"\n',
        SECRETS_SVC_INJECTOR__NAMESPACES__A__DOMAIN="production",
        SECRETS_SVC_STORES__MAIN__BUSY_TIMEOUT="7",
    )
    assert settings.injector.namespaces["a"].domain == "production"
    assert settings.injector.namespaces["a"].project == "shop"
    assert configured_stores(settings, tmp_path).by_name["main"].settings.busy_timeout == 7


@pytest.mark.parametrize("raw", ["{", f'["{MARKER}"', MARKER, '{"a": 1}', "7"])
def test_json_that_is_none_is_refused_by_field(refusal: Refusal, raw: str) -> None:
    assert "policy.bindings" in refusal(SECRETS_SVC_POLICY__BINDINGS=raw)


def test_a_variable_of_the_wrong_type_is_not_repeated(refusal: Refusal) -> None:
    assert "server.body_deadline" in refusal(SECRETS_SVC_SERVER__BODY_DEADLINE=MARKER)
    assert "server is not a table" in refusal(
        f'server = "{MARKER}"', SECRETS_SVC_SERVER__LISTEN="127.0.0.1:1"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stores = {}", "stores: none is configured"),
        (
            '[stores.a]\nbackend = "local"\n[stores.b]\nbackend = "memory"',
            "routes: with 2 stores they must say",
        ),
        (f'[stores.a]\ntoken = "{MARKER}"', "stores.a.backend is missing"),
        ("[stores.a]\nbackend = 7", "stores.a.backend is missing"),
        ('[stores.a]\nbackend = "vualt"', "installed: "),
        (
            f'[stores.a]\nbackend = "local"\nfoldr = "{MARKER}"',
            "stores.a: foldr is not a setting; known here:",
        ),
        (f'[stores.a]\nbackend = "local"\nbusy_timeout = "{MARKER}"', "stores.a: busy_timeout: "),
    ],
)
def test_stores_of_known_kinds(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SecretsError, match=r"store|backend") as caught:
        configured_stores(load(tmp_path, text), tmp_path)
    assert says in str(caught.value)
    assert MARKER not in str(caught.value)


def test_settings_cannot_be_changed_and_do_not_grow() -> None:
    settings = Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.server = settings.server  # type: ignore[misc]


def test_every_setting_says_what_it_means() -> None:
    def walk(model: type, place: str) -> list[str]:
        silent = []
        for name, field in model.model_fields.items():  # type: ignore[attr-defined]
            inner = field.annotation
            if isinstance(inner, type) and hasattr(inner, "model_fields"):
                silent += walk(inner, f"{place}{name}.")
            elif not field.description:
                silent.append(place + name)
        return silent

    assert walk(Settings, "") == []


def test_one_setting_of_the_default_store_needs_no_backend_beside_it() -> None:
    settings = load_settings(None, {"SECRETS_SVC_STORES__LOCAL__BUSY_TIMEOUT": "7"})
    assert settings.stores == {"local": {"busy_timeout": "7", "backend": "local"}}
    assert configured_stores(settings, Path("/state")).by_name["local"].settings.busy_timeout == 7
    with pytest.raises(InvalidArgument, match=r"stores\.main\.backend is missing"):
        configured_stores(
            load_settings(None, {"SECRETS_SVC_STORES__MAIN__BUSY_TIMEOUT": "7"}), Path("/state")
        )


def test_the_local_store_lies_in_the_state_folder_only() -> None:
    settings = load_settings(None, {"SECRETS_SVC_STORES__LOCAL__FOLDER": "/elsewhere"})
    with pytest.raises(InvalidArgument, match=r"stores\.local: folder is not a setting"):
        configured_stores(settings, Path("/state"))


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("SECRETS_SVC_STATE__FOLDER", "relative/folder", "state.folder: .*must be an absolute path"),
        ("SECRETS_SVC_AUDIT__FILE", "audit.jsonl", "audit.file: .*must be an absolute path, or begin with ~"),
        ("SECRETS_SVC_SERVER__TLS_CERT", "a/b", "server.tls_cert: .*must be an absolute path"),
        ("SECRETS_SVC_INJECTOR__TLS_KEY", "", "injector.tls_key: .*must be an absolute path"),
        (
            "SECRETS_SVC_AUTHENTICATION__TOKENS",
            '[{"principal": "a", "token_file": "token"}]',
            "authentication.tokens.0.token_file: .*must be an absolute path",
        ),
        ("SECRETS_SVC_INJECTOR__NAMESPACES", '{"all": {}}', "must name a project, a domain or both"),
        (
            "SECRETS_SVC_INJECTOR__NAMESPACES",
            '{"Shop": {"project": "shop"}}',
            "injector.namespaces.*lower-case",
        ),
        ("SECRETS_SVC_STATE__FOLDER", "/a\x00b", "state.folder: .*no NUL"),
        ("SECRETS_SVC_SERVER__LISTEN", "127.0.0.1:8²", "server.listen: .*must be HOST:PORT"),
        (
            "SECRETS_SVC_POLICY__BINDINGS",
            '[{"principal": "a\\nb", "role": "admin"}]',
            "bindings.0.principal: ",
        ),
        ("SECRETS_SVC_POLICY__BINDINGS", '[{"principal": " a", "role": "admin"}]', "bindings.0.principal: "),
        (
            "SECRETS_SVC_AUTHENTICATION__TOKENS",
            '[{"principal": "anonymous", "token_file": "/token"}]',
            "authentication.tokens.0.principal: .*callers that are not known",
        ),
    ],
)
def test_what_would_mean_something_else_is_refused(variable: str, value: str, text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        load_settings(None, {variable: value})


def test_a_tilde_is_the_home_folder() -> None:
    settings = load_settings(None, {"SECRETS_SVC_STATE__FOLDER": "~/mine"})
    assert settings.state.folder == Path("~/mine").expanduser()


TWO = '[stores.a]\nbackend = "local"\n[stores.b]\nbackend = "memory"\n'


def test_several_stores_by_scope(tmp_path: Path) -> None:
    text = TWO + '[[routes]]\nstore = "b"\nproject = "team-*"\n[[routes]]\nstore = "a"\n'
    stores = configured_stores(load(tmp_path, text), tmp_path)
    assert stores.routes.store_of(Scope("flyte", "production", "team-x")) == "b"
    assert stores.routes.store_of(Scope("flyte")) == "a"


@pytest.mark.parametrize(
    ("routes", "says"),
    [
        ('[[routes]]\nstore = "c"', 'routes[0].store: there is no store "c"'),
        ('[[routes]]\nstore = "a"', "routes: none leads to store b"),
        ('[[routes]]\nstore = "a"\nproject = "x"', "routes: the last route must be for all scopes"),
        ('[[routes]]\nstore = "a"\n[[routes]]\nstore = "b"', "is for all scopes, but it is not the last"),
        ('[[routes]]\nstore = "a"\nproject = "A_b"\n[[routes]]\nstore = "b"', "routes[0]: project"),
        ('[[routes]]\nstroe = "a"', "routes.0.stroe is not a setting"),
    ],
)
def test_routes_that_leave_something_out_stop_the_start(tmp_path: Path, routes: str, says: str) -> None:
    with pytest.raises(InvalidArgument, match="routes") as caught:
        configured_stores(load(tmp_path, TWO + routes), tmp_path)
    assert says in str(caught.value)


def test_two_stores_in_one_state_folder_stop_the_start(tmp_path: Path) -> None:
    text = '[stores.a]\nbackend = "local"\n[stores.b]\nbackend = "local"\n[[routes]]\nstore = "a"\n'
    with pytest.raises(InvalidArgument, match="a and b would lie in the one state folder"):
        configured_stores(load(tmp_path, text), tmp_path)
