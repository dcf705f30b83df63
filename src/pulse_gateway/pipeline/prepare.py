"""What is sent to one deployment: the client's own bytes, or their translation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.refusal import reword
from pulse_gateway.providers.offer import Steps, Streamed
from pulse_gateway.providers.provider import Provider, UpstreamCall
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.http import Headers, HttpAnswer, HttpRequest
from pulse_gateway.wire.client_spelling import dropped_paths
from pulse_gateway.wire.codec import UpstreamCodec
from pulse_gateway.wire.passthrough import Mender

__all__ = ["Prepared", "prepare"]


class Prepared(msgspec.Struct, frozen=True):
    """`verbatim`: the client speaks the upstream's dialect. `hide_usage`: usage was asked for on the client's behalf.

    `mender`: what puts the answer right on its way to such a client. `dropped`: the hints that had no place in a translation, as the
    client spells them. `steps`: of a chat that takes several requests, given the seconds that are left for it; `request` begins it.
    """

    request: HttpRequest
    verbatim: bool
    hide_usage: bool
    dropped: tuple[str, ...]
    mender: Mender | None = None
    steps: Callable[[float], Steps[HttpAnswer | Streamed]] | None = None


def prepare(
    exchange: Exchange,
    deployment: Deployment,
    provider: Provider,
    upstream: UpstreamCodec,
    translated: ChatRequest | None = None,
) -> Prepared:
    """`translated`: the exchange's request with the bytes of files in place of their URLs.

    Raises: UnsupportedParameter naming the field as the client spelled it, InvalidRequest.
    """
    client, envelope, inbound = exchange.chat, exchange.envelope, exchange.inbound
    assert envelope is not None  # resolved before
    verbatim = client is not None and client.dialect == upstream.dialect
    dropped: tuple[str, ...] = ()
    if client is not None and verbatim:
        body = client.rewrite_request(inbound.body, model=deployment.model.name, show_usage=True)
        try:
            body, dropped = provider.trimmed(body, upstream.dialect, deployment)
        except InvalidRequest as error:
            reword(error, deployment, None, inbound.body)
            raise
        handed_on = _handed_on(inbound.headers, passed) if (passed := provider.passed_headers) else ()
    else:
        request = msgspec.structs.replace(
            translated or exchange.request, model=deployment.model.name, stream=envelope.stream
        )
        try:
            provider.check(request, deployment)
            encoded = upstream.encode_request(request, deployment.model)
        except InvalidRequest as error:
            named = client is None or error.param in request.extra
            reword(error, deployment, None if named or client is None else client.field_paths, inbound.body)
            raise
        body, dropped, handed_on = encoded.body, encoded.dropped, ()
        if client is not None and dropped:
            dropped = dropped_paths(dropped, client.field_paths, inbound.body)
    call = UpstreamCall(
        deployment=deployment,
        body=body,
        stream=envelope.stream,
        dialect=upstream.dialect,
        client_headers=handed_on,
        trace_headers=(*exchange.trace.upstream_headers(), ("x-request-id", exchange.request_id)),
    )
    hide_usage = verbatim and envelope.stream and not envelope.include_usage
    mender = provider.mender(upstream.dialect) if verbatim else None
    steps = None if provider.chat_steps is None else partial(provider.chat_steps, call)
    return Prepared(provider.build(call), verbatim, hide_usage, dropped, mender, steps)


def _handed_on(headers: Headers, passed: frozenset[str]) -> Headers:
    """Those of the client's that the vendor is to see. Raises: InvalidRequest for one that is more than a line of plain text."""
    handed_on: Headers = ()
    for pair in headers:
        name, value = pair
        if name in passed:
            if not value.isascii() or not value.isprintable():
                raise InvalidRequest(f"the header {name} may hold printable ASCII only", param=name)
            handed_on += (pair,)
    return handed_on
