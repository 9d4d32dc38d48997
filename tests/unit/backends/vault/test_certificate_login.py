"""Logging in with a TLS client certificate, on a real server with TLS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bao import Bao
from kit.certificates import Authority, Pair

from secrets_svc.core.errors import Unavailable
from secrets_svc.core.secret import SecretRef


class Certified:
    """A server with TLS that lets holders of one authority's certificates in."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "ca")
        served = self.authority.issue("server", "bao", hosts=["127.0.0.1"])
        self.bao = Bao(folder, tls=(served.certificate, served.key))

    def trust(self) -> None:
        """Make the role ``secrets-svc``, which may do everything in the store's folder."""
        self.bao.call("POST", "sys/auth/cert", {"type": "cert"})
        rules = [f'path "secret/{part}/*" {{ capabilities = ["create", "update", "read", "delete", "list"] }}'
                 for part in ("data", "subkeys", "metadata", "delete")]  # fmt: skip
        self.bao.policy("everything", "\n".join(rules))
        role = {
            "certificate": self.authority.own.certificate.read_text(),
            "allowed_common_names": ["secrets-svc"],
            "token_policies": ["everything"],
        }
        self.bao.call("POST", "auth/cert/certs/secrets-svc", role)

    def settings(self, pair: Pair, **more: Any) -> dict[str, Any]:
        login = {"method": "cert", "client_cert": str(pair.certificate), "client_key": str(pair.key), **more}
        ca = str(self.authority.own.certificate)
        return {"address": self.bao.tls_address, "ca_file": ca, "login": login}


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certified]:
    made = Certified(tmp_path_factory.mktemp("certified"))
    with made.bao:
        made.trust()
        yield made


@pytest.mark.parametrize("role", [{}, {"role": "secrets-svc"}], ids=["any role", "by its role"])
def test_a_certificate_logs_in(
    certified: Certified, open_store: Callable[..., Any], ref: SecretRef, role: dict[str, str]
) -> None:
    pair = certified.authority.issue("ours", "secrets-svc")
    store = open_store(**certified.settings(pair, **role))
    store.create(ref, b"over TLS")
    assert store.get(ref) == b"over TLS"


@pytest.mark.parametrize("whose", ["another name", "another authority"])
def test_another_certificate_does_not(
    certified: Certified, open_store: Callable[..., Any], ref: SecretRef, tmp_path: Path, whose: str
) -> None:
    authority = Authority(tmp_path / "other") if whose == "another authority" else certified.authority
    pair = authority.issue("theirs", "secrets-svc" if whose == "another authority" else "somebody-else")
    store = open_store(**certified.settings(pair))
    with pytest.raises(Unavailable) as told:
        store.reader.resolve([ref])
    assert 'does not let us in by "cert"' in told.value.message or "can't be reached" in told.value.message


def test_a_server_of_another_authority_is_not_spoken_to(
    certified: Certified, open_store: Callable[..., Any], ref: SecretRef, tmp_path: Path
) -> None:
    pair = certified.authority.issue("ours", "secrets-svc")
    other = Authority(tmp_path / "other").own.certificate
    store = open_store(**{**certified.settings(pair), "ca_file": str(other)})
    with pytest.raises(Unavailable, match="certificate is not one of the CAs"):
        store.reader.resolve([ref])
