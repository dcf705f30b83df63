"""Requests that carry no valid key, per client address: who goes on guessing is told to come back later."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from typing import Any

from pulse_gateway.clock import Clock
from pulse_gateway.errors import RateLimited
from pulse_host.client_address import Address, ClientAddresses

__all__ = ["AnonymousLimit"]

_MOST_CLIENTS = 10_000
_ONE_NETWORK_BITS = 64  # what one subscriber is given of IPv6, and can choose addresses from


class AnonymousLimit:
    """`rate` is read for each request, so that a reload counts at once: requests and seconds, or None for no limit.

    Counted in this process, in windows that begin with an address's first request. An IPv6 client is its /64; all who come through
    a Unix socket without a name are one client. Of more than 10,000 clients, those whose window began first are forgotten.
    """

    def __init__(
        self, rate: Callable[[], tuple[int, float] | None], addresses: ClientAddresses, *, clock: Clock
    ) -> None:
        self._rate, self._addresses, self._clock = rate, addresses, clock
        self._counted: dict[Address | int | None, tuple[float, int]] = {}  # in the order in which windows began

    def count(self, scope: Mapping[str, Any]) -> None:
        """One more request without a valid key. One that is refused here takes no place.

        Raises: RateLimited.
        """
        rate = self._rate()
        if rate is None:
            return
        most, window_s = rate
        client, now = _one_client(self._addresses.of(scope)), self._clock.monotonic()
        began, count = self._counted.get(client, (now, 0))
        if now - began >= window_s:
            began, count = now, 0
        if count >= most:
            raise RateLimited(
                f"{most} requests without a valid API key came from this address within {window_s:g} s; "
                f"the next one is heard in {math.ceil(began + window_s - now)} s, one with a valid key at once",
                retry_after_s=began + window_s - now,
            )
        if count == 0:
            self._counted.pop(client, None)  # to the end of the order
            if len(self._counted) >= _MOST_CLIENTS:
                del self._counted[next(iter(self._counted))]
        self._counted[client] = (began, count + 1)

    def __len__(self) -> int:
        """How many clients are remembered."""
        return len(self._counted)


def _one_client(address: Address | None) -> Address | int | None:
    return int(address) >> _ONE_NETWORK_BITS if isinstance(address, IPv6Address) else address
