"""The REST API of a running server: every call, as a client sees it."""

from __future__ import annotations

import json
import re

import pytest
from harness import Reply, Server, value_in
from problems import assert_problem

METADATA = {
    "name",
    "organization",
    "domain",
    "project",
    "type",
    "version",
    "size",
    "created_at",
    "updated_at",
    "created_by",
    "updated_by",
    "read_only",
}


def put(server: Server, name: str, project: str, value: str, **headers: str) -> Reply:
    sent = {key.replace("_", "-"): text for key, text in headers.items()}
    body = {"value": value_in(value)}
    return server.call("PUT", f"/v1/secrets/{name}", body, query={"project": project}, headers=sent)


def get(server: Server, name: str, project: str) -> Reply:
    return server.call("GET", f"/v1/secrets/{name}", query={"project": project})


def delete(server: Server, name: str, project: str, **headers: str) -> Reply:
    sent = {key.replace("_", "-"): text for key, text in headers.items()}
    return server.call("DELETE", f"/v1/secrets/{name}", query={"project": project}, headers=sent)


def test_a_secret_is_created_shown_replaced_and_deleted(server: Server, project: str) -> None:
    created = server.create("db-password", "first", project=project, domain="production")
    assert created.status == 201
    made = created.json()
    assert set(made) == METADATA
    assert created.headers["etag"] == f'"{made["version"]}"'
    assert (made["size"], made["type"], made["created_by"]) == (5, "generic", "admin")
    assert made["created_at"] == made["updated_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", made["created_at"])

    where = {"project": project, "domain": "production"}
    found = server.call("GET", "/v1/secrets/db-password", query=where)
    assert (found.status, found.json()) == (200, made)
    assert found.headers["etag"] == created.headers["etag"]

    body = {"value": value_in(b"\xff second")}
    updated = server.call("PUT", "/v1/secrets/db-password", body, query=where)
    assert updated.status == 200
    assert updated.json()["version"] != made["version"]
    assert updated.json()["size"] == 8
    assert updated.json()["created_at"] == made["created_at"]
    assert updated.json()["updated_at"] >= made["updated_at"]

    gone = server.call("DELETE", "/v1/secrets/db-password", query=where)
    assert (gone.status, gone.body) == (204, b"")
    detail = assert_problem(server.call("GET", "/v1/secrets/db-password", query=where), 404, "not_found")
    assert "db-password" in detail
    assert f"{project}/production" in detail


def test_what_is_there_already_is_not_created_again(server: Server, project: str) -> None:
    assert server.create("a", "1", project=project).status == 201
    assert_problem(server.create("a", "2", project=project), 409, "already_exists")
    assert get(server, "a", project).json()["size"] == 1


@pytest.mark.parametrize("method", ["PUT", "GET", "DELETE"])
def test_what_is_not_there_is_not_found(server: Server, project: str, method: str) -> None:
    body = {"value": value_in("x")} if method == "PUT" else None
    reply = server.call(method, "/v1/secrets/absent", body, query={"project": project})
    assert_problem(reply, 404, "not_found")


def test_the_same_name_lives_in_every_scope(server: Server, project: str) -> None:
    scopes = [{"project": project, "domain": "production"}, {"project": project}, {"domain": project}]
    for size, scope in enumerate(scopes, 1):
        assert server.create("same", "x" * size, **scope).status == 201
    for size, scope in enumerate(scopes, 1):
        assert server.call("GET", "/v1/secrets/same", query=scope).json()["size"] == size


def test_the_whole_organization_is_a_scope_that_must_be_named(server: Server, project: str) -> None:
    assert_problem(server.create(project, "x"), 400, "invalid_argument")
    assert server.create(project, "x", organization="flyte").status == 201
    assert_problem(server.call("GET", f"/v1/secrets/{project}"), 400, "invalid_argument")
    found = server.call("GET", f"/v1/secrets/{project}", query={"organization": "flyte"}).json()
    assert (found["organization"], found["domain"], found["project"]) == ("flyte", None, None)


