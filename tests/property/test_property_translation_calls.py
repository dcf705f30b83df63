"""Calls survive every pair of dialects: ids of any alphabet, order, parallelism, and every byte of their arguments but white space."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from translation_harness import PAIRS, deployment
from translation_reading import translated, writing
from translation_writer import call_ids

from pulse_gateway.pipeline.exchange import Exchange, Inbound
from pulse_gateway.pipeline.prepare import prepare
from pulse_gateway.providers.registry import provider
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.chat import ToolCallPart
from pulse_gateway.wire.bedrock_converse.tool_ids import unescape as of_bedrock
from pulse_gateway.wire.registry import DIALECTS, codec, upstream_codec

# JSON text that other spellings of the same values would not be equal to.
ARGUMENTS = st.sampled_from(
    ('{"n":1.0}', '{"n":1e2,"m":-0}', '{"big":123456789012345678901234567890}', '{"e":1.50E+3}', '{"s":"\\u0645\\/\\ud83d\\ude00"}',
     '{ "a" : [ 1 , 2.0 ] }', "{}", '{"a":{"b":null},"a2":true}', '{"مدينة":"الدوحة"}', '{"s":"{\\"inside\\": 1}"}')
)  # fmt: skip
NAMES = ("f", "g-2", "_h")
Call = tuple[str, str, str]


@st.composite
def parallel_calls(draw: st.DrawFn) -> list[Call]:
    ids = draw(st.lists(call_ids | st.text("aZ9 /+é_-:.", min_size=1, max_size=9), min_size=1, max_size=4, unique=True))
    return [(one, draw(st.sampled_from(NAMES)), draw(ARGUMENTS)) for one in ids]


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def compact(text: str | bytes | Raw) -> str:
    written = text.encode() if isinstance(text, str) else bytes(text)
    return msgspec.json.format(written or b"{}", indent=-1).decode()


def joined(items: list[str]) -> str:
    return ",".join(items)


# ── what clients write ────────────────────────────────────────────────────────────────────────────────────────────────


def _chat_request(calls: list[Call]) -> str:
    made = joined([f'{{"id":{quoted(i)},"type":"function","function":{{"name":"{n}","arguments":{quoted(a)}}}}}' for i, n, a in calls])  # fmt: skip
    results = joined([f'{{"role":"tool","tool_call_id":{quoted(i)},"content":{quoted(i)}}}' for i, _, _ in calls])
    return f'{{"model":"alias","messages":[{{"role":"user","content":"q"}},{{"role":"assistant","tool_calls":[{made}]}},{results}]}}'  # fmt: skip


def _responses_request(calls: list[Call]) -> str:
    made = joined([f'{{"type":"function_call","call_id":{quoted(i)},"name":"{n}","arguments":{quoted(a)}}}' for i, n, a in calls])  # fmt: skip
    results = joined([f'{{"type":"function_call_output","call_id":{quoted(i)},"output":{quoted(i)}}}' for i, _, _ in calls])  # fmt: skip
    return f'{{"model":"alias","store":false,"input":[{{"role":"user","content":"q"}},{made},{results}]}}'


def _messages_request(calls: list[Call]) -> str:
    made = joined([f'{{"type":"tool_use","id":{quoted(i)},"name":"{n}","input":{a}}}' for i, n, a in calls])
    results = joined([f'{{"type":"tool_result","tool_use_id":{quoted(i)},"content":{quoted(i)}}}' for i, _, _ in calls])
    return f'{{"model":"alias","max_tokens":99,"messages":[{{"role":"user","content":"q"}},{{"role":"assistant","content":[{made}]}},{{"role":"user","content":[{results}]}}]}}'  # fmt: skip


def _gemini_request(calls: list[Call]) -> str:
    made = joined([f'{{"functionCall":{{"id":{quoted(i)},"name":"{n}","args":{a}}}}}' for i, n, a in calls])
    results = joined([f'{{"function_response":{{"id":{quoted(i)},"name":"{n}","response":{{"output":{quoted(i)}}}}}}}' for i, n, _ in calls])  # fmt: skip
    return f'{{"contents":[{{"parts":[{{"text":"q"}}]}},{{"role":"model","parts":[{made}]}},{{"role":"user","parts":[{results}]}}]}}'  # fmt: skip


TOOLS = {
    "openai.chat": joined([f'{{"type":"function","function":{{"name":"{name}"}}}}' for name in NAMES]),
    "openai.responses": joined([f'{{"type":"function","name":"{name}","parameters":{{}},"strict":false}}' for name in NAMES]),
    "anthropic.messages": joined([f'{{"name":"{name}","input_schema":{{}}}}' for name in NAMES]),
    "gemini": joined([f'{{"functionDeclarations":[{{"name":"{name}"}}]}}' for name in NAMES]),
}  # fmt: skip
WRITTEN: dict[str, Callable[[list[Call]], str]] = {
    "openai.chat": _chat_request,
    "openai.responses": _responses_request,
    "anthropic.messages": _messages_request,
    "gemini": _gemini_request,
}

# ── what vendors are sent ─────────────────────────────────────────────────────────────────────────────────────────────

_raw_members = msgspec.json.Decoder(dict[str, Raw]).decode
_raw_list = msgspec.json.Decoder(list[Raw]).decode


def at(raw: Raw | bytes, *path: str) -> Raw:
    for name in path:
        raw = _raw_members(raw).get(name, Raw(b"null"))
    return Raw(bytes(raw))


def listed(raw: Raw | bytes, *path: str) -> list[Raw]:
    found = at(raw, *path)
    return _raw_list(found) if bytes(found).startswith(b"[") else []


def text(raw: Raw | bytes, *path: str) -> str:
    return msgspec.json.decode(at(raw, *path), type=str)


def shown(dialect: str, body: bytes) -> tuple[list[Call], list[tuple[str, str]]]:
    """The calls and the results in a request, as its vendor reads them."""
    match dialect:
        case "openai.chat":
            messages = listed(body, "messages")
            calls = [call for message in messages for call in listed(message, "tool_calls")]
            made = [(text(c, "id"), text(c, "function", "name"), text(c, "function", "arguments")) for c in calls]
            return made, [(text(m, "tool_call_id"), text(m, "content")) for m in messages if text(m, "role") == "tool"]
        case "openai.responses":
            items = [(i, msgspec.json.decode(at(i, "type"))) for i in listed(body, "input")]
            made = [(text(i, "call_id"), text(i, "name"), text(i, "arguments")) for i, kind in items if kind == "function_call"]  # fmt: skip
            return made, [(text(i, "call_id"), text(i, "output")) for i, kind in items if kind == "function_call_output"]  # fmt: skip
        case "anthropic.messages":
            blocks = [(b, text(b, "type")) for m in listed(body, "messages") for b in listed(m, "content")]
            turns = codec(dialect).decode_request(body).messages  # ids as they were before they were escaped
            ids = [part.id for turn in turns for part in turn.parts if isinstance(part, ToolCallPart)]
            wire = {text(b, "id"): one for (b, kind), one in zip([x for x in blocks if x[1] == "tool_use"], ids, strict=True)}  # fmt: skip
            made = [(wire[text(b, "id")], text(b, "name"), bytes(at(b, "input")).decode()) for b, kind in blocks if kind == "tool_use"]  # fmt: skip
            return made, [(wire[text(b, "tool_use_id")], text(b, "content")) for b, kind in blocks if kind == "tool_result"]  # fmt: skip
        case "gemini":
            parts = [_raw_members(p) for c in listed(body, "contents") for p in listed(c, "parts")]
            asked = [p["functionCall"] for p in parts if "functionCall" in p]
            answered = [p["functionResponse"] for p in parts if "functionResponse" in p]
            made = [(text(c, "id"), text(c, "name"), bytes(at(c, "args")).decode()) for c in asked]
            return made, [(text(r, "id"), text(r, "response", "output")) for r in answered]
    blocks_ = [_raw_members(b) for m in listed(body, "messages") for b in listed(m, "content")]
    uses = [b["toolUse"] for b in blocks_ if "toolUse" in b]
    results = [b["toolResult"] for b in blocks_ if "toolResult" in b]
    made = [(of_bedrock(text(u, "toolUseId")), text(u, "name"), bytes(at(u, "input")).decode()) for u in uses]
    return made, [(of_bedrock(text(r, "toolUseId")), text(listed(r, "content")[0], "text")) for r in results]


BEDROCK = Deployment(
    provider="bedrock",
    kind="bedrock",
    model=Model(provider="anthropic", name="anthropic.claude-x-v1:0"),
    base_url="https://bedrock-runtime.eu-west-1.amazonaws.com",
)
EVERY_PAIR = [*PAIRS, *((client, "bedrock.converse") for client in DIALECTS)]


@pytest.mark.parametrize(("client", "upstream"), EVERY_PAIR)
@given(calls=parallel_calls())
@settings(max_examples=12)
def test_calls_and_results_reach_the_vendor_as_they_were_written(client: str, upstream: str, calls: list[Call]) -> None:
    body = f'{WRITTEN[client](calls)[:-1]},"tools":[{TOOLS[client]}]}}'.encode()
    in_path = client == "gemini"
    where = {"model": "alias", "stream": False} if in_path else {}
    exchange = Exchange(Inbound(dialect=client, body=body, **where), codec(client), 0.0)  # type: ignore[arg-type]
    exchange.envelope = codec(client).read_envelope(body, **where)  # type: ignore[arg-type]
    to = BEDROCK if upstream == "bedrock.converse" else deployment(upstream)
    sent = prepare(exchange, to, provider(to.kind), upstream_codec(upstream)).request.body
    made, results = shown(upstream, sent)
    assert [(one, name, compact(a)) for one, name, a in made] == [(one, name, compact(a)) for one, name, a in calls]
    assert results == [(one, one) for one, _, _ in calls]


# ── what vendors answer, and clients are told ─────────────────────────────────────────────────────────────────────────


def answered(dialect: str, calls: list[Call]) -> tuple[bytes, bytes]:
    """Whole and streamed."""
    frames: list[str]
    match dialect:
        case "openai.chat":
            made = [f'{{"index":{p},"id":{quoted(i)},"type":"function","function":{{"name":"{n}","arguments":{quoted(a)}}}}}' for p, (i, n, a) in enumerate(calls)]  # fmt: skip
            choice = '{{"index":0,"{}":{{"role":"assistant","tool_calls":[{}]}},"finish_reason":{}}}'
            body = '{{"id":"r","model":"m","choices":[{}]}}'
            frames = [body.format(choice.format("delta", one, "null")) for one in made]
            frames += [body.format(choice.format("delta", "", '"tool_calls"')), "[DONE]"]
            whole = body.format(choice.format("message", joined(made), '"tool_calls"'))
            return whole.encode(), "".join(f"data: {frame}\n\n" for frame in frames).encode()
        case "anthropic.messages":
            made = [f'{{"type":"tool_use","id":{quoted(i)},"name":"{n}","input":{a}}}' for i, n, a in calls]
            head = '{{"id":"r","type":"message","role":"assistant","model":"m","content":[{}],"stop_reason":{}}}'
            frames = ['{"type":"message_start","message":' + head.format("", "null") + "}"]
            for p, (i, n, a) in enumerate(calls):
                frames.append(f'{{"type":"content_block_start","index":{p},"content_block":{{"type":"tool_use","id":{quoted(i)},"name":"{n}","input":{{}}}}}}')  # fmt: skip
                frames += [f'{{"type":"content_block_delta","index":{p},"delta":{{"type":"input_json_delta","partial_json":{quoted(piece)}}}}}' for piece in (a[:3], a[3:])]  # fmt: skip
                frames.append(f'{{"type":"content_block_stop","index":{p}}}')
            frames += ['{"type":"message_delta","delta":{"stop_reason":"tool_use"}}', '{"type":"message_stop"}']
            return head.format(joined(made), '"tool_use"').encode(), "".join(f"data: {frame}\n\n" for frame in frames).encode()  # fmt: skip
        case "gemini":
            made = [f'{{"functionCall":{{"id":{quoted(i)},"name":"{n}","args":{a}}}}}' for i, n, a in calls]
            body = '{{"candidates":[{{"index":0,"content":{{"parts":[{}]}},"finishReason":"STOP"}}],"responseId":"r","modelVersion":"m"}}'  # fmt: skip
            whole = body.format(joined(made))
            return whole.encode(), f"data: {whole}\r\n\r\n".encode()
    items = [f'{{"type":"function_call","id":"fc_{p}","call_id":{quoted(i)},"name":"{n}","arguments":{quoted(a)},"status":"completed"}}' for p, (i, n, a) in enumerate(calls)]  # fmt: skip
    body = '{{"id":"r","object":"response","model":"m","status":"{}","output":[{}]}}'
    frames = [f'{{"type":"response.created","response":{body.format("in_progress", "")}}}']
    for p, (item, (_, _, a)) in enumerate(zip(items, calls, strict=True)):
        begun = item.replace(f'"arguments":{quoted(a)}', '"arguments":""')
        frames.append(f'{{"type":"response.output_item.added","output_index":{p},"item":{begun}}}')
        frames.append(f'{{"type":"response.function_call_arguments.delta","output_index":{p},"item_id":"fc_{p}","delta":{quoted(a)}}}')  # fmt: skip
        frames.append(f'{{"type":"response.output_item.done","output_index":{p},"item":{item}}}')
    whole = body.format("completed", joined(items))
    frames.append(f'{{"type":"response.completed","response":{whole}}}')
    return whole.encode(), "".join(f"data: {frame}\n\n" for frame in frames).encode()


def told(dialect: str, answer: bytes, *, streamed: bool) -> list[Call]:
    """The calls that a client reads."""
    if streamed:
        calls: list[list[str]] = []
        decoder = codec(dialect).decoder()
        from pulse_gateway.wire.sse import SSEDecoder

        for frame in SSEDecoder().feed(answer):
            events: list[Any] = decoder.decode(frame)
            for event in events:
                if hasattr(event, "name"):
                    calls.append([event.id, event.name, ""])
                elif hasattr(event, "fragment"):
                    calls[event.index][2] += event.fragment
        return [(one, name, arguments) for one, name, arguments in calls]
    reply = codec(dialect).decode_reply(answer)
    return [(call.id, call.name, call.arguments) for call in reply.tool_calls]


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(calls=parallel_calls())
@settings(max_examples=12)
def test_calls_reach_the_client_as_the_vendor_wrote_them(client: str, upstream: str, calls: list[Call]) -> None:
    whole, stream = answered(upstream, calls)
    wanted = [(one, name, compact(arguments)) for one, name, arguments in calls]
    reply = writing(client).encode_reply(codec(upstream).decode_reply(whole))
    for streamed, answer in ((False, reply), (True, translated(upstream, client, [stream]))):
        read = [(one, name, compact(arguments)) for one, name, arguments in told(client, answer, streamed=streamed)]
        assert read == wanted, streamed
