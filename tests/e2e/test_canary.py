"""A marked value goes through every path and error path at debug level, and is seen nowhere (I1, I2)."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import pty
import re
import select
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from admissions import NAMESPACE, pod, review
from canary import Canary, Search, planted
from harness import Server, head, read_reply, send_all_it_takes, token_file, value_in

Launch = Callable[..., Server]

SETTINGS = """
[logging]
level = "debug"
[server]
body_deadline = 0.5
[policy]
bindings = [{principal = "viewer", role = "viewer"}]
[flyte]
enabled = true
[injector.namespaces]
shop-production = {project = "shop", domain = "production"}
"""
WHERE = ("-p", "shop", "-d", "production")
SCOPE = {"project": "shop", "domain": "production"}
JSON = "Content-Type: application/json"


@pytest.fixture(params=["text", "binary"])
def canary(request: pytest.FixtureRequest) -> Canary:
    return Canary.text() if request.param == "text" else Canary.binary()


@pytest.mark.parametrize("kind", [Canary.text, Canary.binary])
def test_the_search_finds_every_form(kind: Callable[[], Canary]) -> None:
    canary = kind()
    for form, haystack in planted(canary):
        assert form in canary.seen_in(haystack)
    for shift in range(3):
        import base64

        assert canary.seen_in(base64.b64encode(b"x" * shift + canary.data + b"yz"))
    assert canary.seen_in(json.dumps({"value": canary.data.decode("latin-1")}).encode())
    assert kind().seen_in(canary.data) == []


class Journey:
    """All that is done with one marked value, and all that came out of it."""

    def __init__(self, server: Server, canary: Canary, inputs: Path, viewer: str) -> None:
        self.server = server
        self.canary = canary
        self.inputs = inputs
        self.viewer = viewer
        self.search = Search((canary,))
        self.value = value_in(canary.data)
        self.exit_codes: set[int] = set()
        self.statuses: set[int] = set()

    def input(self, name: str, data: bytes) -> str:
        """A file for a command to read, outside of what is searched."""
        path = self.inputs / name
        path.write_bytes(data)
        return str(path)

    def cli(self, *arguments: str, stdin: bytes = b"", keep: bool = True, **environ: str) -> bytes:
        """Run a command in debug mode and keep what it says."""
        done = self.server.cli(*arguments, stdin=stdin, environ={"SECRET_DEBUG": "1", **environ})
        self.exit_codes.add(done.returncode)
        self.search.add(f"stderr of {arguments}", done.stderr)
        return self.search.add(f"stdout of {arguments}", done.stdout) if keep else done.stdout

    def call(self, method: str, path: str, body: object = None, *, token: str = "", **headers: str) -> None:
        """Call the API and keep the answer."""
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        reply = self.server.call(method, path, body, query=None, token=token, headers=sent)
        self.statuses.add(reply.status)
        self.search.add(f"{method} {path} {headers}", repr(reply.headers).encode() + reply.body)

    def raw(self, data: bytes, *, answer: bool = True) -> None:
        """Send bytes to the API's socket and keep what comes back."""
        with self.server.connect(timeout=5) as connection:
            send_all_it_takes(connection, data)
            with contextlib.suppress(EOFError, ConnectionResetError):
                if answer:
                    reply = read_reply(connection)
                    self.statuses.add(reply.status)
                    self.search.add("raw", repr(reply.headers).encode() + reply.body)

    def admit(self, body: bytes) -> str:
        """Send bytes to the webhook; the reason of a refusal, or "allowed"."""
        parts = urlsplit(self.server.webhook)
        trust = ssl.create_default_context(cafile=str(self.server.ca_file))
        connection = HTTPSConnection(parts.hostname or "", parts.port, context=trust, timeout=10)
        connection.request("POST", parts.path, body, {"content-type": "application/json"})
        content = connection.getresponse().read()
        connection.close()
        self.search.add("webhook", content)
        if not content.startswith(b"{"):
            return "not answered"
        response = json.loads(content)["response"]
        import base64

        self.search.add("patch", base64.b64decode(response.get("patch") or ""))
        return "allowed" if response["allowed"] else str(response["status"]["reason"])


