"""What an operation id stood for, in a form that may rest in annotations.

The id is kept as a digest. What was written under it is kept as a fingerprint under a key of the writers',
which rests in a Secret of the same namespace: whoever may read that may read the values themselves.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from dataclasses import asdict, dataclass
from hmac import compare_digest

from secrets_svc.backends.kubernetes import names
from secrets_svc.backends.kubernetes.namespace import SECRETS, Namespace
from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.intents import fingerprint, used_for_another
from secrets_svc.core.secret import SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.kube.api import JSON, Object
from secrets_svc.kube.informer import Metadata

MAX_ID = 128
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Mark:
    """One intent of one caller.

    :param id: digest of the operation id. :param name: storage name. :param at: seconds since 1970.
    :param key: which key made ``fingerprint``.
    """

    id: str
    verb: str
    name: str
    key: str
    fingerprint: str
    at: int

    def text(self) -> str:
        """For an annotation."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Mark | None:
        """Of :meth:`text`; ``None`` for anything else."""
        try:
            found = cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError):
            return None
        texts = (found.id, found.verb, found.name, found.key, found.fingerprint)
        if not all(isinstance(each, str) and each.isascii() for each in texts) or type(found.at) is not int:
            return None
        return found

    def check_repeats(self, earlier: Mark) -> None:
        """Raise unless ``earlier``, which has the same id, is the same intent.

        Fingerprints of different keys can't be compared: then verb and name decide.

        :raises InvalidArgument: it isn't.
        """
        same = (self.verb, self.name) == (earlier.verb, earlier.name)
        if same and self.key == earlier.key:
            same = compare_digest(self.fingerprint, earlier.fingerprint)
        if not same:
            raise used_for_another()


class Marks:
    """Makes marks, under a key that all writers of a namespace share."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._lock = threading.Lock()
        self._key: tuple[str, bytes] | None = None

    def make(
        self,
        operation_id: str,
        verb: str,
        name: str,
        *,
        value: SecretValue | None = None,
        type: SecretType | None = None,
        expected: str | None = None,
        to: str | None = None,
    ) -> Mark:
        """The mark of an intent. Parameters as of :func:`secrets_svc.core.intents.fingerprint`.

        :raises InvalidArgument: the id is too long, or empty.
        """
        if not 1 <= len(operation_id) <= MAX_ID:
            raise InvalidArgument(f"operation_id is not valid: 1 to {MAX_ID} characters")
        with self._lock:
            self._key = self._key or self._shared_key()
        key_id, key = self._key
        made = fingerprint(key, verb=verb, name=name, value=value, type=type, expected=expected, to=to)
        digest = hashlib.sha256(operation_id.encode("utf-8", "surrogatepass")).hexdigest()
        return Mark(digest, verb, name, key_id, made.hex(), int(time.time()))

    def _shared_key(self) -> tuple[str, bytes]:
        """The key and its id. The one answer with content that a writer asks for; no secret of anybody's."""
        for _ in range(2):
            found = self._namespace.find(SECRETS, names.KEY_OBJECT, accept=JSON)
            if found is not None:
                return _read(found)
            key = secrets.token_bytes(KEY_BYTES)
            made = self._namespace.create(SECRETS, _key_object(key))
            if made is not None:
                return Metadata.of(made).uid, key
        raise Unavailable(f'Secret "{names.KEY_OBJECT}" comes and goes: somebody else deletes it')


def _key_object(key: bytes) -> Object:
    return {
        "metadata": {"name": names.KEY_OBJECT, "labels": {names.KEY_LABEL: "true"}},
        "type": names.KEY_LABEL,
        "immutable": True,
        "data": {names.KEY_DATA: base64.b64encode(key).decode()},
    }


def _read(object_: Object) -> tuple[str, bytes]:
    try:
        key = base64.b64decode(object_["data"][names.KEY_DATA], validate=True)
    except (ValueError, TypeError, KeyError):
        key = b""
    if len(key) < KEY_BYTES or object_.get("type") != names.KEY_LABEL:
        raise Unavailable(
            f'Secret "{names.KEY_OBJECT}" is not what this service keeps there: delete it, a new one is made'
        )
    return Metadata.of(object_).uid, key
