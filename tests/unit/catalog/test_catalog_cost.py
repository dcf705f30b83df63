from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from pulse_gateway.catalog.cost import cost
from pulse_gateway.types.catalog import Price, Rates
from pulse_gateway.types.usage import Usage

OPUS = Price(
    rates=Rates(
        input=4_000_000_000,
        cached_input=200_000_000,
        cache_write=5_000_000_000,
        cache_write_long=8_000_000_000,
        output=20_000_000_000,
    ),
    source="test",
    as_of="2026-11-24",
)
CLASSES = {  # a class of tokens, its rate, and the rate that stands in
    "input_tokens": ("input", "input"),
    "cached_input_tokens": ("cached_input", "input"),
    "cache_write_tokens": ("cache_write", "input"),
    "cache_write_long_tokens": ("cache_write_long", "input"),
    "audio_input_tokens": ("audio_input", "input"),
    "output_tokens": ("output", "output"),
    "reasoning_tokens": ("reasoning", "output"),
    "audio_output_tokens": ("audio_output", "output"),
    "image_output_tokens": ("image_output", "output"),
}

rate = st.integers(0, 200_000_000_000)
rates = st.builds(
    Rates,
    input=rate,
    output=rate,
    **{name: st.none() | rate for name, _ in CLASSES.values() if name not in ("input", "output")},
)
usages = st.builds(Usage, **{name: st.none() | st.integers(0, 2_000_000) for name in CLASSES})


@st.composite
def prices(draw: st.DrawFn) -> Price:
    """With long-context rates at least as high as the others, as every vendor's are."""
    short = draw(rates)
    if draw(st.booleans()):
        return Price(rates=short, source="test", as_of="2026-11-24")
    long = Rates(
        **{
            name: None if amount is None else amount + draw(st.integers(0, 10**10))
            for name, amount in asdict(short).items()
        }
    )
    return Price(
        rates=short,
        long_rates=long,
        long_above_tokens=draw(st.integers(0, 3_000_000)),
        source="test",
        as_of="2026-11-24",
    )


def test_each_class_has_its_own_rate() -> None:
    usage = Usage(
        input_tokens=1_000_000,
        cached_input_tokens=1_000_000,
        cache_write_tokens=1_000_000,
        cache_write_long_tokens=1_000_000,
        output_tokens=1_000_000,
        reasoning_tokens=1_000_000,
    )
    assert cost(usage, OPUS) == (4 + 0.2 + 5 + 8 + 20 + 20) * 1_000_000_000


def test_a_class_without_a_rate_costs_what_its_side_costs() -> None:
    plain = Price(rates=Rates(input=2_000_000, output=10_000_000), source="test", as_of="2026-11-24")
    for name, (_, stands_in) in CLASSES.items():
        assert cost(Usage(**{name: 7}), plain) == 7 * (2 if stands_in == "input" else 10)


def test_rounding_up_happens_once() -> None:
    cheap = Price(rates=Rates(input=1, output=1), source="test", as_of="2026-11-24")
    assert cost(Usage(input_tokens=1, output_tokens=1), cheap) == 1
    assert cost(Usage(input_tokens=999_999, output_tokens=1), cheap) == 1
    assert cost(Usage(input_tokens=1_000_000, output_tokens=1), cheap) == 2


def test_nothing_costs_nothing() -> None:
    assert cost(Usage(), OPUS) == 0
    assert cost(Usage(input_tokens=0, output_tokens=0), OPUS) == 0


def test_the_long_rate_is_for_the_whole_request_and_begins_above_the_threshold() -> None:
    double = Price(
        rates=Rates(input=1_000_000, output=10_000_000),
        long_above_tokens=100,
        long_rates=Rates(input=2_000_000, output=15_000_000),
        source="test",
        as_of="2026-11-24",
    )
    assert cost(Usage(input_tokens=60, cached_input_tokens=40, output_tokens=10), double) == 100 + 100
    assert cost(Usage(input_tokens=60, cached_input_tokens=41, output_tokens=10), double) == 202 + 150
    assert cost(Usage(input_tokens=100, output_tokens=1_000), double) == 100 + 10_000  # a long answer is no long prompt


@given(usages, prices())
@settings(deadline=None, max_examples=200)
def test_the_cost_is_the_exact_sum_rounded_up(usage: Usage, price: Price) -> None:
    long = price.long_above_tokens is not None and usage.input_total > price.long_above_tokens
    in_force = price.long_rates if long and price.long_rates else price.rates
    exact = Fraction(0)
    for name, (own, stands_in) in CLASSES.items():
        amount = getattr(in_force, own)
        exact += Fraction(getattr(usage, name) or 0) * (getattr(in_force, stands_in) if amount is None else amount)
    exact /= 1_000_000
    assert exact <= cost(usage, price) < exact + 1


@given(usages, prices(), st.sampled_from([*CLASSES]), st.integers(1, 1_000_000))
@settings(deadline=None, max_examples=200)
def test_more_tokens_of_any_class_never_cost_less(usage: Usage, price: Price, name: str, more: int) -> None:
    larger = replace(usage, **{name: (getattr(usage, name) or 0) + more})
    assert cost(larger, price) >= cost(usage, price)
