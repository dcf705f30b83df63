"""From an answer to a stream of events: named, numbered from 0, and without an end mark.

Source: https://developers.openai.com/api/docs/api-reference/responses-streaming (read 2026-11-24) and openai 3.54.0
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from pulse_gateway.testing.simulator.answer import fragments
from pulse_gateway.testing.simulator.dice import Dice
from pulse_gateway.testing.simulator.openai.responses.reply import Spoken, logprobs, response_object
from pulse_gateway.testing.simulator.tokens import count_bytes
from pulse_gateway.testing.simulator.vendor import Frame

__all__ = ["event_frame", "event_frames"]

_PADDING = "aZ3kQ9mT7xW1cV5b"


class _Event(NamedTuple):
    kind: str
    members: dict[str, Any]
    output_bytes: int = 0  # of what is billed


def event_frame(kind: str, members: dict[str, Any], number: int) -> bytes:
    data = msgspec.json.encode({"type": kind, "sequence_number": number, **members})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def event_frames(spoken: Spoken, output: list[dict[str, Any]]) -> list[Frame]:
    """Every event from `response.created` to the terminal one."""
    frames: list[Frame] = []
    size = reasoning = 0
    for number, event in enumerate(_events(spoken, output)):
        size += event.output_bytes
        if event.kind == "response.output_item.added" and event.members["item"]["type"] == "reasoning":
            reasoning = spoken.answer.usage.reasoning
        frames.append(Frame(event_frame(event.kind, event.members, number), count_bytes(size), reasoning))
    return frames


def _events(spoken: Spoken, output: list[dict[str, Any]]) -> Iterator[_Event]:
    first = "queued" if spoken.request.background else "in_progress"
    yield _Event("response.created", {"response": response_object(spoken, first, [])})
    if spoken.request.background:
        yield _Event("response.queued", {"response": response_object(spoken, "queued", [])})
    yield _Event("response.in_progress", {"response": response_object(spoken, "in_progress", [])})
    for at, item in enumerate(output):
        yield from _item(spoken, item, at)
    if not spoken.faults.no_done:
        final = response_object(spoken, spoken.status, output)
        yield _Event(f"response.{spoken.status}", {"response": final})


def _item(spoken: Spoken, item: dict[str, Any], at: int) -> Iterator[_Event]:
    place = {"output_index": at}
    beginning = {**item, "status": "in_progress"}
    match item["type"]:
        case "reasoning":
            yield _Event("response.output_item.added", {**place, "item": {**item, "summary": []}})
            yield from _summary(spoken, item, at)
        case "message":
            yield _Event("response.output_item.added", {**place, "item": {**beginning, "content": []}})
            yield from _content(spoken, item, at)
        case "function_call":
            added = {**place, "item": {**beginning, "arguments": ""}}
            yield _Event("response.output_item.added", added, len(item["name"].encode()))
            yield from _arguments(spoken, item, at, "response.function_call_arguments", "arguments")
        case _:
            added = {**place, "item": {**beginning, "input": ""}}
            yield _Event("response.output_item.added", added, len(item["name"].encode()))
            yield from _arguments(spoken, item, at, "response.custom_tool_call_input", "input")
    yield _Event("response.output_item.done", {**place, "item": item})


def _summary(spoken: Spoken, item: dict[str, Any], at: int) -> Iterator[_Event]:
    for index, part in enumerate(item["summary"]):
        place = {"item_id": item["id"], "output_index": at, "summary_index": index}
        empty = {"type": "summary_text", "text": ""}
        yield _Event("response.reasoning_summary_part.added", {**place, "part": empty})
        dice = Dice(spoken.answer.digest, f"padding summary {index}")
        for piece in fragments(part["text"], spoken.answer.digest, f"summary {index}", spoken.faults.chunks):
            delta = {**place, "delta": piece, **_padding(spoken, dice)}
            yield _Event("response.reasoning_summary_text.delta", delta)
        yield _Event("response.reasoning_summary_text.done", {**place, "text": part["text"]})
        yield _Event("response.reasoning_summary_part.done", {**place, "part": part})


def _content(spoken: Spoken, item: dict[str, Any], at: int) -> Iterator[_Event]:
    for index, part in enumerate(item["content"]):
        place = {"item_id": item["id"], "output_index": at, "content_index": index}
        is_refusal = part["type"] == "refusal"
        key = "refusal" if is_refusal else "text"
        empty = {**part, key: ""} if is_refusal else {**part, key: "", "logprobs": []}
        yield _Event("response.content_part.added", {**place, "part": empty})
        dice = Dice(spoken.answer.digest, f"padding content {index}")
        kind = "response.refusal" if is_refusal else "response.output_text"
        for piece in fragments(part[key], spoken.answer.digest, f"pieces {index}", spoken.faults.chunks):
            scores = {} if is_refusal else {"logprobs": logprobs(spoken, piece)}
            delta = {**place, "delta": piece, **scores, **_padding(spoken, dice)}
            yield _Event(f"{kind}.delta", delta, len(piece.encode()))
        scores = {} if is_refusal else {"logprobs": part["logprobs"]}
        yield _Event(f"{kind}.done", {**place, key: part[key], **scores})
        yield _Event("response.content_part.done", {**place, "part": part})


def _arguments(spoken: Spoken, item: dict[str, Any], at: int, kind: str, key: str) -> Iterator[_Event]:
    place = {"item_id": item["id"], "output_index": at}
    dice = Dice(spoken.answer.digest, f"padding arguments {at}")
    for piece in fragments(item[key], spoken.answer.digest, f"arguments {at}"):
        delta = {**place, "delta": piece, **_padding(spoken, dice)}
        yield _Event(f"{kind}.delta", delta, len(piece.encode()))
    yield _Event(f"{kind}.done", {**place, key: item[key]})


def _padding(spoken: Spoken, dice: Dice) -> dict[str, str]:
    """Random-looking text that hides how long a piece is."""
    options = spoken.request.stream_options
    if options is not None and options.include_obfuscation is False:
        return {}
    return {"obfuscation": _PADDING[: 1 + dice.below(16)]}
