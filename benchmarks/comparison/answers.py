"""What the upstream of the comparison answers: the same bytes for every gateway, in OpenAI's dialect and in Anthropic's.

`HELD` stands in the text of an answer where the upstream writes how long it held the request, in microseconds and nine digits: what the
client then sees beyond that is what lies between the two.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["ANSWER", "CHUNKS", "CLAUDE", "HELD", "HELD_MARK", "STREAM", "large_chunk"]

CHUNKS = 100
HELD = b"000000000"
HELD_MARK = b"held_us="
_MODEL = "gpt-5.2-2025-12-11"
_WORDS = ("the", "gateway", "moves", "what", "it", "is", "given", "and", "adds", "as", "little", "as", "it", "can")


def _json(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value)


def _frame(value: dict[str, Any]) -> bytes:
    return b"data: " + _json(value) + b"\n\n"


def _event(value: dict[str, Any]) -> bytes:
    return b"event: " + str(value["type"]).encode() + b"\n" + _frame(value)


def _chunk(**choice: Any) -> bytes:
    fields = {"id": "chatcmpl-Bench0000000000000000000001", "object": "chat.completion.chunk", "created": 1795000000}
    choices = [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": None, **choice}]
    more = {"service_tier": "default", "system_fingerprint": None, "choices": choices, "usage": None}
    return _frame({**fields, "model": _MODEL, **more})


def _openai_usage() -> dict[str, Any]:
    return {
        "prompt_tokens": 22,
        "completion_tokens": 97,
        "total_tokens": 119,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _answer() -> bytes:
    text = f"{HELD_MARK.decode()}{HELD.decode()} Amman is the capital of Jordan."
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    return _json(
        {
            "id": "chatcmpl-Bench0000000000000000000001",
            "object": "chat.completion",
            "created": 1795000000,
            "model": _MODEL,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": _openai_usage(),
            "service_tier": "default",
            "system_fingerprint": None,
        }
    )


def _texts(count: int) -> list[str]:
    """The first says how long it was held; the others are words."""
    return [f"{HELD_MARK.decode()}{HELD.decode()} "] + [f"{_WORDS[n % len(_WORDS)]} " for n in range(count - 1)]


def _stream() -> list[bytes]:
    """100 chunks: the role, 97 of text, the reason, the usage; the end mark comes with the last."""
    usage = _frame(
        {
            "id": "chatcmpl-Bench0000000000000000000001",
            "object": "chat.completion.chunk",
            "created": 1795000000,
            "model": _MODEL,
            "choices": [],
            "usage": _openai_usage(),
        }
    )
    begun = _chunk(delta={"role": "assistant", "content": "", "refusal": None})
    texts = [_chunk(delta={"content": text}) for text in _texts(CHUNKS - 3)]
    return [begun, *texts, _chunk(finish_reason="stop"), usage + b"data: [DONE]\n\n"]


def _claude() -> list[bytes]:
    """100 events in Anthropic's dialect: five around 95 of text."""
    message: dict[str, Any] = {
        "id": "msg_bench00000000000000000001",
        "type": "message",
        "role": "assistant",
        "model": "claude-haiku-4-5-20251001",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 22,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 1,
        },
    }
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        _event({"type": "message_start", "message": message}),
        _event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        *(
            _event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
            for text in _texts(CHUNKS - 5)
        ),
        _event({"type": "content_block_stop", "index": 0}),
        _event({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 97}}),
        _event({"type": "message_stop"}),
    ]


def large_chunk(size: int, number: int) -> bytes:
    """One chunk of about `size` bytes; others have other text, because some gateways end a stream that repeats itself."""
    text = f"{number:04d} " + "x" * (size - len(_chunk(delta={"content": "0000 "})))
    return _chunk(delta={"content": text})


ANSWER = _answer()
STREAM = _stream()
CLAUDE = _claude()
