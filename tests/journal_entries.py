"""Entries for tests of the journal."""

from __future__ import annotations

import itertools
from typing import Any

from pulse_gateway.ledger.ledger import UsageEntry
from pulse_gateway.types.usage import Outcome, Usage, UsageSource

__all__ = ["entry"]

_numbers = itertools.count(1)


def entry(entry_id: str | None = None, **fields: Any) -> UsageEntry:
    """An entry that has a value in every field; `fields` are put over it."""
    number = next(_numbers)
    values: dict[str, Any] = {
        "entry_id": entry_id or f"018f3a6c-1b2d-7c3e-9f40-{number:012x}",
        "request_id": f"req_{number:032x}",
        "trace_id": f"{number:032x}",
        "tenant_id": "default",
        "user_id": "sara@example.com",
        "key_id": "k_4f1c2d",
        "period": 202611,
        "operation": "chat",
        "dialect": "openai.chat",
        "alias": "gpt-5.2",
        "provider": "openai",
        "model": "gpt-5.2-2025-12-11",
        "attempt": 1,
        "outcome": Outcome.COMPLETED,
        "source": UsageSource.PROVIDER,
        "usage": Usage(input_tokens=100, cached_input_tokens=0, output_tokens=22),
        "tokens": 122,
        "cost_nano_usd": 483_000,
        "price_source": "catalog",
        "price_version": "2026-11-20",
        "images": 0,
        "videos": 0,
        "first_byte_ms": 241.5,
        "total_ms": 1893.25,
        "at": 1_795_000_000.0 + number,
        "error_code": None,
        "tags": (("team", "research"),),
        "accounts": ("sara@example.com", "key/k_4f1c2d", "tenant"),
        "reverses": None,
    }
    return UsageEntry(**{**values, **fields})