def calls_of_the_api(journey: Journey) -> None:
    value, call = journey.value, journey.call
    new = {"name": "api", **SCOPE, "value": value}
    path = "/v1/secrets/api?project=shop&domain=production"
    call("POST", "/v1/secrets", new)
    call("POST", "/v1/secrets?dry_run=true", {**new, "name": "dry"})
    call("POST", "/v1/secrets", new)
    call("PUT", path, {"value": value}, idempotency_key="k")
    call("PUT", path, {"value": value}, idempotency_key="k")
    call("POST", "/v1/secrets", {**new, "name": "other"}, idempotency_key="k")
    call("PUT", path, {"value": value}, if_match='"stale"')
    call("PUT", "/v1/secrets/absent?project=shop", {"value": value})
    for look in (
        path,
        "/v1/secrets",
        "/v1/explain/api?project=shop&domain=production",
        "/v1/whoami",
        "/metrics",
    ):
        call("GET", look)
    call("GET", "/openapi.json")


def calls_of_flytes_client(journey: Journey) -> None:
    import base64

    secret = base64.b64encode(journey.canary.data).decode()
    secrets = "/flyteidl2.secret.SecretService/"
    spec = {"binaryValue": secret}
    id = {"name": "flyte", **SCOPE}
    call = journey.call
    for _ in range(2):
        call("POST", secrets + "CreateSecret", {"id": id, "secretSpec": spec})
    call("POST", secrets + "UpdateSecret", {"id": id, "secretSpec": spec})
    call("POST", secrets + "UpdateSecret", {"id": {"name": "absent"}, "secretSpec": spec})
    call("POST", secrets + "GetSecret", {"id": id})
    call("POST", secrets + "ListSecrets", {})
    # Where a value must not be, and messages that are none.
    call("POST", secrets + "CreateSecret", {"id": id, "secretSpec": {**spec, "type": 99}})
    call("POST", secrets + "CreateSecret", {"id": id, "secretSpec": {secret: secret}})
    call("POST", secrets + "CreateSecret", {"id": id, "secretSpec": spec}, token="wrong")
    call("POST", secrets + "ListSecrets", {"token": secret})
    for kind in ("application/proto", "application/grpc", "text/plain", "application/json"):
        call("POST", secrets + "CreateSecret", journey.canary.data, content_type=kind)
    basic = "Basic " + base64.b64encode(b"admin:" + journey.canary.data).decode()
    call("POST", "/oauth2/token", journey.canary.data, authorization=basic)
    call("POST", secrets + "DeleteSecret", {"id": id})


def bad_calls_of_the_api(journey: Journey) -> None:
    value, call = journey.value, journey.call
    [text] = value.values()
    new = {"name": "bad", **SCOPE, "value": value}
    wrong_values: list[object] = [text, [text], {"text": [text]}, {"text": {text: text}}, {text: "x"}]
    wrong_values += [{"text": text, "base64": text}, {"base64": text + "?"}, {**value, text: 1}]
    wrong_values += [{"text": text + "\ud800"}, {"text": text + "x" * (1 << 20)}]
    for wrong in wrong_values:
        call("POST", "/v1/secrets", {**new, "value": wrong})
        call("PUT", "/v1/secrets/api?project=shop&domain=production", {"value": wrong})
    call("POST", "/v1/secrets", {**new, "type": "image-pull"})
    call("POST", "/v1/secrets", {**new, "unknown": text})
    call("POST", "/v1/secrets", {**new, "name": "not legal!"})
    call("POST", "/v1/secrets", {"name": "bad", "value": value})
    call("POST", "/v1/secrets", new, token=journey.viewer)
    call("POST", "/v1/secrets", new, token="wrong")
    body = json.dumps(new).encode()
    call("POST", "/v1/secrets", body[:-1])
    call("POST", "/v1/secrets", body, content_type="text/plain")
    call("POST", "/v1/secrets", body, content_encoding="br")
    call("POST", "/v1/secrets", gzip.compress(body, mtime=0)[:-9], content_encoding="gzip")
    call("POST", "/v1/secrets", journey.canary.data)
    call("PATCH", "/v1/secrets", new)
    call("POST", "/v1/nowhere", new)
    start = head("POST", "/v1/secrets", journey.server.token, JSON, "Content-Length: 100000")
    journey.raw(start + body)  # half a body and silence
    journey.raw(start + body, answer=False)  # half a body and gone
    journey.raw(head("GET", "/v1/whoami?value=" + text.encode().hex() + "&x", journey.server.token))
    journey.raw(b"GET " + journey.canary.data + b"\r\n\r\n")
    journey.raw(b"GET / HTTP/1.1\r\nAuthorization: Bearer " + journey.canary.data + b"\r\n\r\n")
    journey.raw(b"GET /v1/whoami HTTP/1.1\r\nAuthorization: Bearer " + text.encode() + b"\r\nHost: x\r\n\r\n")


