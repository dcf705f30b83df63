"""What a vendor has signed or encrypted comes back to it, whatever dialect its client speaks, and however the answer was sent."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from translation_answer import NAMES, Answer, as_json
from translation_answers import ANSWERS
from translation_harness import PAIRS, deployment, sent
from translation_history import next_request
from translation_reading import translated, writing
from translation_writer import call_ids, json_objects, said

from pulse_gateway.types.catalog import Model
from pulse_gateway.wire.registry import codec

SIGNATURES = st.binary(min_size=1, max_size=9).map(lambda raw: base64.b64encode(raw).decode())


@st.composite
def gemini_answers(draw: st.DrawFn) -> Answer:
    """Calls one after the other or amid thoughts and texts; any of them may be signed."""
    parts: list[dict[str, Any]] = []
    ids = iter(draw(st.lists(call_ids, min_size=5, max_size=5, unique=True)))
    for kind in draw(st.lists(st.sampled_from(("text", "thought", "call", "call")), min_size=1, max_size=5)):
        part: dict[str, Any]
        if kind == "call":
            part = {"functionCall": {"id": next(ids), "name": draw(NAMES), "args": draw(json_objects)}}
        else:
            part = {"text": draw(said), **({"thought": True} if kind == "thought" else {})}
        if kind != "text" and draw(st.booleans()):
            part["thoughtSignature"] = draw(SIGNATURES)
        parts.append(part)
    tail = {"modelVersion": "gemini-x", "responseId": "r1"}

    def frame(some: list[dict[str, Any]], **more: Any) -> bytes:
        body = {"candidates": [{"content": {"parts": some, "role": "model"}, "index": 0, **more}], **tail}
        return b"data: " + as_json(body) + b"\r\n\r\n"

    whole = {"candidates": [{"content": {"parts": parts}, "index": 0, "finishReason": "STOP"}], **tail}
    return Answer(whole, [*(frame([part]) for part in parts), frame([], finishReason="STOP")])


def proofs(dialect: str, items: Any) -> list[Any]:
    """Of a model's turn as its vendor writes it: what it has proven, in order. Gemini signs the last of several pieces of a thought."""
    match dialect:
        case "gemini":
            calls = [(p["functionCall"]["name"], p.get("thoughtSignature")) for p in items if "functionCall" in p]
            return [*calls, *(p["thoughtSignature"] for p in items if p.get("thought") and "thoughtSignature" in p)]  # fmt: skip
        case "anthropic.messages":
            thinking = [(b["thinking"], b["signature"]) for b in items if b["type"] == "thinking"]
            return [*thinking, *(b["data"] for b in items if b["type"] == "redacted_thinking")]
        case "openai.responses":
            return [(i["id"], i["encrypted_content"]) for i in items if i.get("type") == "reasoning" and i.get("encrypted_content")]  # fmt: skip
    return []


def turns_of(dialect: str, request: Any) -> list[Any]:
    """All that the model has done, by a request to its vendor."""
    match dialect:
        case "gemini":
            return [part for content in request["contents"] if content["role"] == "model" for part in content["parts"]]
        case "anthropic.messages":
            return [block for turn in request["messages"] if turn["role"] == "assistant" for block in turn["content"]]
        case "openai.responses":
            return list(request["input"])
    return []


MADE_BY = {**ANSWERS, "gemini": gemini_answers}
ITEMS = {
    "gemini": lambda answer: answer["candidates"][0]["content"]["parts"],
    "anthropic.messages": lambda answer: answer["content"],
    "openai.responses": lambda answer: answer["output"],
}
OLDER = Model(provider="google", name="gemini-2.5-pro")  # of which calls without a signature stay without one


@pytest.mark.parametrize(("client", "upstream"), [(c, u) for c, u in PAIRS if u in ITEMS])
@given(data=st.data())
@settings(max_examples=20)
def test_what_a_vendor_has_proven_comes_back_to_it(client: str, upstream: str, data: st.DataObject) -> None:
    answer: Answer = data.draw(MADE_BY[upstream]())
    proven = proofs(upstream, ITEMS[upstream](json.loads(answer.whole)))
    whole = writing(client).encode_reply(codec(upstream).decode_reply(answer.whole))
    stream = translated(upstream, client, [answer.stream])
    to = deployment(upstream, OLDER if upstream == "gemini" else None)
    for streamed, told in ((False, whole), (True, stream)):
        request = next_request(client, told, streamed=streamed)
        prepared = sent(client, request, to)
        asked = msgspec.json.decode(prepared.request.body)
        assert proofs(upstream, turns_of(upstream, asked)) == proven, streamed
