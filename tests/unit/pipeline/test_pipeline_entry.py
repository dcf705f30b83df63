"""What is recorded of an attempt: counts that a vendor may honestly send as they are, and others cut."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.pipeline.entry import cut, plausible_tokens
from pulse_gateway.types.usage import Usage

COUNTED = Usage.__struct_fields__[:-1]
TOKENS = [name for name in COUNTED if name.endswith("_tokens")]
MOST = 1_000_000_000

counts = st.none() | st.integers(0, 100_000) | st.sampled_from([MOST, MOST + 1, 2**63, -1, -(2**40)])
usages = st.fixed_dictionaries(dict.fromkeys(COUNTED, counts)).map(lambda given: Usage(**given))


@settings(max_examples=500, deadline=None)
@given(usages)
def test_what_is_said_to_be_plausible_is_what_cutting_would_leave_as_it_is(usage: Usage) -> None:
    tokens = plausible_tokens(usage)
    if tokens is not None:
        assert cut(usage) == usage
        assert tokens == usage.total == sum(getattr(usage, name) or 0 for name in TOKENS)


@settings(max_examples=500, deadline=None)
@given(st.fixed_dictionaries({name: st.none() | st.integers(0, 2**29 - 1) for name in COUNTED}))
def test_what_vendors_send_is_plausible(given: dict[str, int | None]) -> None:
    usage = Usage(**given)  # type: ignore[arg-type]
    assert plausible_tokens(usage) == usage.total


@given(usages)
def test_what_is_cut_is_within_bounds_and_says_nothing_new(usage: Usage) -> None:
    bounded = cut(usage)
    for name in COUNTED:
        before, after = getattr(usage, name), getattr(bounded, name)
        assert (before is None) == (after is None)
        assert after is None or 0 <= after <= MOST
        assert before is None or after == before or not 0 <= before <= MOST
