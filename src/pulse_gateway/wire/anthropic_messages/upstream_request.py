"""`ChatRequest` → a Messages request for one model.

`max_tokens` is required here: what the client asked for, else the model's most, else `DEFAULT_MAX_TOKENS`.

Source: anthropic 2.12.0, type `MessageCreateParams` (read 2026-11-24); https://platform.claude.com/docs/en/api/messages
(read 2026-11-24)
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatRequest, ResponseFormat, Tool, ToolChoice
from pulse_gateway.wire.anthropic_messages.thinking import Thinking, plan_thinking
from pulse_gateway.wire.anthropic_messages.turns import TOOL_NAME, TurnWriter
from pulse_gateway.wire.codec import Encoded
from pulse_gateway.wire.foreign_json import to_provider
from pulse_gateway.wire.refusals import not_taken, refuse_asked, refuse_extra, unsupported
from pulse_gateway.wire.tool_schemas import checked_choice, dropped_labels, object_schema

__all__ = ["DEFAULT_MAX_TOKENS", "encode_request", "refuse_beside_thinking", "refuse_foreign"]

DEFAULT_MAX_TOKENS = 4096
_LEAST_TOP_P_BESIDE_THINKING = 0.95


def encode_request(request: ChatRequest, model: Model) -> Encoded:
    """Everything a model of this vendor cannot do is refused here: by its dialect and by `model.capabilities`.

    Raises: UnsupportedParameter, `param` the neutral field name, the path of a message, or the path of an extra field;
    InvalidRequest with the path of a message whose tool call has no JSON object for arguments.
    """
    refuse_foreign(request, model)
    checked_choice(request, model)
    dropped: dict[str, None] = {}
    system, messages = TurnWriter(model, dropped).write(request.messages)
    thinking = plan_thinking(request.reasoning, model)
    if thinking.is_on:
        refuse_beside_thinking(request, model)
    body: dict[str, Any] = {
        "model": model.name,
        "max_tokens": _max_tokens(request, model, thinking.budget_tokens),
        "messages": messages,
    }
    if system:
        body["system"] = system
    if request.stream:
        body["stream"] = True
    body |= _sampling(request, model)
    if request.stop:
        body["stop_sequences"] = _stop(request.stop, model)
    body |= _tools(request, model)
    if thinking.config is not None:
        body["thinking"] = thinking.config
    output = _output(request.response_format, thinking, model, dropped)
    if output:
        body["output_config"] = output
    if request.user is not None:
        body["metadata"] = {"user_id": request.user}
    for path, value in request.hints.items():
        if path == "cache_control":  # the vendor puts it on the last block that can be cached
            body[path] = value
        else:
            dropped[path] = None
    return Encoded(to_provider(body), tuple(dropped))


def refuse_foreign(request: ChatRequest, model: Model) -> None:
    """Refuse what no model of this vendor has anything for.

    Raises: UnsupportedParameter.
    """
    refuse_extra(request.extra, model)
    refuse_asked(
        (
            ("n", request.n not in (None, 1)),
            ("seed", request.seed is not None),
            ("presence_penalty", bool(request.presence_penalty)),
            ("frequency_penalty", bool(request.frequency_penalty)),
            ("logprobs", bool(request.logprobs)),
            ("top_logprobs", bool(request.top_logprobs)),
        ),
        model,
    )


def refuse_beside_thinking(request: ChatRequest, model: Model) -> None:
    """Refuse what no model of this vendor takes while it thinks.

    Raises: UnsupportedParameter. Source: https://platform.claude.com/docs/en/build-with-claude/extended-thinking (read 2026-11-24)
    """
    for name, changed in (
        ("temperature", request.temperature not in (None, 1)),
        ("top_p", request.top_p is not None and request.top_p < _LEAST_TOP_P_BESIDE_THINKING),
        ("top_k", request.top_k is not None),
    ):
        if changed:
            raise not_taken(model, name, " of the caller's while it thinks")
    if request.tool_choice is not None and request.tool_choice.mode == "required":
        raise unsupported(model, "tool_choice", "cannot be made to call a tool while it thinks")
    if request.messages[-1].role == "assistant":
        raise unsupported(model, request.messages[-1].path, "does not go on with a started answer while it thinks")


def _max_tokens(request: ChatRequest, model: Model, budget_tokens: int | None) -> int:
    """Thinking counts towards it, so a budget must leave room for the answer."""
    most = model.max_output_tokens
    if request.max_output_tokens is not None:
        limit = request.max_output_tokens
        if most is not None and limit > most:
            raise unsupported(model, "max_output_tokens", f"writes at most {most} tokens")
    else:
        limit = most or DEFAULT_MAX_TOKENS + (budget_tokens or 0)
    if budget_tokens is not None and budget_tokens >= limit:
        raise unsupported(model, "reasoning", f"cannot think for {budget_tokens} tokens within a limit of {limit}")
    return limit


def _sampling(request: ChatRequest, model: Model) -> dict[str, Any]:
    sampling = {"temperature": request.temperature, "top_p": request.top_p, "top_k": request.top_k}
    given = {name: value for name, value in sampling.items() if value is not None}
    for name in given:
        if not model.capabilities.sampling:
            raise not_taken(model, name, ", not even its default")
    if request.temperature is not None and request.temperature > 1:
        raise unsupported(model, "temperature", "takes temperatures up to 1")
    return given


def _stop(sequences: tuple[str, ...], model: Model) -> tuple[str, ...]:
    if not all(sequence.strip() for sequence in sequences):
        raise unsupported(model, "stop", "takes no stop sequence that is only white space")
    return sequences


def _tools(request: ChatRequest, model: Model) -> dict[str, Any]:
    """`tools` and `tool_choice`. A choice among some of the tools is a shorter list of tools."""
    tools, choice = request.tools, request.tool_choice or ToolChoice("auto")
    if not tools:
        return {}
    wire: dict[str, Any]
    if choice.mode == "none":
        wire = {"type": "none"}
    else:
        if choice.mode == "required" and len(choice.names) == 1:
            wire = {"type": "tool", "name": choice.names[0]}
        else:
            wire = {"type": "any" if choice.mode == "required" else "auto"}
            if choice.names:
                tools = tuple(tool for tool in tools if tool.name in choice.names)
        if request.parallel_tool_calls is False:
            wire["disable_parallel_tool_use"] = True
    body: dict[str, Any] = {"tools": [_tool(tool, model) for tool in tools]}
    if wire != {"type": "auto"} or request.tool_choice is not None:
        body["tool_choice"] = wire
    return body


def _tool(tool: Tool, model: Model) -> dict[str, Any]:
    if not TOOL_NAME.fullmatch(tool.name):
        raise unsupported(model, "tools", f"takes names of at most 128 letters, digits, '_' and '-', not {tool.name!r}")
    wire: dict[str, Any] = {"name": tool.name, "input_schema": object_schema(tool, model)}
    if tool.description is not None:
        wire["description"] = tool.description
    if tool.strict is not None:
        wire["strict"] = tool.strict
    return wire


def _output(form: ResponseFormat | None, thinking: Thinking, model: Model, dropped: dict[str, None]) -> dict[str, Any]:
    """Of a schema only itself has a place; its name, description and `strict` are labels of a promise that is always kept."""
    output: dict[str, Any] = {}
    if thinking.effort is not None:
        output["effort"] = thinking.effort
    if form is not None and form.kind != "text":
        if form.schema is None:
            raise unsupported(model, "response_format", "writes JSON only to a schema")
        output["format"] = {"type": "json_schema", "schema": form.schema}
        dropped |= dropped_labels(form)
    return output
