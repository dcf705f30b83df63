"""Whose word on what a call costs counts."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.catalog.charge import OPERATORS_OWN, Charge, charge
from pulse_gateway.types.catalog import Deployment, Model, Price, Rates
from pulse_gateway.types.usage import Usage

USED = Usage(input_tokens=1_000, output_tokens=10)
LISTED = Price(rates=Rates(input=2_000_000, output=4_000_000), source="a list", as_of="2026-11-24")


def deployment(kind: str, price: Price | None) -> Deployment:
    return Deployment(provider="p", kind=kind, model=Model(provider="p", name="m", price=price), base_url="")


@pytest.mark.parametrize(
    ("kind", "place"),
    [("openrouter", "usage.cost"), ("perplexity", "usage.cost"), ("xai", "usage.cost_in_usd_ticks")],
)
@pytest.mark.parametrize("price", [None, LISTED])
def test_who_says_what_it_has_billed_is_believed_over_a_list_and_where_there_is_none(
    kind: str, place: str, price: Price | None
) -> None:
    assert charge(USED, deployment(kind, price), 7) == Charge(7, f"{kind}: {place}", None)
    assert charge(USED, deployment(kind, price), 0).nano_usd == 0


@pytest.mark.parametrize(
    ("kind", "told", "more"),
    [
        ("openrouter", None, {}),
        ("openrouter", 7, {"source": OPERATORS_OWN}),
        ("openai_compatible", 0, {}),
        ("openai", 0, {}),
    ],
)
def test_the_price_counts_where_nothing_is_said_where_nobody_is_believed_and_where_the_operator_has_written_it(
    kind: str, told: int | None, more: dict[str, Any]
) -> None:
    price = msgspec.structs.replace(LISTED, **more)
    charged = charge(USED, deployment(kind, price), told)
    assert (charged.nano_usd, charged.source) == (2_040, f"{price.source} (2026-11-24)")
    assert charged.version is not None


def test_without_price_and_word_nothing_is_known() -> None:
    assert charge(USED, deployment("openai_compatible", None), 7) == Charge(None, None, None)
