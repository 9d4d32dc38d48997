"""Settings of a store of Kubernetes Secrets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from secrets_svc.backends.existing.settings import template
from secrets_svc.backends.kubernetes.versions import KEPT
from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.scope import validate_label


def _path(path: Path) -> Path:
    try:
        expanded = path.expanduser()
    except RuntimeError:
        expanded = path
    if not expanded.is_absolute() or "\x00" in str(expanded):
        raise ValueError("must be an absolute path, or begin with ~, and hold no NUL")
    return expanded


def _namespace(text: str) -> str:
    try:
        return validate_label("namespace", text)
    except InvalidArgument:
        raise ValueError("must be the name of a namespace") from None


AbsolutePath = Annotated[Path, AfterValidator(_path)]


@dataclass(frozen=True, slots=True)
class Way:
    """To the API server. Without a kubeconfig: as the pod that this process is in."""

    kubeconfig: Path | None
    context: str | None


class KubernetesSettings(BaseModel):
    """``[stores.NAME]`` with ``backend = "kubernetes"``."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    namespace: Annotated[str, AfterValidator(_namespace)] = Field(
        default="flyte",
        description="Where the Secrets are. By default where Flyte's own webhook reads them.",
    )
    existing: Annotated[str, template("-a-z0-9./", parts=2)] | None = Field(
        default=None,
        description="Read Secrets that are there already, and write none: their name, e.g. "
        "{project}.{name}#password, or namespace and name, e.g. {project}/{name}. What stands behind # is "
        "the data key; without it, a request must say it.",
    )
    closed_namespaces: tuple[str, ...] = Field(
        default=("kube-*", "secrets-svc", "flyte"),
        description="With namespaces in existing: patterns of those in which there is nothing for tasks, "
        "whatever a project is called.",
    )
    versions: int = Field(
        default=1,
        ge=1,
        le=KEPT,
        description="Of a secret that are kept in its Secret, the current one included: what secret history "
        "tells, pods may pin and secret rollback goes back to. Flyte's own service lists only Secrets of one "
        "data key: with more versions than one it leaves out what was updated. Its webhook reads those.",
    )
    kubeconfig: AbsolutePath | None = Field(
        default=None,
        description="How to reach the API server; by default the identity that Kubernetes gives to pods.",
    )
    context: str | None = Field(
        default=None, description="Context in the kubeconfig, instead of its current one."
    )
    writer_kubeconfig: AbsolutePath | None = Field(
        default=None, description="The writer's own kubeconfig, where writer and reader are two users."
    )
    writer_context: str | None = Field(default=None, description="The writer's own context.")
    reader_kubeconfig: AbsolutePath | None = Field(
        default=None, description="The reader's own kubeconfig, where writer and reader are two users."
    )
    reader_context: str | None = Field(default=None, description="The reader's own context.")
    timeout: float = Field(
        default=3.0,
        ge=0.1,
        le=60,
        description="Seconds for one call to the API server: below the injector's deadline, so that it can "
        "still say what was the matter.",
    )
    lookups: int = Field(
        default=16,
        ge=1,
        le=128,
        description="Secrets of one admission that are looked up at once: each is a call of its own, of "
        "about a millisecond.",
    )

    @model_validator(mode="after")
    def _contexts_are_of_something(self) -> Self:
        for field in ("context", "writer_context", "reader_context"):
            own = f"{field.rpartition('context')[0]}kubeconfig"
            if getattr(self, field) is not None and self.kubeconfig is None and getattr(self, own) is None:
                raise ValueError(f"{field} needs a kubeconfig that it is in")
        return self

    def writer_way(self) -> Way:
        """With the writer's identity."""
        return self._way(self.writer_kubeconfig, self.writer_context)

    def reader_way(self) -> Way:
        """With the reader's identity."""
        return self._way(self.reader_kubeconfig, self.reader_context)

    def _way(self, kubeconfig: Path | None, context: str | None) -> Way:
        if kubeconfig is not None:  # whose current context is another file's business than ``context``
            return Way(kubeconfig, context)
        return Way(self.kubeconfig, context or self.context)
