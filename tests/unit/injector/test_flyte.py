"""Pods of Flyte's: what they ask for reaches every name where a reader of theirs looks, and nothing else."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from admissions import NAMESPACE, STATUS, Kit, apply, patch_of, pod, review
from flyte_pods import encode, flyte_pod

from injector.dialects import ours
from injector.dialects.flyte import FlyteDialect, Groups
from injector.dialects.flyte_text import FlyteSecret, Mount
from injector.engines import flyte2, flyte2_account
from injector.proofs import Creator, NamespaceTemplate
from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.scope import Scope

FOLDER = "/etc/flyte/secrets"
PREFIX = "FLYTE_SECRETS_ENV_PREFIX"


def env(key: str, **fields: str) -> FlyteSecret:
    return FlyteSecret(key=key, mount=Mount.ENV_VAR, **fields)


def file(key: str, **fields: str) -> FlyteSecret:
    return FlyteSecret(key=key, mount=Mount.FILE, **fields)


def kit_of(**options: Any) -> Kit:
    kit = Kit(dialects=[ours, FlyteDialect(**options)])
    for name in (
        "password",
        "db_password",
        "db_2_password",
        "mail_password",
        "tls-cert",
        "Tls-Cert",
        "token",
    ):
        kit.reader.put(name, f"value of {name}".encode())
    return kit


@pytest.fixture
def kit() -> Kit:
    return kit_of()


def given(kit: Kit, mutated: dict[str, Any], container: int = 0) -> tuple[dict[str, str], dict[str, str]]:
    """Environment and files as the container's process finds them."""
    assert kit.staging.values is not None
    part = mutated["spec"]["containers"][container]
    variables: dict[str, str] = {}
    for entry in part.get("env", []):
        reference = entry.get("valueFrom", {}).get("secretKeyRef")
        assert reference is None or reference["key"] == "value"
        secret = kit.staging.values[reference["name"]] if reference else None
        variables[entry["name"]] = secret.reveal_bytes().decode() if secret else entry.get("value", "")
    files: dict[str, str] = {}
    volumes = {volume["name"]: volume for volume in mutated["spec"].get("volumes", [])}
    for mount in part.get("volumeMounts", []):
        assert (mount["mountPath"], mount["readOnly"]) == (FOLDER, True)
        for source in volumes[mount["name"]]["projected"]["sources"]:
            [item] = source["secret"]["items"]
            files[item["path"]] = kit.staging.values[source["secret"]["name"]].reveal_bytes().decode()
    return variables, files


@pytest.mark.parametrize("flyte", [1, 2])
@pytest.mark.parametrize("mount", [Mount.ENV_VAR, Mount.ANY])
def test_a_variable_has_every_name_that_readers_look_by(kit: Kit, flyte: int, mount: Mount) -> None:
    secret = FlyteSecret(group="db", group_version="2", key="password", mount=mount, env_var="DB_PASSWORD")
    variables, files = given(kit, kit.mutate(flyte_pod(secret, flyte=flyte)))
    value = "value of password"
    assert variables == {
        "_UNION_DB_2_PASSWORD": value,
        "_UNION_DB_PASSWORD": value,
        "_UNION_PASSWORD": value,
        "DB_PASSWORD": value,
        PREFIX: "_UNION_",
    }
    assert not files


def test_a_file_lies_wherever_readers_look(kit: Kit) -> None:
    secret = file("Tls-Cert", group="Web", group_version="V1", env_var="CERT")
    variables, files = given(kit, kit.mutate(flyte_pod(secret)))
    assert files == dict.fromkeys(
        ["web/v1/tls-cert", "web/tls-cert", "tls-cert", "Tls-Cert"], "value of Tls-Cert"
    )
    assert variables == {
        "FLYTE_SECRETS_DEFAULT_DIR": FOLDER,
        "FLYTE_SECRETS_FILE_PREFIX": "",
        "CERT": f"{FOLDER}/Tls-Cert",
    }


def test_keys_keep_what_the_shell_would_not_take(kit: Kit) -> None:
    variables, _ = given(kit, kit.mutate(flyte_pod(env("tls-cert"))))
    assert variables == {"_UNION_TLS-CERT": "value of tls-cert", PREFIX: "_UNION_"}


def test_the_prefix_is_the_operators_choice() -> None:
    kit = kit_of(env_prefix="_FSEC_")
    variables, _ = given(kit, kit.mutate(flyte_pod(env("password"))))
    assert variables == {"_FSEC_PASSWORD": "value of password", PREFIX: "_FSEC_"}