def test_any_organization_maps_to_the_installations(server: Server, project: str) -> None:
    assert server.create("a", "x", organization="acme", project=project).json()["organization"] == "flyte"
    assert get(server, "a", project).status == 200


def test_explain_says_which_scope_wins_and_why(server: Server, project: str) -> None:
    server.create("key", "project", project=project)
    server.create("key", "domain", domain=project)
    reply = server.call("GET", "/v1/explain/key", query={"project": project, "domain": project})
    explained = reply.json()
    assert [step["outcome"] for step in explained["steps"]] == ["absent", "hit", "shadowed", "absent"]
    assert [step["level"] for step in explained["steps"]] == [
        "project-domain",
        "project",
        "domain",
        "organization",
    ]
    assert explained["winner"]["size"] == len("project")
    assert {step["store"] for step in explained["steps"]} == {"local"}
    nothing = server.call("GET", "/v1/explain/nothing-here", query={"project": project}).json()
    assert nothing["winner"] is None
    assert {step["outcome"] for step in nothing["steps"]} == {"absent"}


def test_explain_shows_nothing_of_a_secret_that_one_may_not_get(
    server: Server, tokens: dict[str, str], project: str
) -> None:
    server.create(f"wide-{project}", "x" * 7, domain="production")
    where = {"project": "shop", "domain": "production"}
    reply = server.call("GET", f"/v1/explain/wide-{project}", query=where, token=tokens["contributor"])
    explained = reply.json()
    assert [step["outcome"] for step in explained["steps"]] == ["absent", "absent", "hit", "hidden"]
    winner = explained["winner"]
    assert {key for key, fact in winner.items() if fact is not None} == {"name", "organization", "domain"}
    assert set(winner) == METADATA
    seen = [step[fact] for step in explained["steps"] for fact in ("version", "type", "updated_at")]
    assert set(seen) == {None}
    alone = server.call("GET", f"/v1/secrets/wide-{project}", query={"domain": "production"})
    assert alone.json()["version"] not in reply.body.decode()


def test_whoami(server: Server, tokens: dict[str, str]) -> None:
    assert server.call("GET", "/v1/whoami").json() == {
        "principal": "admin",
        "organization": "flyte",
        "bindings": [{"role": "admin", "scope": "organization flyte"}],
    }
    contributor = server.call("GET", "/v1/whoami", token=tokens["contributor"]).json()
    assert contributor["bindings"] == [{"role": "contributor", "scope": "project shop"}]
    assert server.call("GET", "/v1/whoami", token=tokens["nobody"]).json()["bindings"] == []


def test_if_match_lets_nobody_overwrite_what_he_has_not_seen(server: Server, project: str) -> None:
    first = server.create("a", "1", project=project).headers["etag"]
    second = put(server, "a", project, "2", if_match=first)
    assert second.status == 200
    assert_problem(put(server, "a", project, "3", if_match=first), 412, "conflict")
    assert get(server, "a", project).headers["etag"] == second.headers["etag"]


@pytest.mark.parametrize("text", ["*", "abc", '"', '""', 'W/"abc"'])
def test_an_if_match_that_names_no_version_is_refused(server: Server, project: str, text: str) -> None:
    server.create("a", "1", project=project)
    assert_problem(put(server, "a", project, "2", if_match=text), 400, "invalid_argument")
    assert get(server, "a", project).json()["size"] == 1


def test_a_repeated_create_succeeds_once(server: Server, project: str) -> None:
    body = {"name": "a", "project": project, "value": value_in("x")}
    first, again = (
        server.call("POST", "/v1/secrets", body, headers={"idempotency-key": f"create-{project}"})
        for _ in "12"
    )
    assert (first.status, again.status) == (201, 201)
    assert first.json() == again.json()


def test_a_repeated_update_succeeds_once(server: Server, project: str) -> None:
    etag = server.create("a", "1", project=project).headers["etag"]
    key = f"update-{project}"
    first = put(server, "a", project, "2", idempotency_key=key, if_match=etag)
    again = put(server, "a", project, "2", idempotency_key=key, if_match=etag)
    assert (first.status, again.status) == (200, 200)
    assert first.json() == again.json()
    assert first.headers["etag"] != etag


