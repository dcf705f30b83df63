"""Redis Cluster: which node has which slot, and the nodes that have some."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Protocol

from pulse_gateway.transport.redis_calls import Call, RedisUnavailable
from pulse_gateway.transport.redis_lane import Lane
from pulse_gateway.transport.redis_node import Node

__all__ = ["Cluster", "Slots", "read_redirect"]

Host = tuple[str, int]
_log = logging.getLogger(__name__)
_ASK_S = 0.5  # for one node to tell the table; then the next one is asked
_MOST_REDIRECTS = 3


class Ask(Protocol):
    async def __call__(self, host: Host, *words: str) -> Any: ...


class MakeNode(Protocol):
    def __call__(
        self, name: str, open_lane: Callable[[Lane], Awaitable[None]], redirect: Callable[[Call, str], None], /
    ) -> Node: ...


class Slots:
    """The cluster's own table as it was last told, and what redirections have said since. Unknown slots are asked of the first seed."""

    def __init__(self, seeds: Sequence[Host]) -> None:
        self._seeds = list(seeds)
        self._hosts: dict[int, Host] = {}

    def host_of(self, slot: int) -> Host:
        return self._hosts.get(slot) or self._seeds[0]

    def learn(self, rows: Sequence[Sequence[Any]], told_by: Host) -> None:
        """Take the reply to `CLUSTER SLOTS` in place of what was known.

        Source: https://valkey.io/commands/cluster-slots/ (read 2026-11-24); a host that is empty, null or `?` is the one that was asked.
        """
        hosts: dict[int, Host] = {}
        for first, last, primary, *_ in rows:
            host = told_by[0] if primary[0] in {None, b"", b"?"} else primary[0].decode()
            hosts.update(dict.fromkeys(range(first, last + 1), (host, int(primary[1]))))
        if hosts:
            self._hosts = hosts

    def move(self, slot: int, host: Host) -> None:
        """A node has said that another has `slot` now."""
        self._hosts[slot] = host

    def primaries(self) -> list[Host]:
        """Every node that has slots, in no order."""
        return list(dict.fromkeys(self._hosts.values()))

    def to_ask(self) -> list[Host]:
        """Who may tell the table, each once."""
        return list(dict.fromkeys([*self._hosts.values(), *self._seeds]))


class Cluster:
    """Sends each call to the node that has its slot, and asks for the table anew whenever a node says or shows that it has changed."""

    def __init__(
        self,
        seeds: Sequence[Host],
        *,
        node: MakeNode,
        dial: Callable[[Host, Lane], Awaitable[None]],
        ask: Ask,
        slot_of: Callable[[str | int | bytes], int],
        changed: Callable[[], None],
    ) -> None:
        self._slots = Slots(seeds)
        self._make_node, self._dial, self._ask, self._slot_of = node, dial, ask, slot_of
        self._changed = changed
        self._nodes: dict[Host, Node] = {}
        self._learning: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._is_closed = False

    @property
    def nodes(self) -> list[Node]:
        return list(self._nodes.values())

    def node_for(self, key: str | int | bytes | None) -> Node:
        return self._node_at(self._slots.host_of(0 if key is None else self._slot_of(key)))

    async def open(self) -> None:
        await self._learn()
        await asyncio.gather(*[self._node_at(host).open() for host in self._slots.primaries() or self._slots.to_ask()])

    async def aclose(self) -> None:
        self._is_closed = True
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)
        await asyncio.gather(*[node.aclose() for node in self.nodes], *self._closing)

    def _node_at(self, host: Host) -> Node:
        node = self._nodes.get(host)
        if node is None:
            name = f"{host[0]}:{host[1]}"
            node = self._nodes[host] = self._make_node(
                name, partial(self._open_lane, host), partial(self._redirect, host)
            )
        return node

    async def _open_lane(self, host: Host, lane: Lane) -> None:
        try:
            await self._dial(host, lane)
        except RedisUnavailable:
            self._learn_soon()  # it may have been replaced
            raise

    def _redirect(self, told_by: Host, call: Call, reply: str) -> None:
        slot, host = read_redirect(reply, told_by[0])
        asking = reply.startswith("ASK ")
        if not asking:
            self._slots.move(slot, host)
            self._learn_soon()
        if call.redirects == _MOST_REDIRECTS:
            call.fail(RedisUnavailable("the cluster does not agree who has the slot", maybe_done=False))
            return
        call.go_elsewhere(asking=asking)
        self._node_at(host).take(call)

    def _learn_soon(self) -> None:
        if self._learning is None and not self._is_closed:
            self._learning = asyncio.get_running_loop().create_task(self._learn())

    async def _learn(self) -> None:
        """Ask one node after the other for the table until one tells it, and part with the nodes that are not in it."""
        try:
            for host in self._slots.to_ask():
                try:
                    async with asyncio.timeout(_ASK_S):
                        rows = await self._ask(host, "CLUSTER", "SLOTS")
                except (RedisUnavailable, TimeoutError):
                    continue
                self._slots.learn(rows, host)
                self._forget_all_but(set(self._slots.primaries()))
                return
        finally:
            self._learning = None

    def _forget_all_but(self, hosts: set[Host]) -> None:
        for host in self._nodes.keys() - hosts:
            node = self._nodes.pop(host)
            if node.breaker.is_open:
                _log.info("redis at %s has no slots any more; others have taken over", node.name)
            task = asyncio.get_running_loop().create_task(node.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._changed()


def read_redirect(reply: str, told_by: str) -> tuple[int, Host]:
    """The slot and the host of `MOVED 3999 127.0.0.1:6381`; a host left out is the one that answered."""
    _, slot, where = reply.split(" ", 2)
    host, _, port = where.rpartition(":")
    return int(slot), (told_by if host in {"", "?"} else host, int(port))
