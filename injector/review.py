"""AdmissionReview (admission.k8s.io/v1), and as much of a Pod as decisions need."""

from __future__ import annotations

import msgspec

from secrets_svc.core.errors import InvalidArgument


class _Part(msgspec.Struct, rename="camel", gc=False):
    pass


class SecretKeyRef(_Part):
    """``env[].valueFrom.secretKeyRef``."""

    name: str = ""
    key: str = ""
    optional: bool | None = None


class NamedRef(_Part):
    """A reference to a Secret by name (``envFrom[].secretRef``, ``imagePullSecrets[]``)."""

    name: str = ""


class EnvSource(_Part):
    """``env[].valueFrom``."""

    secret_key_ref: SecretKeyRef | None = None


class EnvVar(_Part):
    """``env[]``."""

    name: str
    value: str | None = None
    value_from: EnvSource | None = None


class EnvFrom(_Part):
    """``envFrom[]``."""

    secret_ref: NamedRef | None = None


class VolumeMount(_Part):
    """``volumeMounts[]``."""

    name: str
    mount_path: str = ""
    read_only: bool | None = None
    sub_path: str | None = None


class SecurityContext(_Part):
    """Of a container or, with ``fs_group``, of a pod."""

    run_as_user: int | None = None
    run_as_non_root: bool | None = None
    fs_group: int | None = None


class Container(_Part):
    """A container of any kind. Its ``env`` is decoded only if something in it could concern us."""

    name: str
    env: msgspec.Raw = msgspec.Raw(b"")
    env_from: list[EnvFrom] | None = None
    volume_mounts: list[VolumeMount] | None = None
    security_context: SecurityContext | None = None


_ENV = msgspec.json.Decoder(list[EnvVar] | None)


def has_no_env(container: Container) -> bool:
    """Whether its env is absent or empty."""
    return bytes(container.env) in (b"", b"null", b"[]")


def env_of(container: Container) -> list[EnvVar]:
    """The container's env entries. Raises ``InvalidArgument`` where they are none."""
    if has_no_env(container):
        return []
    try:
        return _ENV.decode(container.env) or []
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise InvalidArgument("the object in the AdmissionReview is not a pod") from None


class KeyToPath(_Part):
    """``items[]`` of a Secret in a projected volume."""

    key: str = ""
    path: str = ""
    mode: int | None = None


class SecretProjection(_Part):
    """``projected.sources[].secret``."""

    name: str = ""
    items: list[KeyToPath] | None = None
    optional: bool | None = None


class ProjectionSource(_Part):
    """``projected.sources[]``; what isn't a Secret has none."""

    secret: SecretProjection | None = None


class Projection(_Part):
    """``volumes[].projected``."""

    sources: list[ProjectionSource] | None = None
    default_mode: int | None = None


class SecretVolume(_Part):
    """``volumes[].secret``."""

    secret_name: str | None = None


class Volume(_Part):
    """``volumes[]``."""

    name: str
    secret: SecretVolume | None = None
    projected: Projection | None = None


class PodSpec(_Part):
    """``spec``. Its volumes are of many kinds: :func:`volumes_of` has what we make, :func:`any_of` all."""

    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    ephemeral_containers: list[Container] | None = None
    volumes: msgspec.Raw = msgspec.Raw(b"")
    image_pull_secrets: list[NamedRef] | None = None
    security_context: SecurityContext | None = None


_VOLUMES = msgspec.json.Decoder(list[Volume] | None)


def volumes_of(spec: PodSpec) -> list[Volume]:
    """The pod's volumes. Raises ``InvalidArgument`` where they are none."""
    if bytes(spec.volumes) in (b"", b"null", b"[]"):
        return []
    try:
        return _VOLUMES.decode(spec.volumes) or []
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise InvalidArgument("the object in the AdmissionReview is not a pod") from None


