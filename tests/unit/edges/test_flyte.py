"""The edge for Flyte's clients: what each call means here, as its answers and the store show it."""

from __future__ import annotations

import json
import uuid

import pytest
from flyte_world import AUTHORIZED, CLUSTERS, LOGIN, SECRETS, FlyteWorld, created, identified, updated
from flyteidl2.auth import auth_service_pb2 as auth
from flyteidl2.cluster import payload_pb2 as cluster
from flyteidl2.common import identifier_pb2 as identifier
from flyteidl2.secret import definition_pb2 as definition
from flyteidl2.secret import payload_pb2 as payload

DOCKER = b'{"auths": {"ghcr.io": {"auth": "dTpw"}}}'
USE_SECRETS = cluster.SelectClusterRequest.OPERATION_USE_SECRETS


@pytest.fixture
def world() -> FlyteWorld:
    return FlyteWorld()


# Secrets


@pytest.mark.parametrize("value", [b"\x00\xff", "täxt", b"", ""])
def test_what_is_created_is_what_the_store_has(world: FlyteWorld, value: bytes | str) -> None:
    assert world.create("a", value, project="shop", domain="production").code == ""
    expected = value.encode() if isinstance(value, str) else value
    assert world.value("a", domain="production", project="shop") == expected


@pytest.mark.parametrize("organization", ["", "127", "acme", "Any thing/at all"])
def test_any_organization_is_the_one_there_is(world: FlyteWorld, organization: str) -> None:
    assert world.create("a", organization=organization).code == ""
    assert world.value("a") == b"v"
    assert world.names(organization=organization) == ["a"]


@pytest.mark.parametrize(
    "scope", [{}, {"domain": "d"}, {"project": "p"}, {"project": "p", "domain": "d"}], ids=str
)
def test_every_scope_can_be_meant(world: FlyteWorld, scope: dict[str, str]) -> None:
    assert world.create("a", **scope).code == ""
    said = world.call(SECRETS + "GetSecret", payload.GetSecretRequest(id=identified("a", **scope)))
    id = said.read(payload.GetSecretResponse).secret.id
    assert (id.organization, id.domain, id.project) == (
        "flyte",
        scope.get("domain", ""),
        scope.get("project", ""),
    )
    assert world.call(SECRETS + "UpdateSecret", updated("a", b"new", **scope)).code == ""
    assert world.value("a", domain=scope.get("domain"), project=scope.get("project")) == b"new"
    gone = payload.DeleteSecretRequest(id=identified("a", **scope))
    assert world.call(SECRETS + "DeleteSecret", gone).code == ""
    assert world.names() == []


def test_a_secret_is_shown_as_present_and_without_its_value(world: FlyteWorld) -> None:
    world.create("a", b"s3cr3t-m4rker", type=0)
    said = world.call(SECRETS + "GetSecret", payload.GetSecretRequest(id=identified("a")))
    shown = said.read(payload.GetSecretResponse).secret.secret_metadata
    assert shown.secret_status.overall_status == definition.FULLY_PRESENT
    [status] = shown.secret_status.cluster_status
    assert (status.cluster.name, status.presence_status) == ("main", definition.PRESENT)
    assert shown.created_time.seconds > 0
    assert b"s3cr3t" not in said.body


def test_types_are_kept_and_held_to(world: FlyteWorld) -> None:
    assert world.create("pull", DOCKER, type=1).code == ""
    [shown] = world.page().secrets
    assert shown.secret_metadata.type == definition.SECRET_TYPE_IMAGE_PULL_SECRET
    for bad in (b"", b"{}", b'{"auths": {}}', b'{"auths": []}', b"not JSON", b'{"auths": {"x": 1}}'):
        said = world.create("bad", bad, type=1)
        assert (said.code, "not a docker config" in said.text) == ("invalid_argument", True)
    assert world.call(SECRETS + "UpdateSecret", updated("pull", b"{}")).code == "invalid_argument"
    assert world.call(SECRETS + "UpdateSecret", updated("pull", DOCKER.replace(b"ghcr", b"quay"))).code == ""
    assert world.call(SECRETS + "UpdateSecret", updated("pull", DOCKER, type=1)).code == ""


def test_an_update_does_not_change_the_type(world: FlyteWorld) -> None:
    world.create("a", b"old")
    said = world.call(SECRETS + "UpdateSecret", updated("a", DOCKER, type=1))
    assert (said.code, "which stays" in said.text) == ("invalid_argument", True)
    assert world.value("a") == b"old"


