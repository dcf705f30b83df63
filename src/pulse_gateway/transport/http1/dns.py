"""Which addresses a host has, and in which order to try them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address

import msgspec

__all__ = ["Addresses", "Resolve", "system_resolve"]

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host, best first. Raises: OSError."""

_STALE_S = 300.0  # how long an answer serves beyond its time when there is no newer one
_MOST_HOSTS = 1024


async def system_resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _Known(msgspec.Struct):
    addresses: list[str]
    until: float
    turn: int = 0
    failed: dict[str, float] = {}


class Addresses:
    """Looks names up and remembers what was found for `ttl_s`, since the system does not say for how long it holds.

    Calls that want the same name at once share one look-up. Each asking begins with the next address of a family, so that connections
    spread over all of them; the families take turns, the system's first choice first; what could not be reached within `ttl_s` comes last.
    While names cannot be looked up, what was known serves on for five minutes.

    Source: RFC 8305 §4 (the order of addresses), RFC 8767 (stale answers).
    """

    def __init__(self, resolve: Resolve = system_resolve, *, ttl_s: float = 30.0) -> None:
        self._resolve, self._ttl_s = resolve, ttl_s
        self._known: dict[tuple[str, int], _Known] = {}
        self._asked: dict[tuple[str, int], asyncio.Task[list[str]]] = {}

    async def of(self, host: str, port: int) -> list[str]:
        """At least one. Raises: OSError."""
        try:
            return [str(ip_address(host))]
        except ValueError:
            pass
        key, now = (host, port), asyncio.get_running_loop().time()
        known = self._known.get(key)
        if known is None or known.until <= now:
            known = await self._look_up(key, known, now)
        return _ordered(known, now - self._ttl_s)

    def unreachable(self, host: str, port: int, address: str) -> None:
        """Nobody took a connection at `address`."""
        known = self._known.get((host, port))
        if known is not None:
            known.failed[address] = asyncio.get_running_loop().time()

    async def _look_up(self, key: tuple[str, int], known: _Known | None, now: float) -> _Known:
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.ensure_future(self._resolve(*key))
            asked.add_done_callback(lambda _: self._asked.pop(key, None))
        try:
            found = await asyncio.shield(asked)  # others may wait for it, too
            if not found:
                raise OSError(f"{key[0]} has no address")
        except OSError:
            if known is None or known.until + _STALE_S < now:
                raise
            return known
        newer = self._known.get(key)
        if newer is not None and newer is not known:
            return newer  # another that waited for the same
        if len(self._known) >= _MOST_HOSTS:
            self._known.clear()
        turn = 0 if known is None else known.turn
        made = _Known(found, now + self._ttl_s, turn, {} if known is None else known.failed)
        self._known[key] = made
        return made


def _ordered(known: _Known, failed_since: float) -> list[str]:
    turn = known.turn
    known.turn += 1
    families: dict[bool, list[str]] = {}
    for address in known.addresses:
        families.setdefault(":" in address, []).append(address)
    turned = [each[turn % len(each) :] + each[: turn % len(each)] for each in families.values()]
    ordered = [family[place] for place in range(max(map(len, turned))) for family in turned if place < len(family)]
    failed = known.failed
    return sorted(ordered, key=lambda address: failed.get(address, failed_since) > failed_since) if failed else ordered
