"""Proofs of thinking survive a client of Chat Completions: told in an extension, and read again from its history."""

from __future__ import annotations

import json
from typing import Any

from openai.lib.streaming._deltas import accumulate_delta

from pulse_gateway.types.chat import ChatReply, Choice, ReasoningPart, TextPart
from pulse_gateway.types.events import Ended, ReasoningDelta, ReasoningSigned, Started, TextDelta
from pulse_gateway.wire.openai_chat import OpenAIChatCodec
from pulse_gateway.wire.sse import SSEDecoder

CODEC = OpenAIChatCodec(lambda: 0.0)
THINKING = (
    ReasoningPart("first", "openai:rs_1:gAAAA"),
    ReasoningPart(redacted="xx=="),
    ReasoningPart("second", "gemini:c2ln"),
)


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


def test_details_of_another_maker_are_left_over_by_their_path() -> None:
    entry = {"type": "reasoning.summary", "summary": "s"}
    signed = {"type": "reasoning.text", "text": "t", "signature": "s", "format": "theirs"}
    message = {"role": "assistant", "content": "a", "reasoning_details": [entry, signed]}
    request = CODEC.decode_request(json.dumps({"model": "m", "messages": [message]}).encode())
    assert request.extra == {
        "messages[0].reasoning_details[0]": entry,
        "messages[0].reasoning_details[1].format": "theirs",
    }
