"""A Responses request → the neutral form, for models that speak another dialect.

Source: `openai/types/responses/response_create_params.py` of the `openai` SDK 3.54.0, read 2026-11-24.
"""

from __future__ import annotations

from typing import Any

from pulse_gateway.types.chat import (
    ChatRequest,
    Message,
    ReasoningControl,
    ResponseFormat,
    TextPart,
    Tool,
)
from pulse_gateway.wire.codec import MAX_COUNT
from pulse_gateway.wire.members import Members
from pulse_gateway.wire.openai_members import (
    EFFORTS,
    read_format,
    read_model,
    read_stream_options,
    read_tool_choice,
    read_user,
)
from pulse_gateway.wire.openai_responses.items import ItemReader
from pulse_gateway.wire.openai_responses.schema import decode_request_object

__all__ = ["decode_request", "needs_memory"]

# Members that want the vendor to remember something. Whoever does not speak this dialect cannot.
_STATE = ("previous_response_id", "conversation", "prompt", "background", "store")
_LOGPROBS = "message.output_text.logprobs"
_ENCRYPTED = "reasoning.encrypted_content"  # shown in any case
# Pure hints: an answer without them is the answer that was asked for.
_HINTS = ("prompt_cache_key", "metadata")
# Values that ask for what happens anyway.
_NOTHING_SPECIAL: dict[str, tuple[Any, ...]] = {
    "background": (False,),
    "image": ({"context_compression": "auto"}, {}),
    "metadata": ({},),
    "service_tier": ("auto", "default"),
    "store": (False,),
    "truncation": ("disabled",),
}
_SUMMARIES = ("auto", "concise", "detailed")


def decode_request(body: bytes, *, model: str | None = None, stream: bool | None = None) -> ChatRequest:
    """The request in neutral words; what has none is in `extra`, or in `hints` where it may be dropped.

    What the vendor would have to remember comes first in `extra`, whatever else of the request makes no sense without it.
    Raises: InvalidRequest, `param` naming the path of the bad member.
    """
    members = Members(decode_request_object(body))
    for name, values in _NOTHING_SPECIAL.items():
        members.skip(name, *values)
    extra = {name: value for name in _STATE if (value := members.take(name)) is not None}
    hints = {name: value for name in _HINTS if (value := members.take(name)) is not None}
    name = read_model(members, model)
    streamed = members.flag("stream")
    messages = _messages(members, hints, remembers=bool(extra))
    tools = tuple(tool for entry in members.children("tools") if (tool := _tool(entry)) is not None)
    wants_logprobs = _include(members, extra)
    top_logprobs = members.integer("top_logprobs", least=0) or None
    read_stream_options(members, hints)
    fields: dict[str, Any] = {
        "max_output_tokens": members.integer("max_output_tokens", least=1, most=MAX_COUNT),
        "temperature": members.number("temperature"),
        "top_p": members.number("top_p"),
        "logprobs": wants_logprobs or top_logprobs is not None or None,
        "top_logprobs": top_logprobs,
        "tool_choice": read_tool_choice(members, tools, nested=False),
        "parallel_tool_calls": False if members.flag("parallel_tool_calls") is False else None,
        "response_format": _response_format(members),
        "reasoning": _reasoning(members, hints),
        "user": read_user(members, hints),
    }
    left, _ = members.leftovers()
    return ChatRequest(
        model=name,
        messages=tuple(messages),
        stream=bool(streamed) if stream is None else stream,
        include_usage=True,
        tools=tools,
        extra=extra | left,
        hints=hints,
        **fields,
    )


def needs_memory(request: ChatRequest) -> bool:
    """Whether the client of `request` wants the vendor to remember something, or to know what it has stored."""
    return any(
        path in _STATE or (isinstance(value, dict) and value.get("type") == "item_reference")
        for path, value in request.extra.items()
    )


def _messages(members: Members, hints: dict[str, Any], *, remembers: bool) -> list[Message]:
    messages: list[Message] = []
    if (instructions := members.text("instructions")) is not None:
        messages.append(Message("system", (TextPart(instructions),), path="instructions"))
    if isinstance(members.peek("input"), str):
        messages.append(Message("user", (TextPart(members.need_text("input")),), path="input"))
        return messages
    items = members.children("input")
    if not items and not remembers:
        raise members.wrong("input", "expected a text or at least one item")
    return messages + ItemReader(hints, remembers=remembers).read(items)


def _include(members: Members, extra: dict[str, Any]) -> bool:
    """Whether token probabilities are asked for. What hosted tools could show besides is left over."""
    words = members.strings("include")
    extra.update((f"include[{place}]", word) for place, word in enumerate(words) if word not in (_LOGPROBS, _ENCRYPTED))
    return _LOGPROBS in words


def _tool(entry: Members) -> Tool | None:
    """None for a custom or hosted tool: it is left over, and refused by its path.

    Strictness that nobody asked for is no demand: where `strict` is absent the vendor tries it, and does without if it must.
    """
    if entry.need_text("type") != "function":
        entry.leave()
        return None
    entry.skip("allowed_callers", ["direct"])
    entry.skip("async", False)
    entry.skip("defer_loading", False)
    return Tool(
        name=entry.need_text("name"),
        description=entry.text("description"),
        parameters=entry.object("parameters"),
        strict=entry.flag("strict") or None,
    )


def _response_format(members: Members) -> ResponseFormat | None:
    text = members.child("text")
    if text is None:
        return None
    text.skip("verbosity", "medium")
    return read_format(text.child("format"), nested=False)


def _reasoning(members: Members, hints: dict[str, Any]) -> ReasoningControl | None:
    """Words nobody here has heard of are left over. How long a summary is to be is a hint: others show it or do not."""
    control = members.child("reasoning")
    if control is None:
        return None
    control.skip("mode", "standard")
    control.skip("context", "auto")
    effort = control.word("effort", EFFORTS)
    shown = None
    for name in ("summary", "generate_summary"):
        if (word := control.word(name, _SUMMARIES)) is not None:
            shown = True
            if word != "auto":
                hints[control.at(name)] = word
    if effort is None and shown is None:
        return None
    return ReasoningControl(effort=None if effort is None else EFFORTS[effort], summary=shown)
