"""Why a server's certificate was refused, in words that say what to do."""

from __future__ import annotations

from secrets_svc.core.errors import Unavailable

# X509_V_ERR_… of OpenSSL (x509_vfy.h); ssl.SSLCertVerificationError has them as verify_code.
_NOT_YET_VALID = 9
_EXPIRED = 10
_OTHER_NAME = (62, 64)


def untrusted(address: str, error: OSError, *, remedy: str) -> Unavailable:
    """The error for a certificate that didn't verify.

    :param error: an ``ssl.SSLCertVerificationError``.
    :param remedy: what to do where its authority isn't known.
    """
    code = getattr(error, "verify_code", None)
    if code == _EXPIRED:
        return Unavailable(f"the certificate of {address} has expired: the server needs a new one")
    if code == _NOT_YET_VALID:
        return Unavailable(f"the certificate of {address} is not valid yet: are the clocks right?")
    if code in _OTHER_NAME:
        return Unavailable(f"the certificate of {address} is for another name: use one that it names")
    return Unavailable(f"the certificate of {address} is not trusted: {remedy}")
