"""What the entry point leads to."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from secrets_svc.backends.existing.reader import ExistingReader
from secrets_svc.backends.existing.writer import ExistingWriter
from secrets_svc.backends.kubernetes.existing import KubernetesPlaces
from secrets_svc.backends.kubernetes.namespace import Namespace
from secrets_svc.backends.kubernetes.policy import policy
from secrets_svc.backends.kubernetes.reader import KubernetesReader
from secrets_svc.backends.kubernetes.settings import KubernetesSettings, Way
from secrets_svc.backends.kubernetes.taking_over import KubernetesTakeOver
from secrets_svc.backends.kubernetes.versions import KEPT
from secrets_svc.backends.kubernetes.writer import MAX_VALUE, KubernetesWriter
from secrets_svc.core.errors import Unsupported
from secrets_svc.core.ports import Backend, Capabilities, SecretReader, SecretWriter
from secrets_svc.core.taking_over import TakeOver
from secrets_svc.core.templates import PathTemplate
from secrets_svc.kube.api import connect

# It is imported when it is needed, since that takes long; that it is missing is to be known now.
if find_spec("kubernetes") is None:
    raise ModuleNotFoundError("No module named 'kubernetes'", name="kubernetes")

#: Connections that are kept beside those of the reader's look-ups: for callers with threads of their own.
_CALLERS = 48


class KubernetesBackend:
    """See :class:`secrets_svc.core.ports.Backend`. Nothing is asked of the API server until it is needed."""

    name = "kubernetes"
    summary = "Secrets of one Kubernetes namespace, as Flyte's own webhook reads them."
    #: With as many versions as settings can have it keep.
    capabilities = Capabilities(max_value=MAX_VALUE, versions=KEPT, versions_unset=1, rollback=True)
    settings_model = KubernetesSettings

    def open_writer(self, settings: KubernetesSettings, *, state: Path) -> SecretWriter:
        """With the writer's kubeconfig. Nothing lies in the state folder."""
        del state
        if settings.existing is not None:
            places = _places(settings, settings.writer_way())
            return ExistingWriter(places, PathTemplate(settings.existing), lookups=settings.lookups)
        namespace = _namespace(settings, settings.writer_way(), _CALLERS)
        return KubernetesWriter(namespace, versions=settings.versions)

    def open_reader(self, settings: KubernetesSettings, *, state: Path) -> SecretReader:
        """With the reader's kubeconfig."""
        del state
        if settings.existing is not None:
            places = _places(settings, settings.reader_way())
            return ExistingReader(places, PathTemplate(settings.existing), lookups=settings.lookups)
        namespace = _namespace(settings, settings.reader_way(), _CALLERS + settings.lookups)
        return KubernetesReader(namespace, lookups=settings.lookups)

    def open_take_over(
        self, settings: KubernetesSettings, *, organization: str, kubeconfig: Path | None, context: str | None
    ) -> TakeOver:
        """See :class:`~secrets_svc.core.taking_over.TakesOver`."""
        if settings.existing is not None:
            raise Unsupported("a store of existing Secrets takes none over: they are somebody else's")
        way = settings.writer_way() if kubeconfig is None else Way(kubeconfig, context)
        return KubernetesTakeOver(_namespace(settings, way, 1), organization)

    def policy(self, settings: KubernetesSettings, *, role: str) -> str:
        """See :class:`~secrets_svc.core.abilities.PrintsPolicy`."""
        return policy(settings, role)


def _places(settings: KubernetesSettings, way: Way) -> KubernetesPlaces:
    api = connect(way.kubeconfig, context=way.context, connections=_CALLERS + settings.lookups)
    closed = settings.closed_namespaces
    return KubernetesPlaces(api, settings.namespace, timeout=settings.timeout, closed=closed)


def _namespace(settings: KubernetesSettings, way: Way, connections: int) -> Namespace:
    api = connect(way.kubeconfig, context=way.context, connections=connections)
    return Namespace(api, settings.namespace, timeout=settings.timeout)


BACKEND: Backend = KubernetesBackend()