@pytest.mark.parametrize("prefix", ["", "union_", "1_", "A=B", "A" * 64, "_UNIÓN_"])
def test_a_prefix_that_makes_no_names_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidArgument, match="env_prefix"):
        FlyteDialect(env_prefix=prefix)


class TestNamedGroups:
    """``groups = "named"``: a group is a part of the secret's name."""

    @pytest.fixture
    def kit(self) -> Kit:
        return kit_of(groups=Groups.NAMED)

    def test_each_group_has_a_secret_of_its_own(self, kit: Kit) -> None:
        wanted = [env("password", group="db"), env("password", group="mail"), env("password")]
        variables, _ = given(kit, kit.mutate(flyte_pod(*wanted)))
        assert variables == {
            "_UNION_DB_PASSWORD": "value of db_password",
            "_UNION_MAIL_PASSWORD": "value of mail_password",
            "_UNION_PASSWORD": "value of password",  # the one without a group has the short name
            PREFIX: "_UNION_",
        }

    def test_a_short_name_that_two_groups_claim_is_nobodys(self, kit: Kit) -> None:
        wanted = [env("password", group="db"), env("password", group="mail")]
        variables, _ = given(kit, kit.mutate(flyte_pod(*wanted)))
        assert "_UNION_PASSWORD" not in variables
        _, files = given(
            kit, kit.mutate(flyte_pod(file("password", group="db"), file("password", group="mail")))
        )
        assert set(files) == {"db/password", "mail/password"}

    def test_the_version_is_a_part_of_the_name_too(self, kit: Kit) -> None:
        wanted = [env("password", group="db", group_version="2"), env("password", group="db")]
        variables, _ = given(kit, kit.mutate(flyte_pod(*wanted)))
        assert variables["_UNION_DB_2_PASSWORD"] == "value of db_2_password"
        assert variables["_UNION_DB_PASSWORD"] == "value of db_password"
        assert "_UNION_PASSWORD" not in variables

    def test_a_variable_tells_where_its_file_really_lies(self, kit: Kit) -> None:
        wanted = [file("password", group="db", env_var="DB"), file("password", group="mail", env_var="MAIL")]
        variables, files = given(kit, kit.mutate(flyte_pod(*wanted)))
        assert files[variables["DB"].removeprefix(FOLDER + "/")] == "value of db_password"
        assert files[variables["MAIL"].removeprefix(FOLDER + "/")] == "value of mail_password"

    def test_groups_that_are_no_names_are_refused(self, kit: Kit) -> None:
        code, message = kit.refusal(flyte_pod(env("password", group="my.group")))
        assert (code, kit.reader.calls) == (400, 0)
        assert 'annotation "flyte.secrets/s0": secret name "my.group_password" is not valid' in message


class TestIgnoredGroups:
    """As Flyte 2 and Union look secrets up."""

    def test_two_groups_of_one_key_are_refused(self, kit: Kit) -> None:
        code, message = kit.refusal(flyte_pod(env("password", group="db"), env("password", group="mail")))
        assert (code, kit.reader.calls) == (400, 0)
        assert 'key "password" is asked for in two groups' in message
        assert "injector.flyte.groups" in message

    def test_with_and_without_a_group_agree(self, kit: Kit) -> None:
        variables, _ = given(kit, kit.mutate(flyte_pod(env("password", group="db"), env("password"))))
        assert variables["_UNION_DB_PASSWORD"] == variables["_UNION_PASSWORD"] == "value of password"

    def test_two_versions_of_one_group_are_refused(self, kit: Kit) -> None:
        wanted = [file("password", group="db", group_version=version) for version in ("1", "2")]
        code, message = kit.refusal(flyte_pod(*wanted))
        assert code == 400
        assert "in two group_versions" in message


