"""Least policies: each right is needed, and all of them suffice for a whole life, wherever the mount is."""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from bao import Bao

from secrets_svc.backends.vault import policy as policies
from secrets_svc.backends.vault.paths import BUCKET
from secrets_svc.backends.vault.settings import VaultSettings
from secrets_svc.core.errors import InvalidArgument, Unavailable, Unsupported
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

ROLES = ("writer", "reader")
EXISTING = "{project}/{domain}/{name}#password"
_numbers = itertools.count(1)

Rights = list[tuple[str, tuple[str, ...]]]


def settings(**more: Any) -> VaultSettings:
    login = {"method": "token", "token": "x"}
    return VaultSettings.model_validate({"address": "http://localhost:1", "login": login, **more})


def rights(of: VaultSettings, role: str) -> Rights:
    """Pairs of path and what may be done there, as they are printed."""
    printed = policies.policy(of, role).splitlines()
    lines = [line.split('"') for line in printed if line.startswith("path")]
    return [(line[1], tuple(line[3::2])) for line in lines]


def without(given: Rights, path: str, capability: str) -> Rights:
    """All but one."""
    less = [(each, tuple(c for c in can if (each, c) != (path, capability))) for each, can in given]
    return [(each, can) for each, can in less if can]


def text(given: Rights) -> str:
    """As a policy."""
    lists = ((path, ", ".join(f'"{each}"' for each in can)) for path, can in given)
    return "\n".join(f'path "{path}" {{ capabilities = [{can}] }}' for path, can in lists)


@dataclass(frozen=True)
class Place:
    """Where a mount is.

    :ivar within: begins the paths of calls there.
    """

    bao: Bao
    mount: str = "secret"
    namespace: str | None = None

    @property
    def within(self) -> str:
        return "" if self.namespace is None else f"{self.namespace}/"

    def identity(self, given: Rights) -> dict[str, str]:
        """Settings of a login with these rights and no others, not even those of the policy ``default``."""
        name = f"rights-{next(_numbers)}"
        self.bao.call("PUT", f"{self.within}sys/policies/acl/{name}", {"policy": text(given)})
        wanted = {"policies": [name], "no_default_policy": True}
        made = self.bao.call("POST", f"{self.within}auth/token/create", wanted)
        return {"method": "token", "token": made["auth"]["client_token"]}

    def settings(self, **more: Any) -> VaultSettings:
        """Of a store there."""
        return settings(mount=self.mount, namespace=self.namespace, **more)


def opened(open_store: Callable[..., Any], place: Place, given: dict[str, Rights], **more: Any) -> Any:
    """A store in ``place`` whose sides have these rights."""
    sides = {role: place.identity(given[role]) for role in ROLES}
    return open_store(mount=place.mount, namespace=place.namespace, **sides, **more)


def life(store: Any) -> None:
    """Each thing that the two sides do, with records of old operations that are to be removed."""
    ref = SecretRef(Scope("flyte", "production", "shop"), "db-password")
    writer, reader = store.writer, store.reader
    assert reader.resolve([ref]) == {}
    writer._operations._clock = lambda: time.time() - 3 * BUCKET
    first = store.create(ref, b"first")
    writer._operations._clock = time.time
    store.update(ref, b"second")
    assert store.get(ref) == b"second"
    assert reader.read_version(ref, first.version).value.reveal_bytes() == b"first"
    assert writer.list(ref.scope).items == (writer.describe(ref),)
    assert len(writer.history(ref)) == 2
    if store.settings.rollback is not None:
        writer.rollback(ref, to=first.version, actor="ann", operation_id=secrets.token_hex(8))
        assert store.get(ref) == b"first"
    store.delete(ref)
    store.create(ref, b"third")
    assert store.get(ref) == b"third"
    writer.purge(ref, actor="ann", operation_id=secrets.token_hex(8))
    assert reader.resolve([ref]) == {}


def life_of_existing(store: Any, place: Place) -> None:
    """What is done where secrets are there already."""
    ref = SecretRef(Scope("flyte", "production", "shop"), "db-password")
    path = f"{place.within}{place.mount}/data/shop/production/db-password"
    place.bao.call("POST", path, {"data": {"password": "there before"}})
    assert store.get(ref) == b"there before"
    for scope in (ref.scope, Scope("flyte", None, "shop"), Scope("flyte")):
        assert ref in [each.ref for each in store.writer.list(scope).items]
    assert store.writer.describe(ref).read_only
    with pytest.raises(Unsupported):
        store.create(ref)


def mounted(place: Place) -> Place:
    """With the engine made, and ready."""
    place.bao.call(
        "POST", f"{place.within}sys/mounts/{place.mount}", {"type": "kv", "options": {"version": "2"}}
    )
    until = time.monotonic() + 20
    while place.bao.answer("LIST", f"{place.within}{place.mount}/metadata/")[0] not in {200, 404}:
        assert time.monotonic() < until
        time.sleep(0.05)
    return place


