"""The ledger entry of an attempt: what its kind has ready, with what is its own. Pure.

Filled in by `replace`, which copies in C, and by at most fourteen names at once, since Python makes a dict of more.
"""

from __future__ import annotations

from functools import lru_cache

from msgspec.structs import replace

from pulse_gateway.catalog.charge import charge
from pulse_gateway.catalog.cost import cost_at, cost_of_input
from pulse_gateway.ids import new_entry_id
from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.limits.accounts import key_account, tenant_account, user_account
from pulse_gateway.pipeline.exchange import Exchange
from pulse_gateway.pipeline.kind import Kind
from pulse_gateway.types.usage import Outcome, Usage, UsageSource

__all__ = ["announcement", "cut", "ended", "plausible_tokens"]

_MOST_TOKENS = 1_000_000_000
# Bound here, as on the whole path: to look up a member of an enum takes Python as long as three calls.
_UNUSED = UsageSource.NONE
_COUNTED = Usage.__struct_fields__[:-1]
assert Usage.__struct_fields__[-1] == "variant"  # everything before it is a number


def announcement(exchange: Exchange, kind: Kind, usage: Usage | None, at: float) -> UsageEntry:
    """What to record should nothing more be heard of the attempt that began `at`. `usage` is what it asks for; None: the prompt alone."""
    principal, envelope = exchange.principal, exchange.envelope
    assert principal is not None and envelope is not None and kind.unheard is not None  # set before anything is called
    price, cost = kind.price, None
    if usage is None:
        tokens = exchange.prompt_tokens
        if price is not None:
            cost = cost_of_input(tokens, price)
        used = Usage(input_tokens=tokens)
    else:
        used, tokens = usage, usage.total
        if price is not None:
            cost = cost_at(usage, price)
    entry = replace(
        kind.unheard,
        entry_id=new_entry_id(),
        request_id=exchange.request_id,
        trace_id=exchange.trace.trace_id,
        tenant_id=principal.tenant_id,
        user_id=principal.user_id,
        key_id=principal.key_id,
        period=exchange.period,
        alias=envelope.model,
        attempt=exchange.attempts + 1,
        usage=used,
        tokens=tokens,
        cost_nano_usd=cost,
        at=at,
        accounts=_accounts(principal.user_id, principal.key_id, principal.tenant_id),
    )
    tags = exchange.inbound.tags or principal.tags
    if tags or (usage is not None and (usage.images or usage.video_ms or usage.video_output_tokens)):
        return replace(entry, tags=tags, images=used.images or 0, videos=_videos(used))
    return entry


def ended(
    announced: UsageEntry,
    kind: Kind,
    outcome: Outcome,
    source: UsageSource,
    usage: Usage,
    tokens: int,
    told_nano_usd: int | None,
    error_code: str | None,
    first_byte_ms: float | None,
    total_ms: float,
) -> UsageEntry:
    """The announcement, with what has become of it. `told_nano_usd`: what the vendor says that it costs."""
    price = kind.price
    entry = replace(
        announced,
        outcome=outcome,
        source=source,
        usage=usage,
        tokens=tokens,
        cost_nano_usd=0 if source is _UNUSED else None if price is None else cost_at(usage, price),
        images=usage.images or 0,
        videos=_videos(usage),
        first_byte_ms=first_byte_ms,
        total_ms=total_ms,
        error_code=error_code,
    )
    if told_nano_usd is None:
        return entry
    assert kind.deployment is not None  # it was asked
    charged = charge(usage, kind.deployment, told_nano_usd)
    return replace(entry, cost_nano_usd=charged.nano_usd, price_source=charged.source, price_version=charged.version)


def plausible_tokens(usage: Usage) -> int | None:
    """All tokens of `usage`; None where a count of it may be none that a vendor honestly sends, and has to be `cut`."""
    # `seen` is negative if any count is, and at least as large as the largest: no more is asked of it.
    tokens = seen = 0
    if count := usage.input_tokens:
        tokens, seen = count, count
    if count := usage.output_tokens:
        tokens += count
        seen |= count
    if count := usage.cached_input_tokens:
        tokens += count
        seen |= count
    if count := usage.reasoning_tokens:
        tokens += count
        seen |= count
    if count := usage.cache_write_tokens:
        tokens += count
        seen |= count
    if count := usage.cache_write_long_tokens:
        tokens += count
        seen |= count
    if count := usage.audio_input_tokens:
        tokens += count
        seen |= count
    if count := usage.image_input_tokens:
        tokens += count
        seen |= count
    if count := usage.video_input_tokens:
        tokens += count
        seen |= count
    if count := usage.audio_output_tokens:
        tokens += count
        seen |= count
    if count := usage.image_output_tokens:
        tokens += count
        seen |= count
    if count := usage.video_output_tokens:
        tokens += count
        seen |= count
    if count := usage.images:
        seen |= count
    if count := usage.video_ms:
        seen |= count
    if count := usage.audio_ms:
        seen |= count
    if count := usage.characters:
        seen |= count
    if count := usage.searches:
        seen |= count
    return tokens if 0 <= seen <= _MOST_TOKENS else None


def cut(usage: Usage) -> Usage:
    """With counts as a vendor may honestly send them: one absurd number must not use up a user's month or overflow a column."""
    counts = {field: getattr(usage, field) for field in _COUNTED}
    bounded = {field: None if count is None else min(max(count, 0), _MOST_TOKENS) for field, count in counts.items()}
    return Usage(**bounded, variant=usage.variant)


def _videos(usage: Usage) -> int:
    return 1 if usage.video_ms or usage.video_output_tokens else 0


@lru_cache(maxsize=16_384)
def _accounts(user_id: str, key_id: str | None, tenant_id: str) -> tuple[str, ...]:
    user, tenant = user_account(user_id), tenant_account(tenant_id)
    return (user, tenant) if key_id is None else (user, key_account(key_id), tenant)
