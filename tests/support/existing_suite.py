"""What holds for existing secrets in every store that can read them; each brings an :class:`Outside`."""

from __future__ import annotations

import secrets
from typing import Any, Protocol

import pytest

from secrets_svc.backends.existing.reader import ExistingReader
from secrets_svc.backends.existing.writer import ExistingWriter
from secrets_svc.core.errors import Changed, InvalidArgument, NotFound, Unsupported
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

SHOP = Scope("flyte", "production", "shop")


class Outside(Protocol):
    """A store as its own administrator uses it.

    :ivar keyed: whether a secret there has fields and no value as a whole. :ivar cases: whether names differ
        by case alone.
    """

    keyed: bool
    cases: bool

    def template(self, template: str) -> str:
        """``template`` in a place of this test's own."""

    def put(self, path: str, document: dict[str, Any]) -> None:
        """Write at ``path``, whether something is there or not."""

    def remove(self, path: str) -> None:
        """Delete it in the way that people do."""

    def reader(self, template: str) -> ExistingReader:
        """With the identity and rights of the printed policy."""

    def writer(self, template: str) -> ExistingWriter:
        """With the identity and rights of the printed policy."""


class ExistingSuite:
    """The tests."""

    def test_one_field_is_read_where_the_template_says_which(self, outside: Outside) -> None:
        template = outside.template("{project}/{name}#password")
        outside.put(path(template, project="shop", name="db"), {"user": "u", "password": "pä$$"})
        ref = SecretRef(Scope("flyte", project="shop"), "db")
        reader = outside.reader(template)
        token = reader.resolve([ref])[ref].token
        found = reader.read(ref, token)
        assert found.value.reveal_bytes() == "pä$$".encode()
        assert (found.ref, found.token, found.type) == (ref, token, SecretType.GENERIC)
        with pytest.raises(InvalidArgument, match='say which field is read: leave "field" out'):
            reader.read_field(ref, token, "user")

    def test_a_request_says_the_field_where_the_template_does_not(self, outside: Outside) -> None:
        template = outside.template("{project}/{name}")
        document = {"user": "u", "password": "p", "port": "5432", "": "empty"}
        outside.put(path(template, project="shop", name="db"), document)
        ref = SecretRef(Scope("flyte", project="shop"), "db")
        reader = outside.reader(template)
        token = reader.resolve([ref])[ref].token
        assert reader.read_field(ref, token, "user").value.reveal_bytes() == b"u"
        assert reader.read_field(ref, token, "port").value.reveal_bytes() == b"5432"
        with pytest.raises(InvalidArgument, match='secret "db" in project shop: it'):
            reader.read_field(ref, token, "colour")
        if outside.keyed:
            with pytest.raises(InvalidArgument, match='say which one with "field"'):
                reader.read(ref, token)

    def test_a_change_is_seen_and_no_old_token_reads_the_new_value(self, outside: Outside) -> None:
        template = outside.template("{project}/{name}#a")
        where = path(template, project="shop", name="db")
        ref = SecretRef(Scope("flyte", project="shop"), "db")
        reader = outside.reader(template)
        assert reader.resolve([ref]) == {}
        tokens = []
        for value in ("one", "two", "gone", "three"):
            if value == "gone":
                outside.remove(where)
                assert reader.resolve([ref]) == {}
                with pytest.raises(NotFound):
                    reader.read(ref, tokens[-1])
                continue
            outside.put(where, {"a": value})
            token = reader.resolve([ref])[ref].token
            assert reader.read(ref, token).value.reveal_bytes() == value.encode()
            for old in tokens:
                with pytest.raises(Changed):
                    reader.read(ref, old)
            tokens.append(token)
        assert len(set(tokens)) == 3

    def test_only_the_template_s_level_is_looked_at(self, outside: Outside) -> None:
        template = outside.template("{domain}/{project}/{name}" if not outside.keyed else "{project}/{name}")
        level = SHOP if not outside.keyed else Scope("flyte", project="shop")
        outside.put(path(template, domain="production", project="shop", name="db"), {"a": "b"})
        reader, writer = outside.reader(template), outside.writer(template)
        scopes = [SHOP, Scope("flyte"), Scope("flyte", project="shop"), Scope("flyte", domain="production")]
        refs = [SecretRef(scope, "db") for scope in scopes]
        assert list(reader.resolve(refs)) == [SecretRef(level, "db")]
        for ref in refs:
            if ref.scope != level:
                with pytest.raises(NotFound):
                    writer.describe(ref)

    def test_names_stay_apart(self, outside: Outside) -> None:
        """Prefixes of each other, equal names in two scopes, and names that differ by case alone."""
        template = outside.template("{project}/{name}#a")
        names = ["db", "db-1", "d"] + (["DB", "Db"] if outside.cases else [])
        refs = [
            SecretRef(Scope("flyte", project=project), name)
            for project in ("shop", "shop-1")
            for name in names
        ]
        for ref in refs:
            outside.put(path(template, project=ref.scope.project, name=ref.name), {"a": str(ref)})
        reader, writer = outside.reader(template), outside.writer(template)
        found = reader.resolve(refs)
        assert set(found) == set(refs)
        for ref, resolved in found.items():
            assert reader.read(ref, resolved.token).value.reveal_bytes() == str(ref).encode()
        absent = SecretRef(Scope("flyte", project="shop"), "Not_There")
        assert reader.resolve([absent]) == {}
        everything = writer.list(Scope("flyte"))
        assert {item.ref for item in everything.items} == set(refs)
        shop = writer.list(Scope("flyte", project="shop"), exact=True)
        assert sorted(item.ref.name for item in shop.items) == sorted(names)
        assert writer.list(SHOP).items == ()
        assert writer.list(Scope("flyte"), exact=True).items == ()

    def test_they_are_shown_as_read_only_and_writes_are_unsupported(self, outside: Outside) -> None:
        template = outside.template("{project}/{name}#a")
        outside.put(path(template, project="shop", name="db"), {"a": "canary-value"})
        ref = SecretRef(Scope("flyte", project="shop"), "db")
        writer, reader = outside.writer(template), outside.reader(template)
        described = writer.describe(ref)
        assert described.read_only
        assert described.version == reader.resolve([ref])[ref].token
        assert described.updated_at >= described.created_at
        assert writer.list(Scope("flyte")).items == (described,)
        assert "canary-value" not in repr(described)
        who = {"actor": "ann", "operation_id": secrets.token_hex(8)}
        for there in (ref, SecretRef(ref.scope, "new")):
            with pytest.raises(Unsupported, match="existing secrets"):
                writer.create(there, SecretValue(b"v"), SecretType.GENERIC, **who)
            with pytest.raises(Unsupported):
                writer.update(there, SecretValue(b"v"), **who)
            with pytest.raises(Unsupported):
                writer.delete(there, **who)
        assert writer.describe(ref) == described

    def test_pages_show_each_once_while_others_come_and_go(self, outside: Outside) -> None:
        template = outside.template("{project}/{name}#a")

        def put(name: str) -> str:
            where = path(template, project="shop", name=name)
            outside.put(where, {"a": name})
            return where

        paths = {name: put(name) for name in (f"s{number}" for number in range(7))}
        writer = outside.writer(template)
        scope = Scope("flyte", project="shop")
        seen: list[SecretMetadata] = []
        page = writer.list(scope, limit=3)
        seen += page.items
        outside.remove(paths["s1"])
        outside.remove(paths["s4"])
        put("s00")
        while page.cursor is not None:
            page = writer.list(scope, limit=3, cursor=page.cursor)
            seen += page.items
        names = [item.ref.name for item in seen]
        assert len(names) == len(set(names))
        assert {"s0", "s2", "s3", "s5", "s6"} <= set(names)
        assert "s4" not in names
        for cursor in ("", "zz", b"other/place".hex()):
            with pytest.raises(InvalidArgument):
                writer.list(scope, cursor=cursor)
        for limit in (0, 1001):
            with pytest.raises(InvalidArgument):
                writer.list(scope, limit=limit)

    def test_the_organization_can_be_a_part_of_the_path(self, outside: Outside) -> None:
        template = outside.template(
            "{organization}.{project}/{name}" if not outside.keyed else "{organization}/{name}"
        )
        where = path(template, organization="flyte", project="shop", name="db")
        outside.put(where, {"a": "b"})
        scope = Scope("flyte", project=None if outside.keyed else "shop")
        assert outside.writer(template).describe(SecretRef(scope, "db"))
        other = Scope("other", project=scope.project)
        assert outside.reader(template).resolve([SecretRef(other, "db")]) == {}
        assert outside.writer(template).list(Scope("other")).items == ()


def path(template: str, **parts: Any) -> str:
    """Of a secret."""
    return template.partition("#")[0].format_map(parts)
