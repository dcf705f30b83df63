"""How the gateway reaches others, as it is configured."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

__all__ = ["FetchConfig", "NetworkConfig"]

Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[int, Meta(gt=0)]
PositiveSeconds = Annotated[float, Meta(gt=0)]


class FetchConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Files that users name by their URL, fetched where a provider needs their bytes; otherwise the URL is passed on."""

    enabled: Annotated[bool, Meta(description="without it such a request is answered with 400")] = True
    max_bytes: Annotated[Positive, Meta(description="all files of a request together")] = 20_000_000
    timeout_s: Annotated[PositiveSeconds, Meta(description="for one file, redirects included")] = 20.0
    ports: Annotated[tuple[Port, ...], Meta(description="that may be fetched from")] = (80, 443)
    allow_private: Annotated[
        list[str],
        Meta(
            description="addresses, networks such as `10.1.0.0/16`, and hosts that may be fetched from although they are not public; without it nothing inside a network can be reached through the gateway"
        ),
    ] = []


class NetworkConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Connections to providers."""

    max_connections: Annotated[
        Positive,
        Meta(
            description="requests and streams under way at once to one address (scheme, host and port), per process; one more waits up to `timeouts.connect_s` for a place. Each takes two descriptors (`ulimit -n`), its client's and its provider's; `pulse serve` raises the soft limit to the hard one, and warns where that is too low"
        ),
    ] = 10_000
