"""Answers of OpenAI's Responses, whole and streamed: JSON of the wire, made without any codec."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from translation_answer import COUNTS, NAMES, Answer, named, pieces_of
from translation_writer import Draw, call_ids, json_objects, said

__all__ = ["responses"]


def responses(draw: Draw, *, cut_short: bool = False) -> Answer:
    """Reasoning, words, refusals, calls and the items of hosted tools in any order; calls may be told side by side."""
    ids = draw(st.lists(call_ids, max_size=2, unique=True))
    kinds = draw(st.lists(st.sampled_from(("message", "reasoning", "web_search_call")), max_size=3))
    kinds += ["function_call"] * len(ids)
    waiting = iter(ids)
    kinds = draw(st.permutations(kinds))
    output = [_item(draw, kind, place, waiting) for place, kind in enumerate(kinds)]
    messages = [item for item in output if item["type"] == "message"]
    if messages and draw(st.integers(0, 3)) == 0:
        messages[-1]["content"].append({"type": "refusal", "refusal": draw(said)})
    calls = [item for item in output if item["type"] == "function_call"]
    if cut_short and calls:
        calls[-1]["arguments"] = calls[-1]["arguments"][:-1]
    reason = "max_output_tokens" if cut_short else draw(st.sampled_from((None, "max_output_tokens", "content_filter")))
    used, written = draw(COUNTS), draw(COUNTS)
    details = {"cached_tokens": draw(st.integers(0, used)), "cache_write_tokens": 0}
    thought = {"reasoning_tokens": draw(st.integers(0, written))}
    head = {"id": "resp_é1", "object": "response", "created_at": 1_700_000_000, "model": "gpt-r", "error": None}
    begun = {**head, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    whole = {
        **head,
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
        "output": output,
        "usage": {
            "input_tokens": used,
            "input_tokens_details": details,
            "output_tokens": written,
            "output_tokens_details": thought,
            "total_tokens": used + written,
        },
    }
    steps = _order(draw, output, [_told(draw, place, item) for place, item in enumerate(output)])
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        *steps,
    ]
    events.append({"type": f"response.{whole['status']}", "response": whole})
    return Answer(whole, [named(step.pop("type"), **step, sequence_number=n) for n, step in enumerate(events)])


def _order(draw: Draw, output: list[dict[str, Any]], told: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """One item after the other; calls at the end begin in order, and may go on side by side."""
    steps: list[dict[str, Any]] = []
    begun = 0
    while told:
        at = 0
        if all(item["type"] == "function_call" for item in output[-len(told) :]):
            at = draw(st.integers(0, min(begun, len(told) - 1)))
        begun += told[at][0]["type"] == "response.output_item.added"
        steps.append(told[at].pop(0))
        if not told[at]:
            begun -= 1
            del told[at]
    return steps


def _item(draw: Draw, kind: str, place: int, waiting: Iterator[str]) -> dict[str, Any]:
    item: dict[str, Any] = {"type": kind, "id": f"{kind}_{place}", "status": "completed"}
    match kind:
        case "message":
            content = [{"type": "output_text", "text": draw(said), "annotations": [], "logprobs": []}]
            return item | {"role": "assistant", "content": content}
        case "reasoning":
            summary = [{"type": "summary_text", "text": text} for text in draw(st.lists(said, max_size=2))]
            return item | {"summary": summary, "encrypted_content": draw(st.none() | st.just("gAAAA"))}
        case "function_call":
            return item | {"call_id": next(waiting), "name": draw(NAMES), "arguments": json.dumps(draw(json_objects))}
    return item | {"action": {"type": "search", "query": "q", "sources": []}}


def _told(draw: Draw, place: int, item: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of one item."""
    where = {"item_id": item["id"], "output_index": place}
    empty = {"message": {"content": []}, "reasoning": {"summary": []}, "function_call": {"arguments": ""}}
    begun = item | empty.get(item["type"], {})
    steps: list[dict[str, Any]] = [{"type": "response.output_item.added", "output_index": place, "item": begun}]

    def parted(kind: str, text: str, done: str, **at: Any) -> None:
        steps.extend(
            {"type": f"response.{kind}.delta", **where, **at, "delta": piece} for piece in pieces_of(draw, text)
        )
        steps.append({"type": f"response.{kind}.done", **where, **at, done: text})

    match item["type"]:
        case "message":
            for number, part in enumerate(item["content"]):
                steps.append({"type": "response.content_part.added", **where, "content_index": number, "part": {}})
                word = "text" if part["type"] == "output_text" else "refusal"
                parted(part["type"], part[word], word, content_index=number)
        case "reasoning":
            for number, part in enumerate(item["summary"]):
                parted("reasoning_summary_text", part["text"], "text", summary_index=number)
        case "function_call":
            parted("function_call_arguments", item["arguments"], "arguments")
        case _:
            steps.append({"type": "response.web_search_call.searching", **where})
    return [*steps, {"type": "response.output_item.done", "output_index": place, "item": item}]
