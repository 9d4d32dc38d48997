"""Settings of the service roles: typed, grouped, frozen. ``settings_source.py`` fills them.

Each field says what it means, its unit, and why that default; the reference page is made of this.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from secrets_svc.core.errors import InvalidArgument
from secrets_svc.core.policy import UNKNOWN_ACTOR, Role
from secrets_svc.core.scope import Scope, validate_label

#: Labels and Selectors, "Syntax and character set" (kubernetes.io/docs).
_LABEL_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)


def _label(text: str) -> str:
    try:
        return validate_label("it", text)
    except InvalidArgument:
        raise ValueError(
            "must be lower-case letters, digits and '-', beginning and ending with a letter or digit, "
            "at most 63 characters"
        ) from None


def _address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError('must be HOST:PORT, e.g. "127.0.0.1:8470"')
    return text


def _path(path: Path) -> Path:
    try:
        expanded = path.expanduser()
    except RuntimeError:
        expanded = path
    if not expanded.is_absolute() or "\x00" in str(expanded):
        raise ValueError("must be an absolute path, or begin with ~, and hold no NUL")
    return expanded


def _principal(text: str) -> str:
    if not text.isprintable() or text != text.strip() or text == UNKNOWN_ACTOR:
        raise ValueError(
            f'must be printable, without spaces around it, and not "{UNKNOWN_ACTOR}", as the audit calls '
            "callers that are not known"
        )
    return text


def _label_key(text: str) -> str:
    if not _LABEL_KEY.fullmatch(text):
        raise ValueError('must be the key of a Kubernetes label, e.g. "project" or "example.com/project"')
    return text


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    try:
        is_plain = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_plain = False
    beside = parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/")
    if parts.scheme not in ("http", "https") or not is_plain or beside or not text.isascii():
        raise ValueError('must be a scheme, a host and perhaps a port, e.g. "https://secrets.example.com"')
    return f"{parts.scheme}://{parts.netloc}"


AbsolutePath = Annotated[Path, AfterValidator(_path)]
Label = Annotated[str, AfterValidator(_label)]
LabelKey = Annotated[str, AfterValidator(_label_key)]
Address = Annotated[str, AfterValidator(_address)]
PublicUrl = Annotated[str, AfterValidator(_public_url)]
PrincipalName = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_principal)]


class Group(BaseModel):
    """A table of settings: unknown fields are refused, and no error repeats what was given."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class ServerSettings(Group):
    """The REST API's socket."""

    listen: Address = Field(
        "127.0.0.1:8470",
        description="HOST:PORT. Loopback by default: a token never crosses a network in clear. Any other "
        "address needs tls_cert and tls_key.",
    )
    tls_cert: AbsolutePath | None = Field(None, description="PEM file with the certificate chain.")
    tls_key: AbsolutePath | None = Field(None, description="PEM file with its private key, mode 0600.")
    body_deadline: float = Field(
        10.0, gt=0, le=120, description="Seconds in which a request body must have arrived."
    )
    idle_timeout: float = Field(
        30.0, gt=0, le=600, description="Seconds after which a connection that asks nothing is closed."
    )


class StateSettings(Group):
    """What lasts on this machine."""

    folder: AbsolutePath | None = Field(
        None,
        description="Folder of the embedded store, keys, tokens and audit file, mode 0700. By default "
        "secrets-svc below XDG_STATE_HOME (~/.local/state).",
    )


class OrganizationSettings(Group):
    """The one organization of a single-tenant installation."""

    name: Label = Field(
        "flyte", description="Its name. Whatever organization a client names maps to it; Flyte's own default."
    )


class TokenSettings(Group):
    """A caller of the API."""

    principal: PrincipalName = Field(description="Who has it; bindings name it.")
    token_file: AbsolutePath = Field(
        description="File with the token, mode 0600, of 32 characters or more, e.g. from "
        "head -c 32 /dev/urandom | base64"
    )


