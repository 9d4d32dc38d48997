"""A token that is good: got once for all threads, renewed in time, fresh where it isn't taken any more."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from secrets_svc.backends.vault.server import Answer, Channel, refusal
from secrets_svc.backends.vault.settings import Identity, VaultSettings
from secrets_svc.core import deadline
from secrets_svc.core.errors import SecretsError, Unavailable

#: The part of a token's life after which it is renewed.
RENEW_AFTER = 2 / 3
#: Seconds in which a login isn't tried again after one that failed.
PAUSE = 1.0
#: Seconds without another login after one that was no use, because the call or all calls aren't allowed.
#: Twice as long each time, up to the second.
NO_USE, NO_USE_AT_MOST = 5.0, 600.0
_MAX_FILE = 64 * 1024
_OURSELVES = "auth/token/lookup-self"


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    renewable: bool
    renew_at: float
    until: float


class _Pause:
    """Between logins that may be no use, since each leaves a lease: twice as long each time."""

    def __init__(self) -> None:
        self._seconds = NO_USE
        self._until = -math.inf

    def lasts(self, now: float) -> bool:
        return now < self._until

    def begin(self, now: float) -> None:
        self._until = now + self._seconds
        self._seconds = min(2 * self._seconds, NO_USE_AT_MOST)

    def forget(self) -> None:
        """A login was of use."""
        self._seconds = NO_USE
        self._until = -math.inf


class Session:
    """Calls as one identity.

    :param channel: to the server. :param clock: seconds.
    """

    def __init__(
        self,
        settings: VaultSettings,
        identity: Identity,
        channel: Channel,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._channel = channel
        self._mount = settings.mount
        self._engine = f"sys/internal/ui/mounts/{settings.mount}"
        self._clock = clock
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self._failed: tuple[float, SecretsError] | None = None
        self._looked: tuple[float, bool | SecretsError] = (-math.inf, False)
        self._while_nothing_is_allowed = _Pause()
        self._for_other_policies = _Pause()
        self._checked = False
        self.logins = 0

    def call(self, method: str, path: str, *, body: Any = None, query: Any = None) -> Answer:
        """A call with a good token; a second try with a fresh one where the first isn't taken, or allows too
        little.

        :param path: behind ``/v1/``.
        """
        if not self._checked:
            self._check_engine()
        return self._send(method, path, body=body, query=query)

    def check(self) -> None:
        """Ask anew what the mount is; see :meth:`_check_engine`."""
        self._check_engine()

    def _send(self, method: str, path: str, **more: Any) -> Answer:
        token = self._good_token()
        answer = self._channel.send(method, f"/v1/{path}", token=token.text, **more)
        if answer.status == 403 and self._can_log_in:
            fresh = self._instead_of(token)
            if fresh is not token:
                answer = self._channel.send(method, f"/v1/{path}", token=fresh.text, **more)
                if answer.status != 403:
                    self._for_other_policies.forget()
        return answer

    @property
    def _can_log_in(self) -> bool:
        return self._identity.method != "token"

    def _good_token(self) -> _Token:
        """The current one, unless that is over. One thread logs in for all."""
        token = self._token
        now = self._clock()
        if token is not None and now < token.renew_at:
            return token
        if token is not None and now < token.until and self._lock.locked():
            return token  # another thread renews it
        with self._lock:
            current = self._token
            if current is token or current is None:
                current = self._token = self._next(current)
            return current

    def _next(self, token: _Token | None) -> _Token:
        """A renewed or a fresh one; or ``token``, if there is none to be had and it is still good."""
        try:
            return self._renewed(token) or self._log_in(None)
        except SecretsError:
            now = self._clock()
            if token is None or now >= token.until:
                self._token = None
                raise
            return replace(token, renew_at=now + PAUSE)

    def _instead_of(self, refused: _Token) -> _Token:
        """Another one, if ``refused`` isn't taken, or may have fewer policies than its role has by now;
        ``refused``, if it is the call that isn't allowed.

        Each login leaves a lease in the server, so the server is asked about the token first.
        """
        asked = self._clock()
        with self._lock:
            if self._token is not refused and self._token is not None:
                return self._token
            if self._while_nothing_is_allowed.lasts(self._clock()):
                return refused
            if self._is_taken(refused, asked):
                return self._with_policies_of_now(refused)
            self._token = None
            self._token = self._log_in(refused)
            if self._identity.method != "token_file":
                self._learn(self._token)
            return self._token

    def _with_policies_of_now(self, taken: _Token) -> _Token:
        """A fresh one, now and then: a token keeps the policies that its role had at the login."""
        now = self._clock()
        if not self._for_other_policies.lasts(now):
            self._for_other_policies.begin(now)
            with suppress(SecretsError):  # it is good for all that it was good for
                self._token = taken = self._log_in(taken)
        return taken

    def _is_taken(self, token: _Token, asked: float) -> bool:
        """Whether the server takes it for anything. Who waited while another asked hears the same.

        :param asked: when the call was refused.
        """
        if self._identity.method == "token_file":
            return False  # what the file holds now says more, and costs nothing
        began, heard = self._looked
        if began < asked:
            began = self._clock()
            try:
                heard = self._look_at(token)
            except SecretsError as error:
                heard = error
            self._looked = (began, heard)
        if isinstance(heard, SecretsError):
            raise heard
        return heard

    def _look_at(self, token: _Token) -> bool:
        """By what the policy ``default`` allows; by what ours allow, where a role goes without that one."""
        for path in (_OURSELVES, self._engine):
            with deadline.until(math.inf):  # as a login, it is for all who wait
                answer = self._channel.send("get", f"/v1/{path}", token=token.text)
            if answer.status != 403:
                if answer.status != 200:
                    raise refusal(answer, "look at our token")
                return True
        return False

    def _learn(self, fresh: _Token) -> None:
        """Whether a login like that is any use: not where nothing is allowed to whom it lets in."""
        with suppress(SecretsError):
            if self._look_at(fresh):
                self._while_nothing_is_allowed.forget()
            else:
                self._while_nothing_is_allowed.begin(self._clock())

    def _renewed(self, token: _Token | None) -> _Token | None:
        """``token`` with a longer life; ``None`` where it takes a login."""
        if token is None or not token.renewable or self._clock() >= token.until:
            return None
        answer = self._channel.send("post", "/v1/auth/token/renew-self", token=token.text, body={})
        if answer.status != 200:
            return None
        renewed = self._token_of(answer)
        # At the end of its longest life it gains nothing any more.
        gains = renewed is not None and renewed.until > token.until + 1
        return renewed if gains else None

    def _log_in(self, not_taken: _Token | None) -> _Token:
        if self._failed is not None and self._clock() < self._failed[0] + PAUSE:
            raise self._failed[1]
        try:
            token = self._fresh(not_taken)
        except SecretsError as error:
            self._failed = (self._clock(), error)
            raise
        self._failed = None
        self.logins += token is not not_taken
        return token

    def _fresh(self, not_taken: _Token | None) -> _Token:
        who = self._identity
        if who.method in {"token", "token_file"}:
            text = who.token if who.method == "token" else _read(who.file)
            assert text is not None, "the settings were validated"
            if not_taken is not None and text == not_taken.text:
                return not_taken  # the file hasn't changed
            return self._looked_up(text)
        answer = self._channel.send("post", f"/v1/auth/{who.mount}/login", token=None, body=_credentials(who))
        token = self._token_of(answer) if answer.status == 200 else None
        if token is None:
            if answer.status in {400, 401, 403, 404}:
                raise Unavailable(
                    f'the vault server does not let us in by "{who.method}": look at its role, and whether '
                    "what we log in with is still good"
                )
            raise refusal(answer, "log in")
        return token

    def _looked_up(self, text: str) -> _Token:
        """How long a token that was given to us lives."""
        answer = self._channel.send("get", f"/v1/{_OURSELVES}", token=text)
        data = answer.data if answer.status == 200 else None
        if not isinstance(data, dict):
            if answer.status not in {200, 403}:
                raise refusal(answer, "look at our token")
            return _for_ever(text)
        ttl = data.get("ttl")
        if not isinstance(ttl, int) or ttl <= 0:
            return _for_ever(text)
        return self._timed(text, ttl, renewable=data.get("renewable") is True)

    def _token_of(self, answer: Answer) -> _Token | None:
        auth = answer.body.get("auth")
        if not isinstance(auth, dict) or not isinstance(auth.get("client_token"), str):
            return None
        ttl = auth.get("lease_duration")
        if not isinstance(ttl, int) or ttl <= 0:
            return _for_ever(auth["client_token"])
        return self._timed(auth["client_token"], ttl, renewable=auth.get("renewable") is True)

    def _timed(self, text: str, ttl: int, *, renewable: bool) -> _Token:
        now = self._clock()
        return _Token(text, renewable, now + ttl * RENEW_AFTER, now + ttl)

    def _check_engine(self) -> None:
        """Once: a KV engine of version 1 would take what isn't there for an answer.

        :raises Unavailable: it isn't what we need; the message says what is.
        """
        answer = self._send("get", self._engine)
        if answer.status == 403:
            raise Unavailable(
                f'there is no engine mounted at "{self._mount}", or the token\'s policies allow nothing there'
            )
        data = answer.data if answer.status == 200 else None
        if not isinstance(data, dict):
            raise refusal(answer, f'look at mount "{self._mount}"')
        options = data.get("options")
        number = options.get("version") if isinstance(options, dict) else None
        if data.get("type") not in {"kv", "generic"} or number != "2":
            kind = "a KV engine of version 1" if data.get("type") == "kv" else "no KV engine"
            raise Unavailable(f'mount "{self._mount}" is {kind}: this store needs one of version 2')
        self._checked = True


def _for_ever(text: str) -> _Token:
    return _Token(text, renewable=False, renew_at=float("inf"), until=float("inf"))


def _credentials(who: Identity) -> dict[str, str]:
    if who.method == "approle":
        return {"role_id": who.role_id or "", "secret_id": _read(who.file)}
    if who.method in {"kubernetes", "jwt"}:
        return {"role": who.role or "", "jwt": _read(who.file)}
    return {"name": who.role} if who.role else {}


def _read(file: Path | None) -> str:
    assert file is not None, "the settings were validated"
    try:
        with file.open("rb") as opened:
            text = opened.read(_MAX_FILE).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise Unavailable(f"file {file}, which we log in with, can't be read") from None
    if not text or not text.isprintable():
        raise Unavailable(f"file {file}, which we log in with, is empty or holds something else")
    return text
