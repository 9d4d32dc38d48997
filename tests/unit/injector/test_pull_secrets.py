"""Secrets that a pod's images are pulled with: for pods that ask, and for all pods of a proven scope."""

from __future__ import annotations

import json
from typing import Any

import pytest
from admissions import REQUEST, STATUS, Kit, patch_of, pod
from flyte_pods import flyte_pod

from injector.dialects import ours
from injector.dialects.flyte import FlyteDialect
from injector.dialects.flyte_text import FlyteSecret, Mount
from injector.proofs import NamespaceTemplate
from injector.requests import SecretRequest
from secrets_svc.core.errors import Unavailable
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretType

DOCKER = b'{"auths": {"registry.example": {"auth": "dTpw"}}}'
ORGANIZATION = Scope("flyte")


def kit_of(**options: Any) -> Kit:
    kit = Kit(dialects=[ours, FlyteDialect()], **options)
    kit.reader.put("registry", DOCKER, ORGANIZATION, SecretType.IMAGE_PULL)
    kit.reader.put("password", b"v")
    return kit


@pytest.fixture
def kit() -> Kit:
    return kit_of()


@pytest.fixture
def for_all() -> Kit:
    return kit_of(pulls=[SecretRequest("registry", optional=True, attach=True)])


def pulled_with(kit: Kit, mutated: dict[str, Any]) -> list[bytes | str]:
    """What the pod's images are pulled with: a staged value, or the name of a Secret of its own."""
    assert kit.staging.values is not None
    names = [each["name"] for each in mutated["spec"].get("imagePullSecrets", [])]
    values = kit.staging.values
    return [values[name].reveal_bytes() if name in values else name for name in names]


class TestAsked:
    """A pod asks by name."""

    def test_the_secret_is_attached_and_is_nowhere_else(self, kit: Kit) -> None:
        mutated = kit.mutate(pod([{"name": "registry", "image_pull": True}]))
        assert pulled_with(kit, mutated) == [DOCKER]
        assert set(mutated["spec"]) == {"containers", "imagePullSecrets"}
        assert mutated["spec"]["containers"] == [{"name": "main", "image": "task:1"}]
        [entry] = json.loads(mutated["metadata"]["annotations"][STATUS])
        assert (entry["name"], entry["image_pull"]) == ("registry", True)
        assert "env" not in entry

    def test_the_pods_own_stay_in_front(self, kit: Kit) -> None:
        own = [{"name": "mine"}, {"name": "also-mine"}]
        mutated = kit.mutate(pod([{"name": "registry", "image_pull": True}], imagePullSecrets=own))
        assert pulled_with(kit, mutated) == ["mine", "also-mine", DOCKER]
        assert "patch" not in kit.admit(mutated)

    def test_the_current_version_is_attached_and_another_replaced(self, kit: Kit) -> None:
        asking = pod([{"name": "registry", "image_pull": True}], imagePullSecrets=[{"name": "mine"}])
        before = kit.mutate(asking)
        newer = DOCKER.replace(b"dTpw", b"bmV3")
        kit.reader.put("registry", newer, ORGANIZATION, SecretType.IMAGE_PULL)
        assert pulled_with(kit, kit.mutate(asking)) == ["mine", newer]
        assert pulled_with(kit, kit.mutate(before)) == ["mine", newer]

    def test_of_another_type_it_is_refused(self, kit: Kit) -> None:
        code, message = kit.refusal(pod([{"name": "password", "image_pull": True}]))
        assert code == 400
        assert 'secret "password" (image_pull): invalid_argument; it is of type generic' in message

    def test_absent_it_is_refused_unless_optional(self, kit: Kit) -> None:
        assert kit.refusal(pod([{"name": "other", "image_pull": True}]))[0] == 400
        mutated = kit.mutate(pod([{"name": "other", "image_pull": True, "optional": True}]))
        assert "imagePullSecrets" not in mutated["spec"]

    @pytest.mark.parametrize(
        "more", [{"env": "A"}, {"file": "a"}, {"containers": ["main"]}, {"field": "auths"}, {"mode": "0400"}]
    )
    def test_it_goes_with_nothing_that_is_a_containers(self, kit: Kit, more: dict[str, Any]) -> None:
        code, message = kit.refusal(pod([{"name": "registry", "image_pull": True, **more}]))
        assert (code, kit.reader.calls) == (400, 0)
        assert "image_pull goes with name, version and optional only" in message

    def test_it_is_true_or_false(self, kit: Kit) -> None:
        assert kit.refusal(pod([{"name": "registry", "image_pull": "yes"}]))[0] == 400
        mutated = kit.mutate(pod([{"name": "registry", "image_pull": False}]))
        assert "imagePullSecrets" not in mutated["spec"]

    def test_as_a_variable_it_has_the_key_of_its_kind(self, kit: Kit) -> None:
        mutated = kit.mutate(pod([{"name": "registry", "env": "R"}, {"name": "registry", "file": "r"}]))
        [entry] = mutated["spec"]["containers"][0]["env"]
        [source] = mutated["spec"]["volumes"][0]["projected"]["sources"]
        assert entry["valueFrom"]["secretKeyRef"]["key"] == ".dockerconfigjson"
        assert source["secret"]["items"] == [{"key": ".dockerconfigjson", "path": "r"}]
        assert "patch" not in kit.admit(mutated)

    def test_a_reference_of_the_pods_own_to_something_staged_is_refused(self, kit: Kit) -> None:
        stolen = [{"name": "ss-0123456789012345678901234567890123456789"}]
        code, message = kit.refusal(pod([{"name": "password"}], imagePullSecrets=stolen))
        assert (code, kit.reader.calls) == (400, 0)
        assert "imagePullSecrets refers to a Secret" in message
        mutated = kit.mutate(pod([{"name": "registry", "image_pull": True}], imagePullSecrets=stolen))
        assert pulled_with(kit, mutated) == [DOCKER]  # what it brought is not there any more


