"""The three official SDKs behind one face, so that one test can ask each of them the same thing."""

from __future__ import annotations

import base64
import json
from typing import Any, Protocol

import anthropic
import msgspec
import openai
from google import genai
from google.genai import types as genai_types

MODELS = {"openai": "gpt-5.2", "anthropic": "claude-opus-5", "google": "gemini-3.8-flash"}
PROVIDERS = tuple(MODELS)

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)


class Answer(msgspec.Struct):
    """What a test can compare across SDKs."""

    text: str
    calls: list[tuple[str, dict[str, Any]]]
    finish: str
    input_tokens: int | None
    output_tokens: int | None
    call_ids: list[str] = []


class Ask(msgspec.Struct, kw_only=True):
    """One chat in no SDK's words. `tools` are (name, description, JSON schema)."""

    model: str
    text: str
    system: str | None = None
    history: list[tuple[str, str]] = []  # (user|assistant, text)
    image: bytes | None = None
    tools: list[tuple[str, str, dict[str, Any]]] = []
    schema: dict[str, Any] | None = None
    stop: list[str] = []
    stream: bool = False
    max_tokens: int = 800
    results: dict[str, str] | None = None  # tool name → result: answers the calls of `previous`
    previous: Any = None  # the SDK's own answer that made the calls


class Client(Protocol):
    async def ask(self, ask: Ask) -> Answer: ...

    async def close(self) -> None: ...


class OpenAIClient:
    def __init__(self, url: str, key: str) -> None:
        self.sdk = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=30)
        self.raw: Any = None

    async def ask(self, ask: Ask) -> Answer:
        messages: list[Any] = [{"role": "system", "content": ask.system}] if ask.system else []
        messages += [{"role": role, "content": text} for role, text in ask.history]
        content: Any = ask.text
        if ask.image is not None:
            url = "data:image/png;base64," + base64.b64encode(ask.image).decode()
            content = [{"type": "text", "text": ask.text}, {"type": "image_url", "image_url": {"url": url}}]
        messages.append({"role": "user", "content": content})
        if ask.previous is not None:
            said = ask.previous.choices[0].message
            calls = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
                for call in said.tool_calls
            ]
            messages.append({"role": "assistant", "content": said.content, "tool_calls": calls})
            messages += [
                {"role": "tool", "tool_call_id": call.id, "content": (ask.results or {})[call.function.name]}
                for call in ask.previous.choices[0].message.tool_calls
            ]
        fields: dict[str, Any] = {"model": ask.model, "messages": messages, "max_completion_tokens": ask.max_tokens}
        if ask.tools:
            fields["tools"] = [
                {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}
                for name, about, schema in ask.tools
            ]
        if ask.schema is not None:
            fields["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": ask.schema}}
        if ask.stop:
            fields["stop"] = ask.stop
        if ask.stream:
            async with self.sdk.chat.completions.stream(**fields, stream_options={"include_usage": True}) as stream:
                try:
                    async for _ in stream:
                        pass
                    self.raw = await stream.get_final_completion()
                except openai.LengthFinishReasonError as cut:  # the SDK's helper calls a cut answer an error
                    self.raw = cut.completion
        else:
            self.raw = await self.sdk.chat.completions.create(**fields)
        choice = self.raw.choices[0]
        usage = self.raw.usage
        calls = choice.message.tool_calls or []
        return Answer(
            choice.message.content or "",
            [(call.function.name, json.loads(call.function.arguments)) for call in calls],
            choice.finish_reason,
            usage.prompt_tokens if usage else None,
            usage.completion_tokens if usage else None,
            [call.id for call in calls],
        )

    async def close(self) -> None:
        await self.sdk.close()