def test_a_repeated_delete_succeeds(server: Server, project: str) -> None:
    server.create("a", "1", project=project)
    key = f"delete-{project}"
    assert delete(server, "a", project, idempotency_key=key).status == 204
    assert delete(server, "a", project, idempotency_key=key).status == 204
    assert_problem(delete(server, "a", project), 404, "not_found")


def test_a_repeated_delete_spares_what_was_created_since(server: Server, project: str) -> None:
    server.create("a", "1", project=project)
    key = f"delete-{project}"
    assert delete(server, "a", project, idempotency_key=key).status == 204
    server.create("a", "22", project=project)
    assert delete(server, "a", project, idempotency_key=key).status == 204
    assert get(server, "a", project).json()["size"] == 2


def test_a_repeated_update_succeeds_after_a_deletion(server: Server, project: str) -> None:
    server.create("a", "1", project=project)
    key = f"update-{project}"
    first = put(server, "a", project, "2", idempotency_key=key)
    assert delete(server, "a", project).status == 204
    again = put(server, "a", project, "2", idempotency_key=key)
    assert (again.status, again.json()) == (200, first.json())
    assert_problem(get(server, "a", project), 404, "not_found")


def test_a_key_is_not_taken_for_another_intent(server: Server, project: str) -> None:
    key = f"key-{project}"
    headers = {"idempotency-key": key}
    body = {"name": "a", "project": project, "value": value_in("x")}
    assert server.call("POST", "/v1/secrets", body, headers=headers).status == 201
    other = server.call("POST", "/v1/secrets", {**body, "name": "b"}, headers=headers)
    assert_problem(other, 400, "invalid_argument")
    another = server.call("POST", "/v1/secrets", {**body, "value": value_in("y")}, headers=headers)
    assert "Idempotency-Key" in assert_problem(another, 400, "invalid_argument")
    assert_problem(put(server, "a", project, "y", idempotency_key=key), 400, "invalid_argument")
    assert_problem(delete(server, "a", project, idempotency_key=key), 400, "invalid_argument")


def test_two_principals_keys_do_not_meet(server: Server, tokens: dict[str, str], project: str) -> None:
    key = {"idempotency-key": f"mine-{project}"}
    fields = {"project": "shop", "domain": project, "value": value_in("x")}
    assert server.call("POST", "/v1/secrets", {"name": "a", **fields}, headers=key).status == 201
    theirs = server.call(
        "POST", "/v1/secrets", {"name": "b", **fields}, headers=key, token=tokens["contributor"]
    )
    assert theirs.status == 201


@pytest.mark.parametrize("key", ["", "k" * 129])
def test_a_key_has_1_to_128_characters(server: Server, project: str, key: str) -> None:
    body = {"name": "a", "project": project, "value": value_in("x")}
    reply = server.call("POST", "/v1/secrets", body, headers={"idempotency-key": key})
    assert_problem(reply, 400, "invalid_argument")


def pages(server: Server, limit: int, **query: object) -> list[list[str]]:
    found: list[list[str]] = []
    cursor = None
    for _ in range(100):
        asked = {"limit": limit, **query, **({"cursor": cursor} if cursor else {})}
        page = server.call("GET", "/v1/secrets", query=asked).json()
        found.append([item["name"] for item in page["items"]])
        cursor = page["next_cursor"]
        if cursor is None:
            return found
    raise AssertionError("the listing doesn't end")


def test_a_listing_comes_in_pages(server: Server, project: str) -> None:
    names = [f"s{number:02d}" for number in range(23)]
    for name in names:
        server.create(name, "x", project=project)
    found = pages(server, 5, project=project)
    assert [len(page) for page in found] == [5, 5, 5, 5, 3]
    assert [name for page in found for name in page] == names


