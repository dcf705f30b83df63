"""How every dialect says that a model cannot be asked for something, and what it leaves out instead."""

from __future__ import annotations

from collections.abc import Iterable

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import Message, ReasoningPart

__all__ = ["leave_out", "refuse_extra", "unsupported"]


def unsupported(model: Model, param: str, reason: str) -> UnsupportedParameter:
    """`param` is a neutral field or the path of a message; `reason` ends the sentence that begins with the model."""
    return UnsupportedParameter(f"{model.provider}:{model.name} {reason}", param=param or "messages")


def leave_out(message: Message, model: Model, dropped: dict[str, None], *, is_last: bool) -> None:
    """Note a turn that says nothing to `model`, which vendors refuse.

    Raises: UnsupportedParameter for the last one, since without it something else would be answered.
    """
    if is_last:
        raise unsupported(model, message.path, "takes no turn without text")
    if not any(isinstance(part, ReasoningPart) for part in message.parts):  # that is noted as such
        dropped["messages.blank_text"] = None


def refuse_extra(extra: Iterable[str], model: Model) -> None:
    """Refuse the first of the paths that have no neutral form.

    Raises: UnsupportedParameter.
    """
    for path in extra:
        raise unsupported(model, path, f"has no counterpart of {path}")
