"""The main job, shown on this machine: from ``secret create`` to the task's process. No root, no cluster.

Run by ``make demo``; with ``BACKEND=vault`` or ``BACKEND=aws`` values are in a real OpenBao server, or in
moto's AWS. Every step prints the command as typed and its real output, and is checked; at the
end the values are searched for wherever they must not be. The exit code says whether all was as said.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "support"))

from ready_stores import BACKENDS, Store

SECRET = Path(sys.executable).parent / "secret"
SCOPE = ("-p", "shop", "-d", "production")
RUN = ("run", "--settings", "settings.toml")
#: A task of ours: it prints digests of what it got, never values.
TASK = r"""
import hashlib, os, pathlib
digest = lambda data: hashlib.sha256(data).hexdigest()[:16]
print("env  DB_PASSWORD ", digest(os.environb[b"DB_PASSWORD"]))
folder = pathlib.Path(os.environ["SECRET_FILES"])
for path in sorted(p for p in folder.rglob("*") if p.is_file()):
    print("file", path.relative_to(folder), digest(path.read_bytes()))
"""
POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: report
  namespace: shop-production
  annotations:
    secrets-svc.internal/request: |
      [{"name": "db-password"},
       {"name": "tls-key", "file": "tls/key.pem"},
       {"name": "model", "file": "model.bin", "mode": "0440"}]
spec:
  securityContext: {runAsUser: 1000, fsGroup: 1000}
  containers:
  - name: main
    image: registry.example/report:1
    command: ["python", "report.py"]
    env:
    - {name: DATABASE, value: "postgres://app:$(DB_PASSWORD)@db/shop"}
"""


class Demo:
    """A server in a temporary folder, and what was said to it and by it.

    :param folder: everything lies in it and goes with it.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder = folder
        self.settings = folder / "settings.toml"
        self.settings.write_text(store.settings)
        self.state = folder / "state"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "SECRET_CONFIG": str(folder / "config.toml"),
            "SECRETS_SVC_SERVER__LISTEN": "127.0.0.1:0",
            "SECRETS_SVC_INJECTOR__LISTEN": "127.0.0.1:0",
            "SECRETS_SVC_LOGGING__LEVEL": "debug",
            **store.environment,
        }
        self.replies: list[bytes] = []
        self.log = folder / "server.log"
        self.values: dict[str, bytes] = {}

    def start(self) -> subprocess.Popen[bytes]:
        """``secret serve all``; returns once it is ready."""
        say_command(f"secret serve all --state {self.state.name} --settings {self.settings.name} &")
        with self.log.open("wb") as log:
            server = subprocess.Popen(
                [SECRET, "serve", "all", "--state", self.state, "--settings", self.settings],
                env=self.environment,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 30
        while b"ready" not in self.log.read_bytes():
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the server did not start:\n{self.log.read_text()}")
            time.sleep(0.05)
        show(self.log.read_bytes())
        return server

    def value(self, name: str, data: bytes) -> bytes:
        """Remember ``data`` as a value to search for."""
        self.values[name] = data
        return data

    def run(self, *arguments: str, stdin: bytes = b"", typed: str = "", expect: int = 0) -> str:
        """Run a command, show it and its output, and hold it to its exit code."""
        say_command(typed or "secret " + " ".join(arguments))
        done = subprocess.run(
            [SECRET, *arguments],
            input=stdin,
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
        )
        show(done.stdout)
        self.replies.append(done.stdout)
        ensure(done.returncode == expect, f"exit code {done.returncode}, not {expect}")
        return done.stdout.decode()


def main() -> None:
    """All steps."""
    begun = time.monotonic()
    kind = os.environ.get("BACKEND") or "local"
    if kind not in BACKENDS:
        sys.exit(f"BACKEND is one of {', '.join(BACKENDS)}")
    with (
        tempfile.TemporaryDirectory(prefix="secrets-svc-demo-") as folder,
        tempfile.TemporaryDirectory(prefix="secrets-svc-store-") as elsewhere,
        BACKENDS[kind](Path(elsewhere)) as store,
    ):
        demo = Demo(Path(folder), store)
        step(f"A server: API, admission webhook, and a store of the kind {kind}, in one process")
        server = demo.start()
        try:
            create_secrets(demo)
            look_around(demo)
            check_pod(demo)
            run_task(demo)
            update_and_delete(demo)
        finally:
            server.send_signal(signal.SIGINT)
            code = server.wait(20)
        ensure(code == 0, f"the server ended with {code} after Ctrl-C")
        negative_proof(demo)
    print(f"\nAll as said, in {time.monotonic() - begun:.1f} s.")


def create_secrets(demo: Demo) -> None:
    """Text, a binary file and a PEM, at three scopes."""
    step("Secrets at several scopes: values come from stdin or files, never from the command line")
    wide = demo.value("organization's password", b"wide-" + secrets.token_hex(12).encode())
    narrow = demo.value("project's password", b"narrow-" + secrets.token_hex(12).encode())
    demo.run(
        "create", "db-password", "--org-wide",
        stdin=wide, typed="generate-password | secret create db-password --org-wide",
    )  # fmt: skip
    demo.run(
        "create", "db-password", *SCOPE,
        stdin=narrow, typed="generate-password | secret create db-password -p shop -d production",
    )  # fmt: skip
    (demo.folder / "model.bin").write_bytes(demo.value("binary", bytes(range(256)) + secrets.token_bytes(64)))
    demo.run("create", "model", "-p", "shop", "-f", "model.bin")
    body = base64.encodebytes(secrets.token_bytes(120))
    pem = b"-----BEGIN PRIVATE KEY-----\n" + body + b"-----END PRIVATE KEY-----\n"
    (demo.folder / "key.pem").write_bytes(demo.value("PEM", pem))
    demo.run("create", "tls-key", "-d", "production", "-f", "key.pem")
    for name in ("model.bin", "key.pem"):
        (demo.folder / name).unlink()


def look_around(demo: Demo) -> None:
    """List and explain."""
    step("What is there (never a value), and which scope wins for a pod of shop/production")
    listed = demo.run("list")
    ensure(listed.count("\n") == 5, "four secrets and a heading are listed")
    explained = demo.run("explain", "db-password", *SCOPE)
    ensure("hit" in explained and "shadowed" in explained, "one scope wins, a wider one is shadowed")


def check_pod(demo: Demo) -> None:
    """The webhook's answer to a pod."""
    step("A pod asks by annotation; the webhook answers over TLS (a dry run: there is no cluster)")
    (demo.folder / "pod.yaml").write_text(POD)
    say_command("cat pod.yaml")
    show(POD.encode())
    patched = demo.run("check", "pod.yaml", "-o", "yaml")
    ensure("secretKeyRef" in patched and "project-domain shop/production" in patched, "references went in")
    ensure(patched.index("name: DB_PASSWORD") < patched.index("name: DATABASE"), "ours come first")


