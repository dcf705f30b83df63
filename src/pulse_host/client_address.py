"""Whose request it is, as far as the network can tell: the other end of the socket, or who a trusted proxy says is behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from pulse_gateway.errors import ConfigError

__all__ = ["Address", "ClientAddresses"]

Address = IPv4Address | IPv6Address
_UNIX = "unix"


class ClientAddresses:
    """`trusted` are the proxies whose `X-Forwarded-For` is believed: addresses, networks (`10.0.0.0/8`), or `unix` for whoever comes
    through a Unix socket. Of anybody else it is what a client may write as it likes, and is not read.

    Raises: ConfigError.
    """

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._unix = _UNIX in trusted
        self._networks = [_network(text) for text in trusted if text != _UNIX]

    def of(self, scope: Mapping[str, Any]) -> Address | None:
        """The client of an ASGI scope: the last hop that is no trusted proxy. None: a Unix socket, and nobody is named behind it."""
        client = scope.get("client")
        address = None if client is None else _address(client[0])
        if not self._trusts(address):
            return address
        for hop in _hops(scope):
            named = _address(hop)
            if named is None:
                return (
                    address  # what cannot be read was not written by who is trusted: whoever handed it on is the client
                )
            address = named
            if not self._trusts(address):
                break
        return address

    def _trusts(self, address: Address | None) -> bool:
        if address is None:
            return self._unix
        return any(address in network for network in self._networks)


def _hops(scope: Mapping[str, Any]) -> Iterator[str]:
    """The last one first. A proxy adds to the line that is there, or a line of its own below it."""
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    for line in reversed(lines):
        yield from reversed(line.split(","))


def _address(text: str) -> Address | None:
    """`192.0.2.7`, `2001:db8::7`, or either with a port, `192.0.2.7:4711` and `[2001:db8::7]:4711`; None for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        return address.ipv4_mapped or address
    return address


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigError(
            f'server.trusted_proxies: {text!r} is neither an address nor a network such as "10.0.0.0/8" nor "unix": {error}'
        ) from None
