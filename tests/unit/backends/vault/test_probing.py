"""What a server lacks is told before anybody needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bao import Bao
from vault_front import VaultFront, saying

from secrets_svc.core.abilities import Probes, probe
from secrets_svc.core.errors import SecretsError, Unavailable

EXISTING = "{project}/{name}#password"


def told(store: Any) -> list[str]:
    """What each side says is missing."""
    said = []
    for side in (store.writer, store.reader):
        assert isinstance(side, Probes)
        try:
            probe(side)
        except SecretsError as error:
            said.append(f"{error.code}: {error.message}")
    return said


@pytest.mark.parametrize("existing", [None, EXISTING])
def test_a_good_one_lacks_nothing_and_is_left_as_it_is(
    bao: Bao, open_store: Callable[..., Any], existing: str | None
) -> None:
    store = open_store(existing=existing)
    assert told(store) == []
    assert bao.answer("LIST", f"secret/metadata/{store.prefix}/")[0] == 404


@pytest.mark.parametrize("existing", [None, EXISTING])
def test_a_mount_that_is_none_of_ours(bao: Bao, open_store: Callable[..., Any], existing: str | None) -> None:
    bao.call("POST", "sys/mounts/first", {"type": "kv", "options": {"version": "1"}})
    wrong = 'unavailable: mount "first" is a KV engine of version 1: this store needs one of version 2'
    assert told(open_store(mount="first", existing=existing)) == [wrong, wrong]
    for said in told(open_store(mount="absent", existing=existing)):
        assert 'there is no engine mounted at "absent"' in said
    bao.call("DELETE", "sys/mounts/first")


@pytest.fixture
def front(bao: Bao) -> Iterator[VaultFront]:
    made = VaultFront(bao.address)
    yield made
    made.close()


OLD = saying(404, {"errors": ["1 error occurred:\n\t* unsupported path\n\n"]})


def test_an_engine_that_shows_no_names_without_values_is_told_what_it_takes(
    front: VaultFront, open_store: Callable[..., Any]
) -> None:
    """As Vault before 1.10 answers: its framework has no such path."""
    store = open_store(address=front.address)
    expected = (
        f'unavailable: can\'t look below "secret/{store.prefix}": the vault server shows no names without '
        "values; that takes Vault 1.10 or OpenBao"
    )
    with front.scripted(lambda number, call: OLD if "/subkeys/" in call else None):
        assert told(store) == [expected, expected]
    assert told(store) == []


def test_what_was_good_once_is_asked_again(bao: Bao, open_store: Callable[..., Any]) -> None:
    bao.call("POST", "sys/mounts/passing", {"type": "kv", "options": {"version": "2"}})
    store = open_store(mount="passing", existing=EXISTING)
    assert told(store) == []
    bao.call("DELETE", "sys/mounts/passing")
    assert len(told(store)) == 2


def test_a_missing_right(bao: Bao, open_store: Callable[..., Any]) -> None:
    bao.policy("lists-alone", 'path "secret/metadata/*" { capabilities = ["list"] }')
    store = open_store(login={"method": "token", "token": bao.token_with("lists-alone")})
    for said in told(store):
        assert f"can't look below \"secret/{store.prefix}\": the token's policies" in said
    assert len(told(store)) == 2


def test_a_third_identity_is_asked_too(bao: Bao, open_store: Callable[..., Any]) -> None:
    store = open_store(rollback={"method": "token", "token": "s.over-long-ago"})
    [said] = told(store)
    assert "the token's policies" in said


def test_one_that_is_down(open_store: Callable[..., Any]) -> None:
    with pytest.raises(Unavailable, match="can't be reached"):
        probe(open_store(address="http://127.0.0.1:1").reader)