class AnthropicClient:
    def __init__(self, url: str, key: str) -> None:
        self.sdk = anthropic.AsyncAnthropic(base_url=url, api_key=key, max_retries=0, timeout=30)
        self.raw: Any = None

    async def ask(self, ask: Ask) -> Answer:
        messages: list[Any] = [{"role": role, "content": text} for role, text in ask.history]
        content: Any = ask.text
        if ask.image is not None:
            source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(ask.image).decode()}
            content = [{"type": "image", "source": source}, {"type": "text", "text": ask.text}]
        messages.append({"role": "user", "content": content})
        if ask.previous is not None:
            messages.append(
                {
                    "role": "assistant",
                    "content": [block.model_dump(exclude_none=True) for block in ask.previous.content],
                }
            )
            results = [
                {"type": "tool_result", "tool_use_id": block.id, "content": (ask.results or {})[block.name]}
                for block in ask.previous.content
                if block.type == "tool_use"
            ]
            messages.append({"role": "user", "content": results})
        fields: dict[str, Any] = {"model": ask.model, "messages": messages, "max_tokens": ask.max_tokens}
        if ask.system:
            fields["system"] = ask.system
        if ask.tools:
            fields["tools"] = [
                {"name": name, "description": about, "input_schema": schema} for name, about, schema in ask.tools
            ]
        if ask.schema is not None:
            fields["output_config"] = {"format": {"type": "json_schema", "schema": ask.schema}}
        if ask.stop:
            fields["stop_sequences"] = ask.stop
        if ask.stream:
            async with self.sdk.messages.stream(**fields) as stream:
                self.raw = await stream.get_final_message()
        else:
            self.raw = await self.sdk.messages.create(**fields)
        blocks = self.raw.content
        usage = self.raw.usage
        total_in = usage.input_tokens + (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        return Answer(
            "".join(block.text for block in blocks if block.type == "text"),
            [(block.name, dict(block.input)) for block in blocks if block.type == "tool_use"],
            self.raw.stop_reason,
            total_in,
            usage.output_tokens,
            [block.id for block in blocks if block.type == "tool_use"],
        )

    async def close(self) -> None:
        await self.sdk.close()


class GeminiClient:
    def __init__(self, url: str, key: str) -> None:
        self.sdk = genai.Client(api_key=key, http_options=genai_types.HttpOptions(base_url=url))
        self.raw: Any = None

    async def ask(self, ask: Ask) -> Answer:
        roles = {"user": "user", "assistant": "model"}
        contents: list[Any] = [
            genai_types.Content(role=roles[role], parts=[genai_types.Part.from_text(text=text)])
            for role, text in ask.history
        ]
        parts = [genai_types.Part.from_text(text=ask.text)]
        if ask.image is not None:
            parts.append(genai_types.Part.from_bytes(data=ask.image, mime_type="image/png"))
        contents.append(genai_types.Content(role="user", parts=parts))
        if ask.previous is not None:
            content = ask.previous.candidates[0].content
            contents.append(content)
            answers = [
                genai_types.Part(
                    function_response=genai_types.FunctionResponse(
                        id=part.function_call.id,
                        name=part.function_call.name,
                        response={"output": (ask.results or {})[part.function_call.name]},
                    )
                )
                for part in content.parts
                if part.function_call
            ]
            contents.append(genai_types.Content(role="user", parts=answers))
        config: dict[str, Any] = {"max_output_tokens": ask.max_tokens}
        if ask.system:
            config["system_instruction"] = ask.system
        if ask.tools:
            config["tools"] = [
                genai_types.Tool(
                    function_declarations=[
                        genai_types.FunctionDeclaration(name=name, description=about, parameters_json_schema=schema)
                        for name, about, schema in ask.tools
                    ]
                )
            ]
            config["automatic_function_calling"] = genai_types.AutomaticFunctionCallingConfig(disable=True)
        if ask.schema is not None:
            config |= {"response_mime_type": "application/json", "response_json_schema": ask.schema}
        if ask.stop:
            config["stop_sequences"] = ask.stop
        settings = genai_types.GenerateContentConfig(**config)
        arguments: dict[str, Any] = {"model": ask.model, "contents": contents, "config": settings}
        if ask.stream:
            self.raw = _folded(
                [chunk async for chunk in await self.sdk.aio.models.generate_content_stream(**arguments)]
            )
        else:
            self.raw = await self.sdk.aio.models.generate_content(**arguments)
        candidate = self.raw.candidates[0]
        usage = self.raw.usage_metadata
        found = (candidate.content.parts if candidate.content else None) or []
        calls = [part.function_call for part in found if part.function_call]
        return Answer(
            "".join(part.text for part in found if part.text and not part.thought),
            [(call.name, dict(call.args or {})) for call in calls],
            candidate.finish_reason.value,
            usage.prompt_token_count if usage else None,
            (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0) if usage else None,
            [call.id for call in calls],
        )

    async def close(self) -> None:
        await self.sdk.aio.aclose()
        self.sdk.close()


def _folded(chunks: list[Any]) -> Any:
    """The chunks of a Gemini stream as one answer: the SDK has no helper for it."""
    last = chunks[-1]
    parts = [
        part
        for chunk in chunks
        for candidate in chunk.candidates or []
        for part in (candidate.content.parts if candidate.content and candidate.content.parts else [])
    ]
    content = genai_types.Content(role="model", parts=parts)
    finish = next(c.finish_reason for chunk in reversed(chunks) for c in chunk.candidates or [] if c.finish_reason)
    candidate = genai_types.Candidate(index=0, content=content, finish_reason=finish)
    return genai_types.GenerateContentResponse(candidates=[candidate], usage_metadata=last.usage_metadata)


CLIENTS = {"openai": OpenAIClient, "anthropic": AnthropicClient, "gemini": GeminiClient}
STOPPED = {"openai": {"stop"}, "anthropic": {"end_turn", "stop_sequence"}, "gemini": {"STOP"}}
CALLED = {"openai": "tool_calls", "anthropic": "tool_use", "gemini": "STOP"}
CUT = {"openai": "length", "anthropic": "max_tokens", "gemini": "MAX_TOKENS"}
