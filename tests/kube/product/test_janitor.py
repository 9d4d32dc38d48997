"""Nothing that a live pod needs is removed; everything else is, whatever pods, clocks and replicas do."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest
from kit import Cluster, until

from injector.k8s.calls import Calls
from injector.k8s.election import Election
from injector.k8s.janitor import Janitor
from injector.k8s.namespaces import PATH as NAMESPACES
from injector.k8s.namespaces import WatchedNamespaces
from injector.k8s.staging import LEASES, ClusterStaging
from injector.keys import KEY_ID, SCOPE_LABELS, STAGED_SELECTOR
from secrets_svc.core.ports import Resolved, SecretVersion
from secrets_svc.core.scope import Scope
from secrets_svc.core.secret import SecretRef, SecretType
from secrets_svc.core.value import SecretValue
from secrets_svc.kube.api import ApiServer, connect, path_of
from secrets_svc.kube.informer import Informer, Metadata

KEY = b"k" * 32
DURATION = 4000.0
SHOP = Scope("flyte", "production", "shop")


@dataclass
class Clock:
    """Moved by hand."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Replica:
    """One injector's staging and janitor, without its socket."""

    def __init__(self, api: ApiServer, clock: Clock, keys: Sequence[bytes] = (KEY,)) -> None:
        self.clock = clock
        self.leases = Informer(
            api, path_of(LEASES, "leases"), selector=STAGED_SELECTOR, labels=[KEY_ID], on_change=self.changed
        )
        self.namespaces = Informer(api, NAMESPACES, labels=SCOPE_LABELS)
        calls = Calls(api, timeout=5)
        holder = uuid.uuid4().hex
        self.staging = ClusterStaging(
            calls,
            WatchedNamespaces(self.namespaces, calls),
            store_of=lambda _: "local",
            key=keys[0],
            holder=holder,
            duration=DURATION,
            clock=clock,
        )
        self.janitor = Janitor(api, self.leases, installation_keys=keys, duration=DURATION, clock=clock)
        self.calls = calls
        self.leases.start()
        self.namespaces.start()
        assert self.leases.wait_listed(10)
        assert self.namespaces.wait_listed(10)

    def changed(self, was: Metadata | None, now: Metadata | None) -> None:
        self.staging.saw(was, now)
        self.janitor.saw(was, now)

    def close(self) -> None:
        self.leases.stop()
        self.namespaces.stop()
        self.calls.close()


class World:
    """A namespace with pods, and replicas that come and go."""

    def __init__(self, cluster: Cluster, api: ApiServer, seed: int) -> None:
        self.cluster = cluster
        self.api = api
        self.chance = random.Random(seed)
        self.clock = Clock()
        self.namespace = cluster.namespace()
        self.replicas = [Replica(api, self.clock) for _ in range(2)]
        self.versions = [
            Resolved(SecretRef(SHOP, f"secret-{number}"), f"t{number}", SecretType.GENERIC)
            for number in range(4)
        ]
        self.pods: dict[str, str] = {}

    async def admit(self) -> None:
        """A pod is admitted by some replica, and made."""
        replica, resolved = self.chance.choice(self.replicas), self.chance.choice(self.versions)
        staged = replica.staging.staged(self.namespace, resolved)
        if staged is None:
            staged = await replica.staging.stage(self.namespace, resolved, read)
        name = f"p-{uuid.uuid4().hex[:8]}"
        reference = {"secretKeyRef": {"name": staged.name, "key": "value"}}
        container = {
            "name": "main",
            "image": "registry.invalid/a",
            "env": [{"name": "A", "valueFrom": reference}],
        }
        body = {"metadata": {"name": name}, "spec": {"containers": [container]}}
        self.cluster.api("POST", f"/api/v1/namespaces/{self.namespace}/pods", body).ok()
        self.pods[name] = staged.name

    async def remove(self) -> None:
        """A pod is deleted."""
        if self.pods:
            name = self.chance.choice(sorted(self.pods))
            del self.pods[name]
            path = f"/api/v1/namespaces/{self.namespace}/pods/{name}?gracePeriodSeconds=0"
            self.cluster.api("DELETE", path).ok()

    async def finish(self) -> None:
        """A pod ends well; it stays there."""
        if self.pods:
            name = self.chance.choice(sorted(self.pods))
            del self.pods[name]
            path = f"/api/v1/namespaces/{self.namespace}/pods/{name}/status"
            body = {"status": {"phase": "Succeeded"}}
            self.cluster.api("PATCH", path, body, content_type="application/merge-patch+json").ok()

    async def wait(self) -> None:
        """Time goes by, sometimes in a jump."""
        self.clock.now += self.chance.choice([1, 60, DURATION / 4, DURATION / 2, DURATION * 3])

    async def die(self) -> None:
        """A replica dies, and another one begins knowing nothing."""
        gone = self.replicas.pop(self.chance.randrange(2))
        gone.close()
        self.replicas.append(Replica(self.api, self.clock))

    async def sweep(self) -> None:
        """Some replica tidies up."""
        await asyncio.to_thread(self.chance.choice(self.replicas).janitor.sweep)

    def staged(self) -> set[str]:
        """What is there."""
        items = self.cluster.api("GET", f"/api/v1/namespaces/{self.namespace}/secrets").ok()["items"]
        return {item["metadata"]["name"] for item in items}


