"""The neutral form → a Responses request.

Nothing is left behind at the vendor: `store` is false, and reasoning comes back encrypted, so that the client's own history can
hold it.

Source: `openai/types/responses/response_create_params.py` of the `openai` SDK 3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatRequest, Tool, ToolChoice
from pulse_gateway.wire.codec import Encoded
from pulse_gateway.wire.foreign_json import to_provider
from pulse_gateway.wire.openai_chat.effort import effort_of
from pulse_gateway.wire.openai_chat.encode_messages import FUNCTION_NAME
from pulse_gateway.wire.openai_responses.encode_items import InputEncoder
from pulse_gateway.wire.refusals import not_taken, unsupported
from pulse_gateway.wire.tool_schemas import checked_choice, object_schema

__all__ = ["encode_request", "lacking"]

# What Chat Completions has too, under the same name, and no other dialect does.
_AS_IN_CHAT = frozenset({"prompt_cache_options", "prompt_cache_retention", "verbosity"})
_HINTS_AS_IN_CHAT = frozenset({"metadata", "prompt_cache_key", "safety_identifier"})
_SERVICE_TIERS = ("flex", "scale", "priority", "fast", "ultrafast")


def encode_request(request: ChatRequest, model: Model) -> Encoded:
    """The body for `model`.

    Raises: UnsupportedParameter whose `param` is a neutral field name, a message's path, or a path of `request.extra`;
    InvalidRequest for a schema nested too deeply.
    """
    return _RequestEncoder(request, model).encode()


def lacking(request: ChatRequest) -> str | None:
    """The neutral name, or the path, of something in `request` that Responses has no word for; None where it can say everything."""
    for field, asked in (
        ("top_k", request.top_k is not None),
        ("n", request.n not in (None, 1)),
        ("seed", request.seed is not None),
        ("stop", bool(request.stop)),
        ("presence_penalty", bool(request.presence_penalty)),
        ("frequency_penalty", bool(request.frequency_penalty)),
    ):
        if asked:
            return field
    return next((path for path, value in request.extra.items() if not _is_known(path, value)), None)


def _is_known(path: str, value: Any) -> bool:
    return path in _AS_IN_CHAT or (path == "service_tier" and value in _SERVICE_TIERS)


class _RequestEncoder:
    def __init__(self, request: ChatRequest, model: Model) -> None:
        self._request = request
        self._model = model
        self._is_openai = model.provider == "openai"
        self._dropped: dict[str, None] = {path: None for path in request.hints if path not in _HINTS_AS_IN_CHAT}

    def encode(self) -> Encoded:
        request = self._request
        body: dict[str, Any] = {"model": self._model.name}
        self._extra(body)
        checked_choice(request, self._model)
        body["input"] = InputEncoder(self._model, self._dropped).encode(request.messages)
        body["store"] = False
        self._limits(body)
        self._sampling(body)
        self._tools(body)
        self._response_format(body)
        self._reasoning(body)
        if request.user is not None:
            body["user"] = request.user
        if request.stream:
            body["stream"] = True
        body |= {path: value for path, value in request.hints.items() if path in _HINTS_AS_IN_CHAT}
        return Encoded(to_provider(body), tuple(self._dropped))

    def _extra(self, body: dict[str, Any]) -> None:
        for path, value in self._request.extra.items():
            if not _is_known(path, value):
                raise not_taken(self._model, path)
            if path == "verbosity":
                body["text"] = {"verbosity": value}
            else:
                body[path] = value

    def _limits(self, body: dict[str, Any]) -> None:
        limit, most = self._request.max_output_tokens, self._model.max_output_tokens
        if limit is None:
            return
        if most is not None and limit > most:
            raise not_taken(self._model, "max_output_tokens", f" above {most}")
        body["max_output_tokens"] = limit

    def _sampling(self, body: dict[str, Any]) -> None:
        request = self._request
        if (field := lacking(request)) is not None:
            raise not_taken(self._model, field, " on Responses")
        for field in ("temperature", "top_p", "logprobs", "top_logprobs"):
            value = getattr(request, field)
            if value is None or value is False:
                continue
            if not self._model.capabilities.sampling:
                raise not_taken(self._model, field)
            if field == "logprobs":
                body["include"] = ["message.output_text.logprobs"]
            else:
                body[field] = value

    def _tools(self, body: dict[str, Any]) -> None:
        tools, choice = self._request.tools, self._request.tool_choice
        if not tools:
            return
        if choice is not None:
            body["tool_choice"] = _tool_choice(choice)
        body["tools"] = [self._tool(tool) for tool in tools]
        if self._request.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = self._request.parallel_tool_calls

    def _tool(self, tool: Tool) -> dict[str, Any]:
        """`strict` is always told: where it is absent, this API turns schemas into strict ones."""
        if self._is_openai and not FUNCTION_NAME.fullmatch(tool.name):
            raise unsupported(
                self._model, "tools", f"takes names of at most 64 letters, digits, '_' and '-', not {tool.name!r}"
            )
        wire: dict[str, Any] = {
            "type": "function",
            "name": tool.name,
            "parameters": object_schema(tool, self._model),
            "strict": bool(tool.strict),
        }
        if tool.description is not None:
            wire["description"] = tool.description
        return wire

    def _response_format(self, body: dict[str, Any]) -> None:
        wanted = self._request.response_format
        if wanted is None or wanted.kind == "text":
            return
        if wanted.kind == "json_object":
            told: dict[str, Any] = {"type": "json_object"}
        else:
            if self._request.tools and not self._model.capabilities.schema_with_tools:
                raise not_taken(self._model, "response_format", " with a schema together with tools")
            told = {"type": "json_schema", "name": wanted.name or "response", "schema": wanted.schema or {}}
            if wanted.description is not None:
                told["description"] = wanted.description
            if wanted.strict is not None:
                told["strict"] = wanted.strict
        body.setdefault("text", {})["format"] = told

    def _reasoning(self, body: dict[str, Any]) -> None:
        control, capabilities = self._request.reasoning, self._model.capabilities
        thinks = capabilities.thinking != "none" and capabilities.efforts != ()
        effort = None if control is None else effort_of(control, self._model, self._dropped)
        told: dict[str, Any] = {} if effort is None else {"effort": effort}
        if control is not None and control.summary:
            if thinks and effort != "none":
                told["summary"] = "auto"
            else:
                self._dropped["reasoning.summary"] = None
        if told:
            body["reasoning"] = told
        # A model that does not reason answers this wish with an error, so it is made only where something says that it does.
        if effort != "none" and (effort is not None or "summary" in told or (thinks and capabilities.efforts)):
            body.setdefault("include", []).append("reasoning.encrypted_content")


def _tool_choice(choice: ToolChoice) -> Any:
    if not choice.names or choice.mode == "none":
        return choice.mode
    if choice.mode == "required" and len(choice.names) == 1:
        return {"type": "function", "name": choice.names[0]}
    allowed = [{"type": "function", "name": name} for name in choice.names]
    return {"type": "allowed_tools", "mode": choice.mode, "tools": allowed}
