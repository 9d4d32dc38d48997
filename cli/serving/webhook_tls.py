"""The webhook's TLS: its certificate, which changes while it runs, and whom it knows by theirs."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from pathlib import Path

from cli.serving.readiness import brought_certificate, check_client_ca
from secrets_svc.core.errors import SecretsError
from secrets_svc.core.state_folder import TLS_FOLDER
from secrets_svc.runtime.certificates import CertificateFiles, own_certificates
from secrets_svc.runtime.settings import Settings

log = logging.getLogger(__name__)

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def webhook_certificate(settings: Settings, state: Path) -> CertificateFiles:
    """Brought by the operator, or our own in the state folder."""
    brought = brought_certificate(settings.injector.tls_cert, settings.injector.tls_key, "injector")
    return brought or own_certificates(state / TLS_FOLDER, _LOOPBACK)


def webhook_context(settings: Settings, certificate: CertificateFiles) -> ssl.SSLContext:
    """A server context. With ``injector.client_ca`` callers may show a certificate; what they show must hold.

    :raises InvalidArgument: a file can't be used.
    """
    context = certificate.context()
    if settings.injector.client_ca is not None:
        check_client_ca(settings.injector.client_ca, context)
        context.verify_mode = ssl.CERT_OPTIONAL  # the kubelet's probes have none
    return context


def renewing(settings: Settings, state: Path, context: ssl.SSLContext) -> Callable[[], None]:
    """Loads the certificate anew: it may have been exchanged, or be ours and old."""

    def renew() -> None:
        try:
            webhook_certificate(settings, state).load_into(context)
        except SecretsError as error:
            log.error("the webhook's certificate can't be looked after: %s", error.message)

    return renew
