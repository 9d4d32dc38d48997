"""What a running server does beside answering: its context, and looking after certificates."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cli.context import Context, config_path, load_context, read_configuration, save_context
from cli.serving.all import Running
from cli.serving.sockets import ApiServer, _renew_for_ever, bind
from secrets_svc.runtime.certificates import own_certificates

MARKER = "s3cr3t-m4rker"
Told = Callable[..., str]

#: Of Typer's own import, see decision 2.
pytestmark = pytest.mark.filterwarnings("ignore:'click:DeprecationWarning")


def running(state: str, port: int = 1) -> Running:
    folder = Path(state)
    endpoint = f"http://127.0.0.1:{port}"
    webhook = "https://127.0.0.1:9/mutate"
    return Running(endpoint, webhook, None, folder / "admin-token", folder, "flyte", False)


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """What a server says at its start."""
    from cli.commands.serve import _announce

    def announce(server: Running, name: str = "local") -> str:
        _announce(server, name)
        return capsys.readouterr().err

    return announce


def test_the_first_context_becomes_the_current_one(told: Told) -> None:
    assert 'context   "local" written: in another terminal type  secret list\n' in told(running("/a"))
    assert load_context().state == "/a"


def test_project_and_domain_of_the_user_stay(told: Told) -> None:
    told(running("/a"))
    save_context("local", load_context()._replace(project="shop", domain="production"))
    told(running("/a", port=2))
    found = load_context()
    assert (found.project, found.domain, found.endpoint) == ("shop", "production", "http://127.0.0.1:2")


def test_authorities_of_the_user_stay_where_the_server_knows_none(told: Told) -> None:
    told(running("/a"))
    save_context("local", load_context()._replace(ca_file="/company.pem", injector_ca="/company.pem"))
    told(running("/a"))
    assert (load_context().ca_file, load_context().injector_ca) == ("/company.pem", "/company.pem")
    told(replace(running("/a"), injector_ca=Path("/a/tls/ca.pem")))
    assert load_context().injector_ca == "/a/tls/ca.pem"
    told(running("/a"))  # now with a certificate that was brought: ours is no use any more
    assert load_context().injector_ca is None


def test_servers_with_other_state_folders_get_contexts_of_their_own(told: Told) -> None:
    for state in ("/a", "/b", "/c", "/b", "/a"):
        told(running(state))
    known = read_configuration(config_path())
    assert {name: context.state for name, context in known.contexts.items()} == {
        "local": "/a",
        "local-2": "/b",
        "local-3": "/c",
    }
    assert known.current == "local"
    said = told(running("/b"))
    assert '"local-2" written ("local" is another server\'s)' in said
    assert "secret list --context local-2" in said


def test_a_context_of_a_server_elsewhere_is_left_alone(told: Told) -> None:
    there = Context(endpoint="https://secrets.example.com", token_file="/t")
    save_context("local", there)
    told(running("/a"))
    known = read_configuration(config_path()).contexts
    assert known["local"] == there
    assert known["local-2"].state == "/a"


def test_no_context_is_written_where_none_is_wanted(told: Told) -> None:
    told(running("/a"), "")
    assert not config_path().exists()


def test_a_configuration_that_cannot_be_used_is_a_warning(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, folder, file = tmp_path / "broken.toml", tmp_path / "folder", tmp_path / "file"
    broken.write_text("this is no TOML [")
    folder.mkdir()
    file.touch()
    for path in (broken, folder, file / "config.toml"):
        monkeypatch.setenv("SECRET_CONFIG", str(path))
        said = told(running("/a"))
        assert "context   not written: " in said
        assert '--write-context ""' in said
        assert said.endswith("ready; Ctrl-C stops\n")


def test_certificates_are_looked_after_whatever_happens(caplog: pytest.LogCaptureFixture) -> None:
    again = threading.Event()
    looks = iter([OSError(MARKER), ValueError(MARKER), None])

    def look() -> None:
        fault = next(looks, None)
        if fault is not None:
            raise fault
        again.set()

    async def watch() -> None:
        task = asyncio.create_task(_renew_for_ever(look, 0.001))
        while not again.is_set():
            await asyncio.sleep(0.001)
        task.cancel()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(asyncio.wait_for(watch(), 10))
    ours = [record.getMessage() for record in caplog.records if record.name == "cli.serving.sockets"]
    assert [("OSError" in ours[0]), ("ValueError" in ours[1]), len(ours)] == [True, True, 2]
    assert MARKER not in caplog.text


async def never_asked(scope: object, receive: object, send: object) -> None:
    """An application."""


async def served_certificate(listener: socket.socket) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(*listener.getsockname(), ssl=context)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    assert isinstance(found, bytes)
    return found


def test_a_new_certificate_of_the_api_is_taken_without_a_new_start(tmp_path: Path) -> None:
    first, second = (own_certificates(tmp_path / name, ("127.0.0.1",)) for name in ("first", "second"))

    async def served() -> list[bytes]:
        with bind("127.0.0.1:0", "server.listen") as listener:
            server = ApiServer(never_asked, certificate=first, idle_timeout=5)
            await server.start(listener)
            found = [await served_certificate(listener)]
            server.renew(second)
            found.append(await served_certificate(listener))
            await server.stop(1)
        return found

    wanted = [ssl.PEM_cert_to_DER_cert(files.cert.read_text()) for files in (first, second)]
    assert asyncio.run(served()) == wanted