def test_an_update_makes_nothing(world: FlyteWorld) -> None:
    assert world.call(SECRETS + "UpdateSecret", updated("a", b"v")).code == "not_found"
    assert world.names() == []


def test_an_attempt_that_is_made_again_has_succeeded(world: FlyteWorld) -> None:
    """As the client does it when the answer is lost: the request id is of the call, not of the attempt."""
    id = (b"x-request-id", str(uuid.uuid4()).encode())
    for _ in range(2):
        assert world.call(SECRETS + "CreateSecret", created("a", b"v"), id).code == ""
    assert world.call(SECRETS + "CreateSecret", created("a", b"other"), id).code == "invalid_argument"
    assert world.create("a").code == "already_exists"
    for _ in range(2):
        gone = payload.DeleteSecretRequest(id=identified("a"))
        assert world.call(SECRETS + "DeleteSecret", gone, id).code == ""


@pytest.mark.parametrize("id", [b"r1", b"00000000-0000-0000-0000-000000000000", b"always-the-same"])
def test_a_request_id_that_may_be_of_many_calls_is_no_name_for_one(world: FlyteWorld, id: bytes) -> None:
    assert world.call(SECRETS + "CreateSecret", created("a", b"v"), (b"x-request-id", id)).code == ""
    said = world.call(SECRETS + "CreateSecret", created("a", b"v"), (b"x-request-id", id))
    assert said.code == "already_exists"


# Listings


def test_a_listing_is_of_what_it_says(world: FlyteWorld) -> None:
    for name, scope in (
        ("org", {}),
        ("dom", {"domain": "d"}),
        ("pro", {"project": "p"}),
        ("both", {"project": "p", "domain": "d"}),
        ("other", {"project": "q", "domain": "d"}),
        ("else", {"project": "p", "domain": "e"}),
    ):
        world.create(name, **scope)
    assert sorted(world.names()) == ["both", "dom", "else", "org", "other", "pro"]
    assert sorted(world.names(domain="d")) == ["both", "dom", "other"]
    assert world.names(domain="d", project="p") == ["both"]
    assert world.names(project="p") == ["pro"]


@pytest.mark.parametrize("limit", [1, 3, 10, 0, 1_000_000])
def test_pages_show_everything_once(world: FlyteWorld, limit: int) -> None:
    names = [f"s{number:02}" for number in range(26)]
    for name in (*names, "EAGER_API_KEY", "SERVING_API_KEY"):
        world.create(name)
    assert sorted(world.names(limit=limit)) == names
    seen = sorted(world.names(limit=limit, include_system_secrets=True))
    assert seen == ["EAGER_API_KEY", "SERVING_API_KEY", *names]


def test_pages_go_on_by_either_token(world: FlyteWorld) -> None:
    for name in ("a", "b", "c"):
        world.create(name)
    first = world.page(limit=2)
    assert dict(first.per_cluster_tokens) == {"main": first.token}
    ways = (
        {"token": first.token},
        {"per_cluster_tokens": {"main": first.token}},
        {"token": first.token, "per_cluster_tokens": {"main": first.token}},
        {"token": first.token, "per_cluster_tokens": {"main": ""}},
    )
    for way in ways:
        page = world.page(limit=2, **way)
        assert [each.id.name for each in page.secrets] == ["c"]
        assert (page.token, dict(page.per_cluster_tokens)) == ("", {})


def test_tokens_that_this_listing_did_not_give_are_refused(world: FlyteWorld) -> None:
    for name in ("a", "b", "c"):
        world.create(name, domain="d")
    token = world.page(limit=1).token
    beginning, _, cursor = token.partition(".")
    forged = (
        {"token": token, "domain": "d"},
        {"token": "x"},
        {"token": f"{beginning}."},
        {"token": f"{beginning}.forged"},
        {"token": cursor},
        {"token": token + "x" * 3000},
        {"token": token, "per_cluster_tokens": {"main": token + "x"}},
        {"per_cluster_tokens": {"other": token}},
        {"per_cluster_tokens": {"main": token, "other": token}},
        {"per_cluster_tokens": {"main": "forged"}},
    )
    for fields in forged:
        said = world.call(SECRETS + "ListSecrets", payload.ListSecretsRequest(**fields))
        assert said.code == "invalid_argument", fields


