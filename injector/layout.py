"""Where everything a pod asks for would go, and whether it can. Pure; decided before any store is asked.

A container's share is the requests that it gets; containers that get the same files share one volume.
References to staged Secrets that are in the pod already are either in places that this layout fills (an
earlier pass, a restored pod: they are replaced) or somewhere else (then the pod is refused).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from injector.keys import RESERVED, STATUS, VOLUME
from injector.requests import NOTHING, PodRequests, SecretRequest, Wanted
from injector.review import (
    Container,
    EnvVar,
    Pod,
    PodSpec,
    SecurityContext,
    Volume,
    any_of,
    env_of,
    has_no_env,
    volumes_of,
)
from secrets_svc.core.errors import InvalidArgument, TooLarge
from secrets_svc.core.scope import shown

#: Variables and files of all containers together: a pod with more is larger than what etcd takes.
MAX_PLACES = 4096
#: Containers of a pod that asks: real ones have a few, and each costs time that others wait.
MAX_CONTAINERS = 1000

DEFAULT_MODE = 0o444
DEFAULT_MODE_WITH_FS_GROUP = 0o440


@dataclass(slots=True)
class Share:
    """What one container gets. Numbers are positions in the pod's requests.

    :param path: JSON pointer of the container. :param volume: number of its volume, if it gets files.
    :param ours: env entries that give way: an earlier pass of ours made them, or ours go before them.
    :param others: whether it has further entries.
    """

    path: str
    container: Container
    env: tuple[int, ...]
    ours: list[tuple[int, EnvVar]]
    others: bool
    volume: int | None


@dataclass(slots=True)
class Layout:
    """Where everything goes.

    :param volumes: for each volume the requests whose files are in it. :param pod_volumes: those in the pod.
    :param pull_secrets: names that the pod pulls its images with.
    :param shape: all that the patch depends on beside the plan, if nothing of ours is in the pod yet: pods of
        one shape get the same patch.
    """

    requests: tuple[SecretRequest, ...]
    shares: list[Share]
    volumes: tuple[tuple[int, ...], ...]
    pod_volumes: list[Volume]
    pull_secrets: tuple[str, ...]
    default_mode: int
    shape: tuple[object, ...] | None


def containers_of(spec: PodSpec) -> Iterator[tuple[str, Container]]:
    """Every container that can be given something, with its JSON pointer."""
    for index, container in enumerate(spec.init_containers or ()):
        yield f"/spec/initContainers/{index}", container
    for index, container in enumerate(spec.containers or ()):
        yield f"/spec/containers/{index}", container


def lay_out(pod: Pod, requests: PodRequests) -> Layout:
    """The layout of ``requests`` in ``pod``.

    :raises InvalidArgument: something of the user's is where a secret is to be, a container is unknown or
        couldn't read its file, or a staged Secret is referred to elsewhere.
    """
    spec = pod.spec
    if len(spec.containers or ()) + len(spec.init_containers or ()) > MAX_CONTAINERS:
        raise TooLarge(f"the pod has more than {MAX_CONTAINERS} containers")
    if requests.containers:
        _check_names(spec, requests.containers)
    fs_group = spec.security_context is not None and spec.security_context.fs_group is not None
    default_mode = DEFAULT_MODE_WITH_FS_GROUP if fs_group else DEFAULT_MODE
    volumes: dict[tuple[int, ...], int] = {}
    shares: list[Share] = []
    pod_volumes = volumes_of(spec)
    pull_secrets = tuple(pull.name for pull in spec.image_pull_secrets or ())
    annotations = pod.metadata.annotations
    shape: list[object] = [default_mode, bool(pod_volumes), bool(pull_secrets), annotations is None]
    places = 0
    untouched = STATUS not in (annotations or ())
    for path, container in containers_of(spec):
        wanted = requests.wanted(container.name)
        places += len(wanted.env_names) + len(wanted.files)
        if places > MAX_PLACES:
            raise _too_many_places()
        ours, others = _own_entries(container, wanted)
        places += len(ours)
        if places > MAX_PLACES:
            raise _too_many_places()
        volume = None
        if wanted.files:
            volume = volumes.setdefault(wanted.files, len(volumes))
            if not fs_group:  # with one, the kubelet lets that group read
                for index in wanted.guarded:
                    _check_readable(container, spec.security_context, requests.items[index])
        if container.volume_mounts:
            untouched = _check_mounts(container, requests.folder if wanted.files else None) and untouched
        untouched = untouched and not ours
        shares.append(Share(path, container, wanted.env, ours, others, volume))
        shape += (path, wanted.env, wanted.files, others, bool(container.volume_mounts))
    untouched = _check_references(spec, pod_volumes, may_pull=requests.may_attach) and untouched
    kept = tuple(shape) if untouched else None
    return Layout(requests.items, shares, tuple(volumes), pod_volumes, pull_secrets, default_mode, kept)


def _too_many_places() -> TooLarge:
    return TooLarge(f"the pod's containers get secrets in more than {MAX_PLACES} places all together")


def refuse_unasked(pod: Pod) -> None:
    """For pods that ask for nothing: no reference to a staged Secret is in them, and no status.

    :raises InvalidArgument: there is something.
    """
    if STATUS in (pod.metadata.annotations or ()):
        raise InvalidArgument(f"annotation {STATUS} is ours to write; remove it")
    spec = pod.spec
    for _, container in containers_of(spec):
        _own_entries(container, NOTHING)
    volumes = volumes_of(spec)
    _check_references(spec, volumes, may_pull=False)
    for volume in volumes:
        if is_ours(volume):
            raise _stray(f"volume {shown(volume.name)}")


def is_ours(volume: Volume) -> bool:
    """Whether an earlier pass of ours made ``volume``."""
    sources = volume.projected.sources if volume.projected else None
    return (
        volume.name.startswith(VOLUME)
        and bool(sources)
        and all(source.secret and source.secret.name.startswith(RESERVED) for source in sources or ())
    )


def _check_names(spec: PodSpec, named: frozenset[str]) -> None:
    unknown = sorted(named - {container.name for _, container in containers_of(spec)})
    if unknown:
        raise InvalidArgument(f"the pod has no container {shown(unknown[0])}, which a request names")


def _own_entries(container: Container, wanted: Wanted) -> tuple[list[tuple[int, EnvVar]], bool]:
    """Env entries in variables that are wanted, and that refer to staged Secrets or give way; any others?"""
    if not wanted.concerned_by(bytes(container.env)):
        return [], not has_no_env(container)
    ours: list[tuple[int, EnvVar]] = []
    entries = env_of(container)
    for index, entry in enumerate(entries):
        source = entry.value_from.secret_key_ref if entry.value_from is not None else None
        if source is not None and source.name.startswith(RESERVED):
            if entry.name not in wanted.env_names:
                raise _stray(f"env {shown(entry.name)} of container {shown(container.name)}")
            ours.append((index, entry))
        elif entry.name in wanted.env_names and wanted.overrides:
            ours.append((index, entry))
        elif entry.name in wanted.env_names:
            raise InvalidArgument(
                f"container {shown(container.name)} sets env {shown(entry.name)} itself, and a request wants "
                "it too: remove one"
            )
    return ours, len(entries) > len(ours)


def _check_mounts(container: Container, folder: str | None) -> bool:
    """Nothing of the user's is mounted at ``folder``. Answers whether nothing of ours is mounted either."""
    untouched = True
    # /var/run is a link to /run in most images: both names are the one place.
    places = () if folder is None else (folder, folder.removeprefix("/var"))
    for mount in container.volume_mounts or ():
        if mount.name.startswith(VOLUME):
            untouched = False
            continue
        where = posixpath.normpath("/" + mount.mount_path.lstrip("/"))
        if any(where == ours or where.startswith(ours + "/") for ours in places):
            raise InvalidArgument(
                f"container {shown(container.name)} mounts something at {shown(where)}, where the files it "
                "asks for belong"
            )
    return untouched


