"""Gemini behind the server's `Vendor` face."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.config import Config
from pulse_gateway.testing.simulator.faults import Faults, split_model
from pulse_gateway.testing.simulator.gemini.errors import injected, malformed, refuse
from pulse_gateway.testing.simulator.gemini.media_rendering import Picture, Speech, picture_of, speech_of
from pulse_gateway.testing.simulator.gemini.models import GEMINI_FAMILY, Traits, methods_of, traits_of
from pulse_gateway.testing.simulator.gemini.names import camel_case
from pulse_gateway.testing.simulator.gemini.pages import page
from pulse_gateway.testing.simulator.gemini.platforms import DEVELOPER, check_fields
from pulse_gateway.testing.simulator.gemini.rendering import Style, render_reply, render_stream
from pulse_gateway.testing.simulator.gemini.rules import check, declared
from pulse_gateway.testing.simulator.gemini.schema import FunctionDeclaration, GenerateContentRequest
from pulse_gateway.testing.simulator.gemini.turns import Conversation
from pulse_gateway.testing.simulator.prompt import Prompt, Tool
from pulse_gateway.testing.simulator.tokens import Tally
from pulse_gateway.testing.simulator.vendor import Chat, Refusal, Request, Target

__all__ = ["JSON", "Gemini", "tool_of"]

JSON = "application/json; charset=UTF-8"
_ENCODE = msgspec.json.encode
_FOREIGN = ("gpt-", "chatgpt-", "o1", "o3", "o4", "claude")
_LEVELS = {"MINIMAL": 8, "LOW": 16, "MEDIUM": 32, "HIGH": 64, "XHIGH": 96}
_DYNAMIC_TOKENS = 32


class Gemini:
    """Source: https://ai.google.dev/api (read 2026-11-24)"""

    platform = DEVELOPER

    def __init__(self, seed: int, config: Config) -> None:
        self._seed = seed
        self._accepted = frozenset(config.keys.accepted)
        self._models = config.models

    @property
    def name(self) -> str:
        return self.platform.name

    def admit(self, request: Request, target: Target) -> None:
        if target.operation == "unknown path":
            raise refuse("Requested entity was not found.", http=404)
        if target.operation == "wrong method":
            raise refuse(f"{request.method} is not allowed here.", http=405, status="UNIMPLEMENTED")
        key = request.headers.get("x-goog-api-key") or request.query.get("key")
        if not key:
            raise refuse(
                "Method doesn't allow unregistered callers (callers without established identity). Please use API Key or "
                "other form of API consumer identity to call this API.",
                http=403,
            )
        if key == "wrong" or (self._accepted and key not in self._accepted):
            raise refuse("API key not valid. Please pass a valid API key.", reason="API_KEY_INVALID")

    def read(self, request: Request, target: Target) -> Chat:
        body = self.body(request)
        try:
            asked = msgspec.convert(body, GenerateContentRequest)
        except msgspec.ValidationError as error:
            raise malformed(error) from error
        model, spec = split_model(target.model)
        self.check_model(model, "streamGenerateContent" if target.stream else "generateContent")
        prompt, style = self.understand(asked, target.model, stream=target.stream, json_array=target.json_array)
        return Chat(
            model=target.model,
            fault_spec=spec,
            prompt=prompt,
            stream=target.stream,
            content_type="text/event-stream" if target.stream and not target.json_array else JSON,
            render=partial(render_stream if target.stream else render_reply, style),
        )

    def understand(
        self, asked: GenerateContentRequest, name: str, *, stream: bool, json_array: bool = False
    ) -> tuple[Prompt, Style]:
        """What the model called `name`, fault suffix and all, is to answer, and how.

        Raises: Refusal.
        """
        model, _ = split_model(name)
        traits = traits_of(model)
        check(asked, model, traits, stream=stream)
        tally = Tally(self._seed, self.name, model)
        conversation = self.heard(asked, tally, traits)
        tools = [tool_of(function, tally) for function in declared(asked)]
        prompt = _prompt(asked, traits, tools, conversation, tally)
        makes: Picture | Speech | None = None
        if traits.makes == "image":
            makes = picture_of(asked, model, thinks=traits.thinks)
        elif traits.makes == "speech":
            makes = speech_of(asked.generation_config.speech_config, prompt.text)
        style = Style(
            seed=self._seed,
            platform=self.platform,
            model=name,
            shows_thoughts=asked.generation_config.thinking_config.include_thoughts,
            signs=traits.needs_signatures,
            json_array=json_array,
            service_tier=asked.service_tier or "standard",
            logprobs=bool(asked.generation_config.response_logprobs),
            modalities=conversation.modalities,
            makes=makes,
        )
        return prompt, style

    def body(self, request: Request) -> Any:
        """The body with all names in camelCase.

        Raises: Refusal if it is no JSON, or has fields that only Google's other platform knows.
        """
        try:
            body = camel_case(msgspec.json.decode(request.body))
        except msgspec.DecodeError as error:
            raise refuse(f"Invalid JSON payload received. {error}") from error
        check_fields(body, self.platform)
        return body

    def heard(self, asked: GenerateContentRequest, tally: Tally, traits: Traits, *, whole: bool = True) -> Conversation:
        """What was said so far, counted into `tally`.

        Raises: Refusal.
        """
        conversation = Conversation(tally, self._seed, traits, needs_roles=self.platform.needs_roles)
        if asked.system_instruction is not None:
            conversation.read_system(asked.system_instruction)
        conversation.read(asked.contents, whole=whole)
        return conversation

    def check_model(self, model: str, method: str) -> None:
        """Raises: Refusal for a model of another family, or one that cannot do this."""
        if self.is_foreign(model) or (self._models.check_family and method not in self.methods(model)):
            raise self.not_found(model, method)

    def is_foreign(self, model: str) -> bool:
        """Whether it belongs to another vendor."""
        return self._models.check_family and model.startswith(_FOREIGN)

    def methods(self, model: str) -> tuple[str, ...]:
        """What may be called on it here."""
        return methods_of(model)

    def not_found(self, model: str, method: str) -> Refusal:
        return refuse(
            f"models/{model} is not found for API version {self.platform.version}, or is not supported for {method}. Call "
            "ModelService.ListModels to see the list of available models and their supported methods.",
            http=404,
        )

    def models(self, target: Target) -> bytes:
        if target.model:
            if not target.model.startswith(GEMINI_FAMILY) and target.model not in self._models.gemini:
                raise refuse(f"Model is not found: models/{target.model} for api version v1beta", http=404)
            return _ENCODE(_model(target.model))
        names, following = page(self._models.gemini, target.query)
        return _ENCODE({"models": [_model(name) for name in names], **following})

    def head(self, request_id: str) -> tuple[tuple[str, str], ...]:
        """Google sends no request id; this one is for reading the simulator's statistics."""
        return (("x-simulator-request-id", request_id), ("server-timing", "gfet4t7; dur=12"), ("vary", "Origin"))

    def invalid(self, message: str) -> Refusal:
        return refuse(message)

    def injected(self, faults: Faults) -> Refusal:
        return injected(faults)

    def envelope(self, refusal: Refusal, request_id: str, target: Target) -> bytes:
        body = _ENCODE({"error": refusal.error})
        return b"[" + body + b"]" if target.json_array else body

    def error_frame(self, refusal: Refusal, request_id: str, target: Target, *, is_first: bool) -> bytes:
        body = _ENCODE({"error": refusal.error})
        if target.json_array:
            return (b"[" if is_first else b",\r\n") + body + b"]"
        return b"data: " + body + b"\r\n\r\n"

    def break_frame(self, frame: bytes) -> bytes:
        if not frame.startswith(b"data: "):
            return frame[: len(frame) // 2]
        return frame[: len(frame) // 2].rstrip(b"\r\n") + b"\r\n\r\n"


def _prompt(
    asked: GenerateContentRequest, traits: Traits, tools: list[Tool], conversation: Conversation, tally: Tally
) -> Prompt:
    config = asked.generation_config
    calling = asked.tool_config.function_calling_config
    if calling.mode == "NONE":
        tools = []
    elif calling.allowed_function_names:
        tools = [tool for tool in tools if tool.name in calling.allowed_function_names]
    schema: dict[str, Any] | None = config.response_json_schema
    if schema is None:
        schema = config.response_schema
    return Prompt(
        digest=tally.digest,
        system=conversation.system,
        text=conversation.last_user,
        media=conversation.media,
        tools=tools,
        must_call=calling.mode == "ANY",
        results=conversation.results,
        schema=schema,
        json_object=config.response_mime_type == "application/json",
        stop=config.stop_sequences,
        max_tokens=config.max_output_tokens,
        choices=config.candidate_count or 1,
        reasoning_tokens=_reasoning_tokens(asked, traits),
        shows_reasoning=config.thinking_config.include_thoughts,
        input_tokens=tally.tokens,
    )


def _reasoning_tokens(asked: GenerateContentRequest, traits: Traits) -> int:
    thinking = asked.generation_config.thinking_config
    if thinking.thinking_level is not None:
        return _LEVELS.get(thinking.thinking_level, _DYNAMIC_TOKENS)
    if thinking.thinking_budget is not None and thinking.thinking_budget >= 0:
        return min(thinking.thinking_budget, _DYNAMIC_TOKENS)
    return _DYNAMIC_TOKENS if traits.thinks or thinking.include_thoughts or thinking.thinking_budget == -1 else 0


def tool_of(function: FunctionDeclaration, tally: Tally) -> Tool:
    schema = function.parameters_json_schema or function.parameters or {}
    tally.text(function.name + function.description)
    if schema:
        tally.json(schema)
    return Tool(function.name, schema)


def _model(name: str) -> dict[str, object]:
    return {
        "name": f"models/{name}",
        "version": "001",
        "displayName": name.replace("-", " ").title(),
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": [each for each in methods_of(name) if each != "streamGenerateContent"],
        "thinking": traits_of(name).thinks,
    }