class TestAskedByFlytesPods:
    """Flyte's annotations don't say the type: the secret does."""

    def test_a_pull_secret_is_attached_and_where_readers_look(self, kit: Kit) -> None:
        mutated = kit.mutate(flyte_pod(FlyteSecret(key="registry", mount=Mount.ENV_VAR, env_var="R")))
        assert pulled_with(kit, mutated) == [DOCKER]
        names = [entry["name"] for entry in mutated["spec"]["containers"][0]["env"]]
        assert names == ["R", "_UNION_REGISTRY", "FLYTE_SECRETS_ENV_PREFIX"]
        assert "patch" not in kit.admit(mutated)

    def test_others_are_not_attached(self, kit: Kit) -> None:
        mutated = kit.mutate(flyte_pod(FlyteSecret(key="password")))
        assert "imagePullSecrets" not in mutated["spec"]


class TestForAll:
    """The operator gives some to every pod of a proven scope."""

    def test_a_pod_that_asks_for_nothing_gets_them(self, for_all: Kit) -> None:
        bare = pod()
        del bare["metadata"]["annotations"]
        for asking in (pod(), bare):
            mutated = for_all.mutate(asking)
            assert pulled_with(for_all, mutated) == [DOCKER]
            # It says that it asks: so guards know it, and its owner can read why.
            [request] = json.loads(mutated["metadata"]["annotations"][REQUEST])
            assert request == {"name": "registry", "image_pull": True, "optional": True}
            assert "patch" not in for_all.admit(mutated)

    def test_pods_that_ask_get_them_too(self, for_all: Kit) -> None:
        for asking in (pod([{"name": "password"}]), flyte_pod(FlyteSecret(key="password"))):
            mutated = for_all.mutate(asking)
            assert pulled_with(for_all, mutated) == [DOCKER]
            assert "patch" not in for_all.admit(mutated)

    def test_asked_for_as_well_it_is_attached_once(self, for_all: Kit) -> None:
        mutated = for_all.mutate(pod([{"name": "registry", "image_pull": True}]))
        assert pulled_with(for_all, mutated) == [DOCKER]

    def test_without_a_proven_scope_the_pod_is_let_in_as_it_is_and_nothing_is_read(
        self, for_all: Kit
    ) -> None:
        assert "patch" not in for_all.admit(pod(), namespace="elsewhere")
        claiming = pod()
        claiming["metadata"]["labels"] = {"secrets-svc.internal/project": "bank"}
        response = for_all.admit(claiming)
        assert "patch" not in response
        assert response["warnings"][0].startswith("it gets no image-pull secrets of its scope: ")
        claiming["metadata"]["labels"]["secrets-svc.internal/project"] = "no label"
        assert "patch" not in for_all.admit(claiming)
        assert for_all.reader.calls == 0

    def test_a_pod_of_flytes_that_asks_for_nothing_is_known_by_flytes_labels(self) -> None:
        proof = NamespaceTemplate("flyte", "{project}-{domain}", ["production"])
        kit = kit_of(pulls=[SecretRequest("registry", optional=True, attach=True)], proofs=[proof])
        assert pulled_with(kit, kit.mutate(flyte_pod())) == [DOCKER]
        assert "patch" not in kit.admit(flyte_pod(project="bank"))

    def test_a_narrower_one_wins(self, for_all: Kit) -> None:
        own = DOCKER.replace(b"dTpw", b"b3du")
        for_all.reader.put("registry", own, Scope("flyte", "production", "shop"), SecretType.IMAGE_PULL)
        assert pulled_with(for_all, for_all.mutate(pod())) == [own]

    def test_absent_it_stops_no_pod(self, for_all: Kit) -> None:
        for_all.reader.values.clear()
        response = for_all.admit(pod())
        assert response["allowed"]
        assert response["warnings"] == ['optional secret "registry" (image_pull) is absent']

    @pytest.mark.parametrize(
        ("value", "type"),
        [
            (b"anything", SecretType.GENERIC),
            (b"{}", SecretType.IMAGE_PULL),
            (DOCKER.decode().encode("utf-16"), SecretType.IMAGE_PULL),
            (b"\xef\xbb\xbf" + DOCKER, SecretType.IMAGE_PULL),
            (b'{"auths": {"r": {"auth": NaN}}}', SecretType.IMAGE_PULL),
        ],
    )
    def test_one_that_pulls_nothing_stops_no_pod(self, for_all: Kit, value: bytes, type: SecretType) -> None:
        """Somebody in the project may have made it, by the same name."""
        for_all.reader.put("registry", value, Scope("flyte", "production", "shop"), type)
        for dry_run in (False, True):
            response = for_all.admit(pod(), dryRun=dry_run)
            assert response["allowed"]
            assert not any(op["path"] == "/spec/imagePullSecrets" for op in patch_of(response))
            assert 'optional secret "registry" (image_pull) is left out: ' in response["warnings"][0]
        code, _ = for_all.refusal(pod([{"name": "registry", "image_pull": True}]))
        assert code == 400  # who asks for it hears so

    def test_a_store_that_fails_is_no_absence(self, for_all: Kit) -> None:
        for_all.reader.failing = Unavailable("it is down")
        assert for_all.refusal(pod())[0] == 503

    def test_a_dry_run_writes_nothing(self, for_all: Kit) -> None:
        response = for_all.admit(pod(), dryRun=True)
        assert any(op["path"] == "/spec/imagePullSecrets" for op in patch_of(response))
        assert not for_all.staging.values