class TestOnePlace:
    """Two requests that want one variable or file."""

    def test_for_one_secret_are_one(self, kit: Kit) -> None:
        wanted = [env("password", env_var="X"), env("password", env_var="X"), env("password")]
        mutated = kit.mutate(flyte_pod(*wanted))
        names = [entry["name"] for entry in mutated["spec"]["containers"][0]["env"]]
        assert names == ["X", "_UNION_PASSWORD", PREFIX]

    @pytest.mark.parametrize(
        "wanted",
        [
            [env("password", env_var="X"), env("token", env_var="X")],
            [env("password", env_var="X"), file("token", env_var="X")],
            [file("password", env_var="X"), file("token", env_var="X")],
            [env("tls-cert"), env("Tls-Cert")],
            [file("tls-cert"), file("Tls-Cert")],
            [env("password", env_var="_UNION_TOKEN"), env("token")],
            [
                file("password", env_var=PREFIX.replace("ENV_PREFIX", "X")),
                env("token", env_var="FLYTE_SECRETS_X"),
            ],
        ],
    )
    def test_for_two_are_refused(self, kit: Kit, wanted: list[FlyteSecret]) -> None:
        code, message = kit.refusal(flyte_pod(*wanted))
        assert (code, kit.reader.calls) == (400, 0)
        assert "asked for" in message

    def test_names_that_nobody_wrote_are_given_to_neither(self, kit: Kit) -> None:
        wanted = [env("tls-cert", env_var="A"), env("Tls-Cert", env_var="B")]
        variables, _ = given(kit, kit.mutate(flyte_pod(*wanted)))
        assert variables == {"A": "value of tls-cert", "B": "value of Tls-Cert", PREFIX: "_UNION_"}
        kit.reader.put("db_token", b"d")
        wanted = [env("db_token", env_var="A"), env("token", group="db", env_var="B")]
        variables, _ = given(kit, kit.mutate(flyte_pod(*wanted)))
        assert "_UNION_DB_TOKEN" not in variables
        assert variables["_UNION_TOKEN"] == variables["B"] == "value of token"

    def test_a_file_that_would_be_in_anothers_place_lies_where_flyte_2_looks(self, kit: Kit) -> None:
        kit.reader.put("db", b"d")
        _, files = given(kit, kit.mutate(flyte_pod(file("db"), file("token", group="db"))))
        assert files == {"db": "d", "token": "value of token"}

    def test_a_file_that_is_another_ones_folder_and_lies_nowhere_else_is_refused(self) -> None:
        kit = kit_of(groups=Groups.NAMED)
        wanted = [file("db"), file("token", group="db"), file("token", group="web"), file("token", group="x")]
        code, message = kit.refusal(flyte_pod(*wanted))
        assert code == 400
        assert "can't be the folder of" in message

    def test_a_short_path_gives_way_to_a_folder(self) -> None:
        kit = kit_of(groups=Groups.NAMED)
        kit.reader.put("web_db", b"w")
        kit.reader.put("db_token", b"t")
        _, files = given(kit, kit.mutate(flyte_pod(file("db", group="web"), file("token", group="db"))))
        assert files == {"web/db": "w", "db/token": "t", "token": "t"}


def test_what_the_pod_sets_itself_gives_way(kit: Kit) -> None:
    own = [
        {"name": "_UNION_PASSWORD", "value": "mine"},
        {"name": "A", "value": "$(DB_PASSWORD)"},
        {"name": "DB_PASSWORD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": PREFIX, "value": "OTHER_"},
        {"name": "DB_PASSWORD", "value": "again"},
    ]
    container = {"name": "main", "image": "task:1", "env": own}
    wanted = flyte_pod(env("password", group="db", env_var="DB_PASSWORD"), containers=[container])
    mutated = kit.mutate(wanted)
    entries = mutated["spec"]["containers"][0]["env"]
    assert [entry["name"] for entry in entries] == [
        "DB_PASSWORD",
        "_UNION_DB_PASSWORD",
        "_UNION_PASSWORD",
        PREFIX,
        "A",
    ]
    assert given(kit, mutated)[0][PREFIX] == "_UNION_"
    assert "patch" not in kit.admit(mutated)  # a second pass changes nothing


def test_every_container_but_ephemeral_ones_gets_it(kit: Kit) -> None:
    containers = [{"name": "user-container", "image": "a"}, {"name": "queue-proxy", "image": "b"}]
    init = [{"name": "init-embedded-secret", "image": "c"}]
    mutated = kit.mutate(
        flyte_pod(env("password"), file("token"), containers=containers, initContainers=init)
    )
    for part in [*mutated["spec"]["containers"], *mutated["spec"]["initContainers"]]:
        assert part["env"][0]["name"] == "_UNION_PASSWORD"
        assert part["volumeMounts"][0]["mountPath"] == FOLDER
    assert mutated["spec"]["initContainers"][0]["image"] == "c"  # nothing is done with names of containers
    assert "patch" not in kit.admit(mutated)


