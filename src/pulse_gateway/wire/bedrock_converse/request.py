"""`ChatRequest` → a `Converse` request for one model. The model and streaming are in the path.

Source: botocore 1.44, shape `ConverseRequest`;
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html (read 2026-11-24)
"""

from __future__ import annotations

from typing import Any

import msgspec

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatRequest, ResponseFormat, Tool, ToolChoice
from pulse_gateway.wire.anthropic_messages.upstream_request import refuse_beside_thinking, refuse_foreign
from pulse_gateway.wire.bedrock_converse.cache_points import CachePoints
from pulse_gateway.wire.bedrock_converse.families import caches_on_demand, is_claude, is_nova
from pulse_gateway.wire.bedrock_converse.thinking import Plan, plan
from pulse_gateway.wire.bedrock_converse.turns import TOOL_NAME, TurnWriter
from pulse_gateway.wire.codec import Encoded
from pulse_gateway.wire.foreign_json import to_provider
from pulse_gateway.wire.refusals import not_taken, unsupported
from pulse_gateway.wire.tool_schemas import checked_choice, object_schema

__all__ = ["encode_request"]

_encode = msgspec.json.Encoder().encode


def encode_request(request: ChatRequest, model: Model) -> Encoded:
    """Everything that the dialect and `model.capabilities` cannot express is refused here.

    Raises: UnsupportedParameter, `param` the neutral field name, the path of a message, or the path of an extra field;
    InvalidRequest with the path of a message whose tool call has no JSON object for arguments.
    """
    refuse_foreign(request, model)
    if _one_at_a_time(request) and not _says_one_at_a_time(request, model):
        raise not_taken(model, "parallel_tool_calls")
    checked_choice(request, model)
    dropped: dict[str, None] = {}
    cache_points = CachePoints(request.hints, taken=caches_on_demand(model))
    turns = TurnWriter(model, dropped, cache_points)
    system, messages = turns.write(request.messages)
    thinking = plan(request.reasoning, model, dropped)
    if thinking.is_on:
        refuse_beside_thinking(request, model)
    body: dict[str, Any] = {"messages": messages}
    if system:
        body["system"] = system
    if inference := _inference(request, model, thinking):
        body["inferenceConfig"] = inference
    if tools := _tools(request, model, cache_points, turns):
        body["toolConfig"] = tools
    if fields := _own_fields(request, model, thinking):
        body["additionalModelRequestFields"] = fields
    if output := _output(request.response_format, model, thinking, dropped):
        body["outputConfig"] = output
    if request.stop:
        body["additionalModelResponseFieldPaths"] = ["/stop_sequence"]  # models that have no such field ignore it
    if request.user is not None:
        dropped["user"] = None
    dropped |= dict.fromkeys(cache_points.not_taken())
    return Encoded(to_provider(body), tuple(dropped))


def _one_at_a_time(request: ChatRequest) -> bool:
    return request.parallel_tool_calls is False and bool(request.tools)


def _says_one_at_a_time(request: ChatRequest, model: Model) -> bool:
    """Whether the model's own words for it do not contradict the choice that `toolConfig` makes."""
    return is_claude(model) and (request.tool_choice is None or request.tool_choice.mode == "auto")


def _inference(request: ChatRequest, model: Model, thinking: Plan) -> dict[str, Any]:
    inference: dict[str, Any] = {}
    if (limit := request.max_output_tokens) is not None:
        if limit < 1:
            raise unsupported(model, "max_output_tokens", "writes at least one token")
        if model.max_output_tokens is not None and limit > model.max_output_tokens:
            raise unsupported(model, "max_output_tokens", f"writes at most {model.max_output_tokens} tokens")
        if thinking.budget_tokens is not None and thinking.budget_tokens >= limit:
            raise unsupported(
                model, "reasoning", f"cannot think for {thinking.budget_tokens} tokens within a limit of {limit}"
            )
        inference["maxTokens"] = limit
    for field, name in (("temperature", "temperature"), ("top_p", "topP")):
        value = getattr(request, field)
        if value is None:
            continue
        _require_sampling(model, field)
        if not 0 <= value <= 1:
            raise unsupported(model, field, f"takes a {field} from 0 to 1")
        inference[name] = value
    if request.stop:
        blank = [sequence for sequence in request.stop if not (sequence.strip() if is_claude(model) else sequence)]
        if blank:
            raise unsupported(model, "stop", "takes no stop sequence that is empty or only white space")
        inference["stopSequences"] = request.stop
    return inference


def _require_sampling(model: Model, field: str) -> None:
    if not model.capabilities.sampling:
        raise not_taken(model, field, ", not even its default")


def _own_fields(request: ChatRequest, model: Model, thinking: Plan) -> dict[str, Any]:
    """What the model itself knows and `Converse` does not."""
    fields = dict(thinking.fields)
    if _one_at_a_time(request):
        fields["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
    if request.top_k is not None:
        _require_sampling(model, "top_k")
        if is_claude(model):
            fields["top_k"] = request.top_k
        elif is_nova(model):
            fields["inferenceConfig"] = {"topK": request.top_k}
        else:
            raise not_taken(model, "top_k")
    return fields


def _tools(request: ChatRequest, model: Model, cache_points: CachePoints, turns: TurnWriter) -> dict[str, Any]:
    """`toolConfig`. A choice among some of the tools is a shorter list of tools; no choice at all is no tools."""
    choice = request.tool_choice or ToolChoice("auto")
    silent = not request.tools or choice.mode == "none"
    if silent:
        if turns.first_call is not None:
            if request.tools:
                raise unsupported(
                    model, "tool_choice", "cannot be kept from calling tools in a conversation with calls"
                )
            raise unsupported(model, turns.first_call.path, "takes calls of tools only beside the tools themselves")
        return {}
    forced = choice.names[0] if choice.mode == "required" and len(choice.names) == 1 else None
    listed: list[dict[str, Any]] = []
    for index, tool in enumerate(request.tools):
        if not choice.names or forced is not None or tool.name in choice.names:
            listed.append(_tool(tool, model))
            listed += cache_points.behind_tool(index)
    config: dict[str, Any] = {"tools": listed}
    if forced is not None:
        config["toolChoice"] = {"tool": {"name": forced}}
    elif choice.mode == "required":
        config["toolChoice"] = {"any": {}}
    elif request.tool_choice is not None:
        config["toolChoice"] = {"auto": {}}
    return config


def _tool(tool: Tool, model: Model) -> dict[str, Any]:
    if not TOOL_NAME.fullmatch(tool.name):
        raise unsupported(model, "tools", f"takes names of at most 64 letters, digits, '_' and '-', not {tool.name!r}")
    specification: dict[str, Any] = {"name": tool.name, "inputSchema": {"json": object_schema(tool, model)}}
    if tool.description:
        specification["description"] = tool.description
    if tool.strict is not None:
        specification["strict"] = tool.strict
    return {"toolSpec": specification}


def _output(form: ResponseFormat | None, model: Model, thinking: Plan, dropped: dict[str, None]) -> dict[str, Any]:
    output: dict[str, Any] = {}
    if thinking.effort is not None:
        output["effort"] = thinking.effort
    if form is not None and form.kind != "text":
        if form.schema is None:
            raise unsupported(model, "response_format", "writes JSON only to a schema")
        schema: dict[str, Any] = {"schema": _encode(form.schema).decode()}
        if form.name:
            schema["name"] = form.name
        if form.description:
            schema["description"] = form.description
        if form.strict:
            dropped["response_format.strict"] = None  # a schema is always kept to
        output["textFormat"] = {"type": "json_schema", "structure": {"jsonSchema": schema}}
    return output
