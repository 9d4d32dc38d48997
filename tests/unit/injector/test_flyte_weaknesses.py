"""What Flyte's own injectors do wrong can't happen here: a test for each, named after what holds instead.

Demonstrated on their code, or read there. The one about their service is in tests/unit/edges.
"""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest
from admissions import Kit, patch_of, review
from flyte_pods import flyte_pod

from injector.dialects import ours
from injector.dialects.flyte import FlyteDialect, Groups
from injector.dialects.flyte_text import FlyteSecret, Mount
from injector.http import Request
from injector.server import InjectorRoutes
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretType

ENV, FILE, ANY = Mount.ENV_VAR, Mount.FILE, Mount.ANY


def kit_with(values: dict[str, bytes], **options: Any) -> Kit:
    kit = Kit(dialects=[ours, FlyteDialect(**options)])
    for name, value in values.items():
        kit.reader.put(name, value)
    return kit


def container_of(mutated: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = mutated["spec"]["containers"][0]
    return container


def test_1_no_request_reaches_a_file_of_the_webhooks_own() -> None:
    kit = kit_with({"token": b"v"})
    group = "../../var/run/secrets/kubernetes.io/serviceaccount"
    code, message = kit.refusal(flyte_pod(FlyteSecret(group, "", "token", ANY)))
    assert (code, kit.reader.calls) == (400, 0)
    assert "is not valid" in message


@pytest.mark.parametrize("mount", Mount)
def test_2_no_value_stands_in_the_pod(mount: Mount) -> None:
    value = b"correct horse battery staple"
    kit = kit_with({"token": value})
    text = json.dumps(kit.mutate(flyte_pod(FlyteSecret("", "", "token", mount, "T"))))
    assert value.decode() not in text
    assert base64.b64encode(value).decode() not in text


def test_3_dollars_of_a_value_are_not_expanded() -> None:
    kit = kit_with({"token": b"a$$b$(HOSTNAME)"})
    entry = container_of(kit.mutate(flyte_pod(FlyteSecret(key="token"))))["env"][0]
    assert "value" not in entry  # which Kubernetes would expand; a reference it doesn't
    assert set(entry["valueFrom"]) == {"secretKeyRef"}


def test_4_labels_that_nothing_proves_get_nothing() -> None:
    kit = kit_with({"token": b"v"})
    kit.reader.put("token", b"of the bank", Scope("flyte", "production", "bank"))
    code, _ = kit.refusal(flyte_pod(FlyteSecret(key="token"), project="bank"))
    assert (code, kit.reader.calls) == (403, 0)


def test_5_the_same_pod_gets_the_same_patch_always() -> None:
    kit = kit_with({f"k{index}": b"v" for index in range(12)})
    asking = flyte_pod(*(FlyteSecret("", "", f"k{index}", ENV, f"E{index}") for index in range(12)))
    annotations = list(asking["metadata"]["annotations"].items())
    patches = set()
    for seed in range(40):
        random.Random(seed).shuffle(annotations)
        asking["metadata"]["annotations"] = dict(annotations)
        patches.add(kit.admit(asking)["patch"])
    assert len(patches) == 1


@pytest.mark.parametrize(
    ("secret", "places"),
    [
        (FlyteSecret("", "", "key", ENV, "CHOSEN"), {"_UNION_KEY"}),
        (FlyteSecret("g", "", "key", ENV), {"_UNION_G_KEY", "_UNION_KEY"}),
        (FlyteSecret("", "", "Tls-Cert", FILE), {"tls-cert"}),
        (FlyteSecret("g", "v", "key", ENV), {"_UNION_G_V_KEY"}),
        (FlyteSecret("g", "v", "key", FILE), {"g/v/key"}),
        (FlyteSecret("", "", "key", FILE), {"key"}),
        (FlyteSecret("", "", "key", ANY), {"_UNION_KEY"}),
    ],
)
def test_6_readers_find_what_was_written(secret: FlyteSecret, places: set[str]) -> None:
    """The combinations that fail with Flyte's; tests/e2e/test_flyte_tasks.py has the readers themselves."""
    kit = kit_with({"key": b"v", "Tls-Cert": b"v"})
    mutated = kit.mutate(flyte_pod(secret))
    found = {entry["name"] for entry in container_of(mutated)["env"]}
    for volume in mutated["spec"].get("volumes", []):
        found |= {source["secret"]["items"][0]["path"] for source in volume["projected"]["sources"]}
    assert places <= found


def test_7_a_file_lies_under_its_key_as_it_is_and_in_lower_case() -> None:
    kit = kit_with({"Tls-Cert": b"v"})
    mutated = kit.mutate(flyte_pod(FlyteSecret("", "", "Tls-Cert", FILE, "CERT")))
    sources = mutated["spec"]["volumes"][0]["projected"]["sources"]
    paths = {source["secret"]["items"][0]["path"] for source in sources}
    told = {entry["name"]: entry.get("value") for entry in container_of(mutated)["env"]}
    assert paths == {"tls-cert", "Tls-Cert"}
    assert told["CERT"] == "/etc/flyte/secrets/Tls-Cert"


def test_8_versions_of_one_group_make_one_valid_volume() -> None:
    kit = kit_with({"db_1_cert": b"1", "db_2_cert": b"2"}, groups=Groups.NAMED)
    mutated = kit.mutate(flyte_pod(*(FlyteSecret("db", version, "cert", FILE) for version in "12")))
    [volume] = mutated["spec"]["volumes"]
    [mount] = container_of(mutated)["volumeMounts"]
    paths = [source["secret"]["items"][0]["path"] for source in volume["projected"]["sources"]]
    assert mount["name"] == volume["name"]
    assert sorted(paths) == ["db/1/cert", "db/2/cert"]


@pytest.mark.parametrize("bad", ["x;id>f", "$(id)", "`id`", 'a"b', "a|b", "a b", "a\nb"])
def test_9_nothing_of_a_request_reaches_a_shell(bad: str) -> None:
    kit = kit_with({"token": b"v"})
    for secret in (FlyteSecret(key=bad), FlyteSecret(bad, "", "token"), FlyteSecret("g", bad, "token")):
        assert kit.refusal(flyte_pod(secret))[0] == 400
    mutated = kit.mutate(flyte_pod(FlyteSecret("g", "v", "token", FILE)))
    assert "initContainers" not in mutated["spec"]
    assert not {"command", "args"} & set(container_of(mutated))


def test_10_no_container_of_the_users_swallows_values() -> None:
    kit = kit_with({"token": b"v"})
    theirs = [{"name": "init-embedded-secret", "image": "theirs"}]
    mutated = kit.mutate(flyte_pod(FlyteSecret("", "", "token", FILE), initContainers=theirs))
    assert container_of(mutated)["volumeMounts"]
    [init] = mutated["spec"]["initContainers"]
    assert set(init) == {"name", "image", "env", "volumeMounts"}


def test_11_files_are_there_before_the_users_first_init_container() -> None:
    kit = kit_with({"token": b"v"})
    theirs = [{"name": "first", "image": "theirs"}, {"name": "proxy", "restartPolicy": "Always"}]
    mutated = kit.mutate(flyte_pod(FlyteSecret("", "", "token", FILE), initContainers=theirs))
    assert [each["name"] for each in mutated["spec"]["initContainers"]] == ["first", "proxy"]
    assert all(each["volumeMounts"] for each in mutated["spec"]["initContainers"])


def test_12_variables_and_groups_are_heeded() -> None:
    wanted = [FlyteSecret("db", "", "password", ENV, "DB"), FlyteSecret("mail", "", "password", ENV, "MAIL")]
    kit = kit_with({"db_password": b"d", "mail_password": b"m"}, groups=Groups.NAMED)
    entries = container_of(kit.mutate(flyte_pod(*wanted)))["env"]
    secrets = {
        each["name"]: each["valueFrom"]["secretKeyRef"]["name"] for each in entries if "valueFrom" in each
    }
    assert secrets["DB"] == secrets["_UNION_DB_PASSWORD"]
    assert secrets["MAIL"] == secrets["_UNION_MAIL_PASSWORD"]
    assert secrets["DB"] != secrets["MAIL"]
    assert "_UNION_PASSWORD" not in secrets
    ignoring = kit_with({"password": b"p"})
    assert ignoring.refusal(flyte_pod(*wanted))[0] == 400  # rather than one value for both


def test_13_no_pod_starts_without_what_it_asked_for() -> None:
    kit = kit_with({"token": b"v"})
    assert kit.refusal(flyte_pod(FlyteSecret(key="missing"), flyte=1))[0] == 400
    reference = container_of(kit.mutate(flyte_pod(FlyteSecret(key="token"), flyte=1)))["env"][0]["valueFrom"]
    assert "optional" not in reference["secretKeyRef"]


class TestFourteen:
    """No switch for strangers, dry runs are dry, pull secrets are current, names are not guessed."""

    def test_14_there_is_nothing_to_invalidate(self) -> None:
        routes = InjectorRoutes(handler=Kit().handler, ready=lambda: True, metrics=lambda: b"")
        request = Request(b"POST", b"/invalidate-secret", b"{}", keep_alive=True)
        [answer] = routes([request])
        assert getattr(answer, "status", None) == 404
        kit = kit_with({"token": b"old"})
        before = kit.mutate(flyte_pod(FlyteSecret(key="token")))
        kit.reader.put("token", b"new")
        assert kit.mutate(flyte_pod(FlyteSecret(key="token"))) != before  # nor need

    def test_14_a_dry_run_writes_nothing(self) -> None:
        kit = kit_with({"token": b"v"})
        assert patch_of(kit.send(review(flyte_pod(FlyteSecret(key="token")), dryRun=True)))
        assert not kit.staging.values

    def test_14_a_pull_secret_is_the_current_one(self) -> None:
        kit = Kit(dialects=[FlyteDialect()])
        attached = []
        for auth in ("b2xk", "bmV3"):
            value = json.dumps({"auths": {"r.example": {"auth": auth}}}).encode()
            kit.reader.put("pull", value, type=SecretType.IMAGE_PULL)
            attached += kit.mutate(flyte_pod(FlyteSecret(key="pull")))["spec"]["imagePullSecrets"]
        assert attached[0] != attached[1]

    def test_14_names_of_staged_secrets_differ_by_installation(self) -> None:
        names = set()
        for _ in range(2):
            mutated = kit_with({"token": b"v"}).mutate(flyte_pod(FlyteSecret(key="token")))
            names.add(container_of(mutated)["env"][0]["valueFrom"]["secretKeyRef"]["name"])
        assert len(names) == 2


def test_15_a_long_group_makes_no_long_name() -> None:
    kit = kit_with({"token": b"v"})
    mutated = kit.mutate(flyte_pod(FlyteSecret("g" * 128, "v" * 128, "token", FILE)))
    [volume] = mutated["spec"]["volumes"]
    assert len(volume["name"]) <= 63
    paths = [source["secret"]["items"][0]["path"] for source in volume["projected"]["sources"]]
    assert max(len(part) for path in paths for part in path.split("/")) <= 255