def test_a_listing_covers_what_lies_inside_unless_it_is_exact(server: Server, project: str) -> None:
    server.create("wide", "x", project=project)
    server.create("narrow", "x", project=project, domain="production")
    assert sorted(pages(server, 10, project=project)[0]) == ["narrow", "wide"]
    assert pages(server, 10, project=project, exact="true") == [["wide"]]
    everything = {name for page in pages(server, 1000) for name in page}
    assert {"wide", "narrow"} <= everything


def test_cursors_survive_concurrent_deletes(server: Server, project: str) -> None:
    names = [f"s{number:02d}" for number in range(12)]
    for name in names:
        server.create(name, "x", project=project)
    query = {"project": project, "limit": 4}
    first = server.call("GET", "/v1/secrets", query=query).json()
    assert [item["name"] for item in first["items"]] == names[:4]
    # The last item of the page, one before it, one after it: the place stays where it was.
    for name in ("s03", "s00", "s05"):
        assert delete(server, name, project).status == 204
    server.create("s00a", "x", project=project)
    seen = []
    cursor = first["next_cursor"]
    while cursor:
        page = server.call("GET", "/v1/secrets", query={**query, "cursor": cursor}).json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert seen == [name for name in names[4:] if name != "s05"]


@pytest.mark.parametrize("cursor", ["x", "AAAA", "null", "%00", "ä", "0" * 1024])
def test_a_cursor_that_is_not_ours_is_refused(server: Server, project: str, cursor: str) -> None:
    reply = server.call("GET", "/v1/secrets", query={"project": project, "cursor": cursor})
    assert_problem(reply, 400, "invalid_argument")


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "ten", "", "1e3"])
def test_a_limit_is_1_to_1000(server: Server, limit: str) -> None:
    detail = assert_problem(
        server.call("GET", "/v1/secrets", query={"limit": limit}), 400, "invalid_argument"
    )
    assert detail.startswith("limit")


def test_a_dry_run_checks_everything_and_writes_nothing(server: Server, project: str) -> None:
    dry = {"dry_run": "true"}
    body = {"name": "a", "project": project, "value": value_in("22")}
    planned = server.call("POST", "/v1/secrets", body, query=dry)
    assert (planned.status, planned.json()["version"], planned.json()["size"]) == (200, "", 2)
    assert "etag" not in planned.headers
    assert_problem(get(server, "a", project), 404, "not_found")

    etag = server.create("a", "1", project=project).headers["etag"]
    assert_problem(server.call("POST", "/v1/secrets", body, query=dry), 409, "already_exists")
    where = {"project": project, **dry}
    assert server.call("PUT", "/v1/secrets/a", {"value": value_in("22")}, query=where).status == 200
    stale = {"if-match": '"other"'}
    refused = server.call("PUT", "/v1/secrets/a", {"value": value_in("22")}, query=where, headers=stale)
    assert_problem(refused, 412, "conflict")
    assert server.call("DELETE", "/v1/secrets/a", query=where).status == 204
    assert get(server, "a", project).headers["etag"] == etag
    absent = server.call("DELETE", "/v1/secrets/absent", query=where)
    assert_problem(absent, 404, "not_found")
    image = {"name": "i", "project": project, "type": "image-pull", "value": value_in("x")}
    assert_problem(server.call("POST", "/v1/secrets", image, query=dry), 400, "invalid_argument")


