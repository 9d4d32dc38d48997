"""Logging in, staying in, and what each side may do with the policies that we print."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bao import Bao
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from secrets_svc.backends.vault.backend import VaultBackend
from secrets_svc.backends.vault.sessions import NO_USE, PAUSE
from secrets_svc.backends.vault.settings import VaultSettings
from secrets_svc.core.errors import NotFound, Unavailable, Unreadable
from secrets_svc.core.secret import SecretRef

PREFIX = "roles"


@pytest.fixture(scope="session")
def roles(bao: Bao) -> None:
    plain = VaultSettings.model_validate(
        {"address": bao.address, "prefix": PREFIX, "login": {"method": "token", "token": "x"}}
    )
    for role in ("writer", "reader"):
        bao.policy(f"{PREFIX}-{role}", VaultBackend().policy(plain, role=role))


def test_the_writer_can_not_read_and_the_reader_can_not_write(
    bao: Bao, roles: None, open_store: Callable[..., Any], ref: SecretRef
) -> None:
    store = open_store(prefix=PREFIX)
    store.create(ref)
    writer, reader = bao.token_with(f"{PREFIX}-writer"), bao.token_with(f"{PREFIX}-reader")
    path = f"{PREFIX}/flyte/production/shop/db-password"
    body = {"data": {"value": "x"}}
    assert bao.answer("GET", f"secret/data/{path}", token=writer)[0] == 403
    assert bao.answer("GET", f"secret/data/{path}?version=1", token=writer)[0] == 403
    for method, place, sent in (
        ("POST", "data", body),
        ("PUT", "data", body),
        ("DELETE", "data", None),
        ("POST", "delete", {"versions": [1]}),
        ("POST", "undelete", {"versions": [1]}),
        ("PUT", "destroy", {"versions": [1]}),
        ("DELETE", "metadata", None),
        ("POST", "metadata", {"max_versions": 1}),
    ):
        if place == "metadata":
            assert bao.answer(method, f"secret/{place}/{path}", sent, token=writer)[0] == 403, (method, place)
        assert bao.answer(method, f"secret/{place}/{path}", sent, token=reader)[0] == 403, (method, place)
    for token in (writer, reader):
        for place in ("data/elsewhere/x", f"data/{PREFIX}x/y", "metadata/elsewhere/x"):
            assert bao.answer("GET", f"secret/{place}", token=token)[0] == 403
        assert bao.answer("POST", "secret/data/elsewhere/x", body, token=token)[0] == 403
    assert bao.answer("GET", f"secret/data/{PREFIX}/_writer/key", token=reader)[0] == 403
    store.delete(ref)


@pytest.mark.parametrize("missing", ["subkeys", "data"])
def test_a_missing_right_is_told_with_its_place(
    bao: Bao, open_store: Callable[..., Any], ref: SecretRef, missing: str
) -> None:
    prefix = f"lacks-{missing}"
    open_store(prefix=prefix).create(ref)
    rights = {"data", "subkeys", "metadata"} - {missing}
    bao.policy(
        prefix, "".join(f'path "secret/{each}/{prefix}/*" {{ capabilities = ["read"] }}\n' for each in rights)
    )
    store = open_store(prefix=prefix, login={"method": "token", "token": bao.token_with(prefix)})
    with pytest.raises(Unavailable, match=f'below "secret/{prefix}": the token') as told:
        store.get(ref)
    assert "permission denied" not in told.value.message


def test_an_approle_stays_in_beyond_its_longest_life(
    bao: Bao, roles: None, open_store: Callable[..., Any], ref: SecretRef, tmp_path: Path
) -> None:
    login = bao.approle("short", f"{PREFIX}-writer", folder=tmp_path, token_ttl="2s", token_max_ttl="3s")
    store = open_store(prefix=PREFIX, writer=login)
    begun = time.monotonic()
    count = 0
    while time.monotonic() - begun < 8:
        store.create(ref)
        store.delete(ref)
        count += 1
        time.sleep(0.05)
    session = store.writer._kv._session
    assert count > 20
    assert 2 <= session.logins <= 8 / 2 + 2


def test_a_token_file_is_read_again_when_its_token_is_not_taken_any_more(
    bao: Bao, roles: None, open_store: Callable[..., Any], ref: SecretRef, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    first = bao.token_with(f"{PREFIX}-writer")
    file.write_text(first + "\n")
    store = open_store(prefix=PREFIX, writer={"method": "token_file", "token_file": str(file)})
    store.create(ref)
    bao.call("POST", "auth/token/revoke", {"token": first})
    with pytest.raises(Unavailable, match="the token's policies don't allow it, or it is no longer taken"):
        store.writer.describe(ref)
    file.write_text(bao.token_with(f"{PREFIX}-writer"))
    assert store.writer.describe(ref).ref == ref
    store.delete(ref)


def test_a_token_that_was_over_from_the_beginning_is_no_obstacle(
    bao: Bao, roles: None, open_store: Callable[..., Any], ref: SecretRef, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("s.over-long-ago")
    store = open_store(prefix=PREFIX, writer={"method": "token_file", "token_file": str(file)})
    with pytest.raises(Unavailable):
        store.writer.describe(ref)
    file.write_text(bao.token_with(f"{PREFIX}-writer"))
    with pytest.raises(NotFound):
        store.writer.describe(ref)


def test_what_is_not_allowed_leads_to_no_login_each(
    bao: Bao, roles: None, open_store: Callable[..., Any], ref: SecretRef, tmp_path: Path
) -> None:
    """Each would leave a lease in the server."""
    login = bao.approle("elsewhere", f"{PREFIX}-reader", folder=tmp_path)
    store = open_store(prefix="not-allowed", login=login)
    session = store.reader._kv._session
    for _ in range(10):
        with pytest.raises(Unreadable, match="the token's policies don't allow it"):
            store.reader.resolve([ref])
    assert session.logins <= 3


def test_a_role_that_gets_more_policies_is_noticed(
    bao: Bao, roles: None, open_store: Callable[..., Any], ref: SecretRef, tmp_path: Path
) -> None:
    """Its token would last for hours."""
    login = bao.approle("mended", f"{PREFIX}-reader", folder=tmp_path)
    store = open_store(prefix=PREFIX, writer=login)
    with pytest.raises(Unavailable, match="policies don't allow it"):
        store.create(ref)
    bao.approle("mended", f"{PREFIX}-writer", folder=tmp_path)
    time.sleep(NO_USE)
    store.create(ref)
    store.delete(ref)


@pytest.mark.parametrize("what", ["absent", "empty", "binary"])
def test_a_file_that_is_no_use_is_named(
    open_store: Callable[..., Any], ref: SecretRef, tmp_path: Path, what: str
) -> None:
    file = tmp_path / "token"
    if what != "absent":
        file.write_bytes(b"" if what == "empty" else b"\xff\xfe")
    store = open_store(login={"method": "token_file", "token_file": str(file)})
    with pytest.raises(Unavailable, match=str(file)):
        store.writer.describe(ref)


def test_a_role_that_is_not_let_in_is_told(
    bao: Bao, open_store: Callable[..., Any], ref: SecretRef, tmp_path: Path
) -> None:
    login = bao.approle("wrong", "default", folder=tmp_path)
    Path(login["secret_id_file"]).write_text("not-a-secret-id")
    store = open_store(login=login)
    for _ in range(3):
        with pytest.raises(Unavailable, match='does not let us in by "approle"'):
            store.writer.describe(ref)


class Workload:
    """Somebody who issues workload identities, whom the server believes.

    :param folder: for the file that holds one.
    """

    def __init__(self, bao: Bao, folder: Path) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        if "jwt/" not in bao.call("GET", "sys/auth"):
            bao.call("POST", "sys/auth/jwt", {"type": "jwt"})
        bao.call("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [public.decode()]})
        role = {
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": ["vault"],
            "token_policies": [f"{PREFIX}-reader"],
        }
        bao.call("POST", "auth/jwt/role/injector", role)
        self._file = folder / "jwt"
        self.settings = {"method": "jwt", "role": "injector", "jwt_file": str(self._file)}

    def issue(self, *, clock: float = 0.0) -> None:
        """Write one that is good for five minutes, by a clock that is so many seconds ahead."""
        now = int(time.time() + clock)
        claims = {"sub": "injector", "aud": "vault", "iat": now, "nbf": now, "exp": now + 300}
        signed = _part(b'{"alg":"ES256","typ":"JWT"}') + b"." + _part(json.dumps(claims).encode())
        r, s = decode_dss_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA256())))
        self._file.write_bytes(signed + b"." + _part(r.to_bytes(32, "big") + s.to_bytes(32, "big")))


def _part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def test_a_workload_identity_logs_in(
    bao: Bao, roles: None, open_store: Callable[..., Any], ref: SecretRef, tmp_path: Path
) -> None:
    workload = Workload(bao, tmp_path)
    workload.issue()
    open_store(prefix=PREFIX).create(ref, b"for workloads")
    store = open_store(prefix=PREFIX, reader=workload.settings)
    assert store.get(ref) == b"for workloads"
    store.delete(ref)


@pytest.mark.parametrize("off", [-600.0, 600.0], ids=["over", "not yet valid"])
def test_one_by_a_clock_that_is_ten_minutes_off_is_told_and_the_next_one_taken(
    bao: Bao, roles: None, open_store: Callable[..., Any], ref: SecretRef, tmp_path: Path, off: float
) -> None:
    workload = Workload(bao, tmp_path)
    workload.issue(clock=off)
    store = open_store(prefix=PREFIX, reader=workload.settings)
    with pytest.raises(Unavailable, match='does not let us in by "jwt": look at its role') as told:
        store.reader.resolve([ref])
    assert "nbf" not in told.value.message
    assert "expired" not in told.value.message
    workload.issue()
    time.sleep(PAUSE)
    assert store.reader.resolve([ref]) == {}
