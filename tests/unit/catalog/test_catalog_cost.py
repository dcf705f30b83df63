from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from pulse_gateway.catalog.cost import cost, cost_of_input, prepare, price_version, rate_of
from pulse_gateway.types.catalog import Price, Rates, UnitRates
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
    "image_input_tokens": ("image_input", "input"),
    "video_input_tokens": ("video_input", "input"),
    "output_tokens": ("output", "output"),
    "reasoning_tokens": ("reasoning", "output"),
    "audio_output_tokens": ("audio_output", "output"),
    "image_output_tokens": ("image_output", "output"),
    "video_output_tokens": ("video_output", "output"),
}
UNITS = {  # a unit, its price, and how many of the unit the price is for
    "images": ("image", 1),
    "video_ms": ("video_second", 1_000),
    "audio_ms": ("audio_minute", 60_000),
    "characters": ("characters", 1_000_000),
    "searches": ("search", 1),
}
VARIANTS = ["", "1024x1024", "1024x1024/high", "1024x1024/high/png", "720p", "odd/"]

rate = st.integers(0, 200_000_000_000)
rates = st.builds(
    Rates,
    input=rate,
    output=rate,
    **{name: st.none() | rate for name, _ in CLASSES.values() if name not in ("input", "output")},
)
variants = st.dictionaries(st.sampled_from(VARIANTS[:-1]), rate, max_size=3)
units = st.builds(
    UnitRates,
    image=variants,
    video_second=variants,
    audio_minute=st.none() | rate,
    characters=st.none() | rate,
    search=st.none() | rate,
)
usages = st.builds(
    Usage,
    **{name: st.none() | st.integers(0, 2_000_000) for name in (*CLASSES, *UNITS)},
    variant=st.none() | st.sampled_from(VARIANTS),
)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    """With long-context rates at least as high as the others, as every vendor's are."""
    short, by_unit = draw(rates), draw(st.none() | units)
    if draw(st.booleans()):
        return Price(rates=short, units=by_unit, source="test", as_of="2026-11-24")
    long = Rates(
        **{
            name: None if amount is None else amount + draw(st.integers(0, 10**10))
            for name, amount in asdict(short).items()
        }
    )
    return Price(
        rates=short,
        units=by_unit,
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


MEDIA = Price(
    rates=Rates(input=0, output=0),
    units=UnitRates(
        image={"1024x1024/low": 9_000_000, "1024x1024": 34_000_000, "": 50_000_000},
        video_second={"720p": 100_000_000, "4k": 300_000_000},
        audio_minute=6_000_000,
        characters=15_000_000_000,
        search=2_000_000,
    ),
    source="test",
    as_of="2026-11-24",
)


@pytest.mark.parametrize(
    ("usage", "nano_usd"),
    [
        (Usage(images=2, variant="1024x1024/low"), 18_000_000),
        (Usage(images=1, variant="1024x1024/high"), 34_000_000),  # the size is known, the quality is not
        (Usage(images=1, variant="512x512/high"), 50_000_000),
        (Usage(images=1), 50_000_000),
        (Usage(images=0, variant="1024x1024/low"), 0),
        (Usage(video_ms=8_000, variant="720p"), 800_000_000),
        (Usage(video_ms=1_500, variant="4k/silent"), 450_000_000),
        (Usage(video_ms=1_000, variant="1080p"), 300_000_000),  # nobody has heard of it: the dearest
        (Usage(audio_ms=90_000), 9_000_000),
        (Usage(audio_ms=1), 100),
        (Usage(characters=1_000), 15_000_000),
        (Usage(searches=3), 6_000_000),
        (Usage(input_tokens=10**6, output_tokens=10**6), 0),
    ],
)
def test_units_cost_what_they_are_sold_for(usage: Usage, nano_usd: int) -> None:
    assert cost(usage, MEDIA) == nano_usd


def test_a_unit_that_is_not_sold_apart_is_paid_for_by_the_tokens() -> None:
    assert cost(Usage(images=3, video_ms=8_000, audio_ms=9, characters=9, searches=9), OPUS) == 0
    assert cost(Usage(images=3, image_output_tokens=1_000_000), OPUS) == 20_000_000_000


def test_a_part_of_a_nano_dollar_is_rounded_up_once_over_tokens_and_units() -> None:
    cheap = Price(
        rates=Rates(input=500_000, output=0),
        units=UnitRates(audio_minute=1, characters=1),
        source="t",
        as_of="2026-11-24",
    )
    assert cost(Usage(audio_ms=1), cheap) == cost(Usage(audio_ms=30_000, characters=500_000), cheap) == 1
    assert cost(Usage(input_tokens=1, audio_ms=20_000, characters=1), cheap) == 1
    assert cost(Usage(input_tokens=1, audio_ms=30_000, characters=1), cheap) == 2


def test_a_version_names_the_units_as_well() -> None:
    dearer = replace(MEDIA, units=UnitRates(image={"": 50_000_001}))
    assert len({price_version(each) for each in (OPUS, MEDIA, dearer, replace(MEDIA, units=None))}) == 4
    assert price_version(MEDIA) == price_version(replace(MEDIA, source="elsewhere"))


def exact(usage: Usage, price: Price) -> Fraction:
    """The dot product, in nano-USD."""
    long = price.long_above_tokens is not None and usage.input_total > price.long_above_tokens
    in_force = price.long_rates if long and price.long_rates else price.rates
    total = Fraction(0)
    for name, (own, stands_in) in CLASSES.items():
        amount = getattr(in_force, own)
        amount = getattr(in_force, stands_in) if amount is None else amount
        total += Fraction((getattr(usage, name) or 0) * amount, 1_000_000)
    for name, (own, per) in UNITS.items():
        amount = getattr(price.units, own, None)
        if isinstance(amount, dict):
            amount = rate_of(amount, usage.variant) if amount else 0
        total += Fraction((getattr(usage, name) or 0) * (amount or 0), per)
    return total


@given(usages, prices())
@settings(deadline=None, max_examples=60)
def test_the_cost_is_the_exact_sum_rounded_up(usage: Usage, price: Price) -> None:
    assert exact(usage, price) <= cost(usage, price) < exact(usage, price) + 1


@given(usages, prices(), st.sampled_from([*CLASSES, *UNITS]), st.integers(1, 1_000_000))
@settings(deadline=None, max_examples=60)
def test_more_of_any_class_never_costs_less(usage: Usage, price: Price, name: str, more: int) -> None:
    larger = replace(usage, **{name: (getattr(usage, name) or 0) + more})
    assert cost(larger, price) >= cost(usage, price)


@given(usages, prices())
@settings(deadline=None, max_examples=40)
def test_what_is_unknown_adds_nothing_and_an_explicit_zero_neither(usage: Usage, price: Price) -> None:
    known = {name: getattr(usage, name) or 0 for name in (*CLASSES, *UNITS)}
    assert cost(usage, price) == cost(replace(usage, **known), price)


def test_every_number_of_a_usage_has_a_price() -> None:
    assert {*CLASSES, *UNITS, "variant"} == set(Usage.__struct_fields__)
    assert {own for own, _ in CLASSES.values()} == set(Rates.__struct_fields__)
    assert {own for own, _ in UNITS.values()} == set(UnitRates.__struct_fields__)


@given(st.integers(0, 10**9), prices())
def test_plain_input_alone_costs_what_it_costs_by_the_whole_sum(tokens: int, price: Price) -> None:
    assert cost_of_input(tokens, prepare(price)) == cost(Usage(input_tokens=tokens), price)
