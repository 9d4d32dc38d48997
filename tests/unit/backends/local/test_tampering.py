"""Somebody alters the database file: every entry is right or refused, and no other's value ever comes out."""

from __future__ import annotations

import traceback
from typing import Any

import pytest

from secrets_svc.core.errors import NotFound, SecretsError, Unavailable

REFUSED = 'secret "victim" in project-domain shop/production in the local store does not verify'
COLUMNS = {
    "token": "'" + "0" * 32 + "'",
    "type": "'image-pull'",
    "size": "1",
    "created_at": "created_at + 1",
    "updated_at": "updated_at + 1",
    "created_by": "'somebody'",
    "updated_by": "'somebody'",
    "generation": "'20200101T000000000000Z-00000000'",
    "digest": "zeroblob(32)",
    "signature": "zeroblob(64)",
}


@pytest.fixture
def victim(store: Any) -> Any:
    """The store, with an entry to be altered and another beside it."""
    writer = store.writer()
    store.create(writer, "victim", b"the victim's value")
    store.create(writer, "other", b"the other's value")
    return store


def _name(store: Any, name: str) -> str:
    return f"u__org__flyte__domain__production__project__shop__key__{name}"


@pytest.mark.parametrize("column", [name for name in COLUMNS if name != "generation"])
def test_an_altered_column_is_refused_everywhere(victim: Any, column: str) -> None:
    reader = victim.reader()
    token = reader.resolve([victim.ref("victim")])[victim.ref("victim")].token
    victim.sql(f"UPDATE secrets SET {column} = {COLUMNS[column]} WHERE storage_name LIKE '%victim'")
    # Whoever starts now, and whoever knew it from before.
    for each in (victim.reader(), reader):
        with pytest.raises(Unavailable, match=REFUSED):
            each.read(victim.ref("victim"), token)
    writer = victim.writer()
    for call in (
        lambda: victim.reader().resolve([victim.ref("other"), victim.ref("victim")]),
        lambda: writer.describe(victim.ref("victim")),
        lambda: writer.list(victim.scope),
        lambda: victim.update(writer, "victim", b"new"),
    ):
        with pytest.raises(Unavailable, match=REFUSED):
            call()


def test_a_reader_that_knew_the_entry_takes_nothing_else_for_it(victim: Any) -> None:
    """What was signed is remembered by its signature: the altered columns are never looked at."""
    reader, ref = victim.reader(), victim.ref("victim")
    before = reader.resolve([ref])
    victim.sql("UPDATE secrets SET type = 'image-pull', size = 5 WHERE storage_name LIKE '%victim'")
    assert reader.resolve([ref]) == before


@pytest.mark.parametrize("generation", ["20200101T000000000000Z-00000000", "../../../../etc", "", "x\x00y"])
def test_keys_that_are_not_there(victim: Any, generation: str) -> None:
    victim.sql("UPDATE secrets SET generation = ? WHERE storage_name LIKE '%victim'", generation)
    with pytest.raises(Unavailable, match=r"key files of an entry .* are missing.*secret restore"):
        victim.reader().resolve([victim.ref("victim")])


def test_an_altered_value_is_refused(victim: Any) -> None:
    reader = victim.reader()
    token = reader.resolve([victim.ref("victim")])[victim.ref("victim")].token
    for alteration in (
        "zeroblob(length(sealed))",
        "x''",
        "CAST(sealed || x'00' AS BLOB)",
        "substr(sealed, 1, 40)",
    ):
        victim.sql(f"UPDATE secrets SET sealed = {alteration} WHERE storage_name LIKE '%victim'")
        with pytest.raises(Unavailable, match=REFUSED):
            reader.read(victim.ref("victim"), token)


@pytest.mark.parametrize("columns", ["sealed", "sealed, digest", "sealed, digest, token, signature, size"])
def test_values_swapped_between_names(victim: Any, columns: str) -> None:
    """The other's value never comes out under the victim's name."""
    victim.sql(
        f"UPDATE secrets SET ({columns}) = (SELECT {columns} FROM secrets WHERE storage_name LIKE '%other') "
        "WHERE storage_name LIKE '%victim'"
    )
    with pytest.raises(Unavailable, match=REFUSED) as refused:
        victim.read(victim.reader(), "victim")
    assert "the other" not in "".join(traceback.format_exception(refused.value))


