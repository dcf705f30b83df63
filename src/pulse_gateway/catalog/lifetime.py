"""Since when, and until when, a model is served. Pure."""

from __future__ import annotations

from pulse_gateway.types.catalog import Model

__all__ = ["absence"]


def absence(model: Model, today: str) -> str | None:
    """Why nobody serves it on the day `today` (ISO 8601, UTC), as the end of a sentence; None: it is served, or nobody knows otherwise."""
    if model.shutdown is not None and model.shutdown <= today:
        return f"was shut down on {model.shutdown}"
    if model.start is not None and model.start > today:
        return f"is not served before {model.start}"
    return None