class AuthenticationSettings(Group):
    """Who can call the API."""

    tokens: tuple[TokenSettings, ...] = Field(
        (), description="Bearer tokens, beside the admin token that the first start makes."
    )


class BindingSettings(Group):
    """A role somewhere."""

    principal: PrincipalName = Field(description="Who gets it.")
    role: Role = Field(description="viewer, contributor or admin.")
    project: Label | None = Field(None, description="Only in this project.")
    domain: Label | None = Field(None, description="Only in this domain.")

    def scope(self, organization: str) -> Scope:
        """Where the role holds."""
        return Scope(organization, self.domain, self.project)


class PolicySettings(Group):
    """Who may do what. Empty denies everything to everybody but the admin token's holder."""

    bindings: tuple[BindingSettings, ...] = Field(
        (), description="With neither project nor domain a binding holds in the whole organization."
    )


class NamespaceSettings(Group):
    """What a namespace stands for."""

    project: Label | None = Field(None, description="Its project.")
    domain: Label | None = Field(None, description="Its domain.")

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.project is None and self.domain is None:
            raise ValueError("must name a project, a domain or both: nothing would be the whole organization")
        return self


class RouteSettings(Group):
    """Scopes that a store is for."""

    store: str = Field(description="Name of a configured store.")
    project: str | None = Field(
        None,
        description='Only scopes of this project; "*" stands for any characters. Without it: any, and scopes '
        "of no one project.",
    )
    domain: str | None = Field(None, description="The same for domains.")


class CreatorSettings(Group):
    """A workflow engine whose word is taken for the scope of the pods it makes."""

    username: str = Field(
        description="Of its service account, system:serviceaccount:NAMESPACE:NAME. Guard G1 names it too."
    )
    namespaces: tuple[Label, ...] = Field(
        min_length=1, description="Where it makes its pods. Elsewhere its word counts for nothing."
    )
    project_label: LabelKey | None = Field(
        None,
        description="Label of its pods that says the project, which the engine sets over whatever its users "
        'write (Flyte 2: "project"). Other labels, ours among them, are the users\' word.',
    )
    domain_label: LabelKey | None = Field(None, description='The same for the domain (Flyte 2: "domain").')

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.project_label is None and self.domain_label is None:
            raise ValueError("must have a project_label, a domain_label or both: what the engine says")
        return self


class ClusterSettings(Group):
    """The cluster whose pods the webhook serves. Without this table nothing is staged anywhere."""

    installation_key: AbsolutePath = Field(
        description="File with 32 bytes or more of chance, mode 0600, the same on all replicas, e.g. from "
        "head -c 32 /dev/urandom: without it nobody can tell the names of staged Secrets beforehand."
    )
    previous_installation_keys: tuple[AbsolutePath, ...] = Field(
        (),
        description="Files with the keys it had before. What was staged under a key that is in neither "
        "setting is never tidied up: nobody can tell whether a pod needs it.",
    )
    kubeconfig: AbsolutePath | None = Field(
        None,
        description="How to reach the API server; by default the identity that Kubernetes gives to pods.",
    )
    context: str | None = Field(None, description="Context in the kubeconfig, instead of its current one.")
    namespace: Label = Field(
        "secrets-svc", description="The injector's own, where the replicas elect who tidies up."
    )
    lease_duration: float = Field(
        3600.0,
        ge=2400,
        le=604800,
        description="Seconds that a staged Secret outlasts its last admission while no live pod needs it; "
        "renewed at most every quarter of this.",
    )
    namespace_labels: bool = Field(
        True, description="Proof by labels on the Namespace object; guard G4 says who may set them."
    )
    namespace_template: str | None = Field(
        None,
        description='Proof by the namespace\'s name, e.g. "{project}-{domain}"; needs domains. Only where '
        "tenants can't make namespaces.",
    )
    domains: tuple[Label, ...] = Field((), description="All domains there are, for namespace_template.")
    creators: tuple[CreatorSettings, ...] = Field(
        (),
        description="Proof by creator: workflow engines that set the labels of their pods themselves. Needs "
        "guard G1.",
    )

    @model_validator(mode="after")
    def _names_creators_once(self) -> Self:
        names = [each.username for each in self.creators]
        if len(set(names)) < len(names):
            raise ValueError("creators: one username is there twice; give it all its namespaces in one entry")
        return self


