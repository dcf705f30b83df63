"""Anthropic behind the server's `Vendor` face."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple, TypeVar

import msgspec

from pulse_gateway.testing.simulator.anthropic.citing import cite_found
from pulse_gateway.testing.simulator.anthropic.errors import injected, malformed, refuse
from pulse_gateway.testing.simulator.anthropic.listing import list_models, model_document
from pulse_gateway.testing.simulator.anthropic.models import ANTHROPIC_FAMILY, Traits, traits_of
from pulse_gateway.testing.simulator.anthropic.rendering import Style, render_reply, render_stream
from pulse_gateway.testing.simulator.anthropic.rules import check, read_tools, searches_web, thinking_type
from pulse_gateway.testing.simulator.anthropic.schema import (
    ChoiceAny,
    ChoiceNone,
    ChoiceTool,
    CustomTool,
    MessagesRequest,
    ThinkingAdaptive,
    ThinkingEnabled,
)
from pulse_gateway.testing.simulator.anthropic.turns import Conversation
from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.prompt import Prompt, Tool
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Chat, Refusal, Request, Target

__all__ = ["Anthropic", "Understood"]

R = TypeVar("R", bound=msgspec.Struct)

_DECODER = msgspec.json.Decoder(MessagesRequest)
_ENCODE = msgspec.json.encode
_NEW_VERSION = "2026-10-21"
_VERSIONS = frozenset({_NEW_VERSION, "2023-06-01"})
_MAX_BODY_BYTES = 32 * 1024 * 1024
_FOREIGN = ("gpt-", "chatgpt-", "o1", "o3", "o4", "gemini")
_QUERY_CHARACTERS = 60
_THINKING_TOKENS = {"low": 16, "medium": 32, "high": 64, "xhigh": 96, "max": 128}


class Understood(NamedTuple):
    prompt: Prompt
    conversation: Conversation


class Anthropic:
    """Source: https://platform.claude.com/docs/en/api/overview (read 2026-11-24)"""

    name = "anthropic"

    def __init__(self, seed: int, config: Config) -> None:
        self._seed = seed
        self._accepted = frozenset(config.keys.accepted)
        self._models = config.models
        limits = config.rate_limits
        head = [("anthropic-organization-id", "simulated"), ("anthropic-workspace-id", "default")]
        for what, limit, remaining in (
            ("requests", limits.requests, limits.requests_remaining),
            ("tokens", limits.tokens, limits.tokens_remaining),
            ("input-tokens", limits.tokens, limits.tokens_remaining),
            ("output-tokens", limits.tokens, limits.tokens_remaining),
        ):
            head += [
                (f"anthropic-ratelimit-{what}-limit", str(limit)),
                (f"anthropic-ratelimit-{what}-remaining", str(remaining)),
                (f"anthropic-ratelimit-{what}-reset", "2026-11-24T00:01:00Z"),
            ]
        self._head = tuple(head)

    def admit(self, request: Request, target: Target) -> None:
        if target.operation == "unknown path":
            raise refuse("Not found", status=404)
        if target.operation == "wrong method":
            raise refuse("Method Not Allowed", status=405)
        headers = request.headers
        key = headers.get("x-api-key")  # wins if both are sent
        if key is None:
            scheme, _, key = headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not key:
                raise refuse("x-api-key header is required", status=401)
        if not key or key == "wrong" or (self._accepted and key not in self._accepted):
            raise refuse("invalid x-api-key", status=401)
        version = headers.get("anthropic-version")
        if version is None:
            raise refuse("anthropic-version: header is required")
        if version not in _VERSIONS:
            raise refuse(f'anthropic-version: "{version}" is not a valid version for this API')

    def read(self, request: Request, target: Target) -> Chat:
        chat = self.decode(request, _DECODER)
        model, spec = split_model(chat.model)
        understood = self.understand(chat, model, request)
        stream = bool(chat.stream)
        conversation, digest = understood.conversation, understood.prompt.digest
        searches = searches_web(chat)
        cited = [cite_found(self._seed, digest)] if searches else []
        style = Style(
            seed=self._seed,
            model=chat.model,
            omits_thinking=_omits_thinking(chat, traits_of(model)),
            five_minutes=not conversation.long_cache,
            service_tier="standard",
            speed=chat.speed or "standard",
            geo=chat.inference_geo or "global",
            search=(conversation.last_user or "news")[:_QUERY_CHARACTERS] if searches else None,
            citations=tuple(cited + conversation.citations),
        )
        return Chat(
            model=chat.model,
            fault_spec=spec,
            prompt=understood.prompt,
            stream=stream,
            content_type="text/event-stream; charset=utf-8" if stream else "application/json",
            render=partial(render_stream if stream else render_reply, style),
            units={"searches": 1} if searches else {},
        )

    def decode(self, request: Request, decoder: msgspec.json.Decoder[R]) -> R:
        """Raises: Refusal for a body that does not fit its schema."""
        if len(request.body) > _MAX_BODY_BYTES:
            raise refuse("Request exceeds the maximum size", status=413)
        if not request.headers.get("content-type", "").lower().startswith("application/json"):
            raise refuse("content-type: must be application/json")
        try:
            return decoder.decode(request.body)
        except msgspec.ValidationError as error:
            raise malformed(error) from error
        except msgspec.DecodeError as error:
            raise refuse(f"The request body is not valid JSON: {error}") from error

    def understand(self, chat: MessagesRequest, model: str, request: Request) -> Understood:
        """`model` is without its faults.

        Raises: Refusal.
        """
        self._check_family(model)
        traits = traits_of(model)
        new_version = request.headers["anthropic-version"] == _NEW_VERSION
        check(chat, model, traits, new_version=new_version)
        tools = read_tools(chat, traits)
        tally = Tally(self._seed, self.name, model)
        conversation = Conversation(tally, self._seed, traits, new_version=new_version)
        for tool in tools:
            tally.text(tool.name + (tool.description or ""))
            tally.json(tool.input_schema)
            conversation.mark(tool.cache_control)
        if chat.system:
            conversation.read_system(chat.system)
        conversation.read(chat.messages)
        conversation.mark(chat.cache_control)
        if conversation.citations and chat.output_config and chat.output_config.format:
            raise refuse("output_config.format: cannot be used together with citations")
        return Understood(_prompt(chat, traits, tools, conversation, tally), conversation)

    def models(self, target: Target) -> bytes:
        if target.model:
            if not target.model.startswith(ANTHROPIC_FAMILY) and target.model not in self._models.anthropic:
                raise refuse(f"model: {target.model}", status=404)
            return _ENCODE(model_document(target.model))
        return _ENCODE(list_models(self._models.anthropic, target.query))

    def head(self, request_id: str) -> tuple[tuple[str, str], ...]:
        return (("request-id", request_id), *self._head)

    def invalid(self, message: str) -> Refusal:
        return refuse(message)

    def injected(self, faults: Faults) -> Refusal:
        return injected(faults)

    def envelope(self, refusal: Refusal, request_id: str, target: Target) -> bytes:
        return _ENCODE({"type": "error", "error": refusal.error, "request_id": request_id})

    def error_frame(self, refusal: Refusal, request_id: str, target: Target, *, is_first: bool) -> bytes:
        return b"event: error\ndata: " + self.envelope(refusal, request_id, target) + b"\n\n"

    def break_frame(self, frame: bytes) -> bytes:
        start = frame.find(b"data: ")
        if not frame.startswith(b"event: ") or start < 0:
            return frame[: len(frame) // 2]
        start += len(b"data: ")
        return frame[: start + (len(frame) - start) // 2].rstrip(b"\n") + b"\n\n"

    def _check_family(self, model: str) -> None:
        if self._models.check_family and model.startswith(_FOREIGN):
            raise refuse(f"model: {model}", status=404)


def _prompt(
    chat: MessagesRequest, traits: Traits, tools: list[CustomTool], conversation: Conversation, tally: Tally
) -> Prompt:
    offered = [Tool(tool.name, tool.input_schema) for tool in tools]
    choice = chat.tool_choice
    if isinstance(choice, ChoiceNone):
        offered = []
    elif isinstance(choice, ChoiceTool):
        offered = [tool for tool in offered if tool.name == choice.name]
    effort = chat.output_config.effort if chat.output_config else None
    schema = chat.output_config.format.schema if chat.output_config and chat.output_config.format else None
    kind = thinking_type(chat)
    thinks = kind in {"enabled", "adaptive"} or (kind is None and traits.always_thinks)
    return Prompt(
        digest=tally.digest,
        system="\n".join(conversation.system),
        text=conversation.last_user,
        media=conversation.media,
        tools=offered,
        must_call=isinstance(choice, ChoiceAny | ChoiceTool),
        parallel_calls=getattr(choice, "disable_parallel_tool_use", False) is not True,
        results=conversation.results,
        schema=schema,
        stop=chat.stop_sequences or [],
        max_tokens=chat.max_tokens,
        reasoning_tokens=_THINKING_TOKENS[effort or "high"] if thinks else 0,
        shows_reasoning=thinks,
        talks_while_calling=True,
        input_tokens=tally.tokens,
        marked_tokens=tally.marked_tokens,
    )


def _omits_thinking(chat: MessagesRequest, traits: Traits) -> bool:
    display = chat.thinking.display if isinstance(chat.thinking, ThinkingEnabled | ThinkingAdaptive) else None
    return traits.omits_thinking if display is None else display == "omitted"
