"""`ChatRequest` → the `input` of a prediction of one model.

Source: the models' pages, see `families.py`; for `json_schema` the guide at https://replicate.com/openai/gpt-5-structured (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatRequest, ReasoningControl, ResponseFormat
from pulse_gateway.wire.codec import Encoded
from pulse_gateway.wire.effort_budgets import BUDGET_TOKENS
from pulse_gateway.wire.foreign_json import to_provider
from pulse_gateway.wire.openai_chat.effort import effort_of
from pulse_gateway.wire.refusals import not_taken, unsupported
from pulse_gateway.wire.replicate_predictions.families import Family, family_of
from pulse_gateway.wire.replicate_predictions.turns import write_turns

__all__ = ["encode_request"]

_VERBOSITY = ("verbosity", "text.verbosity")  # as OpenAI's two dialects have it
_LEAST_BUDGET_TOKENS = 1024  # of Claude


def encode_request(request: ChatRequest, model: Model) -> Encoded:
    """Everything that the model has no input for is refused here.

    Raises: UnsupportedParameter, `param` the neutral field name, the path of a message, or the path of an extra field.
    """
    family = family_of(model)
    if family is None:
        raise unsupported(model, "model", "is not known to chat")
    names, dropped, asked = family.names, dict[str, None](), dict[str, Any]()
    for path, value in request.extra.items():
        if path not in _VERBOSITY or "verbosity" not in names:
            raise not_taken(model, path)
        asked[names["verbosity"]] = value
    _refuse(request, family, model)
    asked |= write_turns(request.messages, family, model, dropped)
    if (limit := request.max_output_tokens) is not None:
        _check_limit(limit, family, model)
        asked[names["max_output_tokens"]] = limit
    for field in ("temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty"):
        if (value := getattr(request, field)) is not None and field in names:
            asked[names[field]] = value
    if request.stop:
        asked[names["stop"]] = _stop(request.stop, model)
    if request.reasoning is not None:
        asked |= _thinking(request.reasoning, family, model, dropped)
    if request.response_format is not None and request.response_format.kind != "text":
        asked[names["response_format"]] = _schema(request.response_format, model, dropped)
    if request.user is not None:
        dropped["user"] = None
    dropped |= dict.fromkeys(request.hints)
    return Encoded(to_provider({"input": asked}), tuple(dropped))


def _refuse(request: ChatRequest, family: Family, model: Model) -> None:
    form = request.response_format
    for name, asked in (
        ("n", request.n not in (None, 1)),
        ("tools", bool(request.tools)),
        ("seed", request.seed is not None),
        ("logprobs", bool(request.logprobs)),
        ("top_logprobs", bool(request.top_logprobs)),
        ("response_format", form is not None and form.kind != "text"),
        ("temperature", request.temperature is not None),
        ("top_p", request.top_p is not None),
        ("top_k", request.top_k is not None),
        ("presence_penalty", bool(request.presence_penalty)),
        ("frequency_penalty", bool(request.frequency_penalty)),
        ("stop", bool(request.stop)),
    ):
        if asked and name not in family.names:
            raise not_taken(model, name)


def _check_limit(limit: int, family: Family, model: Model) -> None:
    if limit < family.least_limit:
        raise unsupported(model, "max_output_tokens", f"takes a limit of at least {family.least_limit} tokens")
    if model.max_output_tokens is not None and limit > model.max_output_tokens:
        raise unsupported(model, "max_output_tokens", f"writes at most {model.max_output_tokens} tokens")


def _stop(sequences: tuple[str, ...], model: Model) -> str:
    """They are separated by commas."""
    if any(not sequence or "," in sequence for sequence in sequences):
        raise unsupported(model, "stop", "takes no stop sequence that is empty or has a comma in it")
    return ",".join(sequences)


def _thinking(control: ReasoningControl, family: Family, model: Model, dropped: dict[str, None]) -> dict[str, Any]:
    if control.summary:
        dropped["reasoning.summary"] = None  # of thinking that is never shown
    name = family.names.get("reasoning")
    if name is None:
        if control.effort in (None, "none") and not control.budget_tokens:
            return {}
        raise unsupported(model, "reasoning", "cannot be told how hard to think")
    if family.thinking == "effort":
        known = model.capabilities.efforts or family.efforts
        effort = effort_of(control, replace(model, capabilities=replace(model.capabilities, efforts=known)), dropped)
        return {} if effort is None else {name: effort}
    budget = control.budget_tokens
    if control.effort is not None:
        if budget is not None:
            dropped["reasoning.budget_tokens"] = None
        budget = BUDGET_TOKENS.get(control.effort, 0)
    if family.thinking == "claude":
        return _claude(control, budget, name, model)
    if control.adaptive or (budget is not None and budget < 0):
        return {"dynamic_thinking": True}
    return {} if budget is None else {name: budget}


def _claude(control: ReasoningControl, budget: int | None, name: str, model: Model) -> dict[str, Any]:
    """`budget` 0: not at all; below 0, or none: as it is there."""
    if budget == 0:
        return {"extended_thinking": False}
    if budget is None or budget < 0:
        return {"extended_thinking": True} if control.adaptive or budget is not None else {}
    if budget < _LEAST_BUDGET_TOKENS:
        if control.effort is None:
            raise unsupported(model, "reasoning", f"thinks for at least {_LEAST_BUDGET_TOKENS} tokens")
        budget = _LEAST_BUDGET_TOKENS
    return {"extended_thinking": True, name: budget}


def _schema(form: ResponseFormat, model: Model, dropped: dict[str, None]) -> dict[str, Any]:
    if form.schema is None:
        raise unsupported(model, "response_format", "writes JSON only to a schema")
    if form.strict is not None:
        dropped["response_format.strict"] = None  # a schema is always kept to
    if form.description is not None:
        dropped["response_format.description"] = None
    return {"format": {"type": "json_schema", "name": form.name or "answer", "schema": form.schema}}
