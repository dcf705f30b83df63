"""What all exchanges have in common that ask for the same operation, in the same dialect, of the same deployment: worked out once."""

from __future__ import annotations

import msgspec

from pulse_gateway.catalog.cost import Prepared as PreparedPrice
from pulse_gateway.catalog.cost import prepare
from pulse_gateway.catalog.sold import is_sold_by_the_piece
from pulse_gateway.ledger.estimates import GATEWAY_ENDED
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.telemetry.record import ExchangeRecord
from pulse_gateway.types.catalog import Deployment
from pulse_gateway.types.http import Headers
from pulse_gateway.types.usage import Outcome, Usage, UsageSource

__all__ = ["Kind", "kind_of"]

_MOST_KINDS = 1_024
_NOBODY, _NEVER = "", 0.0  # what each exchange, and each attempt, fills in


class Kind(msgspec.Struct, frozen=True, gc=False):
    """`unheard`: the ledger's entry of an attempt that nothing more is heard of. `record`: what is told of an exchange in which all went well,
    at the first attempt. `headers`: who answers, as the client is told. `by_the_piece`: it is not sold by the token.
    """

    deployment: Deployment | None
    record: ExchangeRecord
    unheard: UsageEntry | None = None
    price: PreparedPrice | None = None
    by_the_piece: bool = False
    headers: Headers = ()


_kinds: dict[tuple[int, str, str | None, bool], Kind] = {}  # by the identity of the deployment, which its kinds keep


def kind_of(deployment: Deployment | None, operation: str, dialect: str | None, stream: bool, /) -> Kind:
    """`deployment` None: nobody was asked. `dialect` None: it is a program that asks."""
    key = (id(deployment), operation, dialect, stream)
    kind = _kinds.get(key)
    if kind is None:
        if len(_kinds) >= _MOST_KINDS:
            _kinds.clear()
        kind = _kinds[key] = _worked_out(deployment, operation, dialect or "native", stream)
    return kind


def _worked_out(deployment: Deployment | None, operation: str, dialect: str, stream: bool) -> Kind:
    provider, model = (None, None) if deployment is None else (deployment.provider, deployment.model)
    record = ExchangeRecord(
        request_id=_NOBODY,
        trace_id=_NOBODY,
        tenant_id=None,
        user_id=None,
        key_id=None,
        dialect=dialect,
        operation=operation,
        stream=stream,
        model=None,
        provider=provider,
        provider_model=None if model is None else model.name,
        attempts=1,
        outcome=Outcome.COMPLETED.value,
        status=200,
        error_code=None,
        upstream_status=None,
        input_tokens=None,
        cached_input_tokens=None,
        output_tokens=None,
        reasoning_tokens=None,
        total_tokens=0,
        usage_source=UsageSource.PROVIDER.value,
        cost_nano_usd=None,
        first_byte_ms=None,
        total_ms=_NEVER,
    )
    if deployment is None or provider is None or model is None:
        return Kind(deployment, record)
    price = None if model.price is None else prepare(model.price)
    unheard = UsageEntry(
        entry_id=_NOBODY,
        request_id=_NOBODY,
        trace_id=_NOBODY,
        tenant_id=_NOBODY,
        user_id=_NOBODY,
        key_id=None,
        period=0,
        operation=operation,
        dialect=dialect,
        alias=_NOBODY,
        provider=provider,
        model=model.name,
        attempt=0,
        outcome=Outcome.INTERRUPTED,
        source=UsageSource.ESTIMATED,
        usage=Usage(),
        tokens=0,
        cost_nano_usd=None,
        price_source=None if price is None else price.named,
        price_version=None if price is None else price.version,
        total_ms=_NEVER,
        at=_NEVER,
        error_code=GATEWAY_ENDED,
    )
    headers = (("x-pulse-provider", provider), ("x-pulse-model", model.name), ("x-pulse-attempts", "1"))
    return Kind(deployment, record, unheard, price, is_sold_by_the_piece(model, operation), headers)
