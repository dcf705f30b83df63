"""How every dialect says that a model cannot be asked for something, and what it leaves out instead."""

from __future__ import annotations

from collections.abc import Iterable

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import Message, ReasoningPart

__all__ = ["leave_out", "not_taken", "refuse_asked", "refuse_extra", "unsupported"]


def unsupported(model: Model, param: str, reason: str) -> UnsupportedParameter:
    """`param` is a neutral field or the path of a message; `reason` ends the sentence that begins with the model.

    Whoever words it for a client replaces the model by the deployment, and `param`, where it stands in quotes, by the client's own path.
    """
    return UnsupportedParameter(f"{model.provider}:{model.name} {reason}", param=param or "messages")


def not_taken(model: Model, param: str, why: str = "") -> UnsupportedParameter:
    """The refusal of a field that `model` has nothing for; `why` goes on with the sentence: " while it reasons"."""
    return unsupported(model, param, f"takes no '{param}'{why}")


def refuse_asked(asked: Iterable[tuple[str, bool]], model: Model) -> None:
    """Refuse the first of the neutral fields of which it is said that the request asks for it.

    Raises: UnsupportedParameter.
    """
    for field, is_asked in asked:
        if is_asked:
            raise not_taken(model, field)


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
        raise not_taken(model, path)
