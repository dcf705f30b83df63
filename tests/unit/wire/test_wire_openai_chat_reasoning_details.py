"""Proofs of thinking survive a client of Chat Completions: told in an extension, and read again from its history."""

from __future__ import annotations

import json
from typing import Any

from openai.lib.streaming._deltas import accumulate_delta

from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import ChatReply, ChatRequest, Choice, Message, Part, ReasoningPart, TextPart
from pulse_gateway.types.events import Ended, ReasoningDelta, ReasoningSigned, Started, TextDelta
from pulse_gateway.wire.anthropic_messages.turns import TurnWriter
from pulse_gateway.wire.openai_chat import OpenAIChatCodec
from pulse_gateway.wire.openai_chat.encode import encode_request
from pulse_gateway.wire.sse import ServerSentEvent, SSEDecoder

CODEC = OpenAIChatCodec(lambda: 0.0)
THINKING = (
    ReasoningPart("first", "openai:rs_1:gAAAA"),
    ReasoningPart(redacted="xx=="),
    ReasoningPart("second", "gemini:c2ln"),
)


def encode_anthropic(parts: tuple[Part, ...]) -> Any:
    turns = (Message("user", (TextPart("q"),)), Message("assistant", parts), Message("user", (TextPart("r"),)))
    return TurnWriter(Model(provider="anthropic", name="m"), {}).write(turns)[1][1]["content"]


def read_again(message: dict[str, Any]) -> tuple[Any, ...]:
    history = [{"role": "user", "content": "q"}, message, {"role": "user", "content": "r"}]
    request = CODEC.decode_request(json.dumps({"model": "m", "messages": history}).encode())
    assert request.extra == {}
    return request.messages[1].parts


def test_a_whole_answer_comes_back_as_it_was() -> None:
    reply = ChatReply(id="1", model="m", choices=(Choice(parts=(*THINKING, TextPart("a"))),))
    (choice,) = json.loads(CODEC.encode_reply(reply))["choices"]
    assert choice["message"]["reasoning_content"] == "firstsecond"
    assert read_again(choice["message"]) == (*THINKING, TextPart("a"))


def test_a_streamed_answer_comes_back_as_it_was_whoever_puts_it_together() -> None:
    """The official SDK's own accumulator does it here."""
    encoder = CODEC.encoder("m", include_usage=False)
    events = (
        Started("1", "m"),
        ReasoningDelta("fir"),
        ReasoningDelta("st"),
        ReasoningSigned("openai:rs_1:gAAAA"),
        ReasoningSigned(redacted="xx=="),
        ReasoningDelta("second"),
        ReasoningSigned("gemini:c2ln"),
        TextDelta("a"),
        Ended(),
    )
    frames = SSEDecoder().feed(b"".join(encoder.encode(event) for event in events))
    message: dict[object, object] = {}
    for frame in frames[:-1]:
        for choice in json.loads(frame.data)["choices"]:
            accumulate_delta(message, choice["delta"])
    assert read_again(json.loads(json.dumps(message))) == (*THINKING, TextPart("a"))


def test_thinking_without_a_proof_has_no_details_and_one_after_words_does_not_prove_it() -> None:
    encoder = CODEC.encoder("m", include_usage=False)
    events = (Started("1", "m"), ReasoningDelta("idle"), TextDelta("a"), ReasoningSigned("s"))
    frames = SSEDecoder().feed(b"".join(encoder.encode(event) for event in events))
    told = [json.loads(frame.data)["choices"][0]["delta"].get("reasoning_details") for frame in frames]
    assert told[:-1] == [None] * (len(told) - 1)
    assert told[-1] == [{"type": "reasoning.text", "index": 0, "text": "", "signature": "s"}]
    reply = ChatReply(id="1", model="m", choices=(Choice(parts=(ReasoningPart("idle"),)),))
    assert "reasoning_details" not in json.loads(CODEC.encode_reply(reply))["choices"][0]["message"]


ROUTER = Model(provider="openrouter", name="anthropic/claude-x")
THEIRS: list[dict[str, Any]] = [
    {"type": "reasoning.text", "text": "first", "signature": "s1", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.summary", "summary": " then", "format": "openai-responses-v1", "index": 1},
    {"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "format": "openai-responses-v1", "index": 2},
]


def sent_to(model: Model, parts: tuple[Part, ...]) -> tuple[Any, tuple[str, ...]]:
    """The assistant's message as `model` is shown it, and what was dropped."""
    turns = (Message("user", (TextPart("q"),)), Message("assistant", parts), Message("user", (TextPart("r"),)))
    encoded = encode_request(ChatRequest(model="m", messages=turns), model)
    return json.loads(encoded.body)["messages"][1], encoded.dropped


def test_what_a_router_has_proven_goes_back_to_it_as_it_came_and_to_nobody_else() -> None:
    message = {"role": "assistant", "content": "a", "reasoning": "first then", "reasoning_details": THEIRS}
    reply = CODEC.decode_reply(json.dumps({"id": "1", "choices": [{"message": message}]}).encode())
    parts = reply.choices[0].parts
    assert "".join(part.text for part in parts if isinstance(part, ReasoningPart)) == "first then"
    told, dropped = sent_to(ROUTER, parts)
    assert told["reasoning_details"] == [THEIRS[0], THEIRS[2]]  # what proves nothing is not asked for
    assert dropped == ("messages.reasoning",)
    for vendor in ("openai", "mistral"):
        told, dropped = sent_to(Model(provider=vendor, name="m"), parts)
        assert "reasoning_details" not in told
        assert dropped == ("messages.reasoning",)
    assert encode_anthropic(parts) == [{"type": "text", "text": "a"}]
    assert read_again(json.loads(CODEC.encode_reply(reply))["choices"][0]["message"])[0] == parts[0]


def test_a_routers_stream_proves_as_much_as_its_whole_answer() -> None:
    deltas: list[dict[str, Any]] = [
        {"reasoning": "fir", "reasoning_details": [{"type": "reasoning.text", "text": "fir", "index": 0}]},
        {"reasoning": "st", "reasoning_details": [{"type": "reasoning.text", "text": "st", "index": 0}]},
        {"reasoning": None, "reasoning_details": [{**THEIRS[0], "text": ""}]},
        {"content": "a"},
    ]
    decoder = CODEC.decoder()
    events = [
        event
        for delta in deltas
        for event in decoder.decode(
            ServerSentEvent(
                data=json.dumps({"id": "1", "choices": [{"index": 0, "delta": delta}]}).encode(), event="", raw=b""
            )
        )
    ]
    proof = next(event.signature for event in events if isinstance(event, ReasoningSigned))
    told, _ = sent_to(ROUTER, (ReasoningPart("first", proof),))
    assert told["reasoning_details"] == [THEIRS[0]]


def test_a_client_that_keeps_a_routers_details_may_go_on_with_another_vendor() -> None:
    message = {"role": "assistant", "content": "a", "reasoning": "first then", "reasoning_details": THEIRS}
    told, dropped = sent_to(ROUTER, read_again(message))
    assert told["reasoning_details"] == THEIRS
    assert dropped == ()
    assert sent_to(Model(provider="openai", name="m"), read_again(message))[1] == ("messages.reasoning",)
