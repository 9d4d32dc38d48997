"""The API's own TLS: a server with a certificate of its operator's, and who trusts it how."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from harness import Server

from cli.context import read_configuration
from secrets_svc.runtime.certificates import CertificateFiles, own_certificates

Launch = Callable[..., Server]
WHERE = ("-p", "shop", "-d", "production")


class Authority(NamedTuple):
    """A certificate that it has issued, and its own as ``ca``."""

    files: CertificateFiles

    @property
    def ca(self) -> str:
        return str(self.files.ca)

    def settings(self, listen: str = "127.0.0.1:0") -> str:
        """Of a server with the certificate."""
        names = f'tls_cert = "{self.files.cert}"\ntls_key = "{self.files.key}"\n'
        return f'[server]\nlisten = "{listen}"\n{names}'


def authority(folder: Path, *hosts: str) -> Authority:
    return Authority(own_certificates(folder, hosts or ("127.0.0.1", "localhost")))


@pytest.fixture
def company(tmp_path: Path) -> Authority:
    return authority(tmp_path / "company")


@pytest.fixture
def secured(launch: Launch, company: Authority) -> Server:
    """A running server with the company's certificate."""
    return launch(company.settings()).start()


def trusting(server: Server, ca: str) -> dict[str, str]:
    """Variables of somebody who has no context."""
    return {"SECRET_ENDPOINT": server.endpoint, "SECRET_TOKEN": server.token, "SECRET_CA_FILE": ca}


def test_a_secret_is_written_and_read_over_tls(secured: Server, company: Authority) -> None:
    assert secured.endpoint.startswith("https://127.0.0.1:")
    environ = trusting(secured, company.ca)
    made = secured.cli("create", "db-password", *WHERE, stdin=b"over-tls", environ=environ)
    assert made.returncode == 0, made.stderr
    shown = secured.cli("list", *WHERE, "-o", "name", environ=environ)
    assert shown.stdout == b"db-password\n"


def test_by_name_too(secured: Server, company: Authority) -> None:
    environ = trusting(secured, company.ca)
    environ["SECRET_ENDPOINT"] = secured.endpoint.replace("127.0.0.1", "localhost")
    assert secured.cli("whoami", environ=environ).returncode == 0


def test_login_keeps_the_authority_in_the_context(secured: Server, company: Authority) -> None:
    named = ("--ca-file", company.ca)
    for number, (options, environ) in enumerate([(named, {}), ((), {"SECRET_CA_FILE": company.ca})]):
        line = ("login", secured.endpoint, *options, "--name", f"tls-{number}")
        done = secured.cli(*line, stdin=secured.token.encode(), environ=environ)
        assert done.returncode == 0, done.stderr
        assert secured.cli("whoami", "--context", f"tls-{number}").returncode == 0


def test_an_authority_that_the_user_adds_to_the_context_outlasts_a_start(
    secured: Server, company: Authority
) -> None:
    config = Path(secured.environment["SECRET_CONFIG"])
    assert secured.cli("whoami").returncode == 6
    config.write_text(config.read_text() + f'ca_file = "{company.ca}"\n')
    assert secured.cli("whoami").returncode == 0
    assert secured.stop() == 0
    secured.start()
    assert read_configuration(config).contexts["local"].ca_file == company.ca
    assert secured.cli("whoami").returncode == 0


def test_another_authority_is_refused_with_what_to_do(secured: Server, tmp_path: Path) -> None:
    stranger = authority(tmp_path / "stranger")
    done = secured.cli("whoami", environ=trusting(secured, stranger.ca))
    assert (done.returncode, done.stdout) == (6, b"")
    assert done.stderr.decode() == (
        f"secret: unavailable: the certificate of {secured.endpoint} is not trusted: name the authority that "
        "signed it as ca_file in the context, or as SECRET_CA_FILE\n"
    )


@pytest.mark.parametrize("file", ["absent", "empty"])
def test_an_authority_that_cannot_be_read_is_named(secured: Server, tmp_path: Path, file: str) -> None:
    (tmp_path / "empty").touch()
    done = secured.cli("whoami", environ=trusting(secured, str(tmp_path / file)))
    assert done.returncode == 2
    assert f"{tmp_path / file} is not a readable PEM file".encode() in done.stderr


def test_a_certificate_for_another_name_is_refused(launch: Launch, tmp_path: Path) -> None:
    other = authority(tmp_path / "other", "secrets.example")
    server = launch(other.settings()).start()
    done = server.cli("whoami", environ=trusting(server, other.ca))
    assert done.returncode == 6
    assert b"is for another name" in done.stderr


def test_plain_http_to_the_tls_port_is_told(secured: Server, company: Authority) -> None:
    environ = trusting(secured, company.ca)
    environ["SECRET_ENDPOINT"] = secured.endpoint.replace("https:", "http:")
    done = secured.cli("whoami", environ=environ)
    assert done.returncode == 6
    assert done.stderr.endswith(b"; does it speak https?\n")
    assert secured.cli("whoami", environ=trusting(secured, company.ca)).returncode == 0


def test_tls_to_a_plain_port_is_told(server: Server, company: Authority) -> None:
    environ = trusting(server, company.ca)
    environ["SECRET_ENDPOINT"] = server.endpoint.replace("http:", "https:")
    done = server.cli("whoami", environ=environ)
    assert done.returncode == 6
    assert b"did not complete a TLS handshake; does it speak https?" in done.stderr


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_beyond_loopback_without_tls_is_refused(launch: Launch, listen: str) -> None:
    code, said = launch(f'[server]\nlisten = "{listen}"\n').fails_to_start()
    assert code == 2
    assert (
        "server.listen: beyond loopback tokens would cross the network in clear: set server.tls_cert" in said
    )


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"])
def test_the_whole_loopback_is_loopback(launch: Launch, listen: str) -> None:
    server = launch(f'[server]\nlisten = "{listen}"\n').start()
    assert server.cli("whoami").returncode == 0


def test_everywhere_with_tls_is_announced_as_this_machine_reaches_it(
    launch: Launch, company: Authority
) -> None:
    server = launch(company.settings("0.0.0.0:0") + '[injector]\nlisten = "0.0.0.0:0"\n').start()
    assert re.fullmatch(r"https://127\.0\.0\.1:\d+", server.endpoint)
    assert server.webhook.startswith("https://127.0.0.1:")
    assert server.cli("whoami", environ=trusting(server, company.ca)).returncode == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_of_tls_are_refused(secured: Server, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(secured.address, 10) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain)
