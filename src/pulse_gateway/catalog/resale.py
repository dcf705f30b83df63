"""Models that another provider serves than the vendor that made them: whose they are, and what they cost there. Pure."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pulse_gateway.types.catalog import Model

__all__ = ["Origin", "origin_of", "resold"]

_SAME_MODELS = {"azure": "openai", "vertex": "google"}
"""Providers that serve another vendor's models under its names, at its list price."""

# `us.anthropic.claude-opus-5-5`, `anthropic.claude-haiku-4-5-20251001-v1:0`, `openai.gpt-6-sol`
_ON_BEDROCK = re.compile(r"(?:(?P<region>[a-z-]+)\.)?(?P<vendor>anthropic|openai)\.(?P<name>.+?)(?:-v\d+(?::\d+)?)?")
_IN_A_REGION, _FOR_GOVERNMENTS = 110, 120


class Origin(msgspec.Struct, frozen=True):
    """`name` at `vendor`, of whose list price `percent` is charged."""

    vendor: str
    name: str
    percent: int = 100


def origin_of(provider: str, name: str) -> Origin | None:
    """Where the model that `provider` serves as `name` comes from; None: it is the provider's own.

    On Bedrock a name that begins with a region costs a tenth more than the vendor's list price, one for governments a fifth; an
    OpenAI model without a region does too, because Mantle charges it so.
    Source: Bedrock's rows in LiteLLM model_prices 1.109.1, which cite https://aws.amazon.com/bedrock/pricing (read 2026-11-24).
    """
    if provider in _SAME_MODELS:
        return Origin(_SAME_MODELS[provider], name)
    if provider != "bedrock":
        return None
    found = _ON_BEDROCK.fullmatch(name.rpartition("/")[2])
    if found is None:
        return None
    region, vendor = found["region"], found["vendor"]
    if region == "global" or (region is None and vendor == "anthropic"):
        return Origin(vendor, found["name"])
    return Origin(vendor, found["name"], _FOR_GOVERNMENTS if region == "us-gov" else _IN_A_REGION)


def resold(model: Model, name: str, origin: Origin) -> Model:
    """The vendor's `model` as it is sold elsewhere: another name, perhaps dearer, and none of the vendor's dates."""
    price = model.price
    if price is not None and origin.percent != 100:
        dearer = {
            part: msgspec.convert(_times(msgspec.to_builtins(rates), origin.percent), type(rates))
            for part in ("rates", "long_rates", "units")
            if (rates := getattr(price, part)) is not None
        }
        price = msgspec.structs.replace(price, source=f"{price.source}, × {origin.percent / 100:g}", **dearer)
    return msgspec.structs.replace(model, name=name, price=price, start=None, shutdown=None)


def _times(rates: Any, percent: int) -> Any:
    if isinstance(rates, dict):
        return {name: _times(rate, percent) for name, rate in rates.items()}
    return -(-rates * percent // 100)  # rounded up
