"""What a caller's calls are charged to, prepared: from call to call only amounts differ. Pure.

Which counters there are, their keys, caps and windows, and what headers say of them follow from who calls and from the month. They are
worked out with a caller's first call, and kept; a call brings its tokens and its money.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import msgspec

from pulse_gateway.limits.asks import LARGEST, Ask, asks_of, key_prefix
from pulse_gateway.limits.limiter import COST, Charge

__all__ = ["Charges", "Counted", "Tally"]

_TOKENS = "tokens"


class Counted:
    """The asks of a tally's charges in one month and under one prefix. `told` is kept here by `headers.py`, which alone looks at it,
    and `packed` by `scripts.py`.
    """

    __slots__ = ("_asks", "_differing", "packed", "period", "prefix", "tenant", "told")

    def __init__(self, prefix: str, tenant: str, period: int, asks: list[Ask]) -> None:
        self.prefix, self.tenant, self.period = prefix, tenant, period
        self._asks = asks
        self._differing = [(at, ask, ask.kind == COST) for at, ask in enumerate(asks) if ask.kind in {_TOKENS, COST}]
        self.told: object = None
        self.packed: object = None

    @property
    def differing(self) -> list[int]:
        """The places of the asks whose amounts differ from call to call."""
        return [at for at, _, _ in self._differing]

    def asks(self, charges: Charges) -> list[Ask]:
        """Those that always are the same, and new ones of the amounts of this call.

        Raises: ValueError for an amount that is negative or beyond `LARGEST`.
        """
        asks = self._asks.copy()
        for at, ask, is_money in self._differing:
            amount = charges.cost_nano_usd if is_money else charges.tokens
            if not 0 <= amount <= LARGEST:
                raise ValueError(f"a charge of {amount} {ask.kind} is negative or too large")
            asks[at] = Ask(ask.form, ask.key, amount, ask.cap, ask.window_us, ask.account, ask.kind)
        return asks


class Tally:
    """Made once for a caller, of the charges of any of its calls: of kinds other than tokens and money the amounts are always these."""

    __slots__ = ("_counted", "charges")

    def __init__(self, charges: Sequence[Charge]) -> None:
        self.charges = tuple(charges)
        self._counted: Counted | None = None  # as it was last asked for: mostly there is but one prefix, and one month

    def counted(self, prefix: str, tenant: str, period: int) -> Counted | None:
        """None where two charges are on one counter: those are added up anew for each call.

        Raises: ValueError as `asks_of`.
        """
        counted = self._counted
        if counted is not None and counted.period == period and counted.tenant == tenant and counted.prefix == prefix:
            return counted
        asks = asks_of(key_prefix(prefix, tenant), self.charges, period)
        if len(asks) != len(self.charges):
            return None
        self._counted = counted = Counted(prefix, tenant, period, asks)
        return counted


class Charges(Sequence[Charge]):
    """The charges of one call: those of a tally, with these amounts. A limiter that does not know tallies finds `Charge`s in it."""

    __slots__ = ("cost_nano_usd", "tally", "tokens")

    def __init__(self, tally: Tally, tokens: int, cost_nano_usd: int) -> None:
        self.tally, self.tokens, self.cost_nano_usd = tally, tokens, cost_nano_usd

    def __len__(self) -> int:
        return len(self.tally.charges)

    def __iter__(self) -> Iterator[Charge]:
        amounts = {_TOKENS: self.tokens, COST: self.cost_nano_usd}
        for charge in self.tally.charges:
            amount = amounts.get(charge.kind, charge.amount)
            yield charge if amount == charge.amount else msgspec.structs.replace(charge, amount=amount)

    @overload
    def __getitem__(self, at: int) -> Charge: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Charge]: ...
    def __getitem__(self, at: int | slice) -> Charge | Sequence[Charge]:
        return list(self)[at]
