"""Proofs by namespace labels, by namespace template and by creator."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from injector.proofs import Creator, Engine, NamespaceLabels, NamespaceTemplate
from injector.requests import Claim
from injector.trust import Labels, NamespaceFacts, Unconfirmed, confirm_scope, prove_scope
from secrets_svc.core.errors import InvalidArgument, PermissionDenied, Unavailable
from secrets_svc.core.scope import Scope

PROJECT = "secrets-svc.internal/project"
DOMAIN = "secrets-svc.internal/domain"
SHOP = Scope("flyte", "production", "shop")
BOTH = {PROJECT: "shop", DOMAIN: "production"}


@dataclass
class Cluster:
    """Namespaces: what is heard of them, and what a live look finds."""

    heard: dict[str, dict[str, str]] = field(default_factory=dict)
    live: dict[str, dict[str, str]] = field(default_factory=dict)
    looks: int = 0
    away: bool = False

    def known(self, name: str) -> NamespaceFacts | None:
        return NamespaceFacts(name, "uid", self.heard[name]) if name in self.heard else None

    async def look(self, name: str) -> NamespaceFacts | None:
        self.looks += 1
        if self.away:
            raise Unavailable("the API server can't be reached")
        return NamespaceFacts(name, "uid", self.live[name]) if name in self.live else None


def prove(cluster: Cluster, claim: Claim, namespace: str = "a") -> Scope:
    return prove_scope(
        [NamespaceLabels("flyte", cluster)], claim, namespace=namespace, username="alice", labels={}
    )


def confirm(cluster: Cluster, claim: Claim, namespace: str = "a") -> Scope:
    proofs = [NamespaceLabels("flyte", cluster)]
    return asyncio.run(confirm_scope(proofs, claim, namespace=namespace, username="alice", labels={}))


@pytest.mark.parametrize(
    ("labels", "claim", "scope"),
    [
        (BOTH, Claim(), SHOP),
        (BOTH, Claim("shop", "production"), SHOP),
        (BOTH, Claim(domain="production"), SHOP),
        ({PROJECT: "shop"}, Claim(), Scope("flyte", project="shop")),
        ({DOMAIN: "production"}, Claim(domain="production"), Scope("flyte", "production")),
    ],
)
def test_labels_give_the_scope_or_equal_the_claim(labels: dict[str, str], claim: Claim, scope: Scope) -> None:
    cluster = Cluster(heard={"a": labels}, live={"a": labels})
    assert prove(cluster, claim) == scope
    assert cluster.looks == 0  # what is heard of recently is enough
    assert confirm(cluster, claim) == scope


@pytest.mark.parametrize(
    ("labels", "claim", "message"),
    [
        ({}, Claim("shop", "production"), "has neither label"),
        ({PROJECT: "", DOMAIN: ""}, Claim(), "has neither label"),
        (
            BOTH,
            Claim("mail", "production"),
            'claims project "mail", but namespace "a" stands for project "shop"',
        ),
        (BOTH, Claim("shop", "staging"), 'stands for domain "production"'),
        ({PROJECT: "shop"}, Claim("shop", "production"), "stands for no one domain"),
        ({DOMAIN: "production"}, Claim("shop", "production"), "stands for no one project"),
        ({PROJECT: "Sh_op"}, Claim(), "is not valid"),
    ],
)
def test_what_speaks_against_a_pod_is_confirmed_by_a_live_look(
    labels: dict[str, str], claim: Claim, message: str
) -> None:
    cluster = Cluster(heard={"a": labels}, live={"a": labels})
    with pytest.raises(Unconfirmed, match=message):
        prove(cluster, claim)
    with pytest.raises(PermissionDenied, match=message) as refused:
        confirm(cluster, claim)
    assert not isinstance(refused.value, Unconfirmed)
    cluster.live["a"] = BOTH
    if claim in (Claim(), Claim("shop", "production")):
        assert confirm(cluster, claim) == SHOP


def test_a_namespace_nobody_heard_of_is_looked_at() -> None:
    cluster = Cluster(live={"a": BOTH})
    with pytest.raises(Unconfirmed, match="nothing recent is known"):
        prove(cluster, Claim())
    assert confirm(cluster, Claim()) == SHOP
    with pytest.raises(PermissionDenied, match="there is no namespace"):
        confirm(cluster, Claim(), "b")


def test_a_cluster_that_can_not_be_asked_proves_nothing_and_denies_nothing() -> None:
    with pytest.raises(Unavailable):
        confirm(Cluster(away=True), Claim())


def test_an_unproven_pod_may_still_be_confirmed_by_another_proof() -> None:
    cluster = Cluster(live={"a": BOTH})
    template = NamespaceTemplate("flyte", "{project}-{domain}", ["production"])
    proofs = [NamespaceLabels("flyte", cluster), template]
    claim = Claim("shop", "production")
    assert prove_scope(proofs, claim, namespace="shop-production", username="x", labels={}) == SHOP
    with pytest.raises(Unconfirmed, match=r"namespace labels: .*; namespace template: "):
        prove_scope(proofs, claim, namespace="a", username="x", labels={})
    assert asyncio.run(confirm_scope(proofs, claim, namespace="a", username="x", labels={})) == SHOP


def templated(
    template: str, domains: list[str], project: str | None, domain: str | None, namespace: str
) -> Scope:
    proof = NamespaceTemplate("flyte", template, domains)
    return proof.prove(Claim(project, domain), namespace=namespace, username="alice", labels={})


@pytest.mark.parametrize(
    ("template", "namespace"),
    [
        ("{project}-{domain}", "shop-production"),
        ("{domain}-{project}", "production-shop"),
        ("t-{project}-in-{domain}-x", "t-shop-in-production-x"),
    ],
)
def test_a_template_proves_the_claim_it_renders(template: str, namespace: str) -> None:
    assert templated(template, ["production", "staging"], "shop", "production", namespace) == SHOP
    for wrong in ("shop-staging", "shop", namespace + "x", "mail-production"):
        with pytest.raises(PermissionDenied, match="belong in namespace"):
            templated(template, ["production", "staging"], "shop", "production", wrong)


@pytest.mark.parametrize(
    ("project", "domain", "message"),
    [
        (None, "production", "must claim a project and a domain"),
        ("shop", None, "must claim a project and a domain"),
        ("shop", "other", "not one of the configured ones"),
    ],
)
def test_a_template_needs_the_whole_claim(project: str | None, domain: str | None, message: str) -> None:
    with pytest.raises(PermissionDenied, match=message):
        templated("{project}-{domain}", ["production"], project, domain, "shop-production")


@pytest.mark.parametrize(
    ("template", "domains"),
    [
        ("{project}-{domain}", ["c", "b-c"]),
        ("{domain}-{project}", ["a", "a-b"]),
        ("{project}{domain}", ["c", "bc"]),
    ],
)
def test_ambiguous_domains_stop_the_start(template: str, domains: list[str]) -> None:
    with pytest.raises(InvalidArgument, match="ambiguous"):
        NamespaceTemplate("flyte", template, domains)


@pytest.mark.parametrize(
    "template",
    [
        "",
        "{project}",
        "{project}-{project}",
        "{project}-{domain}-{domain}",
        "{Project}-{domain}",
        "{project}_{domain}",
        "{0}-{domain}{project}",
    ],
)
def test_a_template_that_is_none_stops_the_start(template: str) -> None:
    with pytest.raises(InvalidArgument, match="template"):
        NamespaceTemplate("flyte", template, ["production"])


def test_a_template_without_domains_stops_the_start() -> None:
    with pytest.raises(InvalidArgument, match="needs the list of domains"):
        NamespaceTemplate("flyte", "{project}-{domain}", [])


LABELS = st.from_regex(r"[a-c](?:[-a-c]{0,4}[a-c])?", fullmatch=True)
TEMPLATES = st.sampled_from(
    [
        "{project}-{domain}",
        "{domain}-{project}",
        "{project}{domain}",
        "x-{domain}--{project}",
        "{project}a{domain}",
    ]
)


@given(
    TEMPLATES, st.lists(LABELS, min_size=1, max_size=4, unique=True), st.lists(LABELS, min_size=2, max_size=6)
)
def test_no_namespace_ever_proves_two_scopes(template: str, domains: list[str], projects: list[str]) -> None:
    try:
        proof = NamespaceTemplate("flyte", template, domains)
    except InvalidArgument:
        return
    claims = [Claim(project, domain) for project in projects for domain in domains]
    for namespace in {template.format(project=each.project, domain=each.domain) for each in claims}:
        scopes = set()
        for claim in claims:
            try:
                scopes.add(proof.prove(claim, namespace=namespace, username="x", labels={}))
            except PermissionDenied:
                continue
        assert len(scopes) == 1


ENGINE = "system:serviceaccount:flyte:flytepropeller"


TASKS = Engine(frozenset({"tasks"}), "project", "domain")
STAMPED = {"project": "shop", "domain": "production"}


def proven(username: str, engine: Engine, claim: Claim, labels: Labels, namespace: str = "tasks") -> Scope:
    proof = Creator("flyte", {username: engine})
    return proof.prove(claim, namespace=namespace, username=username, labels=labels)


@pytest.mark.parametrize("claim", [Claim(), Claim("shop"), Claim("shop", "production")])
def test_a_creators_word_is_what_its_own_labels_say(claim: Claim) -> None:
    assert proven(ENGINE, TASKS, claim, STAMPED) == SHOP


@pytest.mark.parametrize("key", ["project", "domain"])
def test_a_creator_need_not_say_both(key: str) -> None:
    engine = Engine(frozenset({"tasks"}), *(each if each == key else None for each in ("project", "domain")))
    scope = Scope("flyte", **{key: STAMPED[key]})
    assert proven(ENGINE, engine, Claim(), STAMPED) == scope
    assert proven(ENGINE, engine, Claim(), {key: STAMPED[key]}) == scope


@pytest.mark.parametrize("claim", [Claim("mail"), Claim("mail", "production"), Claim(None, "staging")])
def test_labels_that_its_users_may_write_are_no_proof(claim: Claim) -> None:
    with pytest.raises(PermissionDenied, match="the pod claims"):
        proven(ENGINE, TASKS, claim, STAMPED)


@pytest.mark.parametrize("labels", [{}, {"project": "shop"}, {"domain": "production", "project": ""}])
def test_a_pod_without_the_creators_labels_is_not_its_own(labels: Labels) -> None:
    with pytest.raises(PermissionDenied, match="lacks label"):
        proven(ENGINE, TASKS, Claim("shop", "production"), labels)


def test_a_label_that_is_no_scope_proves_nothing() -> None:
    with pytest.raises(PermissionDenied, match="labels of"):
        proven(ENGINE, TASKS, Claim(), {**STAMPED, "project": "Shop_1"})


def test_but_only_where_it_makes_its_pods() -> None:
    with pytest.raises(PermissionDenied, match='no creator for namespace "others"'):
        proven(ENGINE, TASKS, Claim(), STAMPED, namespace="others")


@pytest.mark.parametrize(
    "username", ["alice", "", ENGINE + "x", "system:serviceaccount:other:flytepropeller"]
)
def test_nobody_elses_word_is(username: str) -> None:
    proof = Creator("flyte", {ENGINE: TASKS})
    with pytest.raises(PermissionDenied, match="not one of the configured creators"):
        proof.prove(Claim("shop", "production"), namespace="tasks", username=username, labels=STAMPED)


@pytest.mark.parametrize(
    "username",
    [
        "system:serviceaccount:kube-system:job-controller",
        "system:serviceaccount:kube-system:replicaset-controller",
        "system:serviceaccount:ray:kuberay-operator",
        "system:serviceaccount:spark:spark-operator-controller",
        "system:serviceaccount:argo:argo-workflows-controller",
        "alice",
        "system:admin",
        "system:serviceaccount:flyte",
    ],
)
def test_who_makes_pods_of_users_templates_stops_the_start(username: str) -> None:
    with pytest.raises(InvalidArgument, match="creator"):
        Creator("flyte", {username: TASKS})
