"""What the stores lack is found at the start and told; a server starts all the same."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

from bao import Bao
from harness import Server
from moto_server import REGION, profiles, running

SETTINGS = """
[stores.old]
backend = "vault"
address = "{address}"
mount = "old"
login = {{method = "token", token = "{token}"}}
[stores.down]
backend = "vault"
address = "http://127.0.0.1:1"
login = {{method = "token", token = "x"}}
[stores.good]
backend = "vault"
address = "{address}"
login = {{method = "token", token = "{token}"}}
[[routes]]
project = "old"
store = "old"
[[routes]]
project = "down"
store = "down"
[[routes]]
store = "good"
"""
DENIED = {"Effect": "Deny", "Action": "secretsmanager:*", "Resource": "*"}
WRONG = 'mount "old" is a KV engine of version 1: this store needs one of version 2'


def readiness(server: Server) -> str:
    """Of the webhook."""
    parts = urlsplit(server.webhook)
    trust = ssl.create_default_context(cafile=str(server.ca_file))
    opened = HTTPSConnection(parts.hostname or "", parts.port, context=trust, timeout=20)
    try:
        opened.request("GET", "/readyz?verbose")
        return opened.getresponse().read().decode()
    finally:
        opened.close()


def until(condition: Callable[[], bool], server: Server) -> None:
    due = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < due, server.log
        time.sleep(0.05)


def test_it_is_logged_hinted_at_and_said_by_the_check_of_settings(
    launch: Callable[..., Server], tmp_path: Path
) -> None:
    with Bao(tmp_path) as bao:
        bao.call("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
        server = launch(SETTINGS.format(address=bao.address, token=bao.token)).start()
        for side in ("writer", "reader"):
            until(
                lambda side=side: f'store "old" can\'t be used by its {side}: {WRONG}' in server.log, server
            )  # type: ignore[misc]
            until(
                lambda side=side: f'store "down" can\'t be used by its {side}: the vault' in server.log,
                server,
            )  # type: ignore[misc]
        told = server.call("GET", "/readyz", query={"verbose": ""}).body.decode()
        for text in (told, readiness(server)):
            for store in ("old", "down"):
                assert f"[-]store {store} " in text
            assert "lacks something: unavailable, see the log" in text
            assert "[+]store good closed\n" in text
            assert "version 1" not in text
        assert server.cli("create", "db", "-p", "shop", stdin=b"x").returncode == 0
        checked = server.cli("settings", "check", str(server.settings_file), "--ask-stores")
        assert checked.returncode == 6
        for side in ("writer", "reader"):
            assert f'store "old", by its {side}: {WRONG} (unavailable)'.encode() in checked.stderr
            assert f'store "down", by its {side}: the vault server can'.encode() in checked.stderr
        assert b'store "good"' not in checked.stderr
        assert server.stop() == 0


def test_good_stores_are_checked_without_a_word(launch: Callable[..., Server], tmp_path: Path) -> None:
    with Bao(tmp_path) as bao:
        login = f'login = {{method = "token", token = "{bao.token}"}}'
        server = launch(f'[stores.main]\nbackend = "vault"\naddress = "{bao.address}"\n{login}\n')
        server.prepare()
        checked = server.cli("settings", "check", str(server.settings_file), "--ask-stores")
        assert (checked.returncode, checked.stdout) == (0, b"the settings are valid\n"), checked.stderr


def test_a_store_without_a_way_of_its_own_is_asked_too(launch: Callable[..., Server], tmp_path: Path) -> None:
    with running(tmp_path) as moto:
        nothing = moto.user(json.dumps({"Version": "2012-10-17", "Statement": [DENIED]}))
        file = profiles(tmp_path / "credentials", writer=nothing, reader=nothing)
        moto.enforce(True)
        settings = (
            f'[stores.main]\nbackend = "aws"\nregion = "{REGION}"\nendpoint_url = "{moto.url}"\n'
            'writer_profile = "writer"\nreader_profile = "reader"\n'
        )
        environment = {"AWS_SHARED_CREDENTIALS_FILE": str(file), "AWS_EC2_METADATA_DISABLED": "true"}
        server = launch(settings, **environment).start()
        for side in ("writer", "reader"):
            said = f"store \"main\" can't be used by its {side}: AWS Secrets Manager: can't look at secret"
            until(lambda said=said: said in server.log, server)  # type: ignore[misc]
        checked = server.cli(
            "settings", "check", str(server.settings_file), "--ask-stores", environ=environment
        )
        assert (checked.returncode, b"identity may not" in checked.stderr) == (6, True), checked.stderr
        assert server.stop() == 0
