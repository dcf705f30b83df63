"""From an answer to Anthropic's bytes.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming (read 2026-11-24) and anthropic 2.12.0
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from pulse_gateway.testing.simulator.answer import Answer, Choice, fragments
from pulse_gateway.testing.simulator.anthropic.citing import found
from pulse_gateway.testing.simulator.dice import conceal, identifier, seal
from pulse_gateway.testing.simulator.faults import Faults
from pulse_gateway.testing.simulator.tokens import count_bytes
from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["Style", "render_reply", "render_stream"]

_ENCODE = msgspec.json.encode
_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_FINISH = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "refusal": "refusal",
}
_REFUSAL_DETAILS = {"type": "refusal", "category": "general_harms", "explanation": "A simulated refusal."}


class Style(NamedTuple):
    """What the request settles about the look of the answer."""

    seed: int
    model: str
    omits_thinking: bool  # thinking blocks carry a signature only
    five_minutes: bool  # the cache the marked tokens are written to; else the one-hour cache
    service_tier: str
    speed: str
    geo: str
    search: str | None = None  # what the web is searched for first
    citations: tuple[dict[str, Any], ...] = ()  # that the text carries


def render_reply(style: Style, answer: Answer, faults: Faults) -> list[Frame]:
    """One frame: the whole message."""
    choice = answer.choices[0]
    content: list[dict[str, Any]] = []
    if choice.reasoning:
        content.append(_thinking(style, answer, faults))
    text = [_text(style, choice, faults)] if choice.text else []
    search = _search(style, answer, faults)
    content += text + search if _pauses(style, faults) else search + text
    for at, call in enumerate(choice.calls):
        arguments = msgspec.json.decode(call.arguments) if call.whole else {}
        content.append({"type": "tool_use", "id": _call_id(answer, at), "name": call.name, "input": arguments})
    stop = _stop(choice, faults)
    message = {**_message(style, answer), "content": content, **stop}
    if not faults.no_usage:
        message["usage"] = _usage(style, answer, answer.usage.output, answer.usage.reasoning)
    return [Frame(_ENCODE(message), answer.usage.output, answer.usage.reasoning)]


def render_stream(style: Style, answer: Answer, faults: Faults) -> list[Frame]:
    """From `message_start` to `message_stop`, a ping included."""
    choice = answer.choices[0]
    stream = _Stream(choice)
    start = {**_message(style, answer), "content": [], "stop_reason": None, "stop_sequence": None, "stop_details": None}
    if not faults.no_usage:
        start["usage"] = _usage(style, answer, 1, 0)
    stream.event("message_start", {"message": start})
    if choice.reasoning:
        _stream_thinking(stream, _thinking(style, answer, faults), answer, faults)
    if not _pauses(style, faults):
        _stream_search(stream, _search(style, answer, faults))
    if choice.text:
        text = _text(style, choice, faults)
        stream.open({**text, "text": "", **({"citations": []} if "citations" in text else {})})
        for piece in fragments(choice.text, answer.digest, "pieces 0", faults.chunks):
            stream.text(piece)
        for citation in text.get("citations", ()):
            stream.delta({"type": "citations_delta", "citation": citation})
        stream.close()
    if _pauses(style, faults):
        _stream_search(stream, _search(style, answer, faults))
    for at, call in enumerate(choice.calls):
        stream.output_bytes += len(call.name.encode())
        stream.open({"type": "tool_use", "id": _call_id(answer, at), "name": call.name, "input": {}})
        stream.delta({"type": "input_json_delta", "partial_json": ""})
        for piece in fragments(call.arguments, answer.digest, f"arguments 0 {at}") if call.arguments != "{}" else ():
            stream.arguments(piece)
        if call.arguments == "{}":
            stream.output_bytes += 2  # said by saying nothing
        stream.close()
    end: dict[str, Any] = {"delta": _stop(choice, faults)}
    end["usage"] = {} if faults.no_usage else _usage(style, answer, answer.usage.output, answer.usage.reasoning)
    stream.finished(answer)
    stream.event("message_delta", end)
    frames = stream.frames
    place = min(2, len(frames) - 1)
    frames.insert(place, Frame(_PING, frames[place - 1].output_tokens, frames[place - 1].reasoning_tokens))
    if not faults.no_done:
        frames.append(Frame(_STOP, answer.usage.output, answer.usage.reasoning))
    return frames


def _stream_thinking(stream: _Stream, block: dict[str, Any], answer: Answer, faults: Faults) -> None:
    if block["type"] == "redacted_thinking":
        stream.reasoned()
        stream.open(block)
        stream.close()
        return
    stream.open({"type": "thinking", "thinking": "", "signature": ""})
    for piece in fragments(block["thinking"], answer.digest, "thinking", faults.chunks):
        stream.thinking(piece)
    stream.reasoned()
    stream.delta({"type": "signature_delta", "signature": block["signature"]})
    stream.close()


def _stream_search(stream: _Stream, blocks: list[dict[str, Any]]) -> None:
    """The search comes in pieces, its result at once."""
    for block in blocks:
        if block["type"] == "server_tool_use":
            stream.open({**block, "input": {}})
            stream.delta({"type": "input_json_delta", "partial_json": ""})
            stream.delta({"type": "input_json_delta", "partial_json": _ENCODE(block["input"]).decode()})
        else:
            stream.open(block)
        stream.close()


class _Stream:
    """Collects frames, and counts what has been produced by each."""

    def __init__(self, choice: Choice) -> None:
        self.frames: list[Frame] = []
        self.output_bytes = 0
        self._reasoning_bytes = 0
        self._reasoning_tokens = choice.reasoning_tokens
        self._index = 0
        self._hidden = not choice.reasoning  # nobody sees it; it was produced before the first block
        if self._hidden:
            self.reasoned()

    def event(self, name: str, data: dict[str, Any]) -> None:
        self._frame(b'event: %b\ndata: {"type":"%b",%b\n\n' % (name.encode(), name.encode(), _ENCODE(data)[1:]))

    def open(self, block: dict[str, Any]) -> None:
        self.event("content_block_start", {"index": self._index, "content_block": block})

    def close(self) -> None:
        self.event("content_block_stop", {"index": self._index})
        self._index += 1

    def delta(self, delta: dict[str, Any]) -> None:
        self.event("content_block_delta", {"index": self._index, "delta": delta})

    def text(self, piece: str) -> None:
        self.output_bytes += len(piece.encode())
        self._piece(b'"text_delta","text"', piece)

    def arguments(self, piece: str) -> None:
        self.output_bytes += len(piece.encode())
        self._piece(b'"input_json_delta","partial_json"', piece)

    def thinking(self, piece: str) -> None:
        self._reasoning_bytes += len(piece.encode())
        self._piece(b'"thinking_delta","thinking"', piece)

    def reasoned(self) -> None:
        """All reasoning is done."""
        self._reasoning_bytes = self._reasoning_tokens * 4

    def finished(self, answer: Answer) -> None:
        """Everything is out."""
        self.output_bytes = answer.usage.output * 4

    def _piece(self, kind: bytes, piece: str) -> None:
        self._frame(
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":%b:%b}}\n\n'
            % (self._index, kind, _ENCODE(piece))
        )

    def _frame(self, data: bytes) -> None:
        self.frames.append(Frame(data, count_bytes(self.output_bytes), count_bytes(self._reasoning_bytes)))


def _message(style: Style, answer: Answer) -> dict[str, Any]:
    return {
        "id": identifier("msg_01", answer.digest, "reply", 22),
        "type": "message",
        "role": "assistant",
        "model": style.model,
    }


def _thinking(style: Style, answer: Answer, faults: Faults) -> dict[str, Any]:
    if faults.redacted:
        return {"type": "redacted_thinking", "data": conceal(style.seed, answer.digest)}
    thinking = "" if style.omits_thinking else answer.choices[0].reasoning
    return {"type": "thinking", "thinking": thinking, "signature": seal(style.seed, "thinking", thinking)}


def _text(style: Style, choice: Choice, faults: Faults) -> dict[str, Any]:
    """The text, with everything it may cite if it is an answer at all."""
    cites = style.citations if faults.fail is None else ()
    if not cites or choice.refusal or choice.calls or _pauses(style, faults):
        return {"type": "text", "text": choice.text}
    return {"type": "text", "text": choice.text, "citations": list(cites)}


def _search(style: Style, answer: Answer, faults: Faults) -> list[dict[str, Any]]:
    """A web search and what it found, or the error that `fail` asks for."""
    if style.search is None:
        return []
    call_id = identifier("srvtoolu_01", answer.digest, "search", 22)
    content: Any = [found(style.seed, answer.digest)]
    if faults.fail is not None:
        content = {"type": "web_search_tool_result_error", "error_code": faults.fail}
    return [
        {"type": "server_tool_use", "id": call_id, "name": "web_search", "input": {"query": style.search}},
        {"type": "web_search_tool_result", "tool_use_id": call_id, "content": content},
    ]


def _pauses(style: Style, faults: Faults) -> bool:
    """The turn ends within the search, to be continued."""
    return style.search is not None and faults.finish == "pause_turn"


def _call_id(answer: Answer, at: int) -> str:
    return identifier("toolu_01", answer.digest, f"0 {at}", 22)


def _stop(choice: Choice, faults: Faults) -> dict[str, Any]:
    reason = faults.finish if faults.finish is not None else _FINISH[choice.finish]
    return {
        "stop_reason": reason,
        "stop_sequence": choice.stop_sequence if reason == "stop_sequence" else None,
        "stop_details": _REFUSAL_DETAILS if reason == "refusal" else None,
    }


def _usage(style: Style, answer: Answer, output_tokens: int, reasoning_tokens: int) -> dict[str, Any]:
    """Exclusive on the way in, inclusive on the way out, as Anthropic counts."""
    usage = answer.usage
    return {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write if style.five_minutes else 0,
            "ephemeral_1h_input_tokens": 0 if style.five_minutes else usage.cache_write,
        },
        "output_tokens": output_tokens + reasoning_tokens,
        "output_tokens_details": {"thinking_tokens": reasoning_tokens},
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0} if style.search is not None else None,
        "service_tier": style.service_tier,
        "speed": style.speed,
        "inference_geo": style.geo,
    }
