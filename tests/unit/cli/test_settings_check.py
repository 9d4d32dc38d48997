"""``secret settings check``: what would stop a start is found without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from secrets_svc.runtime.certificates import own_certificates

Run = Callable[..., Any]
TOKENS = '[[authentication.tokens]]\nprincipal = "a"\ntoken_file = '


@pytest.fixture
def checked(process: Run, tmp_path: Path) -> Callable[[str], Any]:
    """The answer to settings."""

    def check(text: str) -> Any:
        (tmp_path / "settings.toml").write_text(text)
        return process("settings", "check", str(tmp_path / "settings.toml"))

    return check


def test_good_settings_with_all_that_they_name(checked: Callable[[str], Any], tmp_path: Path) -> None:
    files = own_certificates(tmp_path / "tls", ("127.0.0.1",))
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("x" * 40)
    tls = f'tls_cert = "{files.cert}"\ntls_key = "{files.key}"\n'
    result = checked(f'[server]\nlisten = "0.0.0.0:443"\n{tls}\n[injector]\n{tls}\n{TOKENS}"{token}"\n')
    assert (result.code, result.out) == (0, "the settings are valid\n"), result.err
    assert not (tmp_path / ".local").exists()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[server]\nlisten = "0.0.0.0:8470"', "server.listen: beyond loopback"),
        ('[server]\nlisten = "192.0.2.1:8470"', "server.listen: can't listen at 192.0.2.1:8470"),
        ('[server]\ntls_cert = "/absent"', "server.tls_cert and server.tls_key go together"),
        ('[server]\ntls_cert = "/absent"\ntls_key = "/absent"', "server.tls_key"),
        ('[injector]\ntls_cert = "/absent"\ntls_key = "/absent"', "injector.tls_key"),
        (TOKENS + '"/absent"', "authentication.tokens[0].token_file"),
        ('[audit]\nfile = "/absent/audit"', "audit.file: there is no folder /absent"),
        ('[flyte]\nenabled = true\ngrpc_listen = "0.0.0.0:1"', "flyte.grpc_listen: beyond loopback"),
        ('[flyte]\nenabled = true\ngrpc_listen = "192.0.2.1:1"', "flyte.grpc_listen: can't listen at"),
        ('[flyte]\nenabled = true\npublic_url = "http://a"', "flyte: public_url must be https"),
        ('[flyte]\ncluster = "a"', "flyte: enabled must be true"),
        ('[stores.a]\nbackend = "local"\ncolour = "red"', "stores.a: colour is not a setting"),
    ],
)
def test_what_would_stop_a_start_is_named(checked: Callable[[str], Any], text: str, named: str) -> None:
    result = checked(text)
    assert (result.code, result.out) == (2, "")
    assert named in result.err


def test_a_state_folder_open_to_others(checked: Callable[[str], Any], tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o755)
    result = checked(f'[state]\nfolder = "{tmp_path / "state"}"')
    assert (result.code, f"chmod 700 {tmp_path / 'state'}" in result.err) == (2, True)
