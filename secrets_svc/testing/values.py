"""Exact bytes (I8), and that they last."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from secrets_svc.core.errors import InvalidArgument, NotFound, TooLarge, Unsupported
from secrets_svc.testing.harness import BackendHarness, create, eventually, read, some_ref, update

_ALL_BYTES = bytes(range(256))
#: Values of so many bytes; in the text most characters are two.
_FILLED: dict[str, Callable[[int], bytes]] = {
    "binary": lambda size: (_ALL_BYTES * (size // 256 + 1))[:size],
    "multibyte text": lambda size: ("é" * (size // 2) + "x" * (size % 2)).encode(),
}


class ValueContract:
    """Must have."""

    @pytest.mark.parametrize(
        "data",
        [
            _ALL_BYTES,
            bytes(reversed(_ALL_BYTES)),
            b"\x00",
            b"line\r\nline\r\n",
            b"\n",
            b" padded ",
            "zażółć 🔑".encode(),
            b"\xef\xbb\xbfmark",
            b"\xff\xfe",
            b"e30=",
            b'{"value": "x"}',
        ],
        ids=lambda data: repr(data[:8]),
    )
    def test_bytes_arrive_as_they_were_given(self, harness: BackendHarness, data: bytes) -> None:
        """At create and at update."""
        created, updated = some_ref(), some_ref()
        writer, reader = harness.writer(), harness.reader()
        create(writer, created, data)
        create(writer, updated, b"before")
        update(writer, updated, data)

        def exact() -> None:
            assert read(reader, created) == data
            assert read(reader, updated) == data

        eventually(harness, exact)

    @pytest.mark.parametrize("off", [-1, 0, 1], ids=["limit - 1", "limit", "limit + 1"])
    @pytest.mark.parametrize("kind", list(_FILLED))
    def test_a_value_about_as_large_as_the_limit(self, harness: BackendHarness, kind: str, off: int) -> None:
        """``max_value`` is in bytes, whatever they are: one more is refused at create and update."""
        created, updated = some_ref(), some_ref()
        writer, reader = harness.writer(), harness.reader()
        data = _FILLED[kind](harness.capabilities.max_value + off)
        before = create(writer, updated, b"before")
        if off > 0:
            with pytest.raises(TooLarge):
                create(writer, created, data)
            with pytest.raises(NotFound):
                writer.describe(created)
            with pytest.raises(TooLarge):
                update(writer, updated, data)
            assert writer.describe(updated) == before
            return
        assert create(writer, created, data).size in (len(data), None)
        update(writer, updated, data)

        def exact() -> None:
            assert read(reader, created) == data
            assert read(reader, updated) == data

        eventually(harness, exact)


class EmptyValueContract:
    """Optional: ``empty_value``."""

    def test_a_value_of_no_bytes(self, harness: BackendHarness) -> None:
        """Arrives, or is refused and not written."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        if not harness.capabilities.empty_value:
            with pytest.raises((Unsupported, InvalidArgument)):
                create(writer, ref, b"")
            with pytest.raises(NotFound):
                writer.describe(ref)
            return
        create(writer, ref, b"")

        def empty() -> None:
            assert read(reader, ref) == b""

        eventually(harness, empty)
        update(writer, ref, b"x")
        update(writer, ref, b"")
        eventually(harness, empty)


class DurabilityContract:
    """Optional: ``durable``."""

    def test_what_a_new_start_finds(self, harness: BackendHarness) -> None:
        """Everything as it was; or nothing, where the store says so."""
        ref, other = some_ref(), some_ref()
        made = create(harness.writer(), ref, b"value")
        create(harness.writer(), other, b"before")
        updated = update(harness.writer(), other, b"after")
        harness.reopen()
        writer, reader = harness.writer(), harness.reader()
        if not harness.capabilities.durable:
            assert reader.resolve([ref, other]) == {}
            return
        assert (writer.describe(ref), writer.describe(other)) == (made, updated)
        assert (read(reader, ref), read(reader, other)) == (b"value", b"after")
