"""From an answer to OpenAI's bytes.

Source: https://developers.openai.com/api/docs/api-reference/chat (read 2026-11-24) and openai 3.54.0
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from pulse_gateway.testing.simulator.answer import Answer, Call, Choice, fragments
from pulse_gateway.testing.simulator.dice import Dice, identifier
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.openai.schema import ChatRequest
from pulse_gateway.testing.simulator.tokens import count_bytes
from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["render_reply", "render_stream"]

_ENCODE = msgspec.json.encode
_DONE = b"data: [DONE]\n\n"
_PADDING = "aZ3kQ9mT7xW1cV5b"
_FINISH = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "refusal": "stop",
}
_TIERS = {"fast": "priority", "priority": "priority", "flex": "flex", "scale": "scale"}


def render_reply(request: ChatRequest, answer: Answer, faults: Faults) -> list[Frame]:
    """One frame: the whole `chat.completion`."""
    choices = [
        {
            "index": choice.index,
            "message": _message(request, answer, choice),
            "logprobs": _logprobs(request, choice.text.split(" ")) if request.logprobs else None,
            "finish_reason": _finish(request, choice, faults),
        }
        for choice in answer.choices
    ]
    body: dict[str, Any] = {**_preamble(request, answer, "chat.completion"), "choices": choices}
    if not faults.no_usage:
        body["usage"] = _usage(answer)
    return [Frame(_ENCODE(body), answer.usage.output, answer.usage.reasoning)]


def render_stream(request: ChatRequest, answer: Answer, faults: Faults) -> list[Frame]:
    """Every chunk and `[DONE]`; the choices of n > 1 take turns."""
    options = request.stream_options
    with_usage = options is not None and options.include_usage is True
    obfuscated = options is None or options.include_obfuscation is not False
    head = b"data: " + _ENCODE(_preamble(request, answer, "chat.completion.chunk"))[:-1]
    end = b',"usage":null' if with_usage else b""
    dice = Dice(answer.digest, "obfuscation")
    frames: list[Frame] = []
    produced = [0] * len(answer.choices)  # bytes, by choice
    started: set[int] = set()
    turns = [_deltas(request, answer, choice, faults) for choice in answer.choices]
    while turns:
        for turn in list(turns):
            step = next(turn, None)
            if step is None:
                turns.remove(turn)
                continue
            index, choice_json, size = step
            started.add(index)
            produced[index] += size
            padding = b',"obfuscation":"%b"' % _PADDING[: 1 + dice.below(16)].encode() if obfuscated else b""
            frames.append(
                Frame(
                    b'%b,"choices":[%b]%b%b}\n\n' % (head, choice_json, end, padding),
                    sum(map(count_bytes, produced)),
                    sum(answer.choices[each].reasoning_tokens for each in started),
                )
            )
    total = (answer.usage.output, answer.usage.reasoning)
    if with_usage and not faults.no_usage:
        frames.append(Frame(b'%b,"choices":[],"usage":%b}\n\n' % (head, _ENCODE(_usage(answer))), *total))
    if not faults.no_done:
        frames.append(Frame(_DONE, *total))
    return frames


def _preamble(request: ChatRequest, answer: Answer, kind: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": identifier("chatcmpl-", answer.digest, "reply"),
        "object": kind,
        "created": answer.created,
        "model": request.model,
        "system_fingerprint": identifier("fp_", answer.digest, "fingerprint", 10),
    }
    if request.service_tier is not None:
        body["service_tier"] = _TIERS.get(request.service_tier, "default")
    return body


def _message(request: ChatRequest, answer: Answer, choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": choice.text if not choice.refusal and (choice.text or not choice.calls) else None,
        "refusal": choice.text if choice.refusal else None,
        "annotations": [],
    }
    if choice.calls and request.functions:
        message["function_call"] = {"name": choice.calls[0].name, "arguments": choice.calls[0].arguments}
    elif choice.calls:
        message["tool_calls"] = [
            {**_call_head(answer, choice, call, at), **_call_body(call, call.arguments)}
            for at, call in enumerate(choice.calls)
        ]
    return message


def _deltas(request: ChatRequest, answer: Answer, choice: Choice, faults: Faults) -> Iterator[tuple[int, bytes, int]]:
    """The chunks of one choice: its index, its JSON, and how many bytes of output it brings."""
    index = choice.index
    logprobs = bool(request.logprobs)

    def chunk(delta: bytes, finish: bytes = b"null", said: str | None = None) -> bytes:
        scores = _ENCODE(_logprobs(request, [said])) if logprobs and said is not None else b"null"
        return b'{"index":%d,"delta":%b,"logprobs":%b,"finish_reason":%b}' % (index, delta, scores, finish)

    speaks = not choice.calls or bool(choice.text)
    content = '""' if speaks and not choice.refusal else "null"
    yield index, chunk(b'{"role":"assistant","content":%b,"refusal":null}' % content.encode()), 0
    key = b"refusal" if choice.refusal else b"content"
    for piece in fragments(choice.text, answer.digest, f"pieces {index}", faults.chunks):
        yield index, chunk(b'{"%b":%b}' % (key, _ENCODE(piece)), said=piece), len(piece.encode())
    for at, call in enumerate(choice.calls):
        pieces = fragments(call.arguments, answer.digest, f"arguments {index} {at}")
        if request.functions:
            yield (
                index,
                chunk(_ENCODE({"function_call": {"name": call.name, "arguments": ""}})),
                len(call.name.encode()),
            )
            for piece in pieces:
                yield index, chunk(_ENCODE({"function_call": {"arguments": piece}})), len(piece.encode())
            continue
        first = {"index": at, **_call_head(answer, choice, call, at), **_call_body(call, "")}
        yield index, chunk(_ENCODE({"tool_calls": [first]})), len(call.name.encode())
        kind, text = ("custom", "input") if call.custom else ("function", "arguments")
        for piece in pieces:
            fragment = b'{"tool_calls":[{"index":%d,"%b":{"%b":%b}}]}' % (
                at,
                kind.encode(),
                text.encode(),
                _ENCODE(piece),
            )
            yield index, chunk(fragment), len(piece.encode())
    yield index, chunk(b"{}", _ENCODE(_finish(request, choice, faults))), 0


def _call_head(answer: Answer, choice: Choice, call: Call, at: int) -> dict[str, Any]:
    call_id = identifier("call_", answer.digest, f"{choice.index} {at}")
    return {"id": call_id, "type": "custom" if call.custom else "function"}


def _call_body(call: Call, arguments: str) -> dict[str, Any]:
    if call.custom:
        return {"custom": {"name": call.name, "input": arguments}}
    return {"function": {"name": call.name, "arguments": arguments}}


def _finish(request: ChatRequest, choice: Choice, faults: Faults) -> str:
    if faults.finish is not None:
        return faults.finish
    if choice.finish == "tool_calls" and request.functions:
        return "function_call"
    return _FINISH[choice.finish]


def _usage(answer: Answer) -> dict[str, Any]:
    """Inclusive, as OpenAI counts: prompt tokens with the cached ones, completion tokens with the reasoning."""
    usage = answer.usage
    completion = usage.output + usage.reasoning
    return {
        "prompt_tokens": usage.input_total,
        "completion_tokens": completion,
        "total_tokens": usage.input_total + completion,
        "prompt_tokens_details": {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.cache_write,
            "audio_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _logprobs(request: ChatRequest, words: list[str]) -> dict[str, Any]:
    def entry(word: str, rank: int) -> dict[str, Any]:
        return {"token": word, "bytes": list(word.encode()), "logprob": -0.125 * (rank + 1)}

    return {
        "content": [
            {**entry(word, 0), "top_logprobs": [entry(word, rank) for rank in range(request.top_logprobs or 0)]}
            for word in words
        ],
        "refusal": None,
    }
