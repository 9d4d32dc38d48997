"""What can come of a call, as errors of ours. Texts of AWS and of its client stay here.

Answers of AWS can show what was asked, and the client's errors can show whole answers, a value in them. So
none of them is chained: :class:`Refused` alone is, which holds names and numbers that this module knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from secrets_svc.core.errors import (
    DeadlineExceeded,
    Internal,
    QuotaExceeded,
    SecretsError,
    Throttled,
    Unavailable,
    Unreadable,
)

_THROTTLED = {
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "BandwidthLimitExceeded",
    "SlowDown",
    "PriorRequestNotComplete",
    "TransactionInProgressException",
}
_STALE = {
    "ExpiredToken",
    "ExpiredTokenException",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidAccessKeyId",
    "InvalidToken",
    "AuthFailure",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "IDPCommunicationError",
    "InvalidIdentityToken",
}
_CLOCK = {
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "RequestInTheFuture",
}
_RIGHTS = {
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "NotAuthorized",
    "OptInRequired",
    "KMSAccessDeniedException",
    "KmsAccessDeniedException",
}
_KMS = {
    "DecryptionFailure",
    "EncryptionFailure",
    "KMSDisabledException",
    "KMSInvalidStateException",
    "KMSNotFoundException",
    "DisabledException",
    "KeyUnavailableException",
}
_LATE = {"RequestTimeout", "RequestTimeoutException"}
_KNOWN = (
    _THROTTLED
    | _STALE
    | _CLOCK
    | _RIGHTS
    | _KMS
    | _LATE
    | {
        "InternalFailure",
        "InternalServiceError",
        "InvalidParameterException",
        "InvalidRequestException",
        "LimitExceededException",
        "MalformedPolicyDocumentException",
        "PreconditionNotMetException",
        "ResourceExistsException",
        "ResourceNotFoundException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "ValidationException",
    }
)
#: Errors of the client library by name, and of which kind they are. The first that an error is decides.
_CLIENT = {
    "ConnectTimeoutError": "late",
    "ReadTimeoutError": "late",
    "SSLError": "tls",
    "NoCredentialsError": "credentials",
    "PartialCredentialsError": "credentials",
    "CredentialRetrievalError": "credentials",
    "TokenRetrievalError": "credentials",
    "SSOError": "credentials",
    "UnauthorizedSSOTokenError": "credentials",
    "RefreshWithMFAUnsupportedError": "credentials",
    "MetadataRetrievalError": "credentials",
    "ConfigNotFound": "credentials",
    "ProfileNotFound": "credentials",
    "InvalidConfigError": "credentials",
    # The library opens no other files while it calls than those with tokens.
    "FileNotFoundError": "credentials",
    "PermissionError": "credentials",
    "IsADirectoryError": "credentials",
    "EndpointConnectionError": "reach",
    "ConnectionError": "reach",
    "HTTPClientError": "reach",
}


class Refused(Exception):
    """What is known of a call that failed, without anybody's text.

    :ivar code: a code of AWS's that this module knows, or "". :ivar kind: of the client's own errors.
    """

    def __init__(
        self,
        operation: str,
        code: str = "",
        *,
        status: int = 0,
        kind: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{operation}: {code or kind or 'unknown'} ({status})")
        self.operation = operation
        self.code = code
        self.status = status
        self.kind = kind
        self.retry_after = retry_after

    @property
    def is_stale(self) -> bool:
        """Whether newer credentials may do."""
        unexplained = self.status in (401, 403) and not self.code
        return self.code in _STALE or self.kind == "credentials" or unexplained


def refused(operation: str, error: BaseException) -> Refused:
    """What is known of an error of the client library."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # ClientError
        rest = response.get("ResponseMetadata")
        rest = rest if isinstance(rest, dict) else {}
        status = rest.get("HTTPStatusCode")
        return Refused(
            _operation(operation, error),
            _code(response.get("Error")),
            status=status if type(status) is int else 0,
            retry_after=_retry_after(rest.get("HTTPHeaders")),
        )
    for cls in type(error).__mro__:
        if cls.__name__ in _CLIENT:
            return Refused(operation, kind=_CLIENT[cls.__name__])
    return Refused(operation, kind="nonsense")


