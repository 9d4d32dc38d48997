"""Settings of a store in Vault or OpenBao."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from secrets_svc.backends.existing.settings import template

_PLACE = re.compile(r"[-a-zA-Z0-9_.]+(/[-a-zA-Z0-9_.]+)*")

Method = Literal["token", "token_file", "approle", "kubernetes", "jwt", "cert"]
#: What each way to log in needs, beside ``auth_mount``.
NEEDS: dict[str, tuple[str, ...]] = {
    "token": ("token",),
    "token_file": ("token_file",),
    "approle": ("role_id", "secret_id_file"),
    "kubernetes": ("role",),
    "jwt": ("role", "jwt_file"),
    "cert": ("client_cert", "client_key"),
}
_TOKEN_OF_PODS = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def _path(path: Path) -> Path:
    try:
        expanded = path.expanduser()
    except RuntimeError:
        expanded = path
    if not expanded.is_absolute() or "\x00" in str(expanded):
        raise ValueError("must be an absolute path, or begin with ~, and hold no NUL")
    return expanded


def _place(text: str) -> str:
    if not _PLACE.fullmatch(text) or any(part in {".", ".."} for part in text.split("/")):
        raise ValueError("must be letters, digits, '-', '_' and '.', in parts with '/' between them")
    return text


def _address(text: str) -> str:
    parts = urlsplit(text)
    loopback = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError("must be the server's address, e.g. https://vault.example:8200")
    if parts.username or parts.password:
        raise ValueError("must not hold a name or password")
    if parts.scheme == "http" and not loopback:
        raise ValueError("must be https: over http tokens and values would cross the network in clear")
    return text.rstrip("/")


AbsolutePath = Annotated[Path, AfterValidator(_path)]
Place = Annotated[str, AfterValidator(_place)]


@dataclass(frozen=True, slots=True)
class Identity:
    """How one side logs in; fields as in :class:`LoginSettings`."""

    method: str
    mount: str
    role: str | None
    role_id: str | None
    token: str | None
    file: Path | None
    client_cert: Path | None
    client_key: Path | None


class LoginSettings(BaseModel):
    """How one side logs in."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    method: Method = Field(description="token, token_file, approle, kubernetes, jwt or cert.")
    auth_mount: Place | None = Field(None, description="Where the method is mounted; by default its name.")
    token: str | None = Field(None, repr=False, description="For a try only: a file is better.")
    token_file: AbsolutePath | None = Field(
        None, description="File with a token; read again when the server no longer takes it."
    )
    role: str | None = Field(None, description="For kubernetes and jwt; for cert it is optional.")
    role_id: str | None = Field(None, description="For approle.")
    secret_id_file: AbsolutePath | None = Field(None, description="For approle; read at each login.")
    jwt_file: AbsolutePath | None = Field(
        None, description="For jwt, and kubernetes if it isn't the pod's own token; read at each login."
    )
    client_cert: AbsolutePath | None = Field(None, description="For cert: PEM file.")
    client_key: AbsolutePath | None = Field(None, description="For cert: PEM file with its key.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for field in NEEDS[self.method]:
            if getattr(self, field) is None:
                raise ValueError(f'method "{self.method}" needs {field}')
        return self

    def identity(self) -> Identity:
        """What a login goes by."""
        files = {
            "token_file": self.token_file,
            "approle": self.secret_id_file,
            "kubernetes": self.jwt_file or _TOKEN_OF_PODS,
            "jwt": self.jwt_file,
        }
        mount = self.auth_mount or self.method
        file = files.get(self.method)
        return Identity(
            self.method,
            mount,
            self.role,
            self.role_id,
            self.token,
            file,
            self.client_cert,
            self.client_key,
        )


class VaultSettings(BaseModel):
    """``[stores.NAME]`` with ``backend = "vault"``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    address: Annotated[str, AfterValidator(_address)] = Field(
        description="Of the server, e.g. https://vault.example:8200; http on this machine only."
    )
    ca_file: AbsolutePath | None = Field(
        None, description="PEM file with the CA of the server's certificate; by default the system's CAs."
    )
    namespace: Place | None = Field(None, description="The server's namespace, if it has several.")
    mount: Place = Field("secret", description="Where a KV engine of version 2 is mounted.")
    prefix: Place = Field("secrets-svc", description="Folder of that mount which is this service's own.")
    existing: Annotated[str, template("-a-zA-Z0-9_./")] | None = Field(
        None,
        description="Read secrets that are there already, and write none: their path in the mount, e.g. "
        "{project}/{domain}/{name}#password. What stands behind # is the field of the document.",
    )
    login: LoginSettings | None = Field(None, description="How both sides log in, where they don't differ.")
    writer: LoginSettings | None = Field(None, description="How the writer logs in.")
    reader: LoginSettings | None = Field(None, description="How the reader logs in.")
    rollback: LoginSettings | None = Field(
        None,
        description="A third identity, with the reader's policy: going back to a version takes somebody who "
        "reads it. Without it nobody can.",
    )
    timeout: float = Field(
        3.0,
        ge=0.1,
        le=60,
        description="Seconds for one call to the server: below the injector's deadline, so that it can still "
        "say what was the matter.",
    )
    lookups: int = Field(
        16, ge=1, le=128, description="Secrets that are looked up at once: each is a call of its own."
    )

    @model_validator(mode="after")
    def _logs_in(self) -> Self:
        if self.login is None and (self.writer is None or self.reader is None):
            raise ValueError("needs login, or writer and reader, each with a method")
        if self.existing is not None and self.rollback is not None:
            raise ValueError("existing secrets are not written: leave rollback out")
        return self

    def writer_identity(self) -> Identity:
        """With which the writer logs in."""
        return _identity(self.writer, self.login)

    def reader_identity(self) -> Identity:
        """With which the reader logs in."""
        return _identity(self.reader, self.login)


def _identity(own: LoginSettings | None, common: LoginSettings | None) -> Identity:
    chosen = own or common
    assert chosen is not None, "the settings were validated"
    return chosen.identity()
