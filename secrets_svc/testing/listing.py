"""Lists: filters, pages, cursors."""

from __future__ import annotations

import pytest

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.ports import Page, SecretWriter
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretMetadata, SecretRef
from secrets_svc.testing.harness import (
    BackendHarness,
    create,
    delete,
    eventually,
    levels,
    some_scope,
    update,
)


def _all_pages(writer: SecretWriter, within: Scope, *, exact: bool, limit: int) -> list[SecretRef]:
    found: list[SecretRef] = []
    cursor = None
    while True:
        page = writer.list(within, exact=exact, limit=limit, cursor=cursor)
        assert len(page.items) <= limit
        found += [item.ref for item in page.items]
        cursor = page.cursor
        if cursor is None:
            return found


class ListingContract:
    """Must have."""

    def test_an_empty_list(self, harness: BackendHarness) -> None:
        """Is an empty last page."""
        assert harness.writer().list(some_scope()) == Page(())

    def test_items_are_whole(self, harness: BackendHarness) -> None:
        """The metadata that describe gives."""
        scope, writer = some_scope(), harness.writer()
        made = create(writer, SecretRef(scope, "one"))
        update(writer, made.ref, b"another")

        def whole() -> None:
            assert writer.list(scope).items == (writer.describe(made.ref),)

        eventually(harness, whole)

    @pytest.mark.parametrize("exact", [False, True])
    @pytest.mark.parametrize("limit", [1, 4, 1000])
    def test_filters(self, harness: BackendHarness, exact: bool, limit: int) -> None:
        """What the scope covers; exactly: what it equals. However many come on a page, each once."""
        writer = harness.writer()
        scopes = levels(some_scope())
        refs = [SecretRef(scope, name) for scope in scopes for name in ("a", "b")]
        for ref in refs:
            create(writer, ref)

        def filtered() -> None:
            for within in scopes:
                wanted = [ref for ref in refs if (ref.scope == within if exact else within.covers(ref.scope))]
                found = _all_pages(writer, within, exact=exact, limit=limit)
                assert sorted(found, key=str) == sorted(wanted, key=str)

        eventually(harness, filtered)

    def test_names_that_begin_alike_are_other_scopes(self, harness: BackendHarness) -> None:
        """``shop`` doesn't cover ``shop-2`` or ``sho``."""
        writer, scope = harness.writer(), some_scope()
        beside = [
            Scope(scope.organization, domain, project)
            for domain in ("production", "production-2", "prod")
            for project in ("shop", "shop-2", "sho")
        ]
        for each in beside:
            create(writer, SecretRef(each, "name"))

        def only_its_own() -> None:
            for within in (scope, Scope(scope.organization, domain="production")):
                found = _all_pages(writer, within, exact=False, limit=2)
                assert sorted(map(str, found)) == sorted(
                    str(SecretRef(each, "name")) for each in beside if within.covers(each)
                )

        eventually(harness, only_its_own)

    def test_the_order_is_stable(self, harness: BackendHarness) -> None:
        """Whatever the size of the pages."""
        scope, writer = some_scope(), harness.writer()
        for number in range(11):
            create(writer, SecretRef(scope, f"n-{number}"))

        def stable() -> None:
            whole = _all_pages(writer, scope, exact=False, limit=1000)
            assert len(whole) == 11
            for limit in (1, 2, 3, 10, 11, 12):
                assert _all_pages(writer, scope, exact=False, limit=limit) == whole

        eventually(harness, stable)

    @pytest.mark.parametrize("exact", [False, True])
    def test_writes_between_pages(self, harness: BackendHarness, exact: bool) -> None:
        """What is there throughout is seen exactly once."""
        scope, writer = some_scope(), harness.writer()
        staying = {SecretRef(scope, f"stays-{number:02}") for number in range(20)}
        going = [SecretRef(scope, f"{letter}-goes-{number}") for number in range(5) for letter in "az"]
        for ref in (*staying, *going):
            create(writer, ref)

        def all_there() -> None:
            assert len(_all_pages(writer, scope, exact=exact, limit=1000)) == 30

        eventually(harness, all_there)
        seen: list[SecretRef] = []
        cursor = None
        for number in range(100):
            page = writer.list(scope, exact=exact, limit=3, cursor=cursor)
            seen += [item.ref for item in page.items]
            cursor = page.cursor
            if cursor is None:
                break
            if going:
                delete(writer, going.pop())
            update(writer, min(staying, key=str), b"updated %d" % number)
            # One in front of everything and one behind: at most, they are seen too.
            create(writer, SecretRef(scope, f"0-new-{number}"))
            create(writer, SecretRef(scope, f"zz-new-{number}" if number < 3 else f"00-new-{number}"))
        assert cursor is None
        assert sorted(ref.name for ref in seen if ref in staying) == sorted(ref.name for ref in staying)
        assert len(seen) == len(set(seen))

    def test_the_last_item_of_a_page_may_go(self, harness: BackendHarness) -> None:
        """A cursor doesn't need what it stands on."""
        scope, writer = some_scope(), harness.writer()
        for number in range(6):
            create(writer, SecretRef(scope, f"n-{number}"))

        def all_there() -> None:
            assert len(writer.list(scope).items) == 6

        eventually(harness, all_there)
        page = writer.list(scope, limit=3)
        delete(writer, page.items[-1].ref)
        rest = writer.list(scope, limit=3, cursor=page.cursor)
        assert len({item.ref for item in (*page.items, *rest.items)}) == 6
        assert rest.cursor is None

    @pytest.mark.parametrize(
        "cursor",
        [
            "",
            " ",
            "nonsense",
            "%%%",
            "=",
            "AAAA",
            "00",
            "a" * 5000,
            "\x00",
            "ü",
            "../../etc/passwd",
            "1' OR '1'='1",
        ],
        ids=ascii,
    )
    def test_a_cursor_that_is_not_ours(self, harness: BackendHarness, cursor: str) -> None:
        """Is refused."""
        with pytest.raises(InvalidArgument):
            harness.writer().list(some_scope(), cursor=cursor)

    def test_a_cursor_shows_nothing_outside_the_filter(self, harness: BackendHarness) -> None:
        """Given with another filter it is refused, or that filter holds."""
        scope, writer = some_scope(), harness.writer()
        other = Scope(scope.organization, "staging", "shop")
        for number in range(4):
            create(writer, SecretRef(scope, f"n-{number}"))
            create(writer, SecretRef(other, f"n-{number}"))

        def all_there() -> None:
            assert len(writer.list(scope).items) == len(writer.list(other).items) == 4

        eventually(harness, all_there)
        for one, another in ((scope, other), (other, scope)):
            cursor = writer.list(one, limit=2).cursor
            try:
                found: tuple[SecretMetadata, ...] = writer.list(another, cursor=cursor).items
            except InvalidArgument:
                continue
            assert all(item.ref.scope == another for item in found)

    @pytest.mark.parametrize("limit", [0, -1, 1001, 1 << 70])
    def test_limits_that_are_refused(self, harness: BackendHarness, limit: int) -> None:
        """1 to 1000 are taken."""
        writer = harness.writer()
        with pytest.raises(InvalidArgument):
            writer.list(some_scope(), limit=limit)
        for taken in (1, 1000):
            assert writer.list(some_scope(), limit=taken).items == ()