def commands_that_write(journey: Journey) -> None:
    data, cli = journey.canary.data, journey.cli
    file = journey.input("value", data)
    for form in ("table", "json", "yaml", "name"):
        cli("create", f"cli-{form}", *WHERE, "-f", file, "-o", form)
    cli("create", "piped", *WHERE, stdin=data)
    cli("create", "piped", *WHERE, stdin=data)
    cli("create", "wide", "--org-wide", "-f", file)
    cli("create", "dry", *WHERE, "-f", file, "--dry-run")
    cli("update", "piped", *WHERE, "-f", "-", stdin=data + b"\n")
    cli("update", "piped", *WHERE, "-f", file, "--if-version", "stale")
    cli("update", "absent", *WHERE, "-f", file)
    cli("set", "piped", *WHERE, "-f", file)
    cli("set", "fresh", *WHERE, stdin=data)
    cli("create", "image", *WHERE, "-f", file, "--type", "image-pull")
    cli("create", "huge", *WHERE, stdin=data + bytes(2 << 20))
    cli("create", "unscoped", stdin=data)
    cli("create", "not legal!", *WHERE, stdin=data)
    cli("create", "denied", *WHERE, stdin=data, SECRET_TOKEN=journey.viewer)
    cli("create", "refused", *WHERE, stdin=data, SECRET_ENDPOINT="http://127.0.0.1:9", SECRET_TOKEN="t")
    cli("create", "impatient", *WHERE, "--timeout", "0.001", "-f", file)
    lines = [b"good='" + data.hex().encode() + b"'\n", b"bad=" + data + b"\n", b"'" + data, b"=" + data, data]
    for number, line in enumerate(lines):
        bad = journey.input(f"env-{number}", b"first=1\n" + line)
        cli("create", *WHERE, "--from-env-file", bad)
        cli("set", *WHERE, "--from-env-file", bad, "-o", "json")


def values_as_arguments(journey: Journey) -> None:
    """They are refused; and not repeated, though the shell has seen them already."""
    if b"\x00" in journey.canary.data:
        return
    text = journey.canary.data.decode()
    for arguments in (
        ("create", "a", *WHERE, "--value", text),
        ("create", "a", *WHERE, f"--value={text}"),
        ("update", "a", *WHERE, "--from-literal", text),
        ("create", "a", text, *WHERE),
        ("set", "a", text, text, *WHERE, "-o", "json"),
    ):
        journey.cli(*arguments)


def commands_that_look(journey: Journey) -> None:
    journey.cli("history", "piped", *WHERE)
    journey.cli("rollback", "piped", *WHERE, "--to", "v")
    for form in ("table", "json", "yaml", "name"):
        journey.cli("get", "piped", *WHERE, "-o", form)
        journey.cli("list", "-o", form)
        journey.cli("explain", "piped", *WHERE, *(() if form == "name" else ("-o", form)))
    journey.cli("whoami")
    journey.cli("audit")
    journey.cli("audit", "-o", "json")


def tasks(journey: Journey) -> None:
    data, cli = journey.canary.data, journey.cli
    shown = cli("run", *WHERE, "--file", "piped=v", "--", "sh", "-c", "cat $SECRET_FILES/v", keep=False)
    assert journey.canary.seen_in(shown), "the value doesn't reach the task, so nothing here proves anything"
    cli("run", *WHERE, "--file", "piped", "--", "true")
    cli("run", *WHERE, "--env", "piped", "--", "true")  # a binary one is refused
    cli("run", *WHERE, "--env", "piped", "--", "no-such-command")
    cli("run", *WHERE, "--env", "piped", "--file", "absent", "--", "true")
    cli("run", *WHERE, "--file", "piped", "--", "sh", "-c", "kill -9 $$")
    cli("create", "long", *WHERE, "-f", journey.input("long", data.replace(b"\x00", b"") + b"x" * 140_000))
    cli("run", *WHERE, "--env", "long", "--", "true")


#: A Python task with a state folder that tells all it can, as a crash reporter would.
PYTHON_TASK = """
import hashlib, traceback
from secrets_svc.task import Secret, requires_secrets, secrets

@requires_secrets({asked})
def task():
    value = secrets.get_bytes("piped")
    print(hashlib.sha256(value).hexdigest(), value, [value])
    text = secrets.get("piped")
    print(repr(text), [text])
    raise RuntimeError("of the task's own")

try:
    task()
except Exception as error:
    print(*traceback.TracebackException.from_exception(error, capture_locals=True).format())
"""


