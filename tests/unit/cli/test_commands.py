"""Each command against a control plane."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.context import config_path, load_context

SHOP = ("-p", "shop", "-d", "production")
KEY = ("db", "acme", "production", "shop")


@pytest.fixture
def stored(connected: Any, process: Any) -> Any:
    """The secret ``db`` is there."""
    connected.store(KEY, "generic", {"base64": "eA=="}, False)
    return connected


def test_create_in_every_form(connected: Any, secret: Any, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(b"x")
    file = ("-f", str(tmp_path / "v"))
    result = secret("create", "a", *SHOP, *file)
    assert result.out == "created a in project-domain shop/production (version v1)\n"
    result = secret("create", "b", *SHOP, *file, "-o", "json", "--type", "image_pull")
    assert json.loads(result.out) == connected.secrets[("b", "acme", "production", "shop")]
    assert json.loads(result.out)["type"] == "image-pull"
    assert yaml.safe_load(secret("create", "c", *SHOP, *file, "-o", "yaml").out)["name"] == "c"
    assert secret("create", "d", *SHOP, *file, "-o", "name").out == "d\n"
    result = secret("create", "e", *SHOP, *file, "--dry-run")
    assert result.out == "would create e in project-domain shop/production (nothing was stored)\n"
    result = secret("create", "a", *SHOP, *file)
    assert (result.code, result.err) == (4, 'secret: already_exists: secret "a" is there already\n')


def test_the_organizations_own_scope_is_learnt_from_the_server(
    connected: Any, secret: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "v").write_bytes(b"x")
    monkeypatch.setenv("SECRET_PROJECT", "shop")
    result = secret("create", "a", "--org-wide", "-f", str(tmp_path / "v"))
    assert result.out == "created a in organization acme (version v2)\n"
    assert [call[1] for call in connected.calls] == ["/v1/whoami", "/v1/secrets"]
    secret("get", "a", "--org-wide")
    assert connected.calls[-1][2] == {"organization": "acme"}


def test_update_and_versions(stored: Any, secret: Any, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(b"y")
    version = stored.secrets[KEY]["version"]
    file = ("-f", str(tmp_path / "v"))
    assert secret("update", "db", *SHOP, *file, "--if-version", "old").code == 4
    result = secret("update", "db", *SHOP, *file, "--if-version", version)
    assert result.out.startswith("updated db in project-domain shop/production (version v")
    assert stored.values[KEY] == b"y"
    assert secret("update", "absent", *SHOP, *file).code == 3


def test_set_says_which_it_was(connected: Any, secret: Any, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(b"y")
    line = ("set", "db", *SHOP, "-f", str(tmp_path / "v"))
    assert secret(*line, "--dry-run").out.startswith("would create db")
    assert secret(*line, "--type", "image-pull").out.startswith("created db")
    assert secret(*line).out.startswith("updated db")
    assert secret(*line, "--dry-run").out.startswith("would update db")
    result = secret(*line, "--type", "generic")
    assert (result.code, connected.secrets[KEY]["type"]) == (2, "image-pull")
    assert "is of type image-pull" in result.err
    assert secret(*line, "--type", "image-pull-secret").code == 0


@pytest.mark.parametrize("theirs", ["generic", "image-pull"])
def test_set_overtaken_by_a_create_keeps_to_its_type(
    stored: Any, secret: Any, tmp_path: Path, theirs: str
) -> None:
    (tmp_path / "v").write_bytes(b"y")
    stored.secrets[KEY]["type"] = theirs
    absent = (404, {"code": "not_found", "detail": "there is none"})
    taken = (409, {"code": "already_exists", "detail": "there is one"})
    stored.instead = [absent, taken]
    result = secret("set", "db", *SHOP, "-f", str(tmp_path / "v"), "--type", "image-pull")
    assert result.code == (0 if theirs == "image-pull" else 2), result.err


class TestDelete:
    def test_asks_and_refuses_without_a_terminal(self, stored: Any, secret: Any) -> None:
        result = secret("delete", "db", *SHOP)
        assert (result.code, KEY in stored.secrets) == (2, True)
        assert "--yes" in result.err

    def test_several_names(self, stored: Any, secret: Any) -> None:
        result = secret("delete", "db", "absent", "db", *SHOP, "--yes")
        assert (result.code, KEY in stored.secrets) == (3, False)
        assert result.out == "deleted db in project-domain shop/production\n"
        assert result.err.startswith("stopped at absent: 1 of 2 secrets are dealt with\nsecret: not_found: ")

    def test_ignore_not_found(self, stored: Any, secret: Any) -> None:
        result = secret("delete", "absent", "db", *SHOP, "-y", "--ignore-not-found", "-o", "json")
        assert result.code == 0
        assert [entry["deleted"] for entry in json.loads(result.out)] == [False, True]
        assert result.err == "note: absent is not in project-domain shop/production\n"

    def test_dry_run(self, stored: Any, secret: Any) -> None:
        result = secret("delete", "db", *SHOP, "--dry-run")
        assert (result.code, KEY in stored.secrets) == (0, True)
        assert result.out == "would delete db in project-domain shop/production (nothing was deleted)\n"


def test_get(stored: Any, secret: Any) -> None:
    result = secret("get", "db", *SHOP)
    assert "scope         project-domain shop/production\n" in result.out
    assert json.loads(secret("get", "db", *SHOP, "-o", "json").out) == stored.secrets[KEY]
    assert secret("get", "db", *SHOP, "-o", "name").out == "db\n"
    assert secret("get", "absent", *SHOP).code == 3


class TestList:
    @pytest.fixture(autouse=True)
    def some(self, connected: Any) -> None:
        for number in range(5):
            connected.store((f"a{number}", "acme", None, "shop"), "generic", {"base64": ""}, False)

    def test_all_pages(self, connected: Any, secret: Any) -> None:
        assert secret("list", "-o", "name").out == "a0\na1\na2\na3\na4\n"
        assert len(connected.calls) == 4  # whoami, and three pages of two
        assert len(json.loads(secret("list", "-p", "shop", "-o", "json").out)) == 5
        lines = secret("list", "-p", "shop", "--all").out.splitlines()
        assert lines[0].split() == ["NAME", "SCOPE", "TYPE", "VERSION", "UPDATED"]
        assert len(lines) == 6

    def test_bare_names_come_once_and_a_note_tells_of_other_scopes(self, connected: Any, secret: Any) -> None:
        for name in ("a1", "b"):
            connected.store((name, "acme", "production", "shop"), "generic", {"base64": ""}, False)
        result = secret("list", "-p", "shop", "-o", "name")
        assert sorted(result.out.split()) == ["a0", "a1", "a2", "a3", "a4", "b"]
        assert result.err == (
            "note: 2 of 7 secrets are inside project shop, not at it: --exact leaves those out\n"
        )
        assert secret("list", "-p", "shop", "-o", "json").err == ""

    def test_names_at_the_scope_itself_need_no_note(self, connected: Any, secret: Any) -> None:
        assert secret("list", "-p", "shop", "-o", "name").err == ""

    @pytest.mark.parametrize(("limit", "calls"), [(1, 1), (2, 1), (3, 2), (99, 3)])
    def test_limit(self, connected: Any, secret: Any, limit: int, calls: int) -> None:
        result = secret("list", "-p", "shop", "-o", "name", "--limit", str(limit))
        assert len(result.out.splitlines()) == min(limit, 5)
        assert len(connected.calls) == calls

    def test_what_is_asked_for(self, connected: Any, secret: Any) -> None:
        secret("list", "-d", "production", "--exact", "--limit", "1")
        assert connected.calls[-1][2] == {"domain": "production", "exact": "true", "limit": "1"}

    def test_an_empty_list(self, connected: Any, secret: Any) -> None:
        connected.secrets.clear()
        result = secret("list", "-p", "shop", "-o", "json")
        assert (result.code, json.loads(result.out), result.err) == (0, [], "no secrets in project shop\n")

    def test_a_listing_that_goes_round_ends(self, connected: Any, secret: Any) -> None:
        connected.instead = [(200, {"items": [], "next_cursor": cursor}) for cursor in "ababab"]
        result = secret("list", "-p", "shop")
        assert (result.code, len(connected.calls)) == (6, 3)
        assert "circles" in result.err

    def test_an_error_on_the_way(self, connected: Any, secret: Any) -> None:
        connected.instead = [
            (200, {"items": [], "next_cursor": "2"}),
            (403, {"code": "permission_denied", "detail": "x"}),
        ]
        assert secret("list", "-p", "shop").code == 5


def test_explain(stored: Any, secret: Any) -> None:
    result = secret("explain", "db", *SHOP)
    assert result.code == 0
    assert "hit" in result.out
    assert "wins" in result.out
    assert json.loads(secret("explain", "db", *SHOP, "-o", "json").out)["winner"] == stored.secrets[KEY]
    result = secret("explain", "absent", *SHOP)
    assert result.code == 3
    assert "absent" in result.out
    assert 'secret "absent" is nowhere a task of project-domain shop/production looks' in result.err
    assert secret("explain", "db").code == 2


def test_explain_of_what_one_may_not_look_into(stored: Any, secret: Any) -> None:
    times = ("created_at", "updated_at", "created_by", "updated_by")
    facts = ("type", "version", "size", *times, "read_only")
    told = {"name": "db", "organization": "flyte", "domain": None, "project": None, **dict.fromkeys(facts)}
    nothing = {"store": "local", **dict.fromkeys(("version", "type", "updated_at", "read_only"))}
    document = {
        "name": "db",
        "organization": "flyte",
        "domain": "production",
        "project": "shop",
        "winner": told,
        "steps": [
            {"level": "domain", "scope": "domain production", "outcome": "hit", **nothing},
            {"level": "organization", "scope": "organization flyte", "outcome": "hidden", **nothing},
        ],
    }
    stored.explain = lambda key: (200, document)
    result = secret("explain", "db", *SHOP)
    assert result.code == 0
    hit, hidden = result.out.splitlines()[1:]
    assert hit.split("  ")[0] == "domain production"
    assert hit.endswith("wins: the narrowest that is there; you may not look further")
    assert hidden.endswith("a narrower one wins, and you may not look here")
    assert json.loads(secret("explain", "db", *SHOP, "-o", "json").out)["winner"] == told
    assert secret("explain", "db", *SHOP, "-o", "name").out == "db\n"


def test_whoami(connected: Any, secret: Any) -> None:
    assert "admin in organization acme" in secret("whoami").out
    assert json.loads(secret("whoami", "-o", "json").out)["principal"] == "ann"
    assert secret("whoami", "-o", "name").out == "ann\n"


class TestLogin:
    def test_a_token_from_a_pipe_is_kept_privately(self, plane: Any, process: Any) -> None:
        result = process("login", plane.url, "-p", "shop", stdin=b"tok-canary\n")
        assert result.code == 0, result.err
        assert "logged in as ann" in result.out
        assert "canary" not in result.out + result.err
        assert stat.S_IMODE(config_path().stat().st_mode) == 0o600
        context = load_context()
        assert (context.endpoint, context.organization, context.project) == (plane.url, "acme", "shop")
        assert process("whoami").code == 0
        assert plane.tokens[-1] == "Bearer tok-canary"

    def test_a_token_file_is_referred_to(self, plane: Any, secret: Any, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("tok-file\n")
        assert secret("login", plane.url, "--token-file", str(tmp_path / "token"), "--name", "prod").code == 0
        assert "tok-file" not in config_path().read_text()
        assert secret("whoami", "--context", "prod").code == 0
        assert plane.tokens[-1] == "Bearer tok-file"

    def test_a_token_that_the_server_refuses_is_not_kept(self, plane: Any, process: Any) -> None:
        plane.instead = [(401, {"code": "unauthenticated", "detail": "who are you"})]
        assert process("login", plane.url, stdin=b"tok").code == 5
        assert not config_path().exists()

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (("https://secrets.example", "-p", "Bad Project"), "project"),
            (("https://secrets.example", "-d", "bad_domain"), "domain"),
            (("https://secrets.example", "--name", "a b"), "context name"),
            (("http://secrets.example",), "use https"),
            (("https://secrets.example?token=x",), "endpoint"),
        ],
    )
    def test_what_cannot_be_kept_is_refused_before_a_token_is_asked_for(
        self, secret: Any, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...], reason: str
    ) -> None:
        monkeypatch.setattr("sys.stdin", None)  # asking would fail
        result = secret("login", *line)
        assert (result.code, reason in result.err) == (2, True), result.err
        assert not config_path().exists()

    def test_illegal_servers(self, secret: Any, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("t")
        token = ("--token-file", str(tmp_path / "token"))
        assert secret("login", "secrets.example", *token).code == 2
        result = secret("login", "http://secrets.example", *token)
        assert result.code == 2
        assert "use https" in result.err
