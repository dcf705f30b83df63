"""The one client of Redis and Valkey: many calls a write, a deadline for each, and no waiting for a server that is away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, UnixDomainSocketConnection
from redis.crc import key_slot
from redis.exceptions import RedisError

from pulse_gateway.clock import Clock
from pulse_gateway.errors import ConfigError
from pulse_gateway.transport.redis_address import RedisAddress, read_address
from pulse_gateway.transport.redis_calls import Call, RedisRefused, RedisUnavailable, Script, pack
from pulse_gateway.transport.redis_cluster import Cluster
from pulse_gateway.transport.redis_lane import Lane
from pulse_gateway.transport.redis_node import Node

__all__ = ["RedisClient", "RedisRefused", "RedisUnavailable", "Script"]

_FAILURES = (
    RedisError,
    OSError,
    RuntimeError,
)  # RuntimeError: uvloop's, for writing to a connection that has just closed
_SENTINEL_S = 0.25  # for one sentinel to say who the primary is; then the next one is asked


class RedisClient:
    """Redis ≥ 6.2 or Valkey: one server, the primary that sentinels name, or a cluster.

    What is called in one turn of the loop goes out in one write; at most `max_in_flight` writes wait for their answers, and what is
    called meanwhile gathers for the next. Each call ends within `deadline_s` of being made, whatever the server does.

    Order: all calls to a server share one connection, so they are executed in the order in which they were made for as long as that
    connection lives: a settlement never overtakes the renewal made before it. What does not keep its place: a call whose script the
    server had forgotten (it is made again, behind those already sent); a call that a cluster sends to another node; and a call lost
    with its connection (`RedisUnavailable.maybe_done`), which a server that was frozen may still execute later.

    In a cluster the keys of one call must share a slot, and each node has a breaker of its own.
    """

    def __init__(self, url: str, *, clock: Clock, deadline_s: float = 0.1, max_in_flight: int = 4) -> None:
        self._url, self._clock, self._deadline_s, self._max_in_flight = url, clock, deadline_s, max_in_flight
        self._callbacks: list[Callable[[bool], None]] = []
        self._was_available = True
        self._only: Node | None = None
        self._cluster: Cluster | None = None

    async def open(self) -> None:
        """Connect. A Redis that is away is no error: the client is not `available` then, and finds out by itself when it is back.

        Raises: ConfigError for an address that cannot be read.
        """
        address = read_address(self._url)
        dialler = _Dialler(address)
        if address.topology == "cluster":
            self._cluster = Cluster(
                address.hosts,
                node=self._node,
                dial=dialler.dial,
                ask=dialler.ask,
                slot_of=_slot_of,
                changed=self._changed,
            )
            await self._cluster.open()
            return
        if address.topology == "sentinel":
            self._only = self._node(str(address), dialler.dial_primary)
        else:
            self._only = self._node(str(address), partial(dialler.dial, address.hosts[0] if address.hosts else ("", 0)))
        await self._only.open()

    async def aclose(self) -> None:
        """End all connections, after the answers under way or the deadline."""
        if self._only is not None:
            await self._only.aclose()
        if self._cluster is not None:
            await self._cluster.aclose()

    @property
    def available(self) -> bool:
        """Whether calls are sent at all: no breaker is open."""
        if self._only is not None:
            return not self._only.breaker.is_open
        return self._cluster is None or not any(node.breaker.is_open for node in self._cluster.nodes)

    def on_change(self, callback: Callable[[bool], None]) -> None:
        """Have `callback` called with `available` whenever that has changed. It must not raise."""
        self._callbacks.append(callback)

    async def run(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        """What `script` returns: integers, bytes, None, and lists of these.

        Raises: RedisUnavailable; RedisRefused when the script fails.
        """
        packed = pack(("EVALSHA", script.sha1, len(keys), *keys, *args))
        return await self._node_for(keys[0] if keys else None).call(packed, script)

    def run_packed(self, script: Script, key: str, packed: bytes) -> asyncio.Future[Any]:
        """The same of a call that is packed already: `EVALSHA`, the script's digest, its keys and arguments. `key` is one of its keys.

        Raises: RedisUnavailable, at once or when it is awaited; RedisRefused.
        """
        return self._node_for(key).call(packed, script)

    async def command(self, *words: str | int | bytes) -> Any:
        """The reply to a command whose only key, if it has one, is its second word.

        Raises: RedisUnavailable; RedisRefused when the command is wrong.
        """
        return await self._node_for(words[1] if len(words) > 1 else None).call(pack(words))

    def _node_for(self, key: str | int | bytes | None) -> Node:
        if self._only is not None:
            return self._only
        if self._cluster is None:
            raise RuntimeError("open the client before calling")
        return self._cluster.node_for(key)

    def _node(
        self, name: str, open_lane: Callable[[Lane], Any], redirect: Callable[[Call, str], None] | None = None
    ) -> Node:
        return Node(
            name,
            clock=self._clock,
            deadline_s=self._deadline_s,
            max_in_flight=self._max_in_flight,
            open_lane=open_lane,
            changed=self._changed,
            redirect=redirect,
        )

    def _changed(self) -> None:
        if self.available is not self._was_available:
            self._was_available = not self._was_available
            for callback in self._callbacks:
                callback(self._was_available)


def _slot_of(key: str | int | bytes) -> int:
    return key_slot(key if isinstance(key, bytes) else str(key).encode())


class _Dialler:
    """Connections by redis-py, which knows TLS, passwords and databases; deadlines are the caller's."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._sentinels = list(address.hosts)
        if address.tls is not None:
            try:
                SSLConnection(**cast(Any, address.tls)).ssl_context.get()
            except (OSError, RedisError, ValueError) as error:
                raise ConfigError(f"stores.redis_url: its TLS options cannot be used: {error}") from error

    async def dial(self, host: tuple[str, int], lane: Lane) -> None:
        """Connect `lane` to `host`. Raises: RedisUnavailable."""
        address = self._address
        login = {"username": address.username, "password": address.password, "db": address.db}
        lane.adopt(await self._connect(self._connection(host, **login)))

    async def dial_primary(self, lane: Lane) -> None:
        """Connect `lane` to the primary that a sentinel names. Raises: RedisUnavailable."""
        address = self._address
        login = {"username": address.sentinel_username, "password": address.sentinel_password}
        why: Exception | None = None
        for sentinel in list(self._sentinels):
            try:
                async with asyncio.timeout(_SENTINEL_S):
                    named = await self._ask(
                        self._connection(sentinel, **login), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", address.primary
                    )
                if named is not None:
                    await self.dial((named[0].decode(), int(named[1])), lane)
                    return
            except (RedisUnavailable, TimeoutError) as error:
                why = error
            self._sentinels.remove(sentinel)
            self._sentinels.append(sentinel)  # the next time the others are asked first
        raise RedisUnavailable("no sentinel names a primary that can be reached", maybe_done=False) from why

    async def ask(self, host: tuple[str, int], *words: str) -> Any:
        """One command on a connection of its own. Raises: RedisUnavailable."""
        address = self._address
        return await self._ask(self._connection(host, username=address.username, password=address.password), *words)

    async def _ask(self, connection: AbstractConnection, *words: str) -> Any:
        writer = await self._connect(connection, keep=True)
        try:
            await connection.send_command(*words)
            return await connection.read_response(disable_decoding=True)
        except _FAILURES as error:
            raise RedisUnavailable(f"Redis cannot be asked: {error}", maybe_done=False) from error
        finally:
            _take_writer(connection)
            writer.transport.abort()

    def _connection(self, host: tuple[str, int], **login: Any) -> AbstractConnection:
        options: dict[str, Any] = {"protocol": 2, "socket_timeout": None, "socket_connect_timeout": None, **login}
        if self._address.path is not None:
            return UnixDomainSocketConnection(path=self._address.path, **options)
        if self._address.tls is not None:
            return SSLConnection(host=host[0], port=host[1], **cast(Any, self._address.tls), **options)
        return Connection(host=host[0], port=host[1], **options)

    async def _connect(self, connection: AbstractConnection, *, keep: bool = False) -> asyncio.StreamWriter:
        """Raises: RedisUnavailable."""
        try:
            await cast(Any, connection).connect()
        except _FAILURES as error:
            _abort(connection)
            raise RedisUnavailable(f"no connection: {error}", maybe_done=False) from error
        except BaseException:  # cancelled half-way: the socket would be left to the garbage collector
            _abort(connection)
            raise
        writer = connection._writer if keep else _take_writer(connection)
        assert writer is not None
        return writer


def _take_writer(connection: AbstractConnection) -> asyncio.StreamWriter | None:
    """Take the socket out of redis-py's hands, as ADR 12 tells; it would close the transport when it is collected."""
    writer, connection._writer, connection._reader = connection._writer, None, None
    return writer


def _abort(connection: AbstractConnection) -> None:
    writer = _take_writer(connection)
    if writer is not None:
        writer.transport.abort()
