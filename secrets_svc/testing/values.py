"""Exact bytes (I8), and that they last."""

from __future__ import annotations

import pytest

from secrets_svc.core.errors import InvalidArgument, NotFound, TooLarge, Unsupported
from secrets_svc.testing.harness import BackendHarness, create, eventually, read, some_ref, update

_ALL_BYTES = bytes(range(256))


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

    def test_the_largest_value(self, harness: BackendHarness) -> None:
        """Is exactly ``max_value``."""
        ref, reader = some_ref(), harness.reader()
        largest = harness.capabilities.max_value
        data = (_ALL_BYTES * (largest // 256 + 1))[:largest]
        create(harness.writer(), ref, data)

        def exact() -> None:
            assert read(reader, ref) == data

        eventually(harness, exact)

    @pytest.mark.parametrize("less", [1, 0])
    def test_text_is_measured_in_bytes(self, harness: BackendHarness, less: int) -> None:
        """Of UTF-8: a text of fewer characters may be the largest, and one of them more is too much."""
        ref, writer, reader = some_ref(), harness.writer(), harness.reader()
        size = harness.capabilities.max_value - less
        text = "é" * (size // 2) + "x" * (size % 2)
        create(writer, ref, text.encode())

        def exact() -> None:
            assert read(reader, ref) == text.encode()

        eventually(harness, exact)
        with pytest.raises(TooLarge):
            create(writer, some_ref("over"), (text + "é").encode())

    def test_one_byte_over_is_too_large(self, harness: BackendHarness) -> None:
        """At create and at update, and nothing is written."""
        ref, writer = some_ref(), harness.writer()
        data = b"x" * (harness.capabilities.max_value + 1)
        with pytest.raises(TooLarge):
            create(writer, ref, data)
        with pytest.raises(NotFound):
            writer.describe(ref)
        made = create(writer, ref)
        with pytest.raises(TooLarge):
            update(writer, ref, data)
        assert writer.describe(ref) == made


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
