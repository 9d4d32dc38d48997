"""Generations of key files: ``keys/<generation>/{reader.key,reader.pub,writer.key,writer.pub}``.

The reader's pair (X25519) seals values to the reader; the writer's (Ed25519) signs entries. The writer's
side loads ``writer.key`` and ``reader.pub``, the reader's side ``reader.key`` and ``writer.pub``: neither can
do the other's part. A folder of keys is complete or not there: it gets its name when all is on the disk.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from secrets_svc.backends.local.faults import Translated
from secrets_svc.core.errors import Unavailable
from secrets_svc.core.private_files import (
    OTHERS,
    OTHERS_WRITE,
    check_private,
    private_folder,
    read_if_private,
    sync_folder,
    write_new,
)

FOLDER = "keys"
FILES = ("reader.key", "reader.pub", "writer.key", "writer.pub")
#: How a generation is called: when it was made, to the microsecond, and eight digits of chance.
GENERATION = re.compile(r"[0-9]{8}T[0-9]{12}Z-[0-9a-f]{8}")
_HALF_MADE = ".making-"
_REMOVED = ".removing-"
_COMPARING = b"secrets-svc local store: fingerprints of operations, form 1"

Keys = TypeVar("Keys")


class KeysGone(Exception):
    """The keys of a generation are not there: after a rotation the entry is sealed anew, so read it again."""


@dataclass(frozen=True, slots=True, repr=False)
class WriterKeys:
    """What the writer has of a generation.

    :ivar comparing: for fingerprints of intents, see ``operations.py``; made of the signing key.
    """

    signing: Ed25519PrivateKey
    sealing: X25519PublicKey
    verifying: Ed25519PublicKey
    comparing: bytes


@dataclass(frozen=True, slots=True, repr=False)
class ReaderKeys:
    """What the reader has of a generation."""

    opening: X25519PrivateKey
    verifying: Ed25519PublicKey


class KeyRing(Generic[Keys]):
    """Keys by generation, loaded when first needed: another process may have made them since the start.

    :param load: :func:`load_writer_keys` or :func:`load_reader_keys`.
    """

    def __init__(self, folder: Path, load: Callable[[Path], Keys]) -> None:
        self._folder = folder / FOLDER
        self._load = load
        self._loaded: dict[str, Keys] = {}

    def of(self, generation: str) -> Keys:
        """The keys of ``generation``.

        :raises KeysGone: there are none. :raises Unavailable: they can't be read.
        """
        keys = self._loaded.get(generation)
        if keys is None:
            keys = self._loaded[generation] = self._read(generation)
        return keys

    def _read(self, generation: str) -> Keys:
        if not GENERATION.fullmatch(generation):
            raise KeysGone
        try:
            with _readable(self._folder / generation):
                return self._load(self._folder / generation)
        except FileNotFoundError:
            raise KeysGone from None


def load_writer_keys(folder: Path) -> WriterKeys:
    """From the folder of a generation."""
    signing = serialization.load_pem_private_key(read_if_private(folder / "writer.key"), None)
    sealing = serialization.load_pem_public_key(read_if_private(folder / "reader.pub", mask=OTHERS_WRITE))
    if not (isinstance(signing, Ed25519PrivateKey) and isinstance(sealing, X25519PublicKey)):
        raise TypeError("keys of another kind")
    comparing = HKDF(SHA256(), 32, salt=None, info=_COMPARING).derive(signing.private_bytes_raw())
    return WriterKeys(signing, sealing, signing.public_key(), comparing)


def load_reader_keys(folder: Path) -> ReaderKeys:
    """From the folder of a generation."""
    opening = serialization.load_pem_private_key(read_if_private(folder / "reader.key"), None)
    verifying = serialization.load_pem_public_key(read_if_private(folder / "writer.pub", mask=OTHERS_WRITE))
    if not (isinstance(opening, X25519PrivateKey) and isinstance(verifying, Ed25519PublicKey)):
        raise TypeError("keys of another kind")
    return ReaderKeys(opening, verifying)


@contextmanager
def _readable(folder: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Unavailable(
            f"a key file in {folder} is damaged: bring a backup back with secret restore"
        ) from error
    except FileNotFoundError:
        raise
    except OSError as error:
        with Translated(folder):
            raise error from None


def make_generation(folder: Path) -> str:
    """New keys in the store ``folder``; returns the generation's name. Only inside a write transaction."""
    parent = private_folder(folder / FOLDER)
    generation = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{secrets.token_hex(4)}"
    making = parent / (_HALF_MADE + generation)
    with Translated(parent):
        making.mkdir(mode=0o700)
        opening, signing = X25519PrivateKey.generate(), Ed25519PrivateKey.generate()
        for name, private in (("reader", opening), ("writer", signing)):
            write_new(making / f"{name}.key", _private_pem(private))
            write_new(making / f"{name}.pub", _public_pem(private))
        sync_folder(making)
        making.rename(parent / generation)
        sync_folder(parent)
    return generation


def _private_pem(key: X25519PrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_pem(key: X25519PrivateKey | Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def generations(folder: Path) -> list[str]:
    """The complete generations in the store ``folder``, oldest first."""
    if not (folder / FOLDER).exists():
        return []
    with Translated(folder / FOLDER):
        entries = [entry.name for entry in (folder / FOLDER).iterdir()]
    return sorted(name for name in entries if GENERATION.fullmatch(name))


def check_keys(folder: Path) -> None:
    """See that nobody but the owner gets at any key file.

    :raises InvalidArgument: somebody does; the message has the file and the ``chmod`` to type.
    """
    with Translated(folder / FOLDER):
        check_private(folder / FOLDER)
        for generation in generations(folder):
            check_private(folder / FOLDER / generation)
            for name in FILES:
                mask = OTHERS if name.endswith(".key") else OTHERS_WRITE
                check_private(folder / FOLDER / generation / name, mask=mask)


def remove_all_but(folder: Path, kept: frozenset[str]) -> tuple[str, ...]:
    """Remove the generations not in ``kept``, and what killed processes left behind.

    Only inside a write transaction, as :func:`make_generation`: then nobody is making keys meanwhile.
    """
    removed = tuple(name for name in generations(folder) if name not in kept)
    parent = folder / FOLDER
    with Translated(parent):
        for name in removed:
            (parent / name).rename(parent / (_REMOVED + name))
        sync_folder(parent)
        for entry in parent.iterdir():
            if entry.name.startswith((_HALF_MADE, _REMOVED)):
                shutil.rmtree(entry)
        sync_folder(parent)
    return removed
