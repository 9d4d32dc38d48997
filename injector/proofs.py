"""The proofs of a pod's scope (DESIGN.md §6). Each gives a whole scope or none; pure but for live looks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from injector.keys import DOMAIN_LABEL, PROJECT
from injector.requests import Claim
from injector.trust import Labels, NamespaceFacts, Namespaces, Unconfirmed
from secrets_svc.core.errors import InvalidArgument, PermissionDenied
from secrets_svc.core.scope import Scope, shown, validate_label


class NamespaceMap:
    """The operator's own table of namespaces: they equal the claim, or give the scope where there is none.

    :param organization: of the installation. :param namespaces: what each stands for.
    """

    name = "namespace map"

    def __init__(self, organization: str, namespaces: Mapping[str, Claim]) -> None:
        self._scopes = {
            namespace: Scope(organization, known.domain, known.project)
            for namespace, known in namespaces.items()
        }

    def prove(self, claim: Claim, *, namespace: str, username: str, labels: Labels) -> Scope:
        """See :class:`Proof`."""
        del username, labels  # whoever may create pods in a namespace is in its scope
        scope = self._scopes.get(namespace)
        if scope is None:
            raise PermissionDenied(f"namespace {shown(namespace)} is not in the namespace map")
        return _agreed(claim, scope, f"namespace {shown(namespace)}")


def _agreed(claim: Claim, scope: Scope, witness: str) -> Scope:
    """``scope``, which ``witness`` stands for, if ``claim`` says nothing else."""
    for kind, claimed, known in (
        ("project", claim.project, scope.project),
        ("domain", claim.domain, scope.domain),
    ):
        if claimed is not None and claimed != known:
            stands = f"stands for {kind} {shown(known)}" if known else f"stands for no one {kind}"
            raise PermissionDenied(f"the pod claims {kind} {shown(claimed)}, but {witness} {stands}")
    return scope


class NamespaceLabels:
    """Labels on the Namespace object, which guard G4 keeps tenants from setting.

    What speaks against a pod is confirmed by a live look: the namespace may be new.

    :param organization: of the installation.
    """

    name = "namespace labels"

    def __init__(self, organization: str, namespaces: Namespaces) -> None:
        self._organization = organization
        self._namespaces = namespaces

    def prove(self, claim: Claim, *, namespace: str, username: str, labels: Labels) -> Scope:
        """See :class:`Proof`."""
        del username, labels
        facts = self._namespaces.known(namespace)
        if facts is None:
            raise Unconfirmed(f"nothing recent is known of namespace {shown(namespace)}")
        try:
            return self._judge(claim, facts)
        except PermissionDenied as error:
            raise Unconfirmed(error.message) from error

    async def confirm(self, claim: Claim, *, namespace: str, username: str, labels: Labels) -> Scope:
        """See :class:`LiveProof`."""
        del username, labels
        facts = await self._namespaces.look(namespace)
        if facts is None:
            raise PermissionDenied(f"there is no namespace {shown(namespace)}")
        return self._judge(claim, facts)

    def _judge(self, claim: Claim, facts: NamespaceFacts) -> Scope:
        project, domain = facts.labels.get(PROJECT), facts.labels.get(DOMAIN_LABEL)
        if not project and not domain:
            raise PermissionDenied(
                f"namespace {shown(facts.name)} has neither label {PROJECT} nor {DOMAIN_LABEL}"
            )
        try:
            scope = Scope(self._organization, domain or None, project or None)
        except InvalidArgument as error:
            raise PermissionDenied(f"namespace {shown(facts.name)}: {error.message}") from error
        return _agreed(claim, scope, f"namespace {shown(facts.name)}")


_TEMPLATE = re.compile(r"([-a-z0-9]*)\{(project|domain)\}([-a-z0-9]*)\{(project|domain)\}([-a-z0-9]*)")


class NamespaceTemplate:
    """The namespace's name says what it stands for, e.g. ``{project}-{domain}``.

    Only where tenants can't make namespaces.

    :param domains: all there are: by them a name can be taken apart in one way only.
    :raises InvalidArgument: the template isn't one, or two domains make it ambiguous.
    """

    name = "namespace template"

    def __init__(self, organization: str, template: str, domains: Sequence[str]) -> None:
        match = _TEMPLATE.fullmatch(template)
        if match is None or match[2] == match[4]:
            raise InvalidArgument(
                f"namespace template {shown(template)} is not valid: it must hold {{project}} and "
                "{domain}, each once, and else only lower-case letters, digits and '-'"
            )
        if not domains:
            raise InvalidArgument(f"namespace template {shown(template)} needs the list of domains")
        self._organization = organization
        self._template = template
        self._domains = frozenset(validate_label("domain", domain) for domain in domains)
        _refuse_ambiguous(self._domains, match[3], domain_last=match[4] == "domain")

    def prove(self, claim: Claim, *, namespace: str, username: str, labels: Labels) -> Scope:
        """See :class:`Proof`. The pod's labels have to say both."""
        del username, labels
        if claim.project is None or claim.domain is None:
            raise PermissionDenied("the pod must claim a project and a domain")
        if claim.domain not in self._domains:
            raise PermissionDenied(f"domain {shown(claim.domain)} is not one of the configured ones")
        expected = self._template.format(project=claim.project, domain=claim.domain)
        if expected != namespace:
            raise PermissionDenied(
                f"pods of project {shown(claim.project)} in domain {shown(claim.domain)} belong in namespace "
                f"{shown(expected)}, not {shown(namespace)}"
            )
        return Scope(self._organization, claim.domain, claim.project)