def _check_readable(container: Container, pod: SecurityContext | None, request: SecretRequest) -> None:
    """A file that not everybody may read is root's: the kubelet makes it so (``SetVolumeOwnership``).

    Where nothing says who the user is, the image does, and we can't know.
    """
    own = container.security_context
    mode = request.mode or 0
    user = own.run_as_user if own and own.run_as_user is not None else pod.run_as_user if pod else None
    not_root = bool((own and own.run_as_non_root) or (pod and pod.run_as_non_root))
    maybe_root = user == 0 or (user is None and not not_root)
    if not (maybe_root and mode & 0o400):
        raise InvalidArgument(
            f"file {shown(request.file)} with mode {mode:04o} can't be read by the user of container "
            f"{shown(container.name)}: set an fsGroup, or a mode that others can read"
        )


def _check_references(spec: PodSpec, volumes: list[Volume], *, may_pull: bool) -> bool:
    """No reference to a staged Secret where this layout doesn't put one; answers whether nothing is ours.

    :param may_pull: it may put some where images are pulled with.
    """
    for _, container in containers_of(spec):
        if container.env_from:
            _check_env_from(container)
    for container in spec.ephemeral_containers or ():
        _own_entries(container, NOTHING)
        _check_env_from(container)
    pulls = [pull.name for pull in spec.image_pull_secrets or () if pull.name.startswith(RESERVED)]
    if pulls and not may_pull:
        raise _stray("imagePullSecrets")
    ours = [is_ours(volume) for volume in volumes]
    for volume, is_own in zip(volumes, ours, strict=True):
        if not is_own and volume.name.startswith(VOLUME):
            raise InvalidArgument(f'volume {shown(volume.name)}: names that begin with "{VOLUME}" are ours')
    raw = bytes(spec.volumes)
    if b'"' + RESERVED.encode() in raw or b"\\" in raw:
        _check_volumes(any_of(spec.volumes), ours)
    return not (any(ours) or pulls)


def _check_env_from(container: Container) -> None:
    for source in container.env_from or ():
        if source.secret_ref is not None and source.secret_ref.name.startswith(RESERVED):
            raise _stray(f"envFrom of container {shown(container.name)}")


def _check_volumes(volumes: object, ours: list[bool]) -> None:
    """No volume of any kind but ours refers to a staged Secret."""
    if not isinstance(volumes, list):
        return
    try:
        stray = [each for each, is_own in zip(volumes, ours, strict=True) if not is_own and _refers(each)]
    except RecursionError:
        raise InvalidArgument("the pod's volumes are nested too deep") from None
    if stray:
        raise _stray(f"volume {shown(stray[0]['name'])}")


def _refers(part: object, under: str = "") -> bool:
    """Whether a Secret's name that begins as ours stands anywhere in ``part``.

    In the API's volume sources such names stand in ``secretName``, or as ``name`` in ``secret``,
    ``secretRef`` or ``nodePublishSecretRef``.
    """
    if isinstance(part, list):
        return any(_refers(each, under) for each in part)
    if not isinstance(part, dict):
        return False
    names = [
        part.get("secretName"),
        part.get("name") if under.lower().endswith(("secret", "secretref")) else "",
    ]
    if any(isinstance(name, str) and name.startswith(RESERVED) for name in names):
        return True
    return any(_refers(value, key) for key, value in part.items())


def _stray(place: str) -> InvalidArgument:
    return InvalidArgument(
        f'{place} refers to a Secret whose name begins with "{RESERVED}"; such Secrets are reached by '
        "requests only"
    )