def any_of(raw: msgspec.Raw) -> object:
    """What stands in ``raw``, as plain data."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise InvalidArgument("the object in the AdmissionReview is not a pod") from None


class ObjectMeta(_Part):
    """``metadata``."""

    name: str | None = None
    generate_name: str | None = None
    namespace: str | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None


class Pod(_Part):
    """core/v1 Pod."""

    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)
    spec: PodSpec = msgspec.field(default_factory=PodSpec)

    @property
    def display_name(self) -> str:
        """Its name, or the beginning of the one it will get."""
        return self.metadata.name or f"{self.metadata.generate_name or ''}*"


class Kind(_Part):
    """``request.kind``."""

    group: str = ""
    version: str = ""
    kind: str = ""


class UserInfo(_Part):
    """``request.userInfo``."""

    username: str = ""


class _RequestHead(_Part):
    uid: str
    kind: Kind = msgspec.field(default_factory=Kind)
    sub_resource: str | None = None
    operation: str = ""
    namespace: str = ""
    user_info: UserInfo = msgspec.field(default_factory=UserInfo)
    dry_run: bool | None = None


class AdmissionRequest(_RequestHead):
    """``request``; its namespace is the only one that counts; no ``object`` where that is no pod."""

    object: Pod | None = None


class _Review(_Part):
    api_version: str
    kind: str
    request: AdmissionRequest | None = None


class _ReviewHead(_Part):
    api_version: str
    kind: str
    request: _RequestHead | None = None


_REVIEW = msgspec.json.Decoder(_Review)
_HEAD = msgspec.json.Decoder(_ReviewHead)


def decode_review(body: bytes) -> tuple[str, AdmissionRequest]:
    """The ``apiVersion`` of the review in ``body``, of any version, and its request.

    :raises InvalidArgument: it is no AdmissionReview with a request.
    """
    try:
        review = _REVIEW.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        review = _without_object(body)
    if review.kind != "AdmissionReview" or review.request is None:
        raise InvalidArgument("the body is not an AdmissionReview with a request")
    return review.api_version, review.request


def _without_object(body: bytes) -> _Review:
    """A review whose object can't be a pod: enough to answer it."""
    try:
        review = _HEAD.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise InvalidArgument("the body is not an AdmissionReview in JSON") from None
    head = review.request
    request = None if head is None else AdmissionRequest(**msgspec.structs.asdict(head))
    return _Review(review.api_version, review.kind, request)


def pod_of(request: AdmissionRequest) -> Pod:
    """The pod that ``request`` is about.

    :raises InvalidArgument: it is about something else, or the pod has no containers.
    """
    kind = request.kind
    if (kind.group, kind.version, kind.kind) != ("", "v1", "Pod") or request.sub_resource:
        raise InvalidArgument(f"only pods are taken here, not {_kind_text(request)}")
    if request.operation != "CREATE":
        raise InvalidArgument("pods are changed when they are created and at no other time")
    pod = request.object
    if pod is None:
        raise InvalidArgument("the object in the AdmissionReview is not a pod")
    if not pod.spec.containers:
        raise InvalidArgument("the pod has no containers")
    if pod.metadata.namespace and pod.metadata.namespace != request.namespace:
        raise InvalidArgument("the pod's own namespace is not the one it is created in")
    return pod


def _kind_text(request: AdmissionRequest) -> str:
    text = "/".join(filter(None, [request.kind.group, request.kind.version, request.kind.kind]))
    text += f"/{request.sub_resource}" if request.sub_resource else ""
    return repr(text[:100])


class _Status(_Part, omit_defaults=True):
    code: int
    message: str
    reason: str = ""


class _Response(_Part, omit_defaults=True):
    uid: str
    allowed: bool
    status: _Status | None = None
    warnings: tuple[str, ...] = ()


class _Answer(_Part):
    api_version: str
    kind: str
    response: _Response


_ENCODE = msgspec.json.Encoder().encode


def encode_refusal(api_version: str, uid: str, *, status: int, reason: str, message: str) -> bytes:
    """A review whose answer is no.

    :param status: HTTP-like, as engines judge by it. :param reason: the stable code.
    """
    response = _Response(uid, False, _Status(status, message, reason))
    return _ENCODE(_Answer(api_version, "AdmissionReview", response))


def encode_allowed(uid: str, warnings: tuple[str, ...] = ()) -> bytes:
    """A review whose answer is yes, unchanged."""
    response = _Response(uid, True, warnings=warnings)
    return _ENCODE(_Answer("admission.k8s.io/v1", "AdmissionReview", response))


_PATCH_HEAD = b'{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":'


def encode_patched(uid: str, patch_base64: bytes, warnings: tuple[str, ...] = ()) -> bytes:
    """A review whose answer is yes, with a JSON patch (RFC 6902)."""
    warning = b',"warnings":' + _ENCODE(warnings) if warnings else b""
    middle = b',"allowed":true,"patchType":"JSONPatch","patch":"'
    return b"".join((_PATCH_HEAD, _ENCODE(uid), middle, patch_base64, b'"', warning, b"}}"))