def test_requests_come_in_the_order_of_their_numbers(kit: Kit) -> None:
    names = [f"k{index}" for index in range(12)]
    for name in names:
        kit.reader.put(name, b"v")
    asking = flyte_pod(*map(env, names))
    annotations = list(asking["metadata"]["annotations"].items())
    asking["metadata"]["annotations"] = dict(sorted(annotations, reverse=True))
    mutated = kit.mutate(asking)
    entries = [entry["name"] for entry in mutated["spec"]["containers"][0]["env"]]
    assert entries == [*(f"_UNION_{name.upper()}" for name in names), PREFIX]
    asking["metadata"]["annotations"] = dict(sorted(annotations))
    again = kit.mutate(asking)
    assert again == mutated


def test_whatever_key_flytes_reader_takes_is_taken_behind_the_numbered(kit: Kit) -> None:
    asking = flyte_pod(env("password"))
    asking["metadata"]["annotations"]["flyte.secrets/sfoo"] = encode(env("token"))
    entries = kit.mutate(asking)["spec"]["containers"][0]["env"]
    assert [entry["name"] for entry in entries] == ["_UNION_PASSWORD", "_UNION_TOKEN", PREFIX]


class TestAsking:
    """When a pod asks in this dialect."""

    def test_the_label_alone_asks_for_nothing(self, kit: Kit) -> None:
        asking = flyte_pod()
        asking["metadata"]["labels"]["inject-flyte-secrets"] = "true"
        assert "patch" not in kit.admit(asking)
        assert kit.reader.calls == 0

    @pytest.mark.parametrize("label", [None, "false", "True", ""])
    def test_annotations_without_the_label_ask_for_nothing(self, kit: Kit, label: str | None) -> None:
        asking = flyte_pod(env("password"))
        asking["metadata"]["labels"]["inject-flyte-secrets"] = label
        if label is None:
            del asking["metadata"]["labels"]["inject-flyte-secrets"]
        assert "patch" not in kit.admit(asking)
        assert kit.reader.calls == 0

    def test_in_two_ways_is_refused(self, kit: Kit) -> None:
        asking = flyte_pod(env("password"))
        asking["metadata"]["annotations"]["secrets-svc.internal/request"] = '[{"name": "token"}]'
        code, message = kit.refusal(asking)
        assert (code, kit.reader.calls) == (400, 0)
        assert "in two ways" in message

    def test_without_the_dialect_nothing_is_asked(self) -> None:
        kit = Kit()
        assert "patch" not in kit.admit(flyte_pod(env("password")))

    def test_a_forged_status_is_replaced(self, kit: Kit) -> None:
        asking = flyte_pod(env("password"))
        asking["metadata"]["annotations"][STATUS] = "[]"
        [entry] = json.loads(kit.mutate(asking)["metadata"]["annotations"][STATUS])
        assert entry == {
            "name": "password",
            "store": "local",
            "scope": "project-domain shop/production",
            "version": "token-1",
            "env": "_UNION_PASSWORD",
        }


BAD = {
    "": 'secret name "" is not valid',
    "0": "base32",
    encode(env("a/b")): 'secret name "a/b" is not valid',
    encode(env("a\nb")): "is not valid",
    encode(env("$(HOME)")): 'secret name "$(HOME)" is not valid',
    encode(env("x;id>f")): 'secret name "x;id>f" is not valid',
    encode(env("k" * 300)): "is not valid",
    encode(env("token", group="../../var/run/secrets")): 'group "../../var/run/secrets" is not valid',
    encode(env("token", group="..")): 'group ".." is not valid',
    encode(env("token", group=".hidden")): "is not valid",
    encode(env("token", group="g" * 129)): "is not valid",
    encode(env("token", group="a$(B)")): "is not valid",
    encode(file("token", group="g", group_version="../x")): 'group_version "../x" is not valid',
    encode(env("token", group_version="1")): "a group_version and no group",
    encode(env("token", env_var="1BAD")): 'env_var "1BAD" is not valid',
    encode(env("token", env_var="A=B")): 'env_var "A=B" is not valid',
    encode(env("token", env_var="a.b")): 'env_var "a.b" is not valid',
    encode(env("token", env_var=PREFIX)): f'env_var "{PREFIX}" is not valid',
}


