"""What a key or a tenant may do, as it stands in the column `limits`. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from pulse_gateway.types.identity import NO_ALLOWANCE, Allowance

__all__ = ["LimitsChange", "decode_limits", "encode_limits"]

LimitName = Literal["requests", "tokens", "concurrency", "budget_nano_usd"]

_decoder = msgspec.json.Decoder(Allowance)


class LimitsChange(msgspec.Struct, frozen=True, kw_only=True):
    """`put` sets the limits it names; those in `forget` are then no longer said, and the configured ones hold."""

    put: Allowance = NO_ALLOWANCE
    forget: tuple[LimitName, ...] = ()


def decode_limits(text: str) -> Allowance:
    """NO_ALLOWANCE itself where nothing is said.

    Raises: msgspec.ValidationError for what no version of Pulse has written.
    """
    return NO_ALLOWANCE if text == "{}" else _decoder.decode(text)


def encode_limits(limits: Allowance) -> str:
    """Only what is said."""
    return msgspec.json.encode(limits).decode()