def test_every_answer_has_a_request_id(server: Server) -> None:
    ids = [server.call("GET", "/v1/whoami").headers["x-request-id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)
    given = server.call("GET", "/v1/whoami", headers={"x-request-id": "trace.4711_a-b"})
    assert given.headers["x-request-id"] == "trace.4711_a-b"


@pytest.mark.parametrize("given", ["a b", "a\tb", '"; evil="', "x" * 65, "{}", "ü", "a,b"])
def test_a_request_id_that_could_break_something_is_replaced(server: Server, given: str) -> None:
    reply = server.call("GET", "/v1/whoami", headers={"x-request-id": given})
    assert re.fullmatch("[0-9a-f]{32}", reply.headers["x-request-id"])


def test_request_ids_are_in_the_audit_file(server: Server, project: str) -> None:
    body = {"name": "a", "project": project, "value": value_in("x")}
    server.call("POST", "/v1/secrets", body, headers={"x-request-id": f"audit-{project}"})
    [entry] = [entry for entry in server.audit() if entry["request_id"] == f"audit-{project}"]
    assert (entry["surface"], entry["action"], entry["actor"], entry["outcome"]) == (
        "api",
        "create",
        "admin",
        "ok",
    )
    assert entry["secrets"][0]["version"] == get(server, "a", project).json()["version"]


def test_no_call_answers_with_a_value(server: Server, project: str) -> None:
    value = "never-to-be-seen-again"
    replies = [server.create("a", value, project=project), put(server, "a", project, value)]
    replies += [get(server, "a", project), server.call("GET", "/v1/secrets", query={"project": project})]
    replies.append(server.call("GET", "/v1/explain/a", query={"project": project}))
    replies.append(server.create("a", value, project=project))
    replies.append(server.call("GET", "/metrics", token=None))
    assert not [reply for reply in replies if value.encode() in reply.body]


def test_the_openapi_document_describes_every_call_with_examples(server: Server) -> None:
    reply = server.call("GET", "/openapi.json", token=None)
    document = reply.json()
    assert document["openapi"].startswith("3.")
    calls = {
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert calls == {
        ("POST", "/v1/secrets"),
        ("GET", "/v1/secrets"),
        ("GET", "/v1/secrets/{name}"),
        ("PUT", "/v1/secrets/{name}"),
        ("DELETE", "/v1/secrets/{name}"),
        ("GET", "/v1/secrets/{name}/versions"),
        ("POST", "/v1/secrets/{name}/rollback"),
        ("GET", "/v1/explain/{name}"),
        ("GET", "/v1/whoami"),
    }
    schemas = document["components"]["schemas"]
    for name in ("CreateIn", "UpdateIn", "MetadataOut", "ProblemOut"):
        assert [key for key, field in schemas[name]["properties"].items() if not field.get("examples")] == []
    referenced = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert referenced <= set(schemas)
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation["summary"]
            assert {"400", "401", "403", "404", "413", "503"} <= set(operation["responses"])
            in_path = set(re.findall(r"{(\w+)}", path))
            declared = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
            assert in_path == declared


def test_the_example_in_the_openapi_document_works(server: Server, project: str) -> None:
    schemas = server.call("GET", "/openapi.json", token=None).json()["components"]["schemas"]
    body = {name: field["examples"][0] for name, field in schemas["CreateIn"]["properties"].items()}
    reply = server.call("POST", "/v1/secrets", {**body, "project": project})
    assert reply.status == 201
    example = {name: field["examples"][0] for name, field in schemas["UpdateIn"]["properties"].items()}
    where = {"project": project, "domain": body["domain"]}
    assert server.call("PUT", f"/v1/secrets/{body['name']}", example, query=where).status == 200


def test_probes_and_metrics_need_no_token(server: Server) -> None:
    for path in ("/livez", "/readyz"):
        assert server.call("GET", path, token=None).body == b"ok\n"
    metrics = server.call("GET", "/metrics", token=None)
    assert metrics.headers["content-type"].startswith("text/plain")
    assert b"secrets_svc_events_total" in metrics.body


def test_unknown_paths_and_methods_are_problems_too(server: Server) -> None:
    assert_problem(server.call("GET", "/v2/secrets"), 404, "not_found")
    refused = server.call("PATCH", "/v1/secrets", {})
    assert_problem(refused, 405, "unsupported")
    assert {each.strip() for each in refused.headers["allow"].split(",")} & {"GET", "POST"}


def test_if_match_on_a_deletion_is_refused_and_not_ignored(server: Server, project: str) -> None:
    server.create("kept", "value", project=project)
    path, query = "/v1/secrets/kept", {"project": project}
    refused = server.call("DELETE", path, query=query, headers={"If-Match": '"x"'})
    assert refused.status == 400
    assert server.call("GET", path, query=query).status == 200
