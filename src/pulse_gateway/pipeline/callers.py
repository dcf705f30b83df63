"""What is charged to each of those who call, worked out once and kept while they go on calling."""

from __future__ import annotations

from collections.abc import Sequence

from pulse_gateway.limits.limiter import Charge
from pulse_gateway.limits.tally import Charges, Tally
from pulse_gateway.pipeline.terms import Need, Terms
from pulse_gateway.types.identity import Principal

__all__ = ["Caller", "Callers"]

_MOST_KEPT = 4_096  # each is a few kilobytes; who was kept longest goes first
_NOTHING = Need(0, 0)


class Caller:
    """What `Terms` says of a principal, for one model where limits on models apply."""

    __slots__ = ("_names", "_principal", "_tally", "_terms", "counts_money", "needs_price")

    def __init__(self, terms: Terms, principal: Principal, names: Sequence[str]) -> None:
        self._terms, self._principal, self._names = terms, principal, names
        self.counts_money = terms.counts_money(principal)
        self.needs_price = terms.needs_price(principal)
        self._tally = Tally(terms.charges(principal, _NOTHING, names))

    def is_still(self, principal: Principal) -> bool:
        """Whether `principal` is who this was made for, on the same terms. Stores make a new one of the same parts for each request."""
        known = self._principal
        return known is principal or (
            known.plan is principal.plan
            and known.key is principal.key
            and known.tenant is principal.tenant
            and known.user_id == principal.user_id
            and known.tenant_id == principal.tenant_id
            and known.key_id == principal.key_id
        )

    def charges(self, need: Need) -> Sequence[Charge]:
        if need.free or need.images or need.videos:
            return self._terms.charges(self._principal, need, self._names)
        return Charges(self._tally, need.tokens, need.cost_nano_usd or 0)


class Callers:
    """Those who have called of late."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._kept: dict[object, Caller] = {}

    def find(self, principal: Principal, names: Sequence[str] = ()) -> Caller:
        """`names` are those that the model goes by which is asked for."""
        who = principal.key_id or principal.user_id
        place = (who, *names) if names else who
        caller = self._kept.get(place)
        if caller is None or not caller.is_still(principal):
            caller = self._kept[place] = Caller(self._terms, principal, names)
            if len(self._kept) > _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
        return caller