def _code(found: Any) -> str:
    """The code that is told; perhaps from within XML, which some parts of AWS answer to JSON."""
    told = found if isinstance(found, dict) else {}
    code, text = told.get("Code"), told.get("Message")
    if isinstance(code, str) and code in _KNOWN:
        return code
    match = re.search(r"<Code>([A-Za-z]{1,64})</Code>", text) if isinstance(text, str) else None
    return match[1] if match and match[1] in _KNOWN else ""


def _operation(operation: str, error: BaseException) -> str:
    """Credentials may have been asked for on the way: then that is what failed."""
    found = getattr(error, "operation_name", operation)
    return found if isinstance(found, str) and re.fullmatch(r"[A-Za-z]{1,64}", found) else operation


def translated(refusal: Refused, asked: str, what: str) -> SecretsError:
    """The error of ours.

    :param asked: the operation that was called. :param what: it is for, in words ("look at secret x").
    """
    if refusal.operation != asked:
        what = f"{what}: its credentials come from {refusal.operation}"
    prefix = f"AWS Secrets Manager: can't {what}: "
    made = _by_code(refusal, prefix) or _by_kind(refusal, prefix) or _by_status(refusal, prefix)
    made.retry_after = refusal.retry_after if isinstance(made, Throttled | Unavailable) else None
    return made


def _by_code(refusal: Refused, prefix: str) -> SecretsError | None:
    code = refusal.code
    if code in _THROTTLED or refusal.status == 429:
        return Throttled(f"{prefix}it asks to slow down")
    if code in _CLOCK:
        return Unavailable(
            f"{prefix}it doesn't accept the signature: look whether this machine's clock is right, "
            "then at the secret access key"
        )
    if code in _RIGHTS:
        return Unreadable(
            f"{prefix}this service's identity may not {refusal.operation}: look at its IAM policy"
        )
    if code in _KMS:
        return Unreadable(f"{prefix}the KMS key can't be used: look at its state and its policy")
    if code in _LATE:
        return DeadlineExceeded(f"{prefix}it was not done in time")
    if code == "LimitExceededException":
        return QuotaExceeded(f"{prefix}a quota of AWS is used up (secrets, versions or labels)")
    if code in ("InvalidParameterException", "ValidationException"):
        return Internal(f"{prefix}it doesn't take what this service asks for")
    return None


def _by_kind(refusal: Refused, prefix: str) -> SecretsError | None:
    if refusal.status in (401, 403) and not refusal.code:
        return Unavailable(
            f"{prefix}it answers {refusal.status} without a reason: look at this service's credentials, "
            "and at what is between it and AWS"
        )
    if refusal.is_stale:
        return Unavailable(f"{prefix}it doesn't accept this service's credentials, or there are none")
    if refusal.kind == "late":
        return DeadlineExceeded(f"{prefix}there was no answer in time")
    if refusal.kind == "tls":
        return Unavailable(f"{prefix}its certificate is not one to trust")
    if refusal.kind == "reach":
        return Unavailable(f"{prefix}it can't be reached, or hung up")
    return nonsense("no part of it is known", prefix) if refusal.kind else None


def _by_status(refusal: Refused, prefix: str) -> SecretsError:
    if refusal.status in (408, 504):
        return DeadlineExceeded(f"{prefix}it was not done in time")
    if refusal.status >= 500:
        return Unavailable(f"{prefix}it fails with {refusal.status}")
    return Unavailable(f"{prefix}it refuses with {refusal.code or refusal.status}")


def nonsense(why: str, prefix: str = "AWS Secrets Manager ") -> Unavailable:
    """For an answer that AWS would not give."""
    if prefix.endswith(": "):
        return Unavailable(f"{prefix}the answer makes no sense")
    return Unavailable(f"{prefix}doesn't answer as it should: {why}")


def _retry_after(headers: Any) -> float | None:
    text = headers.get("retry-after") if isinstance(headers, Mapping) else None
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,3})?", text):
        return None
    return float(text)
