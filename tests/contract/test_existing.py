"""Existing secrets in Vault (OpenBao) and AWS (moto), with identities that may do what is printed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from bao import Bao
from existing_suite import ExistingSuite, path
from moto_server import REGION, Moto, on_everything, profiles, running

from secrets_svc.backends.aws import BACKEND as AWS
from secrets_svc.backends.existing.reader import ExistingReader
from secrets_svc.backends.existing.writer import ExistingWriter
from secrets_svc.backends.vault.backend import BACKEND as VAULT
from secrets_svc.backends.vault.settings import VaultSettings
from secrets_svc.core.errors import InvalidArgument, Unavailable
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef

NOWHERE = Path("/nowhere")
IN_SHOP = Scope("flyte", project="shop")


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    with Bao(tmp_path_factory.mktemp("bao")) as server:
        server.call("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
        yield server


class OutsideVault:
    keyed = False
    cases = True

    def __init__(self, bao: Bao) -> None:
        self.bao = bao
        self.folder = f"apps-{secrets.token_hex(4)}"
        self.opened = ExitStack()

    def template(self, template: str) -> str:
        return f"{self.folder}/{template}"

    def put(self, path: str, document: dict[str, Any]) -> None:
        self.bao.call("POST", f"secret/data/{path}", {"data": document})

    def remove(self, path: str) -> None:
        self.bao.call("DELETE", f"secret/data/{path}")

    def reader(self, template: str, **settings: Any) -> ExistingReader:
        reader: Any = VAULT.open_reader(self.settings(template, **settings), state=NOWHERE)
        self.opened.callback(reader.close)
        return reader  # type: ignore[no-any-return]

    def writer(self, template: str, **settings: Any) -> ExistingWriter:
        writer: Any = VAULT.open_writer(self.settings(template, **settings), state=NOWHERE)
        self.opened.callback(writer.close)
        return writer  # type: ignore[no-any-return]

    def settings(self, template: str, **more: Any) -> VaultSettings:
        login = {"method": "token", "token": "unused"}
        plain = {"address": self.bao.address, "existing": template, "login": login, "timeout": 20.0, **more}
        for role in ("writer", "reader"):
            name = f"{role}-{secrets.token_hex(4)}"
            self.bao.policy(name, VAULT.policy(VaultSettings.model_validate(plain), role=role))  # type: ignore[attr-defined]
            plain[role] = {"method": "token", "token": self.bao.token_with(name)}
        return VaultSettings.model_validate(plain)


class TestVault(ExistingSuite):
    @pytest.fixture
    def outside(self, bao: Bao) -> Iterator[OutsideVault]:
        made = OutsideVault(bao)
        yield made
        made.opened.close()

    def test_a_document_as_a_whole_is_compact_json(self, outside: OutsideVault) -> None:
        template = outside.template("{project}/{name}")
        outside.put(path(template, project="shop", name="db"), {"user": "ü", "port": 5432, "tls": True})
        ref = SecretRef(IN_SHOP, "db")
        reader = outside.reader(template)
        token = reader.resolve([ref])[ref].token
        whole = json.loads(reader.read(ref, token).value.reveal_bytes())
        assert whole == {"user": "ü", "port": 5432, "tls": True}
        assert reader.read_field(ref, token, "port").value.reveal_bytes() == b"5432"
        with pytest.raises(InvalidArgument, match="neither text nor a whole number"):
            reader.read_field(ref, token, "tls")

    def test_the_writer_is_refused_every_value_and_both_what_lies_elsewhere(
        self, outside: OutsideVault
    ) -> None:
        template = outside.template("{project}/{name}")
        outside.put(path(template, project="shop", name="db"), {"a": "b"})
        outside.put(f"{outside.folder}-other/shop/db", {"a": "b"})
        outside.put(f"{outside.folder}/shop/deeper/db", {"a": "b"})
        settings = outside.settings(template)
        assert settings.writer is not None
        assert settings.reader is not None
        writer, reader = settings.writer.token, settings.reader.token
        for token, verb, place, allowed in [
            (writer, "GET", f"data/{outside.folder}/shop/db", False),
            (writer, "GET", f"metadata/{outside.folder}/shop/db", True),
            (reader, "GET", f"data/{outside.folder}/shop/db", True),
            (reader, "GET", f"data/{outside.folder}-other/shop/db", False),
            (reader, "GET", f"data/{outside.folder}/shop/deeper/db", False),
            (reader, "LIST", f"metadata/{outside.folder}/shop/", False),
            (reader, "POST", f"data/{outside.folder}/shop/db", False),
            (writer, "POST", f"data/{outside.folder}/shop/db", False),
        ]:
            body = {"data": {"a": "c"}} if verb == "POST" else None
            status, _ = outside.bao.answer(verb, f"secret/{place}", body, token=token)
            assert (status == 200) == allowed, (verb, place, status)

    def test_a_destroyed_version_is_absent_and_missing_rights_are_not(self, outside: OutsideVault) -> None:
        template = outside.template("{project}/{name}")
        where = path(template, project="shop", name="db")
        outside.put(where, {"a": "b"})
        ref = SecretRef(IN_SHOP, "db")
        outside.bao.call("PUT", f"secret/destroy/{where}", {"versions": [1]})
        assert outside.reader(template).resolve([ref]) == {}
        nobody = {"method": "token", "token": outside.bao.token_with("none-at-all")}
        settings = outside.settings(template).model_copy(update={"reader": None})
        settings = VaultSettings.model_validate(
            {"address": settings.address, "existing": template, "login": nobody}
        )
        reader = VAULT.open_reader(settings, state=NOWHERE)
        with pytest.raises(Unavailable, match="policies allow nothing there"):
            reader.resolve([ref])
        reader.close()

    def test_other_engines_are_named(self, outside: OutsideVault) -> None:
        ref = SecretRef(IN_SHOP, "db")
        login = {"method": "token", "token": outside.bao.token}
        for mount, said in (("old", "KV engine of version 1"), ("nowhere", "no engine mounted")):
            settings = VaultSettings.model_validate(
                {
                    "address": outside.bao.address,
                    "existing": "{project}/{name}",
                    "login": login,
                    "mount": mount,
                }
            )
            reader = VAULT.open_reader(settings, state=NOWHERE)
            with pytest.raises(Unavailable, match=said):
                reader.resolve([ref])
            reader.close()

    def test_a_template_may_begin_at_the_mount(self, outside: OutsideVault) -> None:
        name = f"n{secrets.token_hex(4)}"
        outside.put(f"shop/conf/{name}", {"a": "b"})
        template = "{project}/conf/{name}#a"
        found = [item.ref for item in outside.writer(template).list(Scope("flyte")).items]
        assert SecretRef(IN_SHOP, name) in found


@pytest.fixture(scope="module")
def enforcing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Moto, dict[str, Any], Any]]:
    """A server that asks IAM, and its administrator."""
    folder = tmp_path_factory.mktemp("enforcing")
    settings = AWS.settings_model(region=REGION, existing="any/{name}")
    with running(folder) as moto:
        sides = {
            role: moto.user(on_everything(AWS.policy(settings, role=role))) for role in ("writer", "reader")
        }  # type: ignore[attr-defined]
        everything = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
        }
        admin = moto.user(json.dumps(everything))
        moto.enforce(True)
        yield (
            moto,
            {"credentials": profiles(folder / "credentials", **sides)},
            moto.client("secretsmanager", **admin),
        )


class OutsideAws:
    keyed = False
    cases = True

    def __init__(self, moto: Moto, admin: Any) -> None:
        self.moto = moto
        self.admin = admin
        self.prefix = f"prod-{secrets.token_hex(4)}"
        self.opened = ExitStack()

    def template(self, template: str) -> str:
        return f"{self.prefix}/{template}"

    def put(self, path: str, document: Any) -> None:
        text = document if isinstance(document, str) else json.dumps(document)
        try:
            self.admin.restore_secret(SecretId=path)
            self.admin.put_secret_value(SecretId=path, SecretString=text)
        except self.admin.exceptions.ResourceNotFoundException:
            self.admin.create_secret(Name=path, SecretString=text)

    def remove(self, path: str) -> None:
        self.admin.delete_secret(SecretId=path)

    def reader(self, template: str) -> ExistingReader:
        reader: Any = AWS.open_reader(self.settings(template, "reader"), state=NOWHERE)
        self.opened.callback(reader.close)
        return reader  # type: ignore[no-any-return]

    def writer(self, template: str) -> ExistingWriter:
        writer: Any = AWS.open_writer(self.settings(template, "writer"), state=NOWHERE)
        self.opened.callback(writer.close)
        return writer  # type: ignore[no-any-return]

    def settings(self, template: str, profile: str) -> Any:
        return AWS.settings_model(
            region=REGION, endpoint_url=self.moto.url, existing=template, profile=profile, timeout=20.0
        )


class TestAws(ExistingSuite):
    @pytest.fixture
    def outside(
        self, enforcing: Any, aws_environment: None, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[OutsideAws]:
        moto, files, admin = enforcing
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(files["credentials"]))
        made = OutsideAws(moto, admin)
        yield made
        made.opened.close()

    def test_text_that_is_no_object_is_a_value_without_fields(self, outside: OutsideAws) -> None:
        template = outside.template("{project}/{name}")
        ref = SecretRef(IN_SHOP, "db")
        reader = outside.reader(template)
        for text in ("plain", "[1]", '"a"', "{"):
            outside.put(path(template, project="shop", name="db"), text)
            token = reader.resolve([ref])[ref].token
            assert reader.read(ref, token).value.reveal_bytes() == text.encode()
            with pytest.raises(InvalidArgument, match="its value is no JSON object"):
                reader.read_field(ref, token, "a")

    def test_fields_are_text_or_whole_numbers(self, outside: OutsideAws) -> None:
        template = outside.template("{project}/{name}")
        ref = SecretRef(IN_SHOP, "db")
        text = '{"port": 5432, "rate": 1.5, "on": true, "none": null, "list": [], "half": "\\ud800"}'
        outside.put(path(template, project="shop", name="db"), text)
        reader = outside.reader(template)
        token = reader.resolve([ref])[ref].token
        assert reader.read_field(ref, token, "port").value.reveal_bytes() == b"5432"
        for field in ("rate", "on", "none", "list"):
            with pytest.raises(InvalidArgument, match="neither text nor a whole number"):
                reader.read_field(ref, token, field)
        with pytest.raises(InvalidArgument, match="half of a character"):
            reader.read_field(ref, token, "half")

    def test_the_writer_is_refused_every_value(self, outside: OutsideAws) -> None:
        template = outside.template("{project}/{name}")
        outside.put(path(template, project="shop", name="db"), {"a": "b"})
        places: Any = AWS.open_reader(outside.settings(template, "writer"), state=NOWHERE)
        ref = SecretRef(IN_SHOP, "db")
        token = places.resolve([ref])[ref].token
        with pytest.raises(Unavailable):
            places.read(ref, token)
        places.close()


def test_the_printed_policies_name_what_the_template_covers() -> None:
    settings = AWS.settings_model(region=REGION, existing="prod/{project}/{name}#password")
    reader = json.loads(AWS.policy(settings, role="reader", account="123456789012"))  # type: ignore[attr-defined]
    arn = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:prod/*/*-??????"
    assert {each["Resource"] for each in reader["Statement"]} == {arn}
    actions = [action for each in reader["Statement"] for action in each["Action"]]
    assert actions == ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
    writer = json.loads(AWS.policy(settings, role="writer"))  # type: ignore[attr-defined]
    actions = [action for each in writer["Statement"] for action in each["Action"]]
    assert actions == ["secretsmanager:DescribeSecret", "secretsmanager:ListSecrets"]
