"""generateContent, by Google's SDK."""

from __future__ import annotations

from typing import Any

from google import genai
from google.genai import types

from .asking import Ask, Call, Seen

__all__ = ["Gemini"]


class Gemini:
    def __init__(self, sdk: genai.Client) -> None:
        self._sdk = sdk

    async def ask(self, ask: Ask) -> tuple[Seen, Any]:
        fields = _fields(ask)
        if ask.stream:
            chunks = await self._sdk.aio.models.generate_content_stream(**fields)
            raw = _folded([chunk async for chunk in chunks])
        else:
            raw = await self._sdk.aio.models.generate_content(**fields)
        candidate, usage = raw.candidates[0], raw.usage_metadata
        parts = (candidate.content.parts if candidate.content else None) or []
        calls = [part.function_call for part in parts if part.function_call]
        seen = Seen(
            text="".join(part.text for part in parts if part.text and not part.thought),
            calls=[Call(call.id, call.name, dict(call.args or {})) for call in calls],
            finish=candidate.finish_reason.value,
            input_tokens=usage and usage.prompt_token_count,
            output_tokens=usage and (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
            thought=bool(usage and usage.thoughts_token_count) or any(part.thought for part in parts),
            shown=any(part.thought and part.text for part in parts),
        )
        return seen, raw


def _fields(ask: Ask) -> dict[str, Any]:
    roles = {"user": "user", "assistant": "model"}
    contents: list[Any] = [
        types.Content(role=roles[role], parts=[types.Part.from_text(text=text)]) for role, text in ask.history
    ]
    parts = [types.Part.from_text(text=ask.text)]
    if ask.image is not None:
        parts.append(types.Part.from_bytes(data=ask.image, mime_type="image/png"))
    if ask.document is not None:
        parts.append(types.Part.from_bytes(data=ask.document, mime_type="application/pdf"))
    contents.append(types.Content(role="user", parts=parts))
    if ask.previous is not None:
        said = ask.previous.candidates[0].content
        contents.append(said)
        results = [
            types.Part(
                function_response=types.FunctionResponse(
                    id=part.function_call.id,
                    name=part.function_call.name,
                    response={"output": ask.results[part.function_call.name]},
                )
            )
            for part in said.parts
            if part.function_call
        ]
        contents.append(types.Content(role="user", parts=results))
    config: dict[str, Any] = {
        "max_output_tokens": ask.max_tokens,
        "http_options": types.HttpOptions(headers=dict(ask.headers)),
    }
    if ask.system:
        config["system_instruction"] = ask.system
    if ask.tools:
        config["tools"] = [
            types.Tool(
                function_declarations=[
                    types.FunctionDeclaration(name=name, description=about, parameters_json_schema=schema)
                    for name, about, schema in ask.tools
                ]
            )
        ]
        config["automatic_function_calling"] = types.AutomaticFunctionCallingConfig(disable=True)
    if ask.schema is not None:
        config |= {"response_mime_type": "application/json", "response_json_schema": ask.schema}
    if ask.effort is not None:
        level = types.ThinkingLevel(ask.effort.upper())
        config["thinking_config"] = types.ThinkingConfig(thinking_level=level, include_thoughts=True)
    return {"model": ask.model, "contents": contents, "config": types.GenerateContentConfig(**config)}


def _folded(chunks: list[Any]) -> Any:
    """The chunks of a stream as one answer: the SDK has no helper for it."""
    parts = [
        part
        for chunk in chunks
        for candidate in chunk.candidates or []
        for part in (candidate.content.parts if candidate.content and candidate.content.parts else [])
    ]
    finish = next(c.finish_reason for chunk in reversed(chunks) for c in chunk.candidates or [] if c.finish_reason)
    candidate = types.Candidate(index=0, content=types.Content(role="model", parts=parts), finish_reason=finish)
    return types.GenerateContentResponse(candidates=[candidate], usage_metadata=chunks[-1].usage_metadata)
