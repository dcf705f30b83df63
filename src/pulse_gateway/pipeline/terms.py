"""What admission charges a caller for a call: every limit that applies to it, in one list. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from pulse_gateway.limits.accounts import key_account, model_account, tenant_account, user_account
from pulse_gateway.limits.limiter import CONCURRENCY, COST, REQUESTS, Charge
from pulse_gateway.types.identity import NO_ALLOWANCE, Allowance, Principal

__all__ = ["ModelTerms", "Need", "Terms"]


class Need(msgspec.Struct, frozen=True, gc=False):
    """What is held for a call until it is known what it used. `cost_nano_usd` None: none of its deployments has a price, or nobody
    asked for it.

    `free`: it costs nothing, so that it goes through however little is left; it is counted as a request all the same.
    """

    tokens: int
    cost_nano_usd: int | None
    images: int = 0
    videos: int = 0
    free: bool = False


class ModelTerms(msgspec.Struct, frozen=True):
    """Limits on one model; counted `per_user`, or for a tenant as a whole."""

    allowance: Allowance
    per_user: bool


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What is allowed to whom, as configured; a plan's, a key's and a tenant's own limits stand before these.

    `models` are found by the alias that was asked for, `provider:model`, or the model's name. `anonymous`: requests and seconds for
    an address that sends no valid key; whoever authenticates counts those. `unpriced`: what becomes of calls that a budget applies
    to, of models without a known price.
    """

    user: Allowance = NO_ALLOWANCE
    key: Allowance = NO_ALLOWANCE
    tenant: Allowance = NO_ALLOWANCE
    models: Mapping[str, ModelTerms] = {}
    anonymous: tuple[int, float] | None = None
    unpriced: Literal["refuse", "allow"] = "refuse"

    def charges(self, principal: Principal, need: Need, names: Sequence[str] = ()) -> list[Charge]:
        """Every charge of one call; `names` are those that its model goes by. The user's monthly tokens are always among them."""
        plan, user, tokens = principal.plan, user_account(principal.user_id), need.tokens
        charges = self._limits(user, self._of(plan.allowance, self.user), need)
        charges.append(Charge(account=user, kind="tokens", amount=tokens, cap=None if need.free else plan.tokens))
        if need.images:
            charges.append(Charge(account=user, kind="images", amount=need.images, cap=plan.images))
        if need.videos:
            charges.append(Charge(account=user, kind="videos", amount=need.videos, cap=plan.videos))
        if principal.key_id is not None:
            key = self._of(principal.key, self.key)
            if key is not NO_ALLOWANCE:
                charges += self._limits(key_account(principal.key_id), key, need)
        tenant = self._of(principal.tenant, self.tenant)
        if tenant is not NO_ALLOWANCE:
            charges += self._limits(tenant_account(principal.tenant_id), tenant, need)
        if self.models:
            for name in dict.fromkeys(names):
                if (model := self.models.get(name)) is not None:
                    account = model_account(name, principal.user_id if model.per_user else None)
                    charges += self._limits(account, model.allowance, need)
        return charges

    def overview(self, principal: Principal) -> list[Charge]:
        """Every counter of a principal, for a look that takes nothing."""
        plan, user = principal.plan, user_account(principal.user_id)
        return [
            *self.charges(principal, Need(0, 0)),
            Charge(account=user, kind="images", amount=0, cap=plan.images),
            Charge(account=user, kind="videos", amount=0, cap=plan.videos),
        ]

    def needs_price(self, principal: Principal) -> bool:
        """Whether money limits this caller, so that a call without a price is not let through."""
        return self.unpriced == "refuse" and self.has_budget(principal)

    def counts_money(self, principal: Principal) -> bool:
        """Whether any of this caller's limits may be one in money, so that it matters what a call may cost."""
        return bool(self.models) or self.has_budget(principal)

    def has_budget(self, principal: Principal) -> bool:
        """Whether money limits this caller."""
        return (
            principal.plan.allowance.budget_nano_usd is not None
            or self._of(principal.tenant, self.tenant).budget_nano_usd is not None
            or (principal.key_id is not None and self._of(principal.key, self.key).budget_nano_usd is not None)
        )

    @staticmethod
    def _of(own: Allowance, configured: Allowance) -> Allowance:
        """`own` where it says something, `configured` where it does not."""
        if own is NO_ALLOWANCE or own == NO_ALLOWANCE:
            return configured
        return Allowance(
            requests=configured.requests if own.requests is None else own.requests,
            tokens=configured.tokens if own.tokens is None else own.tokens,
            concurrency=configured.concurrency if own.concurrency is None else own.concurrency,
            budget_nano_usd=configured.budget_nano_usd if own.budget_nano_usd is None else own.budget_nano_usd,
        )

    @staticmethod
    def _limits(account: str, allowance: Allowance, need: Need) -> list[Charge]:
        found = []
        requests, tokens = allowance.requests, allowance.tokens
        if requests is not None and requests != "off":
            found.append(Charge(account=account, kind=REQUESTS, amount=1, cap=requests[0], window_s=requests[1]))
        if tokens is not None and tokens != "off" and not need.free:
            found.append(Charge(account=account, kind="tokens", amount=need.tokens, cap=tokens[0], window_s=tokens[1]))
        if allowance.concurrency is not None:
            found.append(Charge(account=account, kind=CONCURRENCY, amount=1, cap=allowance.concurrency))
        if allowance.budget_nano_usd is not None and not need.free:
            amount = need.cost_nano_usd or 0
            found.append(Charge(account=account, kind=COST, amount=amount, cap=allowance.budget_nano_usd))
        return found