def _refuse_ambiguous(domains: Iterable[str], separator: str, *, domain_last: bool) -> None:
    """One name, two meanings: where what follows a project ends with what follows another (or begins so)."""
    parts = {(separator + each if domain_last else each + separator): each for each in domains}
    for part, domain in parts.items():
        for other, short in parts.items():
            if part != other and (part.endswith(other) if domain_last else part.startswith(other)):
                raise InvalidArgument(
                    f"namespace template is ambiguous: domains {shown(domain)} and {shown(short)} "
                    "can make one name of two different projects"
                )


_SERVICE_ACCOUNT = re.compile(r"system:serviceaccount:([-a-z0-9]{1,63}):([-a-z0-9.]{1,253})")
#: They make pods of templates that users write: what those claim is the users' word.
_COPIERS = (
    "argo",
    "dask",
    "kuberay",
    "mpi-operator",
    "spark-operator",
    "tekton",
    "training-operator",
    "volcano",
)


@dataclass(frozen=True, slots=True)
class Engine:
    """A workflow engine, and what of its pods is its own word.

    :param namespaces: where it makes them. :param project_label: key of a label that the engine sets over
        whatever its users wrote; ``None``: it sets none that says the project. :param domain_label: the same.
    """

    namespaces: frozenset[str]
    project_label: str | None
    domain_label: str | None


class Creator:
    """A workflow engine's service account, which sets certain labels of its pods itself. Needs guard G1.

    Only those labels are believed: others, ours among them, may come from its users' pod templates. Its word
    counts in the namespaces of its own pods only. So whoever speaks to the webhook in its name, past the API
    server, gets nothing staged in a namespace of theirs. Where all projects share such a namespace, they are
    in it too: then a NetworkPolicy or ``injector.client_ca`` has to keep the port from tasks.

    :param engines: by username, ``system:serviceaccount:NAMESPACE:NAME``.
    :raises InvalidArgument: one of them makes pods of what users write.
    """

    name = "creator"

    def __init__(self, organization: str, engines: Mapping[str, Engine]) -> None:
        for username in engines:
            _check_creator(username)
        self._organization = organization
        self._engines = dict(engines)

    def prove(self, claim: Claim, *, namespace: str, username: str, labels: Labels) -> Scope:
        """See :class:`Proof`."""
        engine = self._engines.get(username)
        if engine is None:
            raise PermissionDenied(f"{shown(username)} is not one of the configured creators")
        if namespace not in engine.namespaces:
            raise PermissionDenied(f"{shown(username)} is no creator for namespace {shown(namespace)}")
        project, domain = _labelled(engine.project_label, labels), _labelled(engine.domain_label, labels)
        try:
            scope = Scope(self._organization, domain, project)
        except InvalidArgument as error:
            raise PermissionDenied(f"labels of {shown(username)}: {error.message}") from error
        return _agreed(claim, scope, f"the label of {shown(username)}")


def _labelled(key: str | None, labels: Labels) -> str | None:
    """What the engine says in label ``key``, which it sets on all of its pods."""
    if key is None:
        return None
    said = labels.get(key)
    if not said:
        raise PermissionDenied(f"the pod lacks label {shown(key)}, which its creator sets")
    return said


def _check_creator(username: str) -> None:
    match = _SERVICE_ACCOUNT.fullmatch(username)
    if match is None:
        raise InvalidArgument(
            f"creator {shown(username)} is not valid: it must be system:serviceaccount:NAMESPACE:NAME"
        )
    if match[1] == "kube-system" or any(word in match[2] for word in _COPIERS):
        raise InvalidArgument(
            f"creator {shown(username)} makes pods of templates that users write: their labels prove "
            "nothing; use a namespace proof"
        )
