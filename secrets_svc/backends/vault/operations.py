"""What an operation id stood for: a record of each operation, made before it is done.

A record says what was meant (a fingerprint) and, once it is known, what came of it. A document says which
operation wrote it. Whoever replaces a document first completes the record of the operation that wrote it, if
that may be missing. So what is neither in a record nor in the document was not done.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from secrets_svc.backends.vault.documents import META, Held
from secrets_svc.backends.vault.kv import Kv
from secrets_svc.backends.vault.paths import BUCKET, OPERATIONS
from secrets_svc.core.errors import Conflict, InvalidArgument, Unavailable, Unreadable
from secrets_svc.core.intents import fingerprint, used_for_another
from secrets_svc.core.naming import parse_storage_name, storage_name
from secrets_svc.core.secret import SecretMetadata, SecretRef, SecretType
from secrets_svc.core.value import SecretValue

_MAX_ID = 128
#: Seconds that another writer's clock may be ahead of ours: what it noted is found all the same.
SKEW = 1500
#: Records that one write removes at most, of those that are old enough.
_SWEEP = 20


@dataclass(slots=True)
class Operation:
    """An operation that was claimed.

    :param path: of its record. :param begun_here: whether this call made the record.
    :param records: how often its record was written. :param target: for a delete: the version it is about.
    :param answer: what came of it, where it is known.
    """

    path: str
    mark: str
    begun_here: bool
    records: int = 1
    target: str | None = None
    answer: SecretMetadata | None = None
    is_done: bool = False


class Operations:
    """The records of one store.

    :param kv: with the writer's identity.
    """

    def __init__(self, kv: Kv, *, clock: Callable[[], float] = time.time) -> None:
        self._kv = kv
        self._clock = clock
        self._lock = threading.Lock()
        self._key: bytes | None = None
        self._swept: set[int] = set()

    def claim(
        self,
        operation_id: str,
        verb: str,
        ref: SecretRef,
        *,
        value: SecretValue | None = None,
        type: SecretType | None = None,
        expected: str | None = None,
        to: str | None = None,
    ) -> Operation:
        """Begin it, or find what was begun.

        :raises InvalidArgument: the id was used for another.
        """
        if not 1 <= len(operation_id) <= _MAX_ID:
            raise InvalidArgument(f"operation id is not valid: 1 to {_MAX_ID} characters")
        name = storage_name(ref)
        made = fingerprint(
            self._fingerprint_key(), verb=verb, name=name, value=value, type=type, expected=expected, to=to
        ).hex()
        now = int(self._clock())
        bucket = now // BUCKET
        for each in range((now + SKEW) // BUCKET, bucket - 2, -1):
            path = self._kv.paths.operation(each, operation_id)
            found = self._kv.look(path)
            if found is not None and not found.version.gone:
                return _found(path, found, made)
        path = self._kv.paths.operation(bucket, operation_id)
        if self._kv.write(path, {META: {f"is={made}": None}}, cas=0) is not None:
            self._sweep(bucket)
            return Operation(path, made, begun_here=True)
        found = self._kv.look(path)  # at the same moment
        if found is None:
            raise Unavailable("what is remembered of this operation comes and goes: somebody else deletes it")
        return _found(path, found, made)

    def aim(self, operation: Operation, target: str) -> None:
        """Say which version a delete is about, before it is deleted."""
        if operation.target == target:
            return
        body = {META: {f"is={operation.mark}": None, f"target={target}": None}}
        if self._kv.write(operation.path, body, cas=operation.records) is None:
            raise Conflict("the same operation is under way elsewhere: try again later")
        operation.target = target
        operation.records += 1

    def finish(self, operation: Operation, answer: SecretMetadata | None) -> None:
        """Remember what came of it. Once: whoever comes later finds the first."""
        body = {META: {f"is={operation.mark}": None, **_kept(operation.target, answer)}}
        self._kv.write(operation.path, body, cas=operation.records)

    def forget(self, operation: Operation) -> None:
        """It failed, and left nothing: its id is free again."""
        if operation.begun_here:
            self._kv.remove_own(operation.path)

    def settle(self, current: Held, ref: SecretRef) -> None:
        """Complete the record of the operation that wrote ``current``, which is about to be replaced."""
        path = current.operation
        if path is None or self._clock() - current.version.at.timestamp() > 2 * BUCKET:
            return
        if not path.startswith(self._kv.paths.folder(OPERATIONS) + "/") or ".." in path:
            return
        found = self._kv.look(path)
        if found is None or found.version.gone or "answer" in (found.meta or {}):
            return
        mark = (found.meta or {}).get("is", "")
        record = Operation(path, mark, begun_here=False, records=found.version.number)
        self.finish(record, current.metadata(ref))

    def _fingerprint_key(self) -> bytes:
        with self._lock:
            if self._key is None:
                self._key = self._read_key() or self._make_key()
            return self._key

    def _read_key(self) -> bytes | None:
        document = self._kv.read_own(self._kv.paths.key)
        text = document.get("key") if document is not None else None
        return bytes.fromhex(text) if isinstance(text, str) and len(text) == 64 else None

    def _make_key(self) -> bytes:
        made = secrets.token_bytes(32)
        refused = None
        try:
            if self._kv.write(self._kv.paths.key, {"key": made.hex()}, cas=0) is not None:
                return made
        except Unreadable as error:
            refused = error  # if another writer was first: replacing the key is none of our rights
        key = self._read_key()
        if key is None and refused is not None:
            raise refused
        if key is None:
            raise Unavailable(f'what lies at "{self._kv.paths.key}" is no key: remove it, a new one is made')
        return key

    def _sweep(self, bucket: int) -> None:
        """Remove some records that are old enough."""
        folder = self._kv.paths.folder(OPERATIONS)
        if bucket in self._swept:
            return
        left = _SWEEP
        for name in self._kv.list(folder):
            each = name.rstrip("/")
            if not each.isdigit() or int(each) >= bucket - 1:
                continue
            for record in self._kv.list(f"{folder}/{each}")[:left]:
                self._kv.remove_own(f"{folder}/{each}/{record}")
                left -= 1
            if left <= 0:
                return
        self._swept = {bucket}


def _found(path: str, found: Held, mark: str) -> Operation:
    meta = found.meta or {}
    if not hmac.compare_digest(meta.get("is", ""), mark):
        raise used_for_another()
    text = meta.get("answer")
    answer = None if not text else _answer(text)
    return Operation(
        path,
        mark,
        begun_here=False,
        records=found.version.number,
        target=meta.get("target"),
        answer=answer,
        is_done=text is not None,
    )


def _kept(target: str | None, answer: SecretMetadata | None) -> dict[str, None]:
    entries = [] if target is None else [f"target={target}"]
    if answer is None:
        return dict.fromkeys([*entries, "answer="])
    told = {
        "name": storage_name(answer.ref),
        "type": answer.type.value,
        "version": answer.version,
        "created_at": answer.created_at.isoformat(),
        "updated_at": answer.updated_at.isoformat(),
        "created_by": answer.created_by,
        "updated_by": answer.updated_by,
        "size": answer.size,
    }
    return dict.fromkeys([*entries, "answer=" + json.dumps(told)])


def _answer(text: str) -> SecretMetadata:
    try:
        told = json.loads(text)
        return SecretMetadata(
            ref=parse_storage_name(told["name"]),
            type=SecretType.parse(told["type"]),
            version=told["version"],
            created_at=datetime.fromisoformat(told["created_at"]),
            updated_at=datetime.fromisoformat(told["updated_at"]),
            created_by=told["created_by"],
            updated_by=told["updated_by"],
            size=told["size"],
        )
    except (ValueError, KeyError, TypeError, InvalidArgument):
        raise Unavailable(
            "what is remembered of this operation id (Idempotency-Key) was changed outside this service: "
            "look whether the write was done, and take a new one"
        ) from None
