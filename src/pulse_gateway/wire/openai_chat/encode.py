"""The neutral form → a Chat Completions request, for OpenAI and for the vendors that copy its shape.

Source: `openai/types/chat/completion_create_params.py` of the `openai` SDK 3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatRequest, Tool, ToolChoice
from pulse_gateway.wire.codec import Encoded
from pulse_gateway.wire.foreign_json import to_provider
from pulse_gateway.wire.openai_chat.effort import effort_of
from pulse_gateway.wire.openai_chat.encode_messages import FUNCTION_NAME, MessagesEncoder
from pulse_gateway.wire.openai_chat.habits import habits_of
from pulse_gateway.wire.refusals import not_taken, refuse_extra, unsupported
from pulse_gateway.wire.tool_schemas import checked_choice, object_schema

__all__ = ["encode_request"]

_MAX_STOP_SEQUENCES = 4


def encode_request(request: ChatRequest, model: Model) -> Encoded:
    """The body for `model`. A stream always asks for usage: the gateway needs it whether or not the client does.

    Raises: UnsupportedParameter whose `param` is a neutral field name, a message's path, or a path of `request.extra`;
    InvalidRequest for a schema nested too deeply.
    """
    return _RequestEncoder(request, model).encode()


class _RequestEncoder:
    def __init__(self, request: ChatRequest, model: Model) -> None:
        self._request = request
        self._model = model
        self._is_openai = model.provider == "openai"
        self._habits = habits_of(model.provider)
        self._dropped: dict[str, None] = dict.fromkeys(request.hints)

    def encode(self) -> Encoded:
        request = self._request
        refuse_extra(request.extra, self._model)
        checked_choice(request, self._model)
        messages = MessagesEncoder(self._model, self._dropped).encode(request.messages)
        body: dict[str, Any] = {"model": self._model.name, "messages": messages}
        self._limits(body)
        self._sampling(body)
        self._tools(body)
        self._response_format(body)
        self._reasoning(body)
        if request.user is not None:
            if self._habits.user:
                body["user"] = request.user
            else:
                self._dropped["user"] = None
        if request.stream:
            body["stream"] = True
            body["stream_options"] = {"include_usage": True}
        return Encoded(to_provider(body), tuple(self._dropped))

    def _limits(self, body: dict[str, Any]) -> None:
        limit, most = self._request.max_output_tokens, self._model.max_output_tokens
        if limit is None:
            return
        if most is not None and limit > most:
            raise not_taken(self._model, "max_output_tokens", f" above {most}")
        body["max_completion_tokens" if self._is_openai else "max_tokens"] = limit

    def _sampling(self, body: dict[str, Any]) -> None:
        request = self._request
        if request.top_k is not None:
            if not (self._habits.top_k and self._model.capabilities.sampling):
                raise not_taken(self._model, "top_k")
            body["top_k"] = request.top_k
        for field in ("temperature", "top_p", "logprobs", "top_logprobs"):
            value = getattr(request, field)
            asked = value is not None and value is not False
            if asked and not self._model.capabilities.sampling:
                raise not_taken(self._model, field)
            _set(body, field, value)
        for field in ("n", "seed", "presence_penalty", "frequency_penalty"):
            _set(body, field, getattr(request, field))
        if len(request.stop) > _MAX_STOP_SEQUENCES:
            raise not_taken(self._model, "stop", f" with more than {_MAX_STOP_SEQUENCES} sequences")
        if request.stop:
            body["stop"] = request.stop

    def _tools(self, body: dict[str, Any]) -> None:
        """Compatible vendors know no `allowed_tools`: there the list of tools is narrowed, which says the same."""
        tools, choice = self._request.tools, self._request.tool_choice
        if not tools:
            return  # `auto`, `none` and parallel calls say nothing without tools, and OpenAI refuses them then
        if choice is not None:
            if choice.names and choice.mode != "none" and not self._is_openai:
                tools = tuple(tool for tool in tools if tool.name in choice.names)
            body["tool_choice"] = self._tool_choice(choice)
        body["tools"] = [self._tool(tool) for tool in tools]
        _set(body, "parallel_tool_calls", self._request.parallel_tool_calls)

    def _tool(self, tool: Tool) -> dict[str, Any]:
        if self._is_openai and not FUNCTION_NAME.fullmatch(tool.name):
            raise unsupported(
                self._model, "tools", f"takes names of at most 64 letters, digits, '_' and '-', not {tool.name!r}"
            )
        function: dict[str, Any] = {"name": tool.name}
        _set(function, "description", tool.description)
        if tool.parameters is not None:
            function["parameters"] = object_schema(tool, self._model)
        _set(function, "strict", tool.strict or None)  # false is what its absence says, and some refuse the word
        return {"type": "function", "function": function}

    def _tool_choice(self, choice: ToolChoice) -> Any:
        if not choice.names or choice.mode == "none":
            return choice.mode
        if choice.mode == "required" and len(choice.names) == 1:
            return {"type": "function", "function": {"name": choice.names[0]}}
        if not self._is_openai:
            return choice.mode
        allowed = [{"type": "function", "function": {"name": name}} for name in choice.names]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": allowed}}

    def _response_format(self, body: dict[str, Any]) -> None:
        wanted = self._request.response_format
        if wanted is None or wanted.kind == "text":
            return
        if wanted.kind == "json_object":
            body["response_format"] = {"type": "json_object"}
            return
        if self._request.tools and not self._model.capabilities.schema_with_tools:
            raise not_taken(self._model, "response_format", " with a schema together with tools")
        schema: dict[str, Any] = {"name": wanted.name or "response", "schema": wanted.schema or {}}
        _set(schema, "description", wanted.description)
        _set(schema, "strict", wanted.strict or None)
        body["response_format"] = {"type": "json_schema", "json_schema": schema}

    def _reasoning(self, body: dict[str, Any]) -> None:
        effort = self._effort()
        if self._habits.thinking == "switch" and self._request.reasoning is not None:
            control = self._request.reasoning
            asked = effort is not None or control.adaptive or control.budget_tokens is not None
            if asked:
                body["thinking"] = {"type": "disabled" if effort == "none" else "enabled"}
            effort = None if effort == "none" else effort
        _set(body, "reasoning_effort", effort)

    def _effort(self) -> str | None:
        control, capabilities = self._request.reasoning, self._model.capabilities
        effort = None
        if control is not None:
            if control.summary is self._is_openai:  # OpenAI never shows reasoning in this dialect, the others always do
                self._dropped["reasoning.summary"] = None
            effort = effort_of(control, self._model, self._dropped)
        if effort is None and self._is_openai and self._request.tools and not capabilities.chat_tools_with_reasoning:
            # Such models take tools only with reasoning off, and not all of them are off by default.
            return "none" if "none" in (capabilities.efforts or ("none",)) else None
        return effort


def _set(members: dict[str, Any], name: str, value: Any) -> None:
    if value is not None:
        members[name] = value