class FlytePodsSettings(Group):
    """Pods of Flyte 1, Flyte 2 and Union. Without this table what they ask for is not heard."""

    preset: Literal["flyte1", "flyte2", "union"] | None = Field(
        None,
        description="Adds the proof of scope that fits an engine as it comes. flyte1 and union: the "
        "namespace is called {project}-{domain}; flyte2: the pod is made by the engine's own account, which "
        "sets the labels, in its one namespace (needs guard G1). Without it only the proofs that are "
        "configured elsewhere hold.",
    )
    namespace: Label = Field(
        "flyte", description="For flyte2: the namespace of the Helm release, with the engine's account."
    )
    release: Label = Field(
        "flyte",
        description="For flyte2: name of the Helm release. Its account is called so if that holds "
        '"flyte-binary", else RELEASE-flyte-binary.',
    )
    task_namespaces: tuple[Label, ...] = Field(
        (),
        description="For flyte2: where it makes task pods (actions.kubernetes.namespace of its chart). Give "
        "them a namespace of their own.",
    )
    shared_namespace: bool = Field(
        False,
        description="For flyte2: task pods may be in the namespace of the engine's own account, as its chart "
        "has it. Then whoever has pods made there past the engine, by an app for one, may run them under "
        "that account and claim any project.",
    )
    domains: tuple[Label, ...] = Field(
        ("development", "staging", "production"),
        min_length=1,
        description="For flyte1 and union: all domains there are; the defaults are Flyte's own.",
    )
    env_prefix: str = Field(
        "_UNION_",
        pattern=r"^[A-Z_][A-Z0-9_]{0,62}$",
        description="What names of variables begin with; flytekit is told in the pod. _FSEC_ for code of "
        "Flyte 1 that has it hard-wired.",
    )
    groups: Literal["ignored", "named"] = Field(
        "ignored",
        description="What a request's group means. ignored: group db, key password is the secret password, "
        "as Flyte 2 and Union look it up. named: it is the secret db_password.",
    )

    @model_validator(mode="after")
    def _keeps_tasks_from_the_engine(self) -> Self:
        if self.preset != "flyte2":
            return self
        if not self.task_namespaces:
            raise ValueError("must name task_namespaces with preset flyte2")
        if self.namespace in self.task_namespaces and not self.shared_namespace:
            raise ValueError(
                "has tasks in the engine's own namespace, where they could take its account: give them "
                "another one, or set shared_namespace if you know who has pods made there"
            )
        return self


