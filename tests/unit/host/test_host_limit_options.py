"""Limits as they are written on the command line."""

from __future__ import annotations

import pytest

from pulse_gateway.errors import ConfigError
from pulse_gateway.store.limits_json import LimitsChange, decode_limits, encode_limits
from pulse_gateway.types.identity import NO_ALLOWANCE, Allowance
from pulse_host.limit_options import read_limits, shown


def test_each_word_sets_its_limit() -> None:
    change = read_limits({"requests": "1000/60s", "tokens": "off", "concurrency": "5", "budget_usd": "100.000000001"})
    assert change == LimitsChange(
        put=Allowance(requests=(1000, 60.0), tokens="off", concurrency=5, budget_nano_usd=100_000_000_001)
    )


def test_what_is_not_named_stays_and_default_forgets() -> None:
    assert read_limits({"requests": None, "tokens": None}) == LimitsChange()
    words = {"requests": "default", "tokens": "default", "concurrency": "default", "budget_usd": "default"}
    assert read_limits(words) == LimitsChange(forget=("requests", "tokens", "concurrency", "budget_nano_usd"))


def test_no_budget_at_all_is_a_budget() -> None:
    assert read_limits({"budget_usd": "0"}).put == Allowance(budget_nano_usd=0)


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("requests", "sixty"),
        ("requests", "0/60s"),
        ("tokens", "-1/60s"),
        ("concurrency", "0"),
        ("concurrency", "1.5"),
        ("concurrency", "off"),
        ("budget_usd", "-1"),
        ("budget_usd", "1e3"),
        ("budget_usd", "nan"),
        ("budget_usd", "9000000.1"),
        ("budget_usd", "0.0000000001"),
        ("budget_usd", ""),
    ],
)
def test_a_word_that_is_none_is_named(option: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"--{option.replace('_', '-')}"):
        read_limits({option: text})


def test_limits_are_shown_as_they_are_written() -> None:
    limits = Allowance(requests=(1000, 60.0), tokens=(5, 0.5), concurrency=5, budget_nano_usd=100_500_000_000)
    assert shown(limits).line() == "requests=1000/60s tokens=5/0.5s concurrency=5 budget_usd=100.5"
    assert shown(Allowance(requests="off")).line() == "requests=off"
    assert shown(NO_ALLOWANCE).line() == "-"


@pytest.mark.parametrize(
    "limits",
    [
        NO_ALLOWANCE,
        Allowance(requests=(1000, 60.0), tokens="off", concurrency=5, budget_nano_usd=9_000_000_000_000_000),
        Allowance(requests="off"),
        Allowance(budget_nano_usd=0),
    ],
)
def test_limits_are_read_as_they_were_kept(limits: Allowance) -> None:
    assert decode_limits(encode_limits(limits)) == limits


def test_nothing_said_is_the_one_value_for_it() -> None:
    assert decode_limits(encode_limits(NO_ALLOWANCE)) is NO_ALLOWANCE
