"""Whole Responses answers, read and written."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response

from pulse_gateway.errors import (
    UpstreamError,
    UpstreamFailed,
    UpstreamProtocolError,
    UpstreamRateLimited,
    UpstreamRefusedContent,
    UpstreamRejected,
    UpstreamTimedOut,
)
from pulse_gateway.types.chat import (
    ChatReply,
    Choice,
    FinishReason,
    Logprob,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.openai_responses import OpenAIResponsesCodec
from pulse_gateway.wire.reading import Reading

CODEC = OpenAIResponsesCodec(lambda: 1_700_000_000.9)
TOP = {"token": "b", "bytes": [98], "logprob": -2.0}
LOGPROB = {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": [TOP]}
MESSAGE = {
    "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
    "content": [{"type": "output_text", "text": "said", "annotations": [], "logprobs": [LOGPROB]},
                {"type": "refusal", "refusal": "No."}, {"type": "invented", "text": {"x": 1}}],
}  # fmt: skip
OUTPUT = [
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two"}],
     "content": [{"type": "reasoning_text", "text": "zero"}], "encrypted_content": "gAAAA"},
    {"type": "reasoning", "id": "rs_2", "summary": []},
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"content": 7}},
    {**MESSAGE, "content": MESSAGE["content"][:2]},
    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a": 1}', "status": "completed"},
    {"type": "function_call", "id": "fc_2", "name": "g", "arguments": {"b": 2}, "extra_content": {"google": {"thought_signature": "s"}}},
    {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c3", "name": "free", "input": "text"},
]  # fmt: skip
USAGE = {
    "input_tokens": 100, "input_tokens_details": {"cached_tokens": 40, "cache_write_tokens": 30,
                                                  "cache_write_tokens_details": {"ttl_30m_tokens": 10, "ttl_12h_tokens": 20}},
    "output_tokens": 50, "output_tokens_details": {"reasoning_tokens": 20}, "total_tokens": 150,
}  # fmt: skip


def response(**members: Any) -> bytes:
    whole = {
        "id": "resp_1",
        "object": "response",
        "created_at": 5.5,
        "model": "gpt-x",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "output": OUTPUT,
        "usage": USAGE,
    }
    return json.dumps({**whole, **members}).encode()


def test_an_answer_in_neutral_words() -> None:
    assert CODEC.decode_reply(response()) == ChatReply(
        id="resp_1",
        model="gpt-x",
        created=5,
        choices=(
            Choice(
                parts=(
                    ReasoningPart("zero\n\none\n\ntwo", "openai:rs_1:gAAAA"),
                    TextPart("said"),
                    RefusalPart("No."),
                    ToolCallPart("c1", "f", '{"a": 1}'),
                    ToolCallPart("fc_2", "g", '{"b":2}', "s"),
                ),
                finish_reason=FinishReason.TOOL_CALLS,
                logprobs=(Logprob("a", -0.5, (("b", -2.0),)),),
            ),
        ),
        usage=Usage(
            input_tokens=30,
            cached_input_tokens=40,
            cache_write_tokens=10,
            cache_write_long_tokens=20,
            output_tokens=30,
            reasoning_tokens=20,
        ),
    )


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"output": []}, FinishReason.STOP),
        ({"status": None}, FinishReason.TOOL_CALLS),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, FinishReason.LENGTH),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, FinishReason.CONTENT_FILTER),
        ({"status": "incomplete", "incomplete_details": {"reason": "invented"}}, FinishReason.LENGTH),
        ({"status": "incomplete"}, FinishReason.LENGTH),
        ({"status": "queued", "output": [], "usage": None}, None),
    ],
)
def test_why_it_ended(members: dict[str, Any], reason: FinishReason | None) -> None:
    assert CODEC.decode_reply(response(**members)).finish_reason is reason


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"status": "failed", "error": {"code": "server_error", "message": "m"}}, UpstreamFailed),
        ({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "m"}}, UpstreamRateLimited),
        ({"status": "failed", "error": {"code": "invalid_prompt", "message": "m"}}, UpstreamRefusedContent),
        ({"status": "failed", "error": {"code": "image_too_large", "message": "m"}}, UpstreamRejected),
        ({"status": "failed", "error": {"code": "vector_store_timeout", "message": "m"}}, UpstreamTimedOut),
        ({"status": "failed", "error": {"code": "invented", "message": "m"}}, UpstreamFailed),
        ({"status": "failed"}, UpstreamFailed),
        ({"status": "cancelled"}, UpstreamFailed),
        ({"error": {"message": "m", "code": 429}, "output": None}, UpstreamRateLimited),
        ({"output": None}, UpstreamProtocolError),
        ({"output": [{"type": "message", "content": 7}]}, UpstreamProtocolError),
    ],
)
def test_what_is_no_answer(members: dict[str, Any], kind: type[UpstreamError]) -> None:
    with pytest.raises(kind) as caught:
        CODEC.decode_reply(response(**members))
    assert type(caught.value) is kind


def test_reading_what_passes_through_is_lenient() -> None:
    reading = Reading()
    assert CODEC.read_reply(response(output=[{"type": "message", "content": 7}, MESSAGE, 8]), reading) == "said"
    assert reading.usage_is_final
    assert (reading.id, reading.model) == ("resp_1", "gpt-x")
    with pytest.raises(UpstreamProtocolError):
        CODEC.read_reply(b"<html>", reading)


def test_an_answer_written_out() -> None:
    reply = ChatReply(
        id="msg_é1",
        model="claude-x",
        created=5,
        choices=(
            Choice(
                parts=(
                    ReasoningPart("hm", "sig="),
                    ReasoningPart(redacted="xx=="),
                    ReasoningPart("ours", "openai:rs_9:gAAAA"),
                    TextPart("said"),
                    RefusalPart("No."),
                    ToolCallPart("c1", "f", '{"a": 1}', "c2ln"),
                    TextPart("more"),
                ),
                finish_reason=FinishReason.TOOL_CALLS,
                logprobs=(Logprob("a", -0.5, (("b", -2.0),)),),
            ),
        ),
        usage=Usage(input_tokens=1, cached_input_tokens=2, cache_write_long_tokens=3, output_tokens=4),
    )
    raw = json.loads(CODEC.encode_reply(reply))
    assert raw["output"] == [
        {"id": "rs_pulse_msg1_0", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}],
         "encrypted_content": "pulse:signature:sig="},
        {"id": "rs_pulse_msg1_1", "type": "reasoning", "summary": [], "encrypted_content": "pulse:redacted:xx=="},
        {"id": "rs_9", "type": "reasoning", "summary": [{"type": "summary_text", "text": "ours"}], "encrypted_content": "gAAAA"},
        {"id": "msg_msg1_3", "type": "message", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "said", "annotations": [], "logprobs": [LOGPROB]}, {"type": "refusal", "refusal": "No."}]},
        {"id": "fc_msg1_4", "type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}', "status": "completed",
         "extra_content": {"google": {"thought_signature": "c2ln"}}},
        {"id": "msg_msg1_5", "type": "message", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "more", "annotations": [], "logprobs": []}]},
    ]  # fmt: skip
    assert raw["usage"] == {
        "input_tokens": 6,
        "input_tokens_details": {
            "cached_tokens": 2,
            "cache_write_tokens": 3,
            "cache_write_tokens_details": {"ttl_30m_tokens": 0, "ttl_12h_tokens": 3},
        },
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 10,
    }
    assert (raw["store"], raw["status"], raw["completed_at"]) == (False, "completed", 1_700_000_000)
    typed = Response.model_validate(raw)
    assert typed.output_text == "saidmore"
    assert CODEC.decode_reply(json.dumps(raw).encode()).choices[0].parts == reply.choices[0].parts


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        (FinishReason.STOP_SEQUENCE, "completed", None),
        (None, "completed", None),
        (FinishReason.LENGTH, "incomplete", {"reason": "max_output_tokens"}),
        (FinishReason.PAUSE, "incomplete", {"reason": "max_output_tokens"}),
        (FinishReason.CONTENT_FILTER, "incomplete", {"reason": "content_filter"}),
    ],
)
def test_how_it_ends(reason: FinishReason | None, status: str, details: Any) -> None:
    calls = (ToolCallPart("c1", "f", "{}"), ToolCallPart("c2", "f", '{"a'))
    parts = (TextPart("a"), *calls) if reason is FinishReason.LENGTH else (TextPart("a"),)
    reply = ChatReply(id="", model="m", choices=(Choice(parts=parts, finish_reason=reason),))
    raw = json.loads(CODEC.encode_reply(reply))
    Response.model_validate(raw)
    assert (raw["status"], raw["incomplete_details"], raw["usage"]) == (status, details, None)
    assert raw["id"].startswith("resp_")
    last = "incomplete" if status == "incomplete" else "completed"
    assert [item["status"] for item in raw["output"]] == (
        ["completed", "completed", "incomplete"] if len(parts) > 1 else [last]
    )
