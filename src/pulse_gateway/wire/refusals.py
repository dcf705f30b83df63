"""How every dialect says that a model cannot be asked for something."""

from __future__ import annotations

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.types.catalog import Model

__all__ = ["unsupported"]


def unsupported(model: Model, param: str, reason: str) -> UnsupportedParameter:
    """`param` is a neutral field or the path of a message; `reason` ends the sentence that begins with the model."""
    return UnsupportedParameter(f"{model.provider}:{model.name} {reason}", param=param or "messages")
