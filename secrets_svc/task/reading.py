"""Values, by the names that they were asked for by."""

from __future__ import annotations

from secrets_svc.task import local_state, places
from secrets_svc.task.errors import InvalidRequest, SecretUnreadable
from secrets_svc.task.presence import ensure
from secrets_svc.task.requests import Secret
from secrets_svc.task.running import declared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from typing_extensions import Self

    from secrets_svc.task.requests import Request

_MASK = "***"
_REQUIRED: Any = object()


class _Masked:
    """What values have in common: they aren't shown, and don't leave the process by themselves."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_MASK})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret isn't pickled: the process that needs it asks for it")


class MaskedText(_Masked, str):
    """A text whose ``repr`` doesn't show it: in tracebacks with variables, debuggers, lists, ``%r``.

    Nor does that of its pieces: who shows variables may cut long ones first. What else is made of it, also by
    ``str()`` and formatting, is a text like any other.
    """

    __slots__ = ()

    def __getitem__(self, key: Any) -> MaskedText:
        return MaskedText(super().__getitem__(key))


class MaskedBytes(_Masked, bytes):
    """Bytes whose ``repr`` and ``str`` don't show them, nor do those of their pieces. One is a number."""

    __slots__ = ()
    __str__ = _Masked.__repr__

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return MaskedBytes(found) if isinstance(found, bytes) else found


class Secrets:
    """What this process was given. A name is looked for where the running function asked for it.

    Outside of such a function, or where it doesn't ask for the name, it is looked for where a request of that
    name alone would put it. A :class:`Secret` says the place itself.
    """

    def get(self, secret: Request, default: Any = _REQUIRED) -> str:
        """The value as text, exactly as it is.

        :param default: given instead where it isn't here.
        :raises SecretsMissing: it isn't here. :raises SecretUnreadable: it is no UTF-8, or can't be read.
        """
        data = _find(secret, default is _REQUIRED)
        if data is None:
            return default  # type: ignore[no-any-return]
        text = _decoded(data)
        if text is None:
            raise SecretUnreadable(f'secret "{_name_of(secret)}" is no text in UTF-8: use get_bytes')
        return text

    def get_bytes(self, secret: Request, default: Any = _REQUIRED) -> bytes:
        """The value's bytes, exactly. Parameters and errors as of :meth:`get`."""
        data = _find(secret, default is _REQUIRED)
        return default if data is None else data

    def path(self, secret: Request) -> str:
        """The path of its file, for what reads the file itself.

        :raises InvalidRequest: no file was asked for. :raises SecretsMissing: it isn't here.
        """
        meant = [each for each in _meant(secret) if each.file is not None]
        if not meant or meant[0].file is None:
            raise InvalidRequest(f'secret "{_name_of(secret)}" is not asked for as a file: say file=')
        _have(meant[:1])
        return places.file_path(meant[0].file)


secrets = Secrets()


def _find(secret: Request, required: bool) -> MaskedBytes | None:
    meant = _meant(secret)
    folder = local_state.chosen_folder(None)
    data = None if folder is not None and _is_outdated(meant, folder) else _first(meant)
    if data is None:
        # Where nothing can be fetched, nothing that may be absent is worth a look.
        if required or folder is not None:
            _have([_as_needed(each, required) for each in meant])
        data = _first(meant)
    return data


def _is_outdated(meant: tuple[Secret, ...], folder: str) -> bool:
    """Whether values that we put where they are have to be fetched again, for another scope perhaps."""
    return any(local_state.is_replaced(each, folder) for each in meant)


def _first(meant: tuple[Secret, ...]) -> MaskedBytes | None:
    for each in meant:
        data = places.value_at(each)
        if data is not None:
            return MaskedBytes(data)
    return None


def _as_needed(secret: Secret, required: bool) -> Secret:
    return Secret(**{**secret.entry(), "optional": not required})


def _have(secrets: list[Secret]) -> None:
    ensure(secrets, "this task", local_state.chosen_folder(None))


def _meant(secret: Request) -> tuple[Secret, ...]:
    if isinstance(secret, Secret):
        if secret.image_pull:
            raise InvalidRequest(f'secret "{secret.name}" is for pulling images: no process gets it')
        return (secret,)
    if not isinstance(secret, str):
        raise InvalidRequest("a secret is named by its name or by a Secret")
    asked = tuple(each for each in declared(secret) if not each.image_pull)
    return asked or (Secret(secret),)


def _name_of(secret: Request) -> str:
    return secret.name if isinstance(secret, Secret) else secret


def _decoded(data: bytes) -> MaskedText | None:
    """``None`` where it can't be: the error, which holds the bytes, ends here."""
    try:
        return MaskedText(data.decode("utf-8"))
    except UnicodeDecodeError:
        return None