@pytest.mark.parametrize(("annotation", "reason"), BAD.items())
def test_what_a_hostile_annotation_says_is_refused_before_any_store_is_asked(
    kit: Kit, annotation: str, reason: str
) -> None:
    asking = flyte_pod(env("password"))
    asking["metadata"]["annotations"]["flyte.secrets/s1"] = annotation
    code, message = kit.refusal(asking)
    assert (code, kit.reader.calls) == (400, 0)
    assert message.startswith('invalid_argument: annotation "flyte.secrets/s1": ')
    assert reason in message
    assert len(message) < 600


@pytest.mark.parametrize(
    "annotations",
    [
        {"flyte.secrets/s0": "a" * (256 * 1024 + 1)},
        {f"flyte.secrets/s{index}": encode(env("password")) for index in range(10_000)},
        {f"flyte.secrets/s{index}": encode(env(f"k{index}")) for index in range(101)},
    ],
    ids=["256 KiB", "10,000 annotations", "101 annotations"],
)
def test_too_much_is_refused(kit: Kit, annotations: dict[str, str]) -> None:
    asking = flyte_pod(env("password"))
    asking["metadata"]["annotations"] = annotations
    code, message = kit.refusal(asking)
    assert (code, kit.reader.calls) == (400, 0)
    assert message.startswith("too_large: ")


def test_a_mount_of_the_pods_own_where_files_belong_is_refused(kit: Kit) -> None:
    mounts = [{"name": "mine", "mountPath": FOLDER + "/"}]
    container = {"name": "main", "image": "task:1", "volumeMounts": mounts}
    volumes = [{"name": "mine", "emptyDir": {}}]
    code, message = kit.refusal(flyte_pod(file("token"), containers=[container], volumes=volumes))
    assert code == 400
    assert FOLDER in message
    assert kit.mutate(flyte_pod(env("token"), containers=[container], volumes=volumes))


def test_a_missing_secret_is_named_once_with_all_its_places(kit: Kit) -> None:
    code, message = kit.refusal(flyte_pod(env("absent", group="db", env_var="X")))
    assert code == 400
    assert message.startswith('secret "absent" (env X, env _UNION_DB_ABSENT, env _UNION_ABSENT): not_found; ')


def test_a_refusal_is_bounded(kit: Kit) -> None:
    code, message = kit.refusal(flyte_pod(*(env("absent", env_var=f"E{index}") for index in range(90))))
    assert code == 400
    assert "and 81 more places" in message
    assert len(message) < 600


def test_what_is_overridden_is_bounded(kit: Kit) -> None:
    own = [{"name": "_UNION_TOKEN", "value": ""}] * 5000
    code, message = kit.refusal(
        flyte_pod(env("token"), containers=[{"name": "main", "image": "i", "env": own}])
    )
    assert (code, kit.reader.calls) == (400, 0)
    assert message.startswith("too_large: ")


def test_an_escaped_name_is_overridden_too(kit: Kit) -> None:
    own = [{"name": "_UNION_TOKEN", "value": "mine"}, {"name": "A", "value": "a"}]
    asking = flyte_pod(env("token"), containers=[{"name": "main", "image": "i", "env": own}])
    for written in (r"\u005fUNION_TOKEN", r"_UNION\u005fTOKEN"):
        body = review(asking).replace(b"_UNION_TOKEN", written.encode())
        assert b"\\u005f" in body
        names = [entry["name"] for entry in apply(asking, kit.send(body))["spec"]["containers"][0]["env"]]
        assert names == ["_UNION_TOKEN", PREFIX, "A"]


def test_many_names_are_searched_for_by_what_they_begin_with(kit: Kit) -> None:
    """More than are searched for one by one."""
    names = [f"k{index}" for index in range(40)]
    for name in names:
        kit.reader.put(name, b"v")
    own = [{"name": "_UNION_K39", "value": "mine"}, {"name": "E7", "value": "mine"}]
    container = {"name": "main", "image": "i", "env": own}
    wanted = [env(name, env_var=f"E{index}") for index, name in enumerate(names)]
    mutated = kit.mutate(flyte_pod(*wanted, containers=[container]))
    entries = mutated["spec"]["containers"][0]["env"]
    assert len(entries) == len({entry["name"] for entry in entries}) == 81
    assert "patch" not in kit.admit(mutated)


def test_a_store_that_fails_is_no_absence(kit: Kit) -> None:
    kit.reader.failing = Unavailable("it is down")
    code, message = kit.refusal(flyte_pod(env("password")))
    assert code == 503
    assert "retryable=true" in message


