"""The KV engine: look, write on a condition, delete, list. Values pass through; nobody here looks at them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import starmap
from typing import Any

from secrets_svc.backends.vault.documents import Held, Version, held, version_of
from secrets_svc.backends.vault.paths import Paths
from secrets_svc.backends.vault.server import Answer, refusal
from secrets_svc.backends.vault.sessions import Session
from secrets_svc.core.errors import Spoilt


class Kv:
    """One mount, as one identity.

    :param paths: of the store.
    """

    def __init__(self, session: Session, paths: Paths) -> None:
        self._session = session
        self._mount = paths.mount
        self.paths = paths

    def probe_engine(self) -> None:
        """Whether the mount is a KV engine of version 2, and can be reached.

        :raises Unavailable: saying what it is instead.
        """
        self._session.check()

    def probe(self) -> None:
        """As :meth:`probe_engine`; and whether the server shows names without values to this identity.

        :raises Unavailable: saying what is missing.
        """
        self.probe_engine()
        self.look(self.paths.key)

    def look(self, path: str, version: int | None = None) -> Held | None:
        """What is at ``path``, without its value; ``None`` where there never was anything."""
        query = None if version is None else {"version": version}
        answer = self._session.call("get", f"{self._mount}/subkeys/{path}", query=query)
        return self._held(answer, path)

    def read(self, path: str, version: int | None = None) -> Mapping[str, Any] | None:
        """A whole document; ``None`` where there is none, or none any more."""
        query = None if version is None else {"version": version}
        answer = self._session.call("get", f"{self._mount}/data/{path}", query=query)
        if answer.is_absent:
            return None
        return self._data(answer, "read", path)

    def read_own(self, path: str) -> Mapping[str, Any] | None:
        """The data of a document of the writer's own."""
        found = self.read(path)
        data = found.get("data") if found is not None else None
        return data if isinstance(data, Mapping) else None

    def write(self, path: str, document: Mapping[str, Any], *, cas: int) -> Version | None:
        """Write, if the current version's number is ``cas`` (0: there is none); ``None`` where it isn't."""
        body = {"options": {"cas": cas}, "data": document}
        answer = self._session.call("post", f"{self._mount}/data/{path}", body=body)
        if answer.came_too_late:
            return None
        return version_of(self._data(answer, "write", path))

    def delete_versions(self, path: str, numbers: list[int]) -> None:
        """Delete versions so that the server's own tools can still bring them back."""
        body = {"versions": numbers}
        self._removed(self._session.call("post", f"{self._mount}/delete/{path}", body=body), path)

    def destroy_versions(self, path: str, numbers: list[int]) -> None:
        """Delete versions for good. That they were there is still known."""
        body = {"versions": numbers}
        self._removed(self._session.call("put", f"{self._mount}/destroy/{path}", body=body), path)

    def remove_own(self, path: str) -> None:
        """Remove a document of the writer's own, so that nothing is known of it any more."""
        self._removed(self._session.call("delete", f"{self._mount}/metadata/{path}"), path)

    def _removed(self, answer: Answer, path: str) -> None:
        if answer.status not in {200, 204} and not answer.is_absent:
            raise refusal(answer, f'delete below "{self._place(path)}"')

    def versions(self, path: str) -> list[Version]:
        """All versions that the server still knows, oldest first."""
        answer = self._session.call("get", f"{self._mount}/metadata/{path}")
        if answer.is_absent:
            return []
        found = self._data(answer, "look", path).get("versions")
        if not isinstance(found, Mapping):
            raise Spoilt("the server doesn't answer as it should: those are no versions")
        return sorted(starmap(_numbered, found.items()), key=lambda each: each.number)

    def list(self, folder: str) -> list[str]:
        """Names in ``folder`` ("": the whole mount), sorted; those of folders end with ``/``."""
        answer = self._session.call("list", f"{self._mount}/metadata/{folder}/".replace("//", "/"))
        if answer.is_absent:
            return []
        keys = self._data(answer, "list", folder).get("keys")
        if not isinstance(keys, list) or not all(isinstance(each, str) for each in keys):
            raise Spoilt("the server doesn't answer as it should: that is no list")
        return sorted(keys)

    def _held(self, answer: Answer, path: str) -> Held | None:
        if answer.is_absent:
            # A version that was deleted is told of in the same way, with its metadata.
            return None if answer.data is None else held(answer.data)
        return held(self._data(answer, "look", path))

    def _data(self, answer: Answer, verb: str, path: str) -> Mapping[str, Any]:
        if answer.status != 200:
            raise refusal(answer, f'{verb} below "{self._place(path)}"')
        if not isinstance(answer.data, Mapping):
            raise Spoilt("the server doesn't answer as it should: that is no object")
        return answer.data

    def _place(self, path: str) -> str:
        del path  # a name needn't be in a message about rights
        return f"{self._mount}/{self.paths.prefix}"


def _numbered(number: object, metadata: object) -> Version:
    """One of the versions in an answer. :raises Spoilt: it is none."""
    is_number = isinstance(number, str) and number.isascii() and number.isdigit() and len(number) < 10
    if not (is_number and isinstance(metadata, Mapping)):
        raise Spoilt("the server doesn't answer as it should: that is no version")
    return version_of({**metadata, "version": int(str(number))})
