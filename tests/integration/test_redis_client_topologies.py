"""The Redis client with replicas, sentinels and a cluster."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import hiredis
import pytest
import redis
from redis_parts import BACK_S, COUNT, ECHO, echo, opened, until, works_again

from pulse_gateway.transport.redis import RedisClient, RedisUnavailable
from valkey_server import ValkeyProcess, cluster, eventually, sentinel


def replica_of(primary: ValkeyProcess, **settings: object) -> ValkeyProcess:
    return ValkeyProcess(replicaof=f"127.0.0.1 {primary.port}", **settings)


async def test_a_replica_is_no_server_to_write_to_until_it_is_promoted() -> None:
    with ValkeyProcess() as primary, replica_of(primary) as replica:
        async with opened(replica.url) as client:
            assert not client.available
            with pytest.raises(RedisUnavailable) as refusal:
                await client.run(COUNT, ["{t}:count"], [])
            assert not refusal.value.maybe_done
            replica.command("REPLICAOF", "NO", "ONE")
            assert await until(lambda: client.available, "it takes writes") < BACK_S
            assert await client.run(COUNT, ["{t}:count"], []) == 1


async def test_a_primary_that_becomes_a_replica_is_left() -> None:
    with ValkeyProcess() as primary, ValkeyProcess() as other:
        async with opened(primary.url) as client:
            assert await client.run(COUNT, ["{t}:count"], []) == 1
            primary.command("REPLICAOF", "127.0.0.1", other.port)
            for _ in range(3):
                with pytest.raises(RedisUnavailable) as refusal:
                    await client.run(COUNT, ["{t}:count"], [])
                assert not refusal.value.maybe_done
            assert not client.available
            primary.command("REPLICAOF", "NO", "ONE")
            assert await until(lambda: client.available, "it takes writes again") < BACK_S


async def test_the_sentinels_name_the_new_primary_after_a_crash() -> None:
    with (
        ValkeyProcess() as primary,
        replica_of(primary) as replica,
        sentinel(primary) as watcher,
        ValkeyProcess(is_sentinel=True, sentinel=[]) as stranger,
    ):
        nobody = ValkeyProcess()
        url = f"redis+sentinel://127.0.0.1:{nobody.port},127.0.0.1:{stranger.port},127.0.0.1:{watcher.port}/main"
        async with opened(url) as client:
            assert client.available
            assert await client.run(COUNT, ["{t}:count"], []) == 1
            primary.command("WAIT", 1, 1000)
            await asyncio.to_thread(primary.kill)
            await until(lambda: replica.command("ROLE")[0] == b"master", "the replica is promoted")
            assert await works_again(client) < BACK_S
            await until(lambda: client.available, "it is back")
            assert await client.run(COUNT, ["{t}:count"], []) == 2
        nobody.close()


class ScriptedSentinel:
    """Names the primary that a test tells it."""

    def __init__(self, primary: ValkeyProcess) -> None:
        self.primary = primary
        self.port = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> ScriptedSentinel:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = hiredis.Reader()
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                parser.feed(data)
                while command := parser.gets():
                    port = str(self.primary.port).encode()
                    named = b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%b\r\n" % (len(port), port)
                    writer.write(named if command[0] == b"SENTINEL" else b"+OK\r\n")
        writer.close()


async def test_the_old_primary_is_left_when_the_sentinels_promote_another() -> None:
    """A failover by hand: the old primary lives on as a replica, and its first refusal sends the client to the new one."""
    with ValkeyProcess() as old, replica_of(old) as new:
        async with (
            ScriptedSentinel(old) as watcher,
            opened(f"redis+sentinel://127.0.0.1:{watcher.port}/main") as client,
        ):
            assert await client.run(COUNT, ["{t}:count"], []) == 1
            old.command("WAIT", 1, 1000)
            new.command("REPLICAOF", "NO", "ONE")
            old.command("REPLICAOF", "127.0.0.1", new.port)
            watcher.primary = new
            with pytest.raises(RedisUnavailable, match="READONLY") as refusal:
                await client.run(COUNT, ["{t}:count"], [])
            assert not refusal.value.maybe_done
            assert await client.run(COUNT, ["{t}:count"], []) == 2
            assert client.available


async def test_sentinels_and_servers_with_passwords() -> None:
    with (
        ValkeyProcess(requirepass="sesam", masterauth="sesam") as primary,
        sentinel(primary, requirepass="watch") as watcher,
    ):
        url = f"redis+sentinel://:sesam@127.0.0.1:{watcher.port}/main"
        async with opened(f"{url}?sentinel_password=watch") as client:
            assert await echo(client, "in") == "in"
        async with opened(url) as client:
            assert not client.available


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[ValkeyProcess]]:
    with cluster(3) as made:
        yield made


def cluster_url(nodes: list[ValkeyProcess]) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


async def test_each_call_goes_to_the_node_that_has_its_slot(nodes: list[ValkeyProcess]) -> None:
    for node in nodes:
        node.command("FLUSHALL")
        node.command("CONFIG", "RESETSTAT")
    async with opened(cluster_url(nodes[:1])) as client:
        await asyncio.gather(*(client.run(COUNT, [f"{{t{n}}}:a", f"{{t{n}}}:b"], []) for n in range(300)))
        assert await client.command("PING") == b"PONG"
        await asyncio.gather(*(client.run(COUNT, [f"{{t{n}}}:a"], []) for n in range(300)))
        assert await asyncio.gather(*(client.command("GET", f"{{t{n}}}:a") for n in range(300))) == [b"2"] * 300
    sizes = [node.command("DBSIZE") for node in nodes]
    assert sum(sizes) == 300
    assert min(sizes) > 50
    assert sum(_turned_away(node) for node in nodes) <= 3, "only what a connection begins with"


async def test_a_slot_that_moves_is_followed(nodes: list[ValkeyProcess]) -> None:
    key = "{moving}:count"
    slot = nodes[0].command("CLUSTER", "KEYSLOT", key)
    ids = [node.command("CLUSTER", "MYID").decode() for node in nodes]
    [source] = [number for number, node in enumerate(nodes) if _has(node, slot)]
    target = (source + 1) % 3
    async with opened(cluster_url(nodes)) as client:
        assert await client.run(COUNT, [key], []) == 1
        nodes[target].command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source])
        nodes[source].command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        assert await client.run(COUNT, [key], []) == 2, "the key is where it was"
        nodes[source].command("MIGRATE", "127.0.0.1", nodes[target].port, key, 0, 1000)
        nodes[target].command("SCRIPT", "FLUSH")
        turned_away = _turned_away(nodes[target])
        assert await client.run(COUNT, [key], []) == 3, "the key has gone ahead: ASK, and the script is told there too"
        assert _turned_away(nodes[target]) == turned_away
        assert await asyncio.gather(*(client.run(COUNT, [key], []) for _ in range(5))) == [4, 5, 6, 7, 8]
        for node in (nodes[target], nodes[source], nodes[3 - source - target]):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", ids[target])
        assert await client.run(COUNT, [key], []) == 9, "the slot has moved"
        assert await client.run(COUNT, [key], []) == 10
        assert client.available


async def test_one_node_that_is_frozen_costs_only_its_own_slots() -> None:
    with cluster(3, cluster_require_full_coverage="no") as nodes:
        keys = {}
        for number in range(100):
            slot = nodes[0].command("CLUSTER", "KEYSLOT", f"{{t{number}}}")
            keys.setdefault(next(at for at, node in enumerate(nodes) if _has(node, slot)), f"{{t{number}}}:count")
        async with opened(cluster_url(nodes)) as client:
            await asyncio.gather(*(client.run(COUNT, [key], []) for key in keys.values()))
            nodes[1].freeze()
            await _fails_until_open(client, keys[1])
            for _ in range(20):
                for at in (0, 2):
                    assert await client.run(COUNT, [keys[at]], []) > 1
            nodes[1].thaw()
            assert await until(lambda: client.available, "it is back") < BACK_S
            assert await client.run(COUNT, [keys[1]], []) >= 2


async def test_a_cluster_whose_node_is_replaced_by_its_replica() -> None:
    with cluster(3) as nodes:
        bus = {"cluster_enabled": "yes", "cluster_node_timeout": 1000}
        with ValkeyProcess(**bus, cluster_port=nodes[0].settings["cluster_port"] + 1) as spare:
            spare.command("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, nodes[0].settings["cluster_port"])
            owner = nodes[0].command("CLUSTER", "MYID")
            eventually(lambda: owner in spare.command("CLUSTER", "NODES"), why="the spare knows the node")
            _eventually_done(spare, "CLUSTER", "REPLICATE", owner.decode())
            eventually(lambda: spare.is_in_step, why="the spare is in step")
            eventually(lambda: b"slave" in nodes[1].command("CLUSTER", "NODES"), why="the others know the spare")
            key = next(
                f"{{t{n}}}:a" for n in range(100) if _has(nodes[0], nodes[0].command("CLUSTER", "KEYSLOT", f"{{t{n}}}"))
            )
            async with opened(cluster_url(nodes)) as client:
                changes: list[bool] = []
                client.on_change(changes.append)
                assert await client.run(COUNT, [key], []) == 1
                nodes[0].command("WAIT", 1, 1000)
                await asyncio.to_thread(nodes[0].kill)
                await _fails_until_open(client, key)
                await until(lambda: spare.command("ROLE")[0] == b"master", "the spare takes over")
                assert await until(lambda: client.available, "the client has followed") < BACK_S
                assert changes == [False, True]
                assert await client.run(COUNT, [key], []) == 2


async def test_a_cluster_that_is_away_when_the_client_is_opened() -> None:
    with cluster(1) as [node]:
        node.kill()
        async with opened(cluster_url([node])) as client:
            assert not client.available
            await asyncio.to_thread(node.start)
            assert await until(lambda: client.available, "it is found") < BACK_S
            assert await works_again(client) < BACK_S


async def test_a_node_of_a_cluster_is_no_single_server(nodes: list[ValkeyProcess]) -> None:
    async with opened(nodes[0].url) as client:
        calls = [client.run(ECHO, [f"{{t{n}}}"], ["x"]) for n in range(30)]
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert any(isinstance(end, RedisUnavailable) for end in ends)
    assert all(end == b"x" or isinstance(end, RedisUnavailable) for end in ends)


def _turned_away(node: ValkeyProcess) -> int:
    return int(node.command("INFO", "errorstats").get("errorstat_MOVED", {}).get("count", 0))


def _has(node: ValkeyProcess, slot: int) -> bool:
    for line in node.command("CLUSTER", "NODES").decode().splitlines():
        fields = line.split()
        if "myself" in fields[2]:
            bounds = [part.partition("-") for part in fields[8:] if not part.startswith("[")]
            return any(int(first) <= slot <= int(last or first) for first, _, last in bounds)
    return False


def _eventually_done(node: ValkeyProcess, *words: str) -> None:
    def done() -> bool:
        try:
            return bool(node.command(*words))
        except redis.ResponseError:
            return False

    eventually(done, why=" ".join(words))


async def _fails_until_open(client: RedisClient, key: str) -> None:
    while client.available:
        with pytest.raises(RedisUnavailable):
            await client.run(COUNT, [key], [])
