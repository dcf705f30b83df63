"""An operation beside chat as one vendor offers it: what to send, one step after the other. Pure.

What takes several calls (make, look whether it is done, fetch the file) is a generator: it yields what is to be done next and is
sent what came of it. Whoever runs it does the I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Protocol, TypeVar

import msgspec

from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers, HttpAnswer, HttpRequest, Payload
from pulse_gateway.types.usage import Usage

__all__ = [
    "Billed", "Download", "Offer", "OfferCall", "OnAbandon", "Pause", "SpokenOffer", "Step", "Steps", "Streamed", "ask",
]  # fmt: skip

A = TypeVar("A")


class Pause(msgspec.Struct, frozen=True):
    """Wait before the next step."""

    seconds: float


class Download(msgspec.Struct, frozen=True):
    """Fetch an address that a client or a vendor named: public addresses only, within bounds. Answered with an `HttpAnswer`.

    `param` is the request's field that named it, for the error.
    """

    url: str
    param: str | None = None
    max_bytes: int = 20 * 1024 * 1024


class Billed(msgspec.Struct, frozen=True):
    """What the vendor will bill from here on, whatever becomes of the rest. Totals since the start: the last one counts.

    Steps that fail after a 2xx answer without having said this are charged what the request asked for. An empty `Usage()` says that what
    was answered until here is free: an upload. `told_nano_usd` is what the vendor itself says that it costs, all calls together.
    """

    usage: Usage
    told_nano_usd: int | None = None


class OnAbandon(msgspec.Struct, frozen=True):
    """What to send should the client leave, or the rest fail, from here on: it tells the vendor to stop. The last one counts.

    None: there is nothing to stop any more.
    """

    request: HttpRequest | None


Step = HttpRequest | Pause | Download | Billed | OnAbandon
Steps = Generator[Step, Any, A]
"""An `HttpRequest` and a `Download` are answered with an `HttpAnswer` whose status is 2xx; another one is thrown into the generator as
the `UpstreamError` that `Provider.error` makes of it. The others are answered with None. Steps may also return at once, without asking anybody."""


class Streamed(msgspec.Struct, frozen=True):
    """What the steps of a chat return whose answer is a stream: the request that it answers; the steps once it is over, or has broken off,
    which return its last bytes; and what to send should it be left before.
    """

    request: HttpRequest
    after: Callable[[], Steps[bytes]]
    abandon: HttpRequest


def ask(request: HttpRequest | Download) -> Generator[Step, HttpAnswer, HttpAnswer]:
    """`answer = yield from ask(request)`, with its type."""
    return (yield request)


class OfferCall(msgspec.Struct, frozen=True, kw_only=True):
    """One call of one deployment. `client_headers` are those of the client's own that may matter to this vendor.

    `webhook` is an address of this gateway that a vendor may call when a long job is done.
    """

    deployment: Deployment
    stream: bool = False
    webhook: str | None = None
    client_headers: Headers = ()
    trace_headers: Headers = ()


class Offer(Protocol):
    @property
    def dialect(self) -> str | None:
        """Of `wire.registry`: what the vendor speaks, so that clients of that dialect are passed through. None: none of those."""
        ...

    def check(self, request: Any, deployment: Deployment, /) -> tuple[str, ...]:
        """The hints of the neutral `request` that have no place here, by neutral name.

        Raises: UnsupportedParameter with the neutral field name, for what this vendor or model lacks.
        """
        ...

    def steps(self, request: Any, call: OfferCall, /) -> Steps[Any]:
        """Returns the neutral reply. Raises: UpstreamError."""
        ...


class SpokenOffer(Offer, Protocol):
    """One whose `dialect` clients speak as well."""

    def forward(self, body: Payload, call: OfferCall, /) -> HttpRequest:
        """A request in this vendor's own dialect, untouched."""
        ...