def python_tasks(journey: Journey) -> None:
    server = journey.server
    digest = hashlib.sha256(journey.canary.data).hexdigest().encode()
    for asked, arrives in (
        ('Secret("piped", file="v")', True),
        ('Secret("piped", env="V")', b"\x00" not in journey.canary.data),
        ('Secret("piped", file="v"), "absent"', False),
        ('Secret("piped", file="v"), Secret("long", env="LONG")', False),
    ):
        done = subprocess.run(
            [sys.executable, "-c", PYTHON_TASK.format(asked=asked)],
            env={
                **server.environment,
                "SECRET_DEBUG": "1",
                "SECRET_LOCAL_STATE": str(server.state),
                "SECRET_PROJECT": "shop",
                "SECRET_DOMAIN": "production",
            },
            cwd=server.folder,
            capture_output=True,
            timeout=60,
            check=False,
        )
        said = journey.search.add(f"python task {asked}", done.stdout + done.stderr)
        assert (digest in said) == arrives, said


def admissions(journey: Journey) -> None:
    seen = [
        journey.admit(review(pod([{"name": "piped", "file": "v"}]), dry_run=dry))
        for dry in (True, False, False)
    ]
    assert seen == ["allowed"] * 3
    expected = "invalid_argument" if b"\x00" in journey.canary.data else "allowed"
    assert journey.admit(review(pod([{"name": "piped", "env": "V"}]))) in (expected, "unsupported")
    assert journey.admit(review(pod([{"name": "long", "env": "V"}]))) != "allowed"
    assert journey.admit(review(pod([{"name": "absent"}]))) == "not_found"
    assert journey.admit(review(pod([{"name": "piped"}]), namespace="nobodys")) == "permission_denied"
    text = journey.canary.data.decode("latin-1")
    assert journey.admit(review(pod([{"name": "piped", "value": text}]))) == "invalid_argument"
    own = pod([{"name": "piped", "file": "v"}])
    own["spec"]["containers"][0].setdefault("env", []).append({"name": "OWN", "value": text})
    assert journey.admit(review(own)) == "allowed"
    assert journey.admit(review(own)[:-40]) == "not answered"
    request = json.dumps([{"name": "piped", "file": "v"}])
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "a", "annotations": {"secrets-svc.internal/request": request}},
        "spec": {"containers": [{"name": "main", "image": "example"}]},
    }
    file = journey.input("pod.json", json.dumps(manifest).encode())
    for form in ("table", "json", "yaml"):
        journey.cli("check", file, "-n", NAMESPACE, "-o", form)
    absent = journey.input("absent.json", json.dumps(manifest).replace("piped", "absent").encode())
    journey.cli("check", absent, "-n", NAMESPACE)
    journey.cli("run", "--pod", file, *WHERE, "--", "true")


def prompts(journey: Journey) -> None:
    """Typed at a terminal: shown by nobody. Terminals hand over text only."""
    if b"\x00" in journey.canary.data:
        return
    typed = journey.canary.data + b"\n"
    code, screen = at_a_terminal(journey.server, ["create", "typed", *WHERE], [typed, typed])
    assert code == 0, screen
    journey.search.add("terminal", screen)
    code, screen = at_a_terminal(journey.server, ["create", "twice", *WHERE], [typed, b"x" + typed])
    assert code == 2
    journey.search.add("terminal, entries differ", screen)


