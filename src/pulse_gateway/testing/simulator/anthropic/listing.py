"""`GET /v1/models`: capabilities, and pages in both directions.

Source: https://platform.claude.com/docs/en/api/models-list (read 2026-11-24) and anthropic 2.12.0
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pulse_gateway.testing.simulator.anthropic.errors import refuse
from pulse_gateway.testing.simulator.anthropic.models import traits_of

__all__ = ["list_models", "model_document"]

_PAGE = 20
_MOST = 1000
_LIFECYCLES = frozenset({"active", "deprecated", "retired"})


def list_models(names: Sequence[str], query: dict[str, str]) -> dict[str, Any]:
    """Every model here is active.

    Raises: Refusal for a page there is not.
    """
    lifecycle = query.get("lifecycle", query.get("lifecycle[]"))
    if lifecycle is not None and lifecycle not in _LIFECYCLES:
        raise refuse("lifecycle: Input should be 'active', 'deprecated' or 'retired'")
    names = names if lifecycle in {None, "active"} else ()
    limit = _limit(query.get("limit"))
    before, after = query.get("before_id"), query.get("after_id")
    if before is not None and after is not None:
        raise refuse("before_id: cannot be used together with after_id")
    for field, cursor in (("before_id", before), ("after_id", after)):
        if cursor is not None and cursor not in names:
            raise refuse(f"{field}: there is no model with the id {cursor}")
    if before is not None:
        rest = names[: names.index(before)]
        shown, more = rest[-limit:], len(rest) > limit
    else:
        rest = names[names.index(after) + 1 :] if after is not None else names
        shown, more = rest[:limit], len(rest) > limit
    return {
        "data": [model_document(name) for name in shown],
        "has_more": more,
        "first_id": shown[0] if shown else None,
        "last_id": shown[-1] if shown else None,
    }


def model_document(name: str) -> dict[str, Any]:
    traits = traits_of(name)
    efforts = {effort: {"supported": effort in traits.efforts} for effort in ("low", "medium", "high", "xhigh", "max")}
    types = {
        kind: {"supported": kind in traits.thinking} for kind in ("adaptive", "between_tools", "disabled", "enabled")
    }
    yes, no = {"supported": True}, {"supported": False}
    return {
        "id": name,
        "type": "model",
        "display_name": name.replace("-", " ").title(),
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "deprecated_at": None,
        "retires_at": None,
        "max_input_tokens": 1_000_000,
        "max_tokens": traits.max_tokens,
        "capabilities": {
            "batch": no,
            "citations": yes,
            "code_execution": no,
            "context_management": no,
            "effort": {"supported": bool(traits.efforts), **efforts},
            "image_input": yes,
            "pdf_input": yes,
            "server_tools": {"supported": True, "code_execution": no, "web_search": yes},
            "structured_outputs": yes,
            "thinking": {"supported": True, "types": types},
        },
    }


def _limit(text: str | None) -> int:
    if text is None:
        return _PAGE
    if not text.isdecimal() or not 1 <= int(text) <= _MOST:
        raise refuse(f"limit: Input should be a valid integer from 1 to {_MOST}")
    return int(text)