def test_an_entry_under_another_name(victim: Any) -> None:
    """Moved whole, to another name or another scope."""
    for moved in (_name(victim, "third"), "u__org__flyte__domain____project____key__other"):
        victim.sql(
            "UPDATE secrets SET storage_name = ? WHERE storage_name = ?", moved, _name(victim, "other")
        )
        writer = victim.writer()
        with pytest.raises(Unavailable, match="does not verify"):
            writer.list(type(victim.scope)("flyte"))
        victim.sql(
            "UPDATE secrets SET storage_name = ? WHERE storage_name = ?", _name(victim, "other"), moved
        )
    assert victim.read(victim.reader(), "other") == b"the other's value"


def test_a_name_that_is_none(victim: Any) -> None:
    victim.sql(
        "UPDATE secrets SET storage_name = 'u__org__flyte__domain__x' WHERE storage_name LIKE '%victim'"
    )
    with pytest.raises(Unavailable, match="an entry in the local store does not verify"):
        victim.writer().list(type(victim.scope)("flyte"))


@pytest.mark.parametrize(
    "columns", ["sealed", "sealed, digest", "sealed, digest, token", "token", "signature"]
)
def test_columns_as_they_once_were(victim: Any, columns: str) -> None:
    """An older value under the newer version, in whatever parts."""
    [older] = victim.sql(f"SELECT {columns} FROM secrets WHERE storage_name LIKE '%victim'")
    token = victim.update(victim.writer(), "victim", b"the newer value").version
    settings = ", ".join(f"{column} = ?" for column in columns.split(", "))
    victim.sql(f"UPDATE secrets SET {settings} WHERE storage_name LIKE '%victim'", *older)
    with pytest.raises(Unavailable, match=REFUSED):
        victim.reader().read(victim.ref("victim"), token)


def test_an_entry_in_anothers_list(victim: Any) -> None:
    """The project index is not signed: what it wrongly leads to is refused."""
    victim.sql("UPDATE secrets SET project_key = 'flyte/bank' WHERE storage_name LIKE '%victim'")
    with pytest.raises(Unavailable, match=REFUSED):
        victim.writer().list(type(victim.scope)("flyte", project="bank"))


def test_a_value_sealed_by_somebody_with_the_public_key(victim: Any) -> None:
    """Sealing takes no secret: without the writer's signature it counts for nothing."""
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from secrets_svc.backends.local.sealing import digest_of, seal
    from secrets_svc.core.value import SecretValue

    [(token, generation)] = victim.sql(
        "SELECT token, generation FROM secrets WHERE storage_name LIKE '%victim'"
    )
    key = load_pem_public_key((victim.folder / "keys" / generation / "reader.pub").read_bytes())
    sealed = seal(
        SecretValue(b"planted"),
        key,  # type: ignore[arg-type]
        name=_name(victim, "victim"),
        token=token,
        type="generic",
        generation=generation,
    )
    victim.sql(
        "UPDATE secrets SET sealed = ?, digest = ?, size = 7 WHERE storage_name LIKE '%victim'",
        sealed,
        digest_of(sealed),
    )
    with pytest.raises(Unavailable, match=REFUSED):
        victim.reader().read(victim.ref("victim"), token)


def test_an_entry_that_does_not_verify_can_be_deleted_and_made_again(victim: Any) -> None:
    victim.sql("UPDATE secrets SET signature = zeroblob(64) WHERE storage_name LIKE '%victim'")
    writer, reader = victim.writer(), victim.reader()
    victim.delete(writer, "victim")
    with pytest.raises(NotFound):
        writer.describe(victim.ref("victim"))
    victim.create(writer, "victim", b"again")
    assert victim.read(reader, "victim") == b"again"


def test_refusals_hold_no_vendor_text_and_no_value(victim: Any) -> None:
    victim.sql("UPDATE secrets SET digest = zeroblob(32) WHERE storage_name LIKE '%victim'")
    with pytest.raises(SecretsError) as refused:
        victim.read(victim.reader(), "victim")
    assert "the victim's value" not in "".join(traceback.format_exception(refused.value))