class InjectorSettings(Group):
    """The admission webhook."""

    listen: Address = Field("127.0.0.1:8471", description="HOST:PORT; always TLS.")
    tls_cert: AbsolutePath | None = Field(
        None, description="PEM file with the certificate chain; without it one is made in the state folder."
    )
    tls_key: AbsolutePath | None = Field(None, description="PEM file with its private key, mode 0600.")
    client_ca: AbsolutePath | None = Field(
        None,
        description="PEM file with the CA of the certificate that the API server shows to webhooks. With it, "
        "reviews of anybody else are refused; probes and metrics are for all. A CA for this alone: whoever "
        "has a certificate of it is believed.",
    )
    deadline: float = Field(
        5.0,
        gt=0,
        le=30,
        description="Seconds for one admission; keep the webhook's timeoutSeconds above it, so that a pod's "
        "owner reads our refusal and not a time-out.",
    )
    max_staleness: float = Field(
        0.0,
        ge=0,
        le=3600,
        description="Seconds for which an answer of the store may serve again. 0: every admission is decided "
        "on a call that began after it arrived.",
    )
    last_known_good: float = Field(
        0.0,
        ge=0,
        le=86400,
        description="Seconds for which, while a store fails, a pod may be let in with the version that was "
        "looked up last, if it is staged in its namespace already. 0: such a pod is refused. Not for stores "
        "that answer inline.",
    )
    namespaces: dict[Label, NamespaceSettings] = Field(
        default_factory=dict,
        description='Proof by namespace map, e.g. {"shop-production" = {project = "shop", domain = '
        '"production"}}. A namespace that is not here proves nothing.',
    )
    image_pull_secrets: tuple[str, ...] = Field(
        (),
        description="Names of image-pull secrets that every pod of a proven scope gets, also one that asks "
        "for nothing; found by precedence, left out where absent. The webhook must be sent those pods.",
    )
    flyte: FlytePodsSettings | None = Field(None, description="See below.")
    cluster: ClusterSettings | None = Field(None, description="See below; required by secret serve injector.")


class AuditSettings(Group):
    """The audit file."""

    file: AbsolutePath | None = Field(
        None, description="By default audit.jsonl in the state folder; mode 0600."
    )


class FlyteSettings(Group):
    """The services that Flyte's and Union's own clients call. They need the extra flyte."""

    enabled: bool = Field(
        False,
        description="Whether they are served, beside the REST API at server.listen, and at grpc_listen.",
    )
    public_url: PublicUrl | None = Field(
        None,
        description='Where clients reach server.listen, e.g. "https://secrets.example.com". They are told '
        "this, and nothing that a request says. Without it they stay where they are, without access tokens.",
    )
    allow_clear_text: bool = Field(
        False,
        description="Whether public_url may be http. A client that is sent there shows its token and the "
        "values of secrets to everybody on the way.",
    )
    grpc_listen: Address | None = Field(
        None,
        description="HOST:PORT for gRPC, which Union's v1 client speaks; none by default. With "
        "server.tls_cert by TLS, without it in clear, which only loopback may be.",
    )
    anonymous_principal: PrincipalName | None = Field(
        None,
        description="Who a caller without credentials is: Flyte's client sends none over plain HTTP. Whoever "
        "can reach this machine's loopback then has that principal's rights; listen and grpc_listen must be "
        "loopback. None by default: such callers are refused.",
    )
    cluster: Label | None = Field(
        None, description="What clients are told the cluster is called; the organization's name by default."
    )
    access_token_lifetime: int = Field(
        3600, ge=60, le=86400, description="Seconds that a token of /oauth2/token is good for."
    )

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if not self.enabled and self.model_fields_set - {"enabled"}:
            raise ValueError("enabled must be true for the other settings to mean anything")
        clear = self.public_url is not None and not self.public_url.startswith("https://")
        if clear and not self.allow_clear_text:
            raise ValueError("public_url must be https; allow_clear_text says what else would mean")
        return self


class LoggingSettings(Group):
    """The log on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="No level shows a value.")


class Settings(Group):
    """All groups."""

    server: ServerSettings = ServerSettings()
    state: StateSettings = StateSettings()
    organization: OrganizationSettings = OrganizationSettings()
    authentication: AuthenticationSettings = AuthenticationSettings()
    policy: PolicySettings = PolicySettings()
    stores: dict[str, dict[str, Any]] = Field(
        default_factory=lambda: {"local": {"backend": "local"}},
        description='Configured stores by name: "backend" and that backend\'s own settings.',
    )
    routes: tuple[RouteSettings, ...] = Field(
        (),
        description="Which scopes are in which store: the first that matches. Needed with several stores; "
        "the last names its store alone, for all that is left.",
    )
    injector: InjectorSettings = InjectorSettings()
    flyte: FlyteSettings = FlyteSettings()
    audit: AuditSettings = AuditSettings()
    logging: LoggingSettings = LoggingSettings()