def test_a_value_that_no_variable_holds_is_refused(kit: Kit) -> None:
    kit.reader.put("password", b"\xff\x00")
    assert kit.refusal(flyte_pod(env("password")))[0] == 400
    assert kit.mutate(flyte_pod(file("password")))


class TestScope:
    """``project`` and ``domain`` are a claim like any other."""

    @pytest.mark.parametrize("claim", [{"project": "bank"}, {"domain": "staging"}, {"project": "Shop"}])
    def test_a_claim_that_nothing_proves_is_refused_unread(self, kit: Kit, claim: dict[str, str]) -> None:
        code, _ = kit.refusal(flyte_pod(env("password"), **claim))
        assert code == (400 if claim == {"project": "Shop"} else 403)
        assert kit.reader.calls == 0

    def test_our_own_labels_may_not_say_something_else(self, kit: Kit) -> None:
        asking = flyte_pod(env("password"))
        asking["metadata"]["labels"]["secrets-svc.internal/project"] = "bank"
        code, message = kit.refusal(asking)
        assert code == 400
        assert "say different things" in message
        asking["metadata"]["labels"]["secrets-svc.internal/project"] = "shop"
        assert kit.mutate(asking)

    @pytest.mark.parametrize("organization", [None, "acme", "127", "", "not a label"])
    def test_whatever_organization_it_says_is_ours(self, kit: Kit, organization: str | None) -> None:
        asking = flyte_pod(env("password"))
        asking["metadata"]["labels"].pop("organization", None)
        if organization is not None:
            asking["metadata"]["labels"]["organization"] = organization
        assert kit.mutate(asking)

    def test_flyte_2_is_believed_as_the_creator(self) -> None:
        account = flyte2_account("flyte", "flyte")
        assert account == "system:serviceaccount:flyte:flyte-flyte-binary"
        assert flyte2_account("f", "my-flyte-binary") == "system:serviceaccount:f:my-flyte-binary"
        kit = Kit(dialects=[FlyteDialect()], proofs=[Creator("flyte", {account: flyte2(["flyte"])})])
        kit.reader.put("password", b"v", Scope("flyte", "production", "shop"))
        asking = flyte_pod(env("password"))
        assert kit.admit(asking, namespace="flyte", userInfo={"username": account})["allowed"]
        calls = kit.reader.calls
        for namespace, username in [
            ("flyte", "system:serviceaccount:kube-system:job-controller"),
            ("flyte", "system:serviceaccount:flyte:kuberay-operator"),
            ("flyte", "alice"),
            ("other", account),
        ]:
            code, _ = kit.refusal(asking, namespace=namespace, userInfo={"username": username})
            assert (code, kit.reader.calls) == (403, calls)

    def test_flyte_1_is_believed_by_the_namespaces_name(self) -> None:
        proof = NamespaceTemplate("flyte", "{project}-{domain}", ["development", "production"])
        kit = Kit(dialects=[FlyteDialect()], proofs=[proof])
        kit.reader.put("password", b"v")
        assert kit.admit(flyte_pod(env("password"), flyte=1))["allowed"]
        assert kit.refusal(flyte_pod(env("password"), flyte=1), namespace="bank-production")[0] == 403

    def test_a_knative_revisions_pod_is_believed_by_its_namespace(self, kit: Kit) -> None:
        controller = {"username": "system:serviceaccount:kube-system:replicaset-controller"}
        containers = [{"name": "user-container", "image": "a"}, {"name": "queue-proxy", "image": "b"}]
        asking = flyte_pod(env("password"), containers=containers)
        asking["metadata"]["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r"}]
        assert kit.admit(asking, namespace=NAMESPACE, userInfo=controller)["allowed"]


def test_mutating_twice_equals_once_and_no_value_is_in_the_pod(kit: Kit) -> None:
    asking = flyte_pod(
        env("password", group="db", env_var="DB"), file("Tls-Cert", env_var="CERT"), FlyteSecret(key="token")
    )
    once = kit.mutate(asking)
    response = kit.admit(once)
    assert not patch_of(response)
    assert apply(once, response) == once
    text = json.dumps(once)
    for value in ("value of password", "value of Tls-Cert", "value of token"):
        assert value not in text
        assert base64.b64encode(value.encode()).decode() not in text


def test_other_pods_are_as_ever(kit: Kit) -> None:
    entries = kit.mutate(pod([{"name": "password"}]))["spec"]["containers"][0]["env"]
    assert [entry["name"] for entry in entries] == ["PASSWORD"]
