"""What an operator knows better of a model than the catalog, or alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pulse_gateway.types.catalog import Model, Price

__all__ = ["Override"]


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """None, and a capability that is not among them: as the catalog has it."""

    price: Price | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: Mapping[str, Any] = {}
    start: str | None = None
    shutdown: str | None = None
    operations: tuple[str, ...] | None = None
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    dimensions: int | None = None

    def of(self, model: Model) -> Model:
        said: dict[str, Any] = {
            name: value
            for name, value in msgspec.structs.asdict(self).items()
            if value is not None and name != "capabilities"
        }
        if self.capabilities:
            said["capabilities"] = msgspec.structs.replace(model.capabilities, **self.capabilities)
        return msgspec.structs.replace(model, **said)
