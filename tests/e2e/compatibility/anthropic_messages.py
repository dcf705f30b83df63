"""Messages, by Anthropic's SDK."""

from __future__ import annotations

from typing import Any

import anthropic

from .asking import Ask, Call, Seen, b64

__all__ = ["AnthropicMessages"]


class AnthropicMessages:
    def __init__(self, sdk: anthropic.AsyncAnthropic) -> None:
        self._sdk = sdk

    async def ask(self, ask: Ask) -> tuple[Seen, Any]:
        fields = _fields(ask)
        if ask.stream:
            async with self._sdk.messages.stream(**fields) as stream:
                raw: Any = await stream.get_final_message()
        else:
            raw = await self._sdk.messages.create(**fields)
        usage = raw.usage
        details = usage.output_tokens_details
        seen = Seen(
            text="".join(block.text for block in raw.content if block.type == "text"),
            calls=[Call(block.id, block.name, block.input) for block in raw.content if block.type == "tool_use"],
            finish=raw.stop_reason,
            input_tokens=usage.input_tokens
            + (usage.cache_read_input_tokens or 0)
            + (usage.cache_creation_input_tokens or 0),
            output_tokens=usage.output_tokens,
            thought=bool(details and details.thinking_tokens) or any(block.type == "thinking" for block in raw.content),
            shown=any(block.type == "thinking" and block.thinking for block in raw.content),
        )
        return seen, raw


def _fields(ask: Ask) -> dict[str, Any]:
    messages: list[Any] = [{"role": role, "content": text} for role, text in ask.history]
    parts: list[Any] = []
    if ask.image is not None:
        parts.append({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": b64(ask.image)}})
    if ask.document is not None:
        source = {"type": "base64", "media_type": "application/pdf", "data": b64(ask.document)}
        parts.append({"type": "document", "source": source})
    messages.append({"role": "user", "content": [*parts, {"type": "text", "text": ask.text}] if parts else ask.text})
    if ask.previous is not None:
        said = [block.model_dump(exclude_none=True) for block in ask.previous.content]
        messages.append({"role": "assistant", "content": said})
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": ask.results[block.name]}
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
    output: dict[str, Any] = {}
    if ask.schema is not None:
        output["format"] = {"type": "json_schema", "schema": ask.schema}
    if ask.effort is not None:
        fields["thinking"] = {"type": "adaptive"}
        output["effort"] = ask.effort
    if output:
        fields["output_config"] = output
    return {**fields, "extra_headers": ask.headers}