async def read(resolved: Resolved) -> SecretVersion:
    return SecretVersion(resolved.ref, resolved.token, resolved.type, SecretValue(b"x"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One of our own: there our guards and janitors don't mind pods that name what is staged."""
    with Cluster() as made:
        yield made


@pytest.fixture(scope="module")
def api(cluster: Cluster) -> Iterator[ApiServer]:
    made = connect(cluster.admin_kubeconfig)
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(3))
def test_a_random_life(cluster: Cluster, api: ApiServer, seed: int) -> None:
    world = World(cluster, api, seed)
    steps = [world.admit] * 6 + [world.remove, world.finish, world.wait, world.wait, world.sweep, world.sweep]

    async def live() -> None:
        for step in range(120):
            await (world.die if step % 40 == 39 else world.chance.choice(steps))()
            assert set(world.pods.values()) <= world.staged()
        world.clock.now += DURATION + 1
        await world.sweep()

    try:
        asyncio.run(live())
        needed = set(world.pods.values())
        until(lambda: world.staged() == needed, what="the rest to go")
        for name in sorted(world.pods):
            cluster.api(
                "DELETE", f"/api/v1/namespaces/{world.namespace}/pods/{name}?gracePeriodSeconds=0"
            ).ok()
        world.replicas[0].janitor.sweep()
        until(lambda: not world.staged(), what="everything to go")
    finally:
        for replica in world.replicas:
            replica.close()


def test_a_lease_that_is_renewed_while_it_is_judged_stays(cluster: Cluster, api: ApiServer) -> None:
    world = World(cluster, api, 0)
    one, other = world.replicas
    resolved = world.versions[0]

    async def story() -> None:
        await one.staging.stage(world.namespace, resolved, read)
        until(lambda: one.leases.all() and other.leases.all(), what="the lease to be heard of")
        one.leases.stop()  # it hears of nothing any more
        world.clock.now += DURATION + 1
        assert other.staging.staged(world.namespace, resolved) is None
        await other.staging.stage(world.namespace, resolved, read)
        one.janitor.sweep()
        assert len(world.staged()) == 1
        assert other.staging.staged(world.namespace, resolved) is not None

    try:
        asyncio.run(story())
    finally:
        for replica in world.replicas:
            replica.close()


def test_renewals_write_a_lease_and_find_the_secret(cluster: Cluster, api: ApiServer) -> None:
    """And bring it back where somebody removed it."""
    world = World(cluster, api, 0)
    staging, resolved = world.replicas[0].staging, world.versions[0]

    async def story() -> None:
        first = await staging.stage(world.namespace, resolved, read)
        world.clock.now += DURATION / 4 - 1
        assert staging.staged(world.namespace, resolved) is first
        world.clock.now += 2
        assert staging.staged(world.namespace, resolved) is None
        assert await staging.stage(world.namespace, resolved, read) is first
        cluster.api("DELETE", f"/api/v1/namespaces/{world.namespace}/secrets/{first.name}").ok()
        world.clock.now += DURATION / 2
        assert await staging.stage(world.namespace, resolved, read) is first
        assert world.staged() == {first.name}

    try:
        asyncio.run(story())
    finally:
        for replica in world.replicas:
            replica.close()


def test_an_exchanged_installation_key_takes_nothing_from_live_pods(
    cluster: Cluster, api: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(cluster, api, 0)
    other = b"n" * 32
    forgetful, knowing = Replica(api, world.clock, [other]), Replica(api, world.clock, [other, KEY])
    world.replicas += [forgetful, knowing]

    def heard_of(replica: Replica) -> int:
        return [lease.namespace for lease in replica.leases.all()].count(world.namespace)

    async def story() -> None:
        before = await world.replicas[0].staging.stage(world.namespace, world.versions[0], read)
        needless = await world.replicas[0].staging.stage(world.namespace, world.versions[1], read)
        world.replicas[:] = [world.replicas[0]] * 2
        world.versions[:] = world.versions[:1]
        await world.admit()
        world.clock.now += 1
        after = await knowing.staging.stage(world.namespace, world.versions[0], read)
        assert after.name != before.name
        for replica in (forgetful, knowing):
            until(lambda replica=replica: heard_of(replica) == 3, what="the leases")
        world.clock.now += DURATION + 1
        assert forgetful.janitor.sweep() == 1  # its own, which no pod needs
        assert world.staged() >= {before.name, needless.name}
        knowing.janitor.sweep()
        until(lambda: world.staged() == {before.name}, what="the rest to go")

    try:
        asyncio.run(story())
    finally:
        for replica in {*world.replicas, forgetful, knowing}:
            replica.close()
    assert "previous_installation_keys" in caplog.text


def test_one_replica_at_a_time_is_elected(cluster: Cluster, api: ApiServer) -> None:
    clock = Clock()
    namespace = cluster.namespace()
    elections = [
        Election(api, namespace=namespace, name="janitor", holder=f"r{number}", duration=30, clock=clock)
        for number in range(3)
    ]
    assert [each.stand() for each in elections] == [True, False, False]
    clock.now += 29
    assert [each.stand() for each in elections] == [True, False, False]
    assert elections[0].stand()  # it renews, and nobody looks
    clock.now += 31
    assert elections[1].stand() is False  # it sees only now that the first had renewed
    clock.now += 31  # the first is silent
    assert [elections[1].stand(), elections[2].stand(), elections[0].stand()] == [True, False, False]
    elections[1].resign()
    assert elections[2].stand()
