"""Which addresses outside may be fetched from: the public ones, and what an operator has allowed besides. Pure.

A name is not judged, only what it resolves to, since anybody can give a name any address.

Source: the special-purpose address registries of IANA (read 2026-11-24); RFC 6052 for NAT64, RFC 3056 for 6to4
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from pulse_gateway.errors import ConfigError

__all__ = ["Allowed"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# What `is_global` takes for public although nobody outside is there.
_NOT_PUBLIC: tuple[Network, ...] = (
    IPv4Network("192.0.0.0/24"),  # Oracle's metadata server is among these
    IPv4Network("192.88.99.0/24"),  # relays of 6to4
    IPv4Network("168.63.129.16/32"),  # what Azure tells its machines by
    IPv6Network("2001::/23"),  # Teredo and other protocols
    IPv6Network("3fff::/20"),  # documentation
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")


class Allowed:
    """Public addresses, and `exceptions`: addresses, networks, and names of hosts, whose addresses then are not looked at.

    Raises: ConfigError for an exception that is none of these.
    """

    def __init__(self, exceptions: Iterable[str] = ()) -> None:
        self._networks: list[Network] = []
        self._hosts: set[str] = set()
        for written in exceptions:
            try:
                self._networks.append(ip_network(written))
            except ValueError as error:
                if not written or "/" in written or written.strip() != written:
                    raise ConfigError(f"fetch.allow_private: {written!r} is no address, network or host") from error
                self._hosts.add(written.lower().rstrip("."))

    def host(self, name: str) -> bool:
        """Whether `name` may be fetched from whatever its addresses are."""
        return name.lower().rstrip(".") in self._hosts

    def address(self, written: str) -> bool:
        """Whether the address may be connected to; an address that cannot be read may not."""
        try:
            address = ip_address(written)
        except ValueError:
            return False
        return _is_public(address) or any(
            each.version == network.version and each in network
            for each in _meant(address)
            for network in self._networks
        )


def _is_public(address: Address) -> bool:
    *_, meant = _meant(address)
    if isinstance(meant, IPv6Address) and meant not in _GLOBAL_UNICAST:
        return False
    return (
        meant.is_global
        and not (meant.is_multicast or meant.is_reserved)
        and not any(meant.version == network.version and meant in network for network in _NOT_PUBLIC)
    )


def _meant(address: Address) -> tuple[Address, ...]:
    """`address`, and the IPv4 address that it stands for where it carries one inside."""
    if isinstance(address, IPv4Address):
        return (address,)
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and address in _NAT64:
        inner = IPv4Address(int(address) & 0xFFFF_FFFF)
    return (address,) if inner is None else (address, inner)