@pytest.fixture(scope="module")
def places(bao: Bao) -> dict[str, Place]:
    bao.call("POST", "sys/namespaces/team")
    bao.call("POST", "team/sys/namespaces/a")
    return {
        "the mount of old": Place(bao),
        "a mount with a slash": mounted(Place(bao, "apps/kv")),
        "a namespace": mounted(Place(bao, "secret", "team")),
        "a namespace in a namespace": mounted(Place(bao, "apps/kv", "team/a")),
    }


PLACES = ("the mount of old", "a mount with a slash", "a namespace", "a namespace in a namespace")


@pytest.mark.parametrize("where", PLACES)
def test_they_suffice(open_store: Callable[..., Any], places: dict[str, Place], where: str) -> None:
    place = places[where]
    prefix = f"suffice-{next(_numbers)}"
    given = {role: rights(place.settings(prefix=prefix), role) for role in ROLES}
    life(opened(open_store, place, given, prefix=prefix, rollback=place.identity(given["reader"])))


@pytest.mark.parametrize("where", PLACES)
def test_they_suffice_for_existing_secrets(
    open_store: Callable[..., Any], places: dict[str, Place], where: str
) -> None:
    place = places[where]
    given = {role: rights(place.settings(existing=EXISTING), role) for role in ROLES}
    life_of_existing(opened(open_store, place, given, existing=EXISTING), place)


@pytest.mark.parametrize("where", PLACES[2:])
def test_a_token_of_a_namespace_opens_nothing_in_another(
    open_store: Callable[..., Any], places: dict[str, Place], where: str
) -> None:
    place = places[where]
    given = {role: rights(place.settings(prefix="within"), role) for role in ROLES}
    inside = opened(open_store, place, given, prefix="within")
    ref = SecretRef(Scope("flyte", None, "shop"), "inside")
    inside.create(ref)
    outside = open_store(mount=place.mount, prefix="within", login=place.identity(given["reader"]))
    with pytest.raises(Unavailable):
        outside.reader.resolve([ref])


def each_right(of: VaultSettings) -> list[tuple[str, str, str]]:
    """Role, path and capability. To deny is no right."""
    return [
        (role, path, capability)
        for role in ROLES
        for path, can in rights(of, role)
        for capability in can
        if capability != "deny"
    ]


@pytest.mark.parametrize(("role", "path", "capability"), each_right(settings(prefix="P")))
def test_each_right_is_needed(
    bao: Bao, open_store: Callable[..., Any], role: str, path: str, capability: str
) -> None:
    place, prefix = Place(bao), f"needed-{next(_numbers)}"
    given = {each: rights(place.settings(prefix=prefix), each) for each in ROLES}
    given[role] = without(given[role], path.replace("/P/", f"/{prefix}/"), capability)
    with pytest.raises(Unavailable, match="the token's policies"):
        life(opened(open_store, place, given, prefix=prefix))


@pytest.mark.parametrize(("role", "path", "capability"), each_right(settings(existing=EXISTING)))
def test_each_right_is_needed_for_existing_secrets(
    bao: Bao, open_store: Callable[..., Any], role: str, path: str, capability: str
) -> None:
    place = Place(bao)
    given = {each: rights(place.settings(existing=EXISTING), each) for each in ROLES}
    given[role] = without(given[role], path, capability)
    with pytest.raises(Unavailable, match="the token's policies"):
        life_of_existing(opened(open_store, place, given, existing=EXISTING), place)


def test_of_two_writers_that_begin_at_once_the_later_takes_the_key_that_is_there(
    bao: Bao, open_store: Callable[..., Any], ref: SecretRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server refuses it to replace the key, since no policy of ours allows that."""
    place, prefix = Place(bao), f"two-{next(_numbers)}"
    given = {role: rights(place.settings(prefix=prefix), role) for role in ROLES}
    first, second = (opened(open_store, place, given, prefix=prefix) for _ in range(2))
    operations = second.writer._operations
    read_key = operations._read_key

    def when_the_other_makes_it() -> bytes | None:
        monkeypatch.setattr(operations, "_read_key", read_key)
        first.create(ref)
        return None

    monkeypatch.setattr(operations, "_read_key", when_the_other_makes_it)
    second.update(ref, b"of the second")
    assert operations._fingerprint_key() == first.writer._operations._fingerprint_key()
    assert second.get(ref) == b"of the second"


def test_the_namespace_is_named(places: dict[str, Place]) -> None:
    """Policies rest in namespaces, and their paths are of there."""
    printed = policies.policy(places["a namespace"].settings(), "writer")
    assert printed.startswith("# Of the writer of secrets-svc, in namespace team, for mount secret")
    assert "team/" not in printed


def test_no_other_role_has_a_policy() -> None:
    with pytest.raises(InvalidArgument, match="writer or reader"):
        policies.policy(settings(), "admin")
