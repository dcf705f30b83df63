"""What the decoders are fed: valid inputs, what becomes of them when they are damaged, and texts that grow large inside."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

from fuzz_targets import BOUNDARY
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from translation_answers import ANSWERS
from translation_bodies import BODIES
from translation_converse import CONVERSE_ANSWERS, frame

from pulse_gateway.errors import UpstreamError
from pulse_gateway.wire.eventstream import EventStreamDecoder

__all__ = ["bombs", "mutated", "seeds"]


# ── valid ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _form(**fields: str | bytes) -> bytes:
    pieces = []
    for name, value in fields.items():
        said = value if isinstance(value, bytes) else value.encode()
        file = '; filename="a.png"\r\nContent-Type: image/png' if isinstance(value, bytes) else ""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
        pieces.append(head.encode() + said + b"\r\n")
    return b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode()


_TURN = {"role": "user", "content": "a"}
_CONTENT = {"role": "user", "parts": [{"text": "a"}]}
_IMAGE = {"b64_json": "iVBO", "url": "https://x.test/a.png", "revised_prompt": "p", "mime_type": "image/png"}
_TOKENS = {
    "total_tokens": 3, "input_tokens": 1, "output_tokens": 2, "prompt_tokens": 1, "seconds": 2,
    "input_tokens_details": {"text_tokens": 1, "image_tokens": 0}, "type": "tokens",
}  # fmt: skip
_REQUESTS: dict[str, Any] = {
    "openai.images.generations": {"model": "m", "prompt": "p", "n": 2, "size": "1024x1024", "quality": "high"},
    "openai.images.edits": {"model": "m", "prompt": "p", "images": [{"image_url": "data:image/png;base64,iVBO"}]},
    "openai.speech": {"model": "m", "input": "a", "voice": "alloy", "speed": 1.5, "stream_format": "sse"},
    "openai.embeddings": {"model": "m", "input": ["a", "b"], "dimensions": 5, "encoding_format": "base64"},
    "gemini.embed_content": {"model": "models/m", "content": _CONTENT, "taskType": "CLUSTERING", "title": "t"},
    "gemini.batch_embed_contents": {"requests": [{"model": "models/m", "content": _CONTENT}] * 2},
    "openai.moderations": {"model": "m", "input": [{"type": "text", "text": "a"}]},
    "cohere.rerank": {"model": "m", "query": "q", "documents": ["a", {"text": "b"}], "top_n": 1},
    "anthropic.count_tokens": {"model": "m", "messages": [_TURN], "tools": [{"name": "f", "input_schema": {}}]},
    "gemini.count_tokens": {"generateContentRequest": {"model": "models/m", "contents": [_CONTENT]}},
    "openai.responses.input_tokens": {"model": "m", "input": [_TURN], "instructions": "i"},
    "openai.videos": {"model": "m", "prompt": "p", "seconds": "4", "size": "1280x720"},
    "splice": {"model": "m", "a": [1, {"model": 2}], "\u00e9": None},
}
_FORM = _form(model="m", prompt="p", image=b"\x89PNG\r\n\x1a\n", file=b"a", n="2", **{"image[]": b"b", "a[b]": "c"})
_ANSWERS: tuple[Any, ...] = (  # of every operation: what is no answer to one may still come
    {"created": 1, "data": [_IMAGE], "usage": _TOKENS, "size": "1024x1024", "quality": "high", "output_format": "png"},
    {"text": "a", "language": "en", "duration": 1.5, "segments": [{"id": 0, "start": 0.0, "end": 1.0, "text": "a"}],
     "words": [{"word": "a", "start": 0.0, "end": 1.0}], "usage": {"type": "duration", "seconds": 2}},
    {"object": "list", "model": "m", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "usage": _TOKENS},
    {"embedding": {"values": [0.5]}, "embeddings": [{"values": [0.5]}], "usageMetadata": {"promptTokenCount": 1}},
    {"id": "i", "model": "m", "results": [{"flagged": True, "categories": {"x": True}, "category_scores": {"x": 1},
     "index": 0, "relevance_score": 0.5, "document": {"text": "a"}}], "meta": {"billed_units": {"search_units": 1}}},
    {"input_tokens": 1, "totalTokens": 1, "cachedContentTokenCount": 1, "object": "response.input_tokens"},
    {"id": "p1", "status": "succeeded", "output": ["https://replicate.delivery/a.png"], "error": None, "logs": "50%",
     "metrics": {"predict_time": 1.5, "image_count": 1}, "urls": {"get": "https://api.replicate.com/v1/predictions/p1"}},
    {"name": "operations/o", "done": True, "response": {"generateVideoResponse": {"generatedSamples": [
     {"video": {"uri": "https://vendor.test/v1beta/files/f:download"}}], "raiMediaFilteredCount": 0},
     "videos": [{"bytesBase64Encoded": "AAAA", "mimeType": "video/mp4", "gcsUri": "gs://b/o"}]}},
    {"predictions": [{"bytesBase64Encoded": "iVBO", "mimeType": "image/png", "raiFilteredReason": "r", "embeddings":
     {"values": [0.5], "statistics": {"token_count": 1, "truncated": False}}}], "metadata": {"billableCharacterCount": 1}},
    {"candidates": [{"content": {"parts": [{"text": "a"}, {"inlineData": {"data": "iVBO", "mimeType": "image/png"}}]},
     "finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3}},
    {"embeddings": {"float": [[0.5]]}, "embeddingsByType": {"float": [0.5]}, "inputTextTokenCount": 1, "results": []},
    {"candidates": [{"content": {"parts": [{"inlineData": {"data": "\u00e9", "mimeType": "audio/L16;rate=24000"}}]}}]},
    {"image": "iVBO", "finish_reason": "SUCCESS", "seed": 1, "id": "i", "name": "bad_request", "errors": ["e"]},
    {"error": {"message": "m", "type": "invalid_request_error", "code": "context_length_exceeded", "param": "messages"}},
    {"type": "error", "error": {"type": "overloaded_error", "message": "m", "details": {"error_code": "c"}}},
    {"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED", "details": [
     {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3.5s"},
     {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": "PerDay"}]}]}},
    {"message": "m", "Message": "m", "__type": "ThrottlingException", "detail": "d", "title": "t", "status": 402},
)  # fmt: skip
_EVENTS = b"".join(
    b"event: " + str(event.get("type", "message")).encode() + b"\ndata: " + json.dumps(event).encode() + b"\n\n"
    for event in (
        {"type": "image_generation.partial_image", "b64_json": "iVBO", "partial_image_index": 0},
        {
            "type": "image_generation.completed",
            "b64_json": "iVBO",
            "usage": _TOKENS,
            "size": "1024x1024",
            "quality": "low",
        },
        {"type": "transcript.text.delta", "delta": "a"},
        {"type": "transcript.text.done", "text": "a", "usage": _TOKENS},
        {"type": "speech.audio.delta", "audio": "AAAA"},
        {"type": "speech.audio.done", "usage": _TOKENS},
        {"type": "error", "error": {"message": "m", "code": "server_error"}},
    )
)

_PREDICTION = json.dumps(
    {
        "id": "p",
        "status": "succeeded",
        "model": "a/b",
        "input": {"max_tokens": 5},
        "output": ["<think>a</think>", "قطة"],
        "error": None,
        "logs": "Reasoning tokens: 1",
        "metrics": {"input_token_count": 3, "output_token_count": 2},
        "created_at": "2026-11-24T09:30:00Z",
        "urls": {"stream": "https://stream.replicate.com/p"},
    }
).encode()
_HEARD = (
    b"event: output\nid: 1:0\ndata: <think>a</think>\n\nevent: output\nid: 1:1\ndata: "
    + "قطة".encode()
    + b"\n\nevent: done\nid: 1:3\ndata: {}\n\nevent: prediction\ndata: "
    + _PREDICTION
    + b"\n\n"
)


def seeds(target: str, count: int = 8) -> list[bytes]:
    """Valid inputs of `target`, the same ones each time."""
    group, name, *_ = target.split("/")
    if name == "replicate.predictions":
        return [_PREDICTION] if group == "reply" else [_HEARD]
    answers = CONVERSE_ANSWERS if name == "bedrock.converse" else ANSWERS.get(name)
    if group == "request":
        if name in BODIES:
            return [json.dumps(body).encode() for body in _examples(BODIES[name](), count)]
        whole = [json.dumps(_REQUESTS[name]).encode()] if name in _REQUESTS else []
        return whole if "openai.i" not in name and whole else [*whole, _FORM]
    if group == "reply" and answers is not None:
        return [answer.whole for answer in _examples(answers(), count)]
    if group in ("stream", "translate"):
        return [answer.stream for answer in _examples(answers(), count)] if answers is not None else [_EVENTS]
    if group == "frames":
        vendor = CONVERSE_ANSWERS if name == "eventstream" else ANSWERS["anthropic.messages"]
        return [answer.stream for answer in _examples(vendor(), count)]
    return [json.dumps(answer).encode() for answer in _ANSWERS]


def _examples(strategy: st.SearchStrategy[Any], count: int) -> list[Any]:
    found: list[Any] = []

    @settings(
        max_examples=count, database=None, derandomize=True, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(strategy)
    def collect(value: Any) -> None:
        found.append(value)

    collect()
    return found


# ── damaged ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_DEEP = "\x00deep"  # stands for what no encoder would write
_DEEPEST = b"[" * 3000 + b"]" * 3000
_STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, 10**30, -(10**30), 1.5, -0.5, 1e308, "", "a", " ", "1", "-1", "1e5",
    "null", "\ud800", "\udfff\ud800", "\x00", "é\u202e", "a" * 300, "{", '{"a":1}', "data:image/png;base64,", "data:,", "http://[",
    "https://x.test/\ud800", "9" * 400, "12345678901234567890s", [], [None], [[]], {}, {"": None}, {"type": "text"}, _DEEP,
)  # fmt: skip
_WORDS = (
    "error",
    "id",
    "index",
    "type",
    "text",
    "content",
    "usage",
    "name",
    "model",
    "data",
    "role",
    "input",
    "output",
)


def mutated(random: Random, data: bytes) -> bytes:
    """`data` with some damage: to the JSON in it, to the order of its frames, or to its bytes."""
    if data.startswith((b"{", b"[")):
        return _damaged_json(random, data) if random.random() < 0.85 else _damaged_bytes(random, data)
    if random.random() < 0.2:
        return _damaged_bytes(random, data)
    pieces = _frames_of(data)
    if len(pieces) < 2:
        return _damaged_bytes(random, data)
    place = random.randrange(len(pieces))
    match random.randrange(5):
        case 0:
            del pieces[place]
        case 1:
            pieces.insert(random.randrange(len(pieces)), pieces[place])
        case 2:
            pieces = pieces[:place]
        case _:
            pieces[place] = _damaged_frame(random, pieces[place])
    return b"".join(pieces)


def _frames_of(data: bytes) -> list[bytes]:
    """Of server-sent events or of an event stream; the parts of a form stay in one piece."""
    if data.startswith(b"\x00\x00"):
        try:
            return [frame(each.event, each.data) for each in EventStreamDecoder().feed(data)]
        except (UpstreamError, ValueError):
            return [data]
    return re.findall(rb".+?(?:\r?\n){2}|.+\Z", data, re.DOTALL)


def _damaged_frame(random: Random, piece: bytes) -> bytes:
    if piece.startswith(b"\x00\x00"):
        try:
            (read,) = EventStreamDecoder().feed(piece)
            kind = random.choice(("event", "exception", "error"))
            return frame(read.event, _damaged_json(random, read.data), kind=kind)
        except (UpstreamError, ValueError):  # it is damaged already
            return _damaged_bytes(random, piece)
    before, mark, said = piece.partition(b"data: ")
    text = said.strip()
    if not mark or not text.startswith(b"{"):
        return _damaged_bytes(random, piece)
    return before + mark + _damaged_json(random, text) + said[len(text) :]


def _damaged_json(random: Random, data: bytes) -> bytes:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return _damaged_bytes(random, data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        value = _damaged(random, value)
    written = json.dumps(value, ensure_ascii=random.random() < 0.5 or "\\ud" in json.dumps(value)).encode()
    written = written.replace(json.dumps(_DEEP).encode(), _DEEPEST)
    if random.random() < 0.05 and written.startswith(b"{"):  # a key twice
        key = random.choice([*value, "model"] if isinstance(value, dict) else ["model"])
        written = b"{" + json.dumps(key).encode() + b":1," + written[1:]
    return written


def _damaged(random: Random, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or random.random() < 0.12:
        return random.choice(_STRANGE)
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    place: Any = random.choice(list(copy) if isinstance(copy, dict) else range(len(copy)))
    match random.randrange(8):
        case 0:
            del copy[place]
        case 1 if isinstance(copy, list):
            copy.insert(place, copy[random.randrange(len(copy))])
        case 1:
            copy[random.choice(_WORDS)] = random.choice([*copy.values(), *_STRANGE])
        case _:
            copy[place] = _damaged(random, copy[place])
    return copy


def _damaged_bytes(random: Random, data: bytes) -> bytes:
    start, end = sorted((random.randint(0, len(data)), random.randint(0, len(data))))
    end = min(end, start + random.choice((1, 1, 4, 4, len(data))))
    replaced = random.choice((
        b"", random.randbytes(random.randint(1, 8)), data[start:end] * 2, b"\r\n", b"\n\n", b"\x00", b"\xff", b"\xc3", b'"', b"}",
        b":", b"--", b"-", b"e999", b"\\ud800", b"data:", b"event: error\n",
    ))  # fmt: skip
    return data[:start] + replaced + data[end:]


# ── growing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _repeated(before: bytes, piece: Callable[[int], bytes], after: bytes = b"") -> Callable[[int], bytes]:
    def sized(size: int) -> bytes:
        pieces, number, length = [before], 0, len(before)
        while length < size:
            pieces.append(piece(number))
            length += len(pieces[-1])
            number += 1
        return b"".join([*pieces, after])

    return sized


def _json(**members: Any) -> bytes:
    return json.dumps(members).encode()


def _chunk(delta: dict[str, Any], index: int = 0) -> bytes:
    return b"data: " + _json(choices=[{"index": index, "delta": delta}]) + b"\n\n"


def _named(kind: str, **members: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + _json(type=kind, **members) + b"\n\n"


def _call(number: int, key: str = "c") -> dict[str, Any]:
    return {"index": number, "id": f"{key}{number}", "function": {"name": "f", "arguments": "{}"}}


_BOMBS: dict[str, dict[str, Callable[[int], bytes]]] = {
    "json": {
        "opened lists": _repeated(b"", lambda _: b"["),
        "opened objects": _repeated(b"", lambda _: b'{"a":'),
        "digits": _repeated(b'{"model":"m","n":1', lambda _: b"9", b"}"),
        "an exponent": _repeated(b'{"model":"m","temperature":1e', lambda _: b"9", b"}"),
        "escapes": _repeated(b'{"model":"', lambda _: b"\\u0061", b'"}'),
        "one key again and again": _repeated(b'{"model":"m"', lambda _: b',"model":"m"', b"}"),
        "many keys": _repeated(b'{"model":"m"', lambda number: b',"k%d":0' % number, b"}"),
        "space": _repeated(b'{"model":"m"', lambda _: b" ", b"}"),
        "backslashes": _repeated(b'{"', lambda _: b"\\\\", b'":1}'),
    },
    "request": {
        "messages": _repeated(
            b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":""}',
            lambda _: b',{"role":"user","content":[{"type":"text","text":""}]}',
            b"]}",
        ),
        "calls": _repeated(
            b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":""}',
            lambda n: b',{"role":"assistant","tool_calls":[{"id":"c%d","type":"function","function":{"name":"f",'
            b'"arguments":"{}"}}]},{"role":"tool","tool_call_id":"c%d","content":""}' % (n, n),
            b"]}",
        ),
        "blocks": _repeated(
            b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"}',
            lambda n: b',{"role":"assistant","content":[{"type":"tool_use","id":"c%d","name":"f","input":{}}]},{"role":"user",'
            b'"content":[{"type":"tool_result","tool_use_id":"c%d","content":"a"}]}' % (n, n),
            b"]}",
        ),
        "items": _repeated(
            b'{"model":"m","input":[{"role":"user","content":""}',
            lambda n: b',{"type":"function_call","call_id":"c%d","name":"f","arguments":"{}"},{"type":"function_call_output",'
            b'"call_id":"c%d","output":""}' % (n, n),
            b"]}",
        ),
        "contents": _repeated(
            b'{"contents":[{"role":"user","parts":[{"text":"a"}]}',
            lambda n: b',{"role":"model","parts":[{"functionCall":{"name":"f%d","args":{}}}]},{"role":"user","parts":['
            b'{"functionResponse":{"name":"f%d","response":{}}}]}' % (n, n),
            b"]}",
        ),
        "tools": _repeated(
            b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function"}',
            lambda n: b',{"type":"function","function":{"name":"f%d","parameters":{"type":"object"}}}' % n,
            b"]}",
        ),
    },
    "form": {
        "parts": _repeated(
            b"", lambda n: f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a{n}"\r\n\r\n\r\n'.encode(), b"--"
        ),
        "boundaries": _repeated(b"", lambda _: f"--{BOUNDARY}\r\n".encode()),
        "a header": _repeated(f"--{BOUNDARY}\r\nContent-Disposition: form-data".encode(), lambda _: b'; a="b"'),
        "quotes": _repeated(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="'.encode(), lambda _: b"\\"),
        "dashes": _repeated(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="a"\r\n\r\n'.encode(), lambda _: b"\r\n--b0"),
    },
    "stream": {
        "empty frames": _repeated(b"", lambda _: b"data: {}\n\n"),
        "blank lines": _repeated(b"", lambda _: b"\n"),
        "carriage returns": _repeated(b"", lambda _: b"\r"),
        "lines of one frame": _repeated(b"", lambda _: b"data:\n"),
        "comments": _repeated(b"", lambda _: b":\n\n"),
        "one line": _repeated(b"data: ", lambda _: b"x"),
    },
    "openai.chat": {
        "texts": _repeated(b"", lambda _: _chunk({"content": "a"})),
        "calls": _repeated(b"", lambda n: _chunk({"tool_calls": [_call(n)]})),
        "fragments": _repeated(_chunk({"tool_calls": [_call(0)]}), lambda _: _chunk({"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]})),
        "ids without names": _repeated(b"", lambda n: _chunk({"tool_calls": [{"index": n, "id": f"i{n}", "function": {}}]})),
        "an argument": _repeated(_chunk({"tool_calls": [_call(0)]}), lambda _: _chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "}"}}]})),
        "choices": _repeated(b"", lambda n: _chunk({"content": "a"}, n)),
        "reasons": _repeated(b"", lambda n: b'data: {"choices":[{"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}\n\n'),
    },
    "anthropic.messages": {
        "blocks": _repeated(_named("message_start", message={"id": "i", "model": "m", "usage": {}}), lambda n: _named("content_block_start", index=n, content_block={"type": "tool_use", "id": f"i{n}", "name": "f", "input": {}})),
        "fragments": _repeated(_named("content_block_start", index=0, content_block={"type": "tool_use", "id": "i", "name": "f", "input": {}}), lambda _: _named("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": "}"})),
    },
    "openai.responses": {
        "items": _repeated(b"", lambda n: _named("response.output_item.added", output_index=n, item={"type": "function_call", "id": f"i{n}", "call_id": f"c{n}", "name": "f", "arguments": ""})),
        "texts": _repeated(b"", lambda n: _named("response.output_text.delta", output_index=0, content_index=0, item_id="i", delta="a")),
    },
    "gemini": {
        "candidates": _repeated(b"", lambda n: b"data: " + _json(candidates=[{"index": n, "content": {"parts": [{"text": "a"}]}}]) + b"\n\n"),
        "calls": _repeated(b"", lambda n: b"data: " + _json(candidates=[{"content": {"parts": [{"functionCall": {"name": "f", "args": {}}}]}}]) + b"\n\n"),
    },
    "eventstream": {
        "nothing": _repeated(b"", lambda _: b"\x00"),
        "empty frames": _repeated(b"", lambda _: frame("e", b"")),
        "blocks": _repeated(b"", lambda n: frame("contentBlockStart", _json(contentBlockIndex=n, start={"toolUse": {"toolUseId": f"i{n}", "name": "f"}}))),
        "fragments": _repeated(b"", lambda n: frame("contentBlockDelta", _json(contentBlockIndex=0, delta={"toolUse": {"input": "}"}}))),
    },
}  # fmt: skip


def bombs(target: str) -> dict[str, Callable[[int], bytes]]:
    """What may grow in `target`: functions of the size in bytes, by name."""
    group, name, *_ = target.split("/")
    if name == "eventstream" or (group, name) == ("translate", "bedrock.converse"):
        return _BOMBS["eventstream"]
    if group in ("stream", "translate", "frames"):
        return {**_BOMBS["stream"], **_BOMBS.get(name, {})}
    form = _BOMBS["form"] if name == "form" or name in ("openai.images.edits", "openai.transcriptions") else {}
    return {**_BOMBS["json"], **(_BOMBS["request"] if group == "request" else {}), **form}