def test_system_secrets_are_there_for_who_says_so(world: FlyteWorld) -> None:
    world.create("EAGER_API_KEY")
    id = identified("EAGER_API_KEY")
    assert world.call(SECRETS + "GetSecret", payload.GetSecretRequest(id=id)).code == "not_found"
    assert world.call(SECRETS + "DeleteSecret", payload.DeleteSecretRequest(id=id)).code == "not_found"
    said = world.call(SECRETS + "GetSecret", payload.GetSecretRequest(id=id, include_system_secrets=True))
    assert said.code == ""
    gone = payload.DeleteSecretRequest(id=id, include_system_secrets=True)
    assert world.call(SECRETS + "DeleteSecret", gone).code == ""


# Where, and how to log in


@pytest.mark.parametrize(
    "where",
    [
        {"org_id": identifier.OrgIdentifier()},
        {"org_id": identifier.OrgIdentifier(name="127")},
        {"project_id": identifier.ProjectIdentifier(domain="d", name="p")},
        {"domain_id": identifier.DomainIdentifier(name="d")},
    ],
    ids=str,
)
def test_the_cluster_is_what_the_settings_say(where: dict[str, object]) -> None:
    request = cluster.SelectClusterRequest(operation=USE_SECRETS, **where)
    evil = (
        (b"host", b"evil.example"),
        (b"x-forwarded-proto", b"http"),
        (b"x-forwarded-host", b"evil.example"),
    )
    for url in (None, "https://secrets.example.com"):
        said = FlyteWorld(public_url=url).call(CLUSTERS, request, *evil)
        answer = said.read(cluster.SelectClusterResponse)
        assert (answer.cluster_endpoint, answer.cluster) == (url or "", "main")


def test_there_are_no_cluster_pools(world: FlyteWorld) -> None:
    pool = identifier.ClusterPoolIdentifier(name="gpu")
    said = world.call(CLUSTERS, cluster.SelectClusterRequest(operation=USE_SECRETS, cluster_pool_id=pool))
    assert (said.code, said.text) == (
        "not_found",
        'there is no cluster pool "gpu": secrets here are not kept by pool',
    )


@pytest.mark.parametrize("operation", [0, 1, 12, 99])
def test_for_other_operations_there_is_no_cluster(world: FlyteWorld, operation: int) -> None:
    request = cluster.SelectClusterRequest()
    request.operation = operation
    assert world.call(CLUSTERS, request).code == "unimplemented"


def test_how_to_log_in_is_told_to_everybody_and_by_the_settings_alone() -> None:
    world = FlyteWorld(public_url="https://secrets.example.com")
    said = world.send(LOGIN + "GetOAuth2Metadata", b"", (b"host", b"evil.example"))
    told = said.read(auth.GetOAuth2MetadataResponse)
    assert told.token_endpoint == "https://secrets.example.com/oauth2/token"
    assert list(told.grant_types_supported) == ["client_credentials"]
    config = world.send(LOGIN + "GetPublicClientConfig").read(auth.GetPublicClientConfigResponse)
    assert config.authorization_metadata_key == "authorization"
    assert all((config.client_id, config.scopes, config.audience))
    assert not config.redirect_uri  # there is no page to log in at, and nothing to wait for
    assert world.trail == []


def test_without_an_address_nobody_is_told_where_tokens_are(world: FlyteWorld) -> None:
    said = world.send(LOGIN + "GetOAuth2Metadata")
    assert (said.code, "flyte.public_url" in said.text) == ("unimplemented", True)


# What is common to all calls


def test_every_call_is_one_event_that_tells_the_edge(world: FlyteWorld) -> None:
    world.create("a")
    world.page()
    world.call(CLUSTERS, cluster.SelectClusterRequest(operation=USE_SECRETS))
    world.call(SECRETS + "GetSecret", payload.GetSecretRequest(id=identified("a b")))
    events = [json.loads(event.to_json()) for event in world.trail]
    assert [event["action"] for event in events] == ["create", "list", "request", "request"]
    assert {(event["surface"], event["actor"], event["edge"]) for event in events} == {
        ("api", "alice", "flyte")
    }
    assert [event["outcome"] for event in events] == ["ok", "ok", "ok", "invalid_argument"]


@pytest.mark.parametrize("kind", [b"application/json", b"Application/JSON; charset=utf-8"])
def test_a_message_may_be_json(world: FlyteWorld, kind: bytes) -> None:
    body = {"id": {"name": "a"}, "secretSpec": {"stringValue": "v"}}
    said = world.send(SECRETS + "CreateSecret", json.dumps(body).encode(), AUTHORIZED, content_type=kind)
    assert (said.status, said.headers["content-type"]) == (200, "application/json")
    assert world.value("a") == b"v"
