"""Laws of Messages requests, whole answers and ids."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from anthropic_values import CODEC, MODEL, json_objects, json_values, texts, tokens
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter
from pulse_gateway.types.chat import (
    ChatReply,
    ChatRequest,
    Choice,
    DocumentPart,
    FinishReason,
    ImagePart,
    Message,
    Part,
    ReasoningControl,
    ReasoningPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.anthropic_messages.tool_ids import escape, unescape

# ── requests ──────────────────────────────────────────────────────────────────────────────────────────────────────────

ids = st.text(min_size=1, max_size=12)
visible_texts = texts.map(str.strip).filter(bool)  # others have no place in a turn
user_parts = st.one_of(
    st.builds(TextPart, visible_texts),
    st.builds(ImagePart, st.sampled_from(["image/png", "image/jpeg"]), st.just("AAAA")),
    st.builds(lambda path: ImagePart(url=f"https://example.test/{path}"), texts),
    st.builds(
        lambda text, title: DocumentPart(media_type="text/plain", text=text, title=title), texts, st.none() | texts
    ),
)
said_parts = st.one_of(
    st.builds(TextPart, visible_texts),
    st.builds(lambda text, signature: ReasoningPart(text, signature=signature), st.text(max_size=8), texts),
    st.builds(lambda data: ReasoningPart(redacted=data), texts),
)
tool_names = st.from_regex(r"[a-zA-Z0-9_-]{1,12}", fullmatch=True)
arguments_texts = st.builds(lambda value: msgspec.json.encode(value).decode(), json_objects)


@st.composite
def conversations(draw: st.DrawFn, *, ends_with_user: bool = False) -> tuple[Message, ...]:
    """Alternating turns, each in the one form that decoding gives it."""
    messages: list[Message] = []
    if draw(st.booleans()):
        messages.append(
            Message(
                "system",
                tuple(draw(st.lists(st.builds(TextPart, visible_texts), min_size=1, max_size=2))),
                path="system",
            )
        )
    calls: list[str] = []
    for turn in range(draw(st.integers(1, 4))):
        path = f"messages[{turn}]"
        if turn % 2:
            names = draw(st.lists(ids, max_size=2, unique=True))
            parts: list[Part] = draw(st.lists(said_parts, min_size=0 if names else 1, max_size=2))
            parts += [ToolCallPart(name, draw(tool_names), draw(arguments_texts)) for name in names]
            messages.append(Message("assistant", tuple(parts), path=path))
            calls = names
        else:
            if calls:
                results = tuple(
                    ToolResultPart(name, tuple(draw(st.lists(user_parts, max_size=2))), is_error=draw(st.booleans()))
                    for name in calls
                )
                messages.append(Message("tool", results, path=path))
            said = draw(st.lists(user_parts, min_size=0 if calls else 1, max_size=2))
            if said:
                messages.append(Message("user", tuple(said), path=path))
    return tuple(messages[:-1] if ends_with_user and messages[-1].role == "assistant" else messages)


tool_lists = st.lists(
    st.builds(
        Tool, tool_names, st.none() | texts, st.just({"type": "object", "properties": {}}), st.none() | st.booleans()
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda tool: tool.name,
).map(tuple)


reasonings = (
    st.none()
    | st.just(ReasoningControl("none"))
    | st.builds(
        ReasoningControl,
        st.sampled_from(["low", "medium", "high", "xhigh", "max"]),
        adaptive=st.just(True),
        summary=st.none() | st.booleans(),
    )
)


@st.composite
def requests(draw: st.DrawFn) -> ChatRequest:
    """What may be asked for at once: beside thinking neither sampling nor a forced call nor a started answer."""
    tools: tuple[Tool, ...] = draw(st.just(()) | tool_lists)
    choice = parallel = None
    reasoning: ReasoningControl | None = draw(reasonings)
    thinks = reasoning is not None and reasoning.adaptive
    forced = [] if thinks else [ToolChoice("required")]
    if tools:
        choice = draw(
            st.sampled_from(
                [
                    None,
                    ToolChoice("auto"),
                    ToolChoice("none"),
                    *forced,
                    *(ToolChoice("required", (tools[0].name,)) for _ in forced),
                ]
            )
        )
        parallel = draw(st.sampled_from([None, False])) if choice is not None and choice.mode != "none" else None
    return ChatRequest(
        model="claude-test",
        messages=draw(conversations(ends_with_user=thinks)),
        stream=draw(st.booleans()),
        include_usage=True,
        max_output_tokens=draw(st.integers(1, 10_000)),
        temperature=None if thinks else draw(st.none() | st.floats(0, 1)),
        top_p=draw(st.none() | st.floats(0.95 if thinks else 0, 1)),
        top_k=None if thinks else draw(st.none() | st.integers(1, 100)),
        stop=tuple(draw(st.lists(texts.filter(str.strip), max_size=2))),
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=parallel,
        response_format=draw(st.none() | st.just(ResponseFormat("json_schema", {"type": "object"}))),
        reasoning=reasoning,
        user=draw(st.none() | texts),
    )


@given(requests())
@settings(max_examples=150)
def test_a_request_survives_the_way_out_and_in(request: ChatRequest) -> None:
    encoded = CODEC.encode_request(request, MODEL)
    assert encoded.dropped == ()
    assert CODEC.decode_request(encoded.body) == request
    envelope = CODEC.read_envelope(encoded.body)
    assert (envelope.model, envelope.stream, envelope.max_output_tokens) == (
        request.model,
        request.stream,
        request.max_output_tokens,
    )


@given(requests(), st.data())
@settings(max_examples=150)
def test_a_damaged_request_is_understood_or_refused_and_never_breaks_anything(
    request: ChatRequest, data: st.DataObject
) -> None:
    body = msgspec.json.decode(CODEC.encode_request(request, MODEL).body)
    node: Any = body
    while isinstance(node, dict | list) and node:
        key = data.draw(st.sampled_from(sorted(node) if isinstance(node, dict) else range(len(node))))
        if not (isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans())):
            node[key] = data.draw(json_values)
            break
        node = node[key]
    raw = msgspec.json.encode(body)
    for read in (CODEC.read_envelope, CODEC.decode_request):
        try:
            read(raw)
        except InvalidRequest as error:
            assert error.param != ""
    try:
        CODEC.encode_request(CODEC.decode_request(raw), MODEL)
    except (InvalidRequest, UnsupportedParameter) as error:
        assert error.message


spaces = st.text(" \t\n\r", max_size=3)


@given(
    st.lists(st.tuples(texts, json_values), max_size=4, unique_by=lambda member: member[0]),
    st.integers(0, 4),
    st.data(),
)
@settings(max_examples=100)
def test_rewriting_keeps_every_byte_but_the_models(
    members: list[tuple[str, Any]], place: int, data: st.DataObject
) -> None:
    others = [(name, msgspec.json.encode(value)) for name, value in members if name != "model"]
    others.insert(min(place, len(others)), ("model", b"MODEL"))
    gap = lambda: data.draw(spaces).encode()  # noqa: E731  # drawn anew at each place
    written = [gap() + msgspec.json.encode(name) + gap() + b":" + gap() + value + gap() for name, value in others]
    body = gap() + b"{" + b",".join(written) + b"}" + gap()
    before, after = body.replace(b"MODEL", b'"alias"', 1), body.replace(b"MODEL", b'"claude"', 1)
    if body.count(b"MODEL") == 1:
        assert CODEC.rewrite_request(before, model="claude", show_usage=True) == after
        assert CODEC.rewrite_request(after, model="claude", show_usage=True) is after


# ── answers and ids ───────────────────────────────────────────────────────────────────────────────────────────────────

replies = st.builds(
    lambda message_id, model, parts, reason, usage: ChatReply(
        id=message_id, model=model, choices=(Choice(parts=tuple(parts), finish_reason=reason),), usage=usage
    ),
    texts,
    texts,
    st.lists(said_parts | st.builds(ToolCallPart, ids, texts, arguments_texts), max_size=4),
    st.sampled_from(FinishReason),
    st.builds(
        lambda fresh, cached, short, long, output, reasoning: Usage(
            input_tokens=fresh,
            cached_input_tokens=cached,
            cache_write_tokens=short,
            cache_write_long_tokens=long,
            output_tokens=output,
            reasoning_tokens=reasoning,
        ),
        tokens,
        st.none() | tokens,
        tokens,
        tokens,
        tokens,
        st.none() | tokens,
    ),
)


def merged(reply: ChatReply) -> ChatReply:
    """With adjacent texts as one part."""
    parts: list[Part] = []
    for part in reply.choices[0].parts:
        if isinstance(part, TextPart) and parts and isinstance(parts[-1], TextPart):
            parts[-1] = TextPart(parts[-1].text + part.text)
        else:
            parts.append(part)
    return msgspec.structs.replace(reply, choices=(msgspec.structs.replace(reply.choices[0], parts=tuple(parts)),))


@given(replies)
@settings(max_examples=150)
def test_an_answer_survives_the_way_out_and_in(reply: ChatReply) -> None:
    assert CODEC.decode_reply(CODEC.encode_reply(reply)) == merged(reply)


@given(st.text(), st.text())
@settings(max_examples=200)
def test_ids_are_mapped_one_to_one_into_accepted_characters(one: str, other: str) -> None:
    for call_id in (one, other, escape(one), "pulse-id_" + one):
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", escape(call_id))
        assert unescape(escape(call_id)) == call_id
    assert (escape(one) == escape(other)) == (one == other)


@given(st.from_regex(r"[a-zA-Z0-9_-]{1,30}", fullmatch=True))
@settings(max_examples=100)
def test_ids_of_the_vendor_stay_as_they_are(call_id: str) -> None:
    if not call_id.startswith("pulse-id_"):
        assert escape(call_id) == unescape(call_id) == call_id
