"""The main job on a real cluster, shown on this machine (``make kube-demo``).

create → a pod prints the digest of what it got → update → the next pod → delete → a refusal with its message.
Every step prints the command and its real output, and is checked; the exit code says whether all was as said.
As root pods run on a real kubelet; without, the API server's answers are shown.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from installation import REQUEST, Installation, reference
from kit import Cluster, Node, Pods, pod, shell

FILE = "/var/run/secrets/secrets-svc/db/password"
SCRIPT = f'echo "env  $(printf %s "$DB_PASSWORD" | sha256sum)"; echo "file $(sha256sum < {FILE})"'
REQUESTS = [{"name": "db-password", "env": "DB_PASSWORD", "file": "db/password"}]
SCOPE = ("-p", "shop", "-d", "production")


class Demo:
    """An installation, and what is shown of it."""

    def __init__(self, installation: Installation, *, runs: bool) -> None:
        self.installation = installation
        self.runs = runs
        self.namespace = installation.namespace("shop", "production", "shop-production")
        self.replies: list[str] = []

    def secret(self, *arguments: str, stdin: bytes = b"", typed: str) -> None:
        """Run the command line and show what it says."""
        say(typed)
        self.show(self.installation.secret(*arguments, stdin=stdin))

    def show(self, text: str) -> None:
        """Print it, and keep it for the search at the end."""
        self.replies.append(text)
        print("  " + text.rstrip().replace("\n", "\n  "))

    def pod(self, name: str, value: bytes) -> None:
        """Create a pod; it must get ``value``, and nobody may see it."""
        say(f"kubectl create -f {name}.yaml     # asks: {json.dumps(REQUESTS)}")
        body = pod(name, shell(SCRIPT), annotations={REQUEST: json.dumps(REQUESTS)})
        pods = Pods(self.installation.cluster, self.namespace)
        stored = pods.create(body)
        container = stored["spec"]["containers"][0]
        self.show("as stored: env " + json.dumps(container["env"]))
        if self.runs:
            phase = pods.finished(name)
            said = pods.log(name)
            say(f"kubectl logs {name}")
            self.show(said)
            digest = hashlib.sha256(value).hexdigest()
            ensure(phase == "Succeeded" and said.count(digest) == 2, "the container didn't get the value")
        staged = self.installation.staged(self.namespace)
        ensure(staged[reference(stored, "DB_PASSWORD")] == value, "something else is staged")
        self.replies.append(json.dumps(pods.get(name)))

    def refusal(self) -> None:
        """The pod is refused, and says why."""
        say("kubectl create -f report-3.yaml")
        body = pod("report-3", shell(SCRIPT), annotations={REQUEST: json.dumps(REQUESTS)})
        message = self.installation.refused(self.namespace, body)
        self.show(message)
        ensure(
            "not_found; looked in project-domain shop/production" in message, "it isn't refused as it should"
        )


def main() -> None:
    """All steps."""
    begun = time.monotonic()
    root = os.geteuid() == 0
    with ExitStack() as undo:
        folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="secrets-svc-kube-demo-")))
        step("A real cluster on this machine, with our manifests, guards and webhook")
        cluster = undo.enter_context(Cluster())
        if root:
            undo.enter_context(Node(cluster))
        else:
            print("  without root no container runs: the API server's answers are shown (try as root)")
        demo = Demo(undo.enter_context(Installation(cluster, folder)), runs=root)
        demo.show(
            cluster.kubectl(
                "get", "validatingadmissionpolicies,mutatingwebhookconfigurations", "-o", "name"
            ).stdout
        )
        tell(demo)
    print(f"\nall as said, in {time.monotonic() - begun:.0f} s")


def tell(demo: Demo) -> None:
    """The story."""
    first, second = b"correct horse battery staple", b"a new one, after the rotation"
    step("Somebody creates a secret")
    demo.secret(
        "create", "db-password", *SCOPE, stdin=first, typed="secret create db-password -p shop -d production"
    )
    step("A pod asks, and prints the digests of what it got")
    print(f"  the value's digest is {hashlib.sha256(first).hexdigest()}")
    demo.pod("report-1", first)
    step("The secret is updated; the next pod gets the new value")
    demo.secret(
        "update", "db-password", *SCOPE, stdin=second, typed="secret update db-password -p shop -d production"
    )
    print(f"  the value's digest is {hashlib.sha256(second).hexdigest()}")
    demo.pod("report-2", second)
    step("It is deleted; the next pod is refused, and told why")
    demo.secret(
        "delete",
        "db-password",
        *SCOPE,
        "--yes",
        typed="secret delete db-password -p shop -d production --yes",
    )
    demo.refusal()
    step("Nothing that anybody was shown held a value")
    audit = json.dumps(demo.installation.cluster.audit())
    log = demo.installation.server.log.read_text()
    for value in (first, second):
        hits = sum(
            value.decode() in text for text in (*demo.replies, audit, log, demo.installation.audit_text())
        )
        ensure(hits == 0, "a value was shown")
    print(
        "  pods as stored, events of the API server's audit log, our log and audit file, all replies: 0 hits"
    )


def step(text: str) -> None:
    """A heading."""
    print(f"\n== {text}", flush=True)


def say(command: str) -> None:
    """A command as typed."""
    print(f"\n$ {command}", flush=True)


def ensure(fact: bool, otherwise: str) -> None:
    """Stop where a step isn't as said."""
    if not fact:
        sys.exit(f"not as said: {otherwise}")


if __name__ == "__main__":
    main()
