"""Which attempts under way Postgres should know of."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.ledger.permits import OpenPermits
from pulse_gateway.types.usage import Outcome, Usage, UsageSource

A = UsageEntry(
    entry_id="a", request_id="request", trace_id="trace", tenant_id="default", user_id="alice", key_id=None, period=202611,
    operation="chat", dialect="openai.chat", alias="alias", provider="provider", model="model", attempt=1,
    outcome=Outcome.INTERRUPTED, source=UsageSource.ESTIMATED, usage=Usage(), tokens=1, cost_nano_usd=None, price_source=None,
    total_ms=0.1, at=1_795_000_000.0,
)  # fmt: skip


def named(name: str, tokens: int = 1) -> UsageEntry:
    return msgspec.structs.replace(A, entry_id=name, tokens=tokens)


def permits() -> OpenPermits:
    return OpenPermits(after_s=1.0, renew_s=10.0)


def test_only_what_was_sent_and_lasts_is_told_of() -> None:
    held = permits()
    for name in ("unsent", "short", "long"):
        held.opened(named(name))
    assert held.next_due() is None
    held.sent("short", 0.0)
    held.sent("long", 0.5)
    assert held.next_due() == 1.0
    assert held.take(0.9, 10) == []
    assert held.closed("short") is False
    assert held.next_due() == 1.5
    assert held.take(1.5, 10) == [named("long")]
    assert held.closed("long") is True
    assert held.closed("unsent") is False
    assert len(held) == 0


def test_the_only_one_under_way_is_told_from_the_others() -> None:
    held = permits()
    for name in "abcd":
        held.opened(named(name))
    assert [held.sent(name, 0.0) for name in ("a", "b", "unheard of")] == [True, False, False]
    held.put_off(held.take(1.0, 10), 1.0)
    assert held.sent("c", 1.0) is False, "those that were told of are under way as well"
    for name in "abc":
        held.closed(name)
    assert held.sent("d", 2.0) is True


def test_what_goes_on_is_told_of_again_with_what_is_known() -> None:
    held = permits()
    held.opened(A)
    held.sent("a", 0.0)
    held.marked(named("a", 2))
    assert held.take(1.0, 10) == [named("a", 2)]
    held.put_off([named("a", 2)], 1.0)
    held.marked(named("a", 3))
    assert held.take(10.9, 10) == []
    assert held.next_due() == 11.0
    assert held.take(11.0, 10) == [named("a", 3)]


def test_what_could_not_be_told_is_told_the_next_time_and_may_have_a_row() -> None:
    held = permits()
    held.opened(A)
    held.sent("a", 0.0)
    assert held.take(1.0, 10) == [A]
    assert held.take(1.1, 10) == [A]  # nobody said that it was written
    assert held.closed("a") is True
    assert held.closed("a") is False


def test_what_closes_while_it_is_told_of_is_not_told_of_again() -> None:
    held = permits()
    held.opened(A)
    held.sent("a", 0.0)
    told = held.take(1.0, 10)
    assert held.closed("a") is True
    held.put_off(told, 1.0)
    assert held.next_due() is None
    assert len(held) == 0


def test_at_most_so_many_are_told_of_at_once() -> None:
    held = permits()
    for name in "abcde":
        held.opened(named(name))
        held.sent(name, 0.0)
    first = held.take(5.0, 2)
    held.put_off(first, 5.0)
    assert [entry.entry_id for entry in (*first, *held.take(5.0, 10))] == list("abcde")


@given(
    st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from(["open", "sent", "mark", "close", "tell"]), st.floats(0, 2))
    )
)
def test_nothing_is_kept_of_what_has_closed_and_every_told_one_says_so(steps: list[tuple[str, str, float]]) -> None:
    held = permits()
    now = 0.0
    open_: set[str] = set()
    told: set[str] = set()
    for name, step, later in steps:
        now += later
        if step == "open" and name not in open_:
            held.opened(named(name))
            open_.add(name)
        elif step == "sent":
            held.sent(name, now)
        elif step == "mark":
            held.marked(named(name, 5))
        elif step == "close":
            assert held.closed(name) is (name in told)
            open_.discard(name)
            told.discard(name)
        elif step == "tell":
            entries = held.take(now, 2)
            assert {entry.entry_id for entry in entries} <= open_
            told |= {entry.entry_id for entry in entries}
            held.put_off(entries, now)
        assert len(held) == len(open_)