def run_task(demo: Demo) -> None:
    """A task's process gets env and files."""
    step("A task's process: digests of what it got, beside those of what was typed in")
    (demo.folder / "task.py").write_text(TASK)
    output = demo.run(*RUN, "--pod", "pod.yaml", *SCOPE, "--", sys.executable, "task.py")
    for name in ("project's password", "binary", "PEM"):
        digest = hashlib.sha256(demo.values[name]).hexdigest()[:16]
        print(f"     typed in: {digest}  {name}")
        ensure(digest in output, f"the task got the {name}")


def update_and_delete(demo: Demo) -> None:
    """The next run sees an update; a deleted secret is refused."""
    step("An update is seen by the next task; a deletion is a refusal that says why")
    fresh = demo.value("updated password", b"fresh-" + secrets.token_hex(12).encode())
    demo.run(
        "update", "db-password", *SCOPE,
        stdin=fresh, typed="generate-password | secret update db-password -p shop -d production",
    )  # fmt: skip
    output = demo.run(*RUN, "--pod", "pod.yaml", *SCOPE, "--", sys.executable, "task.py")
    ensure(hashlib.sha256(fresh).hexdigest()[:16] in output, "the task got the new value")
    demo.run("delete", "tls-key", "-d", "production", "--yes")
    refused = demo.run("check", "pod.yaml", expect=3)
    why = 'not_found: Pod report: secret "tls-key" (file tls/key.pem): looked in'
    ensure(why in refused, "the refusal says why")


def negative_proof(demo: Demo) -> None:
    """No value lies anywhere in state, log, audit or replies."""
    step("The negative proof: every value, raw, base64 and URL-encoded, wherever it must not be")
    places = [(path.name, path.read_bytes()) for path in sorted(demo.folder.rglob("*")) if path.is_file()]
    places += [(f"reply {number}", reply) for number, reply in enumerate(demo.replies, 1)]
    forms = {(name, form) for name, value in demo.values.items() for form in encodings(value)}
    control = b"..." + next(iter(encodings(demo.values["binary"]))) + b"..."
    ensure(any(form in control for _, form in forms), "the search finds what is there")
    hits = [f"{name} in {place}" for place, content in places for name, form in forms if form in content]
    size = sum(len(content) for _, content in places)
    print(
        f"     searched {len(forms)} forms of {len(demo.values)} values in {len(places)} places, {size} bytes"
    )
    print(f"     hits: {len(hits)}")
    ensure(not hits, "; ".join(hits))


def encodings(value: bytes) -> set[bytes]:
    """``value`` raw, URL-encoded, and in base64 at each of the three places it can begin at."""
    middles = {
        base64.b64encode(b"x" * shift + value)[4 * (shift > 0) :].rstrip(b"=")[:-2] for shift in range(3)
    }
    return {value, urllib.parse.quote_from_bytes(value).encode(), *middles}


def step(text: str) -> None:
    """A heading."""
    print(f"\n== {text}")


def say_command(text: str) -> None:
    """A command as typed."""
    print(f"\n   $ {text}", flush=True)


def show(output: bytes) -> None:
    """A command's output, indented."""
    for line in output.decode(errors="replace").splitlines():
        print(f"     {line}")


def ensure(holds: bool, text: str) -> None:
    """End with an error unless ``holds``."""
    if not holds:
        sys.exit(f"\nNOT as said: {text}")


if __name__ == "__main__":
    main()
