"""What a start looks at beside the settings themselves. Nothing is made, nothing stays open."""

from __future__ import annotations

import ssl
from pathlib import Path

from cli.serving.sockets import bind, is_loopback
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.private_files import private_folder
from secrets_svc.runtime.certificates import CertificateFiles
from secrets_svc.runtime.files import read_private, read_token
from secrets_svc.runtime.flyte import require_flyte
from secrets_svc.runtime.settings import Settings


def check_start(settings: Settings, state: Path) -> None:
    """See whether the files and addresses that ``settings`` name are as a server wants them.

    :raises SecretsError: they aren't; the message names the setting.
    """
    require_flyte(settings)
    certificate = brought_certificate(settings.server.tls_cert, settings.server.tls_key, "server")
    brought_certificate(settings.injector.tls_cert, settings.injector.tls_key, "injector")
    if settings.injector.client_ca is not None:
        check_client_ca(settings.injector.client_ca, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    addresses = {"server.listen": settings.server.listen, "flyte.grpc_listen": settings.flyte.grpc_listen}
    for setting, address in addresses.items():
        if address is not None:
            loopback = _is_loopback_address(address, setting)
            refuse_clear_text(certificate, loopback=loopback, setting=setting)
            refuse_strangers(settings, loopback=loopback, setting=setting)
    for index, entry in enumerate(settings.authentication.tokens):
        read_token(entry.token_file, f"authentication.tokens[{index}].token_file")
    if settings.audit.file is not None and not settings.audit.file.parent.is_dir():
        raise InvalidArgument(f"audit.file: there is no folder {settings.audit.file.parent}")
    if state.exists():
        private_folder(state)


def _is_loopback_address(address: str, setting: str) -> bool:
    host = address.rpartition(":")[0]
    try:
        with bind(f"{host}:0", setting) as listener:  # whatever uses the port itself
            return is_loopback(listener)
    except InvalidArgument:
        raise InvalidArgument(f"{setting}: can't listen at {address}") from None


def refuse_strangers(settings: Settings, *, loopback: bool, setting: str) -> None:
    """Callers without credentials are somebody only where nobody but this machine can call.

    :raises InvalidArgument: others could.
    """
    if settings.flyte.anonymous_principal is not None and not loopback:
        raise InvalidArgument(
            f"{setting}: beyond loopback everybody on the network would be "
            "flyte.anonymous_principal: leave that out, or listen at loopback"
        )


def refuse_clear_text(
    certificate: CertificateFiles | None, *, loopback: bool, setting: str = "server.listen"
) -> None:
    """Tokens don't cross a network in clear.

    :raises InvalidArgument: they would.
    """
    if certificate is None and not loopback:
        raise InvalidArgument(
            f"{setting}: beyond loopback tokens would cross the network in clear: "
            "set server.tls_cert and server.tls_key"
        )


def check_client_ca(file: Path, context: ssl.SSLContext) -> None:
    """Have ``context`` trust the authorities in ``file``.

    :raises InvalidArgument: there are none in it.
    """
    try:
        context.load_verify_locations(cafile=file)
    except OSError:  # ssl.SSLError is one
        raise InvalidArgument(
            f"injector.client_ca: {file} is no readable PEM file with certificates"
        ) from None


def brought_certificate(cert: Path | None, key: Path | None, group: str) -> CertificateFiles | None:
    """The operator's own certificate, if there is one.

    :param group: of the settings, for the message.
    :raises InvalidArgument: it can't be used, or its key is open to others.
    """
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise InvalidArgument(f"{group}.tls_cert and {group}.tls_key go together")
    read_private(key, f"{group}.tls_key")
    files = CertificateFiles(cert, key)
    files.context()
    return files