def at_a_terminal(server: Server, arguments: list[str], entries: list[bytes]) -> tuple[int, bytes]:
    """Run a command at a terminal of its own, typing each entry when it asks; exit code and screen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *arguments],
        env={**server.environment, "SECRET_DEBUG": "1", "TERM": "dumb"},
        cwd=server.folder,
        preexec_fn=lambda: os.login_tty(theirs),  # noqa: PLW1509  # only system calls
        pass_fds=(theirs,),
    )
    os.close(theirs)
    screen, asked, deadline = b"", 0, time.monotonic() + 30
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 0.5)[0]:
                continue
            try:
                block = os.read(ours, 65536)
            except OSError:  # EIO: the other side has gone
                break
            if not block:
                break
            screen += block
            if asked < len(entries) and screen.count(b": ") > asked:
                os.write(ours, entries[asked])
                asked += 1
        return process.wait(10), screen
    finally:
        process.kill()
        process.wait(10)
        os.close(ours)


def maintenance(journey: Journey) -> None:
    cli = journey.cli
    state = str(journey.server.state)
    cli("keys", "rotate", "--state", state)
    saved, restored = journey.server.folder / "saved.tar", journey.server.folder / "restored"
    cli("backup", str(saved), "--state", state)
    assert saved.stat().st_size > 0
    cli("restore", str(saved), "--state", str(restored))
    assert (restored / "secrets.db").exists()
    cli("restore", str(saved), "--state", state)  # held by the server
    cli("backup", str(saved), "--state", state)  # there already
    shown = cli("run", *WHERE, "--file", "piped=v", "--", "sh", "-c", "cat $SECRET_FILES/v", keep=False)
    assert journey.canary.seen_in(shown)


def deletions(journey: Journey) -> None:
    journey.cli("delete", "piped", "fresh", *WHERE, "--yes")
    journey.cli("delete", "piped", *WHERE, "--yes")
    journey.cli("delete", "piped", *WHERE)
    journey.call("DELETE", "/v1/secrets/api?project=shop&domain=production")
    assert journey.admit(review(pod([{"name": "piped", "file": "v"}]))) == "not_found"


TRAVELS = {
    "create": commands_that_write,
    "update": commands_that_write,
    "set": commands_that_write,
    "delete": deletions,
    "get": commands_that_look,
    "list": commands_that_look,
    "history": commands_that_look,
    "rollback": commands_that_look,
    "explain": commands_that_look,
    "whoami": commands_that_look,
    "audit": commands_that_look,
    "run": tasks,
    "check": admissions,
    "keys": maintenance,
    "backup": maintenance,
    "restore": maintenance,
    "serve": None,  # the server itself
    "login": None,  # takes no value
    "settings": None,  # takes no value
    "backend": None,  # takes no value
    "import": None,  # asks for metadata alone
}


def test_every_command_is_on_the_journey(launch: Launch) -> None:
    server = launch()
    server.prepare()
    said = server.cli("--help").stdout.decode()
    commands = set(re.findall(r"^  ([a-z]+)  +\S", said.partition("Secrets:")[2], re.MULTILINE))
    assert commands == set(TRAVELS)


@pytest.mark.slow
def test_a_value_is_seen_nowhere(launch: Launch, canary: Canary, tmp_path: Path) -> None:
    server = launch()
    viewer, entry = token_file(server.folder, "viewer")
    server.settings = SETTINGS + entry
    server.start()
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    journey = Journey(server, canary, inputs, viewer)
    try:
        calls_of_the_api(journey)
        bad_calls_of_the_api(journey)
        calls_of_flytes_client(journey)
        commands_that_write(journey)
        values_as_arguments(journey)
        commands_that_look(journey)
        tasks(journey)
        python_tasks(journey)
        admissions(journey)
        prompts(journey)
        maintenance(journey)
        look_at_the_process(journey, server.pid)
        journey.search.add_files(server.folder)  # while it runs: the database's log is not merged yet
        deletions(journey)
        journey.call("GET", "/metrics")
    finally:
        server.stop()
    assert {200, 201, 204, 400, 401, 403, 404, 409, 412, 413, 504} <= journey.statuses
    assert {0, 2, 3, 4, 5, 6} <= journey.exit_codes
    assert journey.search.add_files(server.folder) > 10
    assert "WARNING" in server.log  # of what was no HTTP
    assert len(journey.search.haystacks) > 200
    assert journey.search.hits() == []

    # The search looks where it says: a marker planted in the state folder is found.
    (server.state / "planted").write_bytes(b"x" + canary.data)
    control = Search((canary,))
    control.add_files(server.folder)
    assert [form for place, form in control.hits() if "planted" in place]


def look_at_the_process(journey: Journey, pid: int) -> None:
    """What others on the machine can see of a server (proc(5))."""
    process = Path(f"/proc/{pid}")
    journey.search.add("cmdline", (process / "cmdline").read_bytes())
    with contextlib.suppress(PermissionError):  # hidden from its own user: better still
        journey.search.add("environ", (process / "environ").read_bytes())
    journey.search.add("open files", "\n".join(map(str, _links(process / "fd"))).encode())


def _links(folder: Path) -> list[str]:
    found = []
    with contextlib.suppress(PermissionError):
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(path))
    return found
