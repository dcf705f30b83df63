"""One line per exchange: what happened, to whom, at what cost. No prompt, no answer, no key."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from pulse_gateway.units import usd

__all__ = ["ExchangeRecord", "Observer", "ascii_json", "log_exchange"]

_log = logging.getLogger("pulse_gateway.exchange")
_encode = msgspec.json.encode


class ExchangeRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Token counts are None where nobody knows them, `cost_usd` where the model has no known price. Times in milliseconds.

    `replayed`: it was given the answer to another exchange with the same idempotency key. No attempt, no usage, no cost.
    """

    request_id: str
    trace_id: str
    tenant_id: str | None
    user_id: str | None
    key_id: str | None
    dialect: str
    operation: str
    stream: bool
    model: str | None
    provider: str | None
    provider_model: str | None
    attempts: int
    outcome: str
    status: int
    error_code: str | None
    upstream_status: int | None
    input_tokens: int | None
    cached_input_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    total_tokens: int
    usage_source: str
    cost_nano_usd: int | None
    first_byte_ms: float | None
    total_ms: float
    tags: dict[str, str] = {}
    replayed: bool = False

    @property
    def cost_usd(self) -> str | None:
        return None if self.cost_nano_usd is None else usd(self.cost_nano_usd)


Observer = Callable[[ExchangeRecord], None]
"""Called once per exchange, after it is settled. It must not wait."""


def log_exchange(record: ExchangeRecord) -> None:
    """The record as one line of JSON on the logger `pulse_gateway.exchange`, level INFO."""
    if _log.isEnabledFor(logging.INFO):
        fields = {"event": "exchange", **msgspec.to_builtins(record), "cost_usd": record.cost_usd}
        _log.info("%s", ascii_json(_encode(fields)))


def ascii_json(data: bytes | bytearray) -> str:
    """JSON with everything beyond ASCII escaped: a client's model name may hold line separators and characters that turn the
    direction of a terminal."""
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        import json  # for what is rare

        return json.dumps(json.loads(data), separators=(",", ":"))
