"""Bedrock's answers, streams and errors, as far as the property tests leave them out."""

from __future__ import annotations

import json
import struct
from typing import Any
from zlib import crc32

import msgspec
import pytest

from pulse_gateway.errors import (
    ContextTooLong,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelNotFound,
    UpstreamOverloaded,
    UpstreamProtocolError,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamUnauthorized,
)
from pulse_gateway.types.chat import FinishReason
from pulse_gateway.types.events import Ended, Failed, Finished, ReasoningSigned, Started, ToolArgumentsDelta
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.bedrock_converse.errors import upstream_error
from pulse_gateway.wire.eventstream import EventStreamDecoder
from pulse_gateway.wire.registry import codec, upstream_codec
from pulse_gateway.wire.sse import ServerSentEvent
from pulse_gateway.wire.translate import Translate

CONVERSE = upstream_codec("bedrock.converse")


def frame(headers: dict[str, str], payload: Any = b"") -> bytes:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    named = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for key, value in headers.items()
    )
    prelude = struct.pack(">II", 16 + len(named) + len(data), len(named))
    message = prelude + struct.pack(">I", crc32(prelude)) + named + data
    return message + struct.pack(">I", crc32(message))


def event(name: str, payload: Any) -> bytes:
    return frame({":message-type": "event", ":event-type": name, ":content-type": "application/json"}, payload)


def whole(stop: str, *content: Any, **more: Any) -> bytes:
    message = {"role": "assistant", "content": list(content)}
    return msgspec.json.encode({"output": {"message": message}, "stopReason": stop, **more})


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("end_turn", FinishReason.STOP),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("guardrail_intervened", FinishReason.CONTENT_FILTER),
        ("content_filtered", FinishReason.CONTENT_FILTER),
        ("invented_tomorrow", FinishReason.STOP),
    ],
)
def test_why_an_answer_ended(stop: str, reason: FinishReason) -> None:
    assert CONVERSE.decode_reply(whole(stop, {"text": "a"}, {"invented": {}})).finish_reason is reason


def test_the_sequence_that_stopped_it_is_told() -> None:
    reply = CONVERSE.decode_reply(
        whole("stop_sequence", {"text": "a"}, additionalModelResponseFields={"stop_sequence": "END"})
    )
    assert reply.choices[0].stop_sequence == "END"
    decoder = CONVERSE.decoder()
    stop = {"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": "END"}}
    events = decoder.decode(ServerSentEvent(msgspec.json.encode(stop), "messageStop", b""))
    assert Finished(FinishReason.STOP_SEQUENCE, "END") in events


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}, Usage(input_tokens=5, output_tokens=7)),
        (
            {"inputTokens": 5, "outputTokens": 7, "totalTokens": 32, "cacheReadInputTokens": 8, "cacheWriteInputTokens": 12,
             "cacheDetails": [{"ttl": "1h", "inputTokens": 10}, {"ttl": "5m", "inputTokens": 2}]},
            Usage(input_tokens=5, cached_input_tokens=8, cache_write_tokens=2, cache_write_long_tokens=10, output_tokens=7),
        ),
        (
            {"inputTokens": 20, "outputTokens": 7, "totalTokens": 27, "cacheReadInputTokens": 8, "cacheWriteInputTokens": 0},
            Usage(input_tokens=12, cached_input_tokens=8, cache_write_tokens=0, output_tokens=7),
        ),
        ({}, Usage()),
    ],
)  # fmt: skip
def test_token_counts_are_classes_that_sum_to_the_total(counts: dict[str, Any], usage: Usage) -> None:
    reply = CONVERSE.decode_reply(whole("end_turn", usage=counts))
    assert reply.usage == usage
    assert usage.total == counts.get("totalTokens", 0)


@pytest.mark.parametrize("stop", ["malformed_model_output", "malformed_tool_use"])
def test_what_is_no_answer_is_a_failure_that_may_be_tried_again(stop: str) -> None:
    with pytest.raises(UpstreamFailed):
        CONVERSE.decode_reply(whole(stop, {"text": "a"}))
    (failed,) = [e for e in CONVERSE.decoder().decode(ServerSentEvent(msgspec.json.encode({"stopReason": stop}), "messageStop", b"")) if isinstance(e, Failed)]  # fmt: skip
    assert isinstance(failed.error, UpstreamFailed)


@pytest.mark.parametrize(
    "body", [b"<html>", b"{}", b'{"output":{}}', whole("end_turn", {"image": {"format": "png"}}), whole("end_turn", {"toolUse": {"input": [1]}})]
)  # fmt: skip
def test_what_is_not_of_the_protocol_is_told(body: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        CONVERSE.decode_reply(body)


def test_calls_that_the_vendor_runs_itself_are_passed_over() -> None:
    server = {"toolUse": {"toolUseId": "s", "name": "search", "input": {}, "type": "server_tool_use"}}
    assert CONVERSE.decode_reply(whole("end_turn", server, {"text": "a"})).tool_calls == ()
    start = {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "s", "name": "x", "type": "server_tool_use"}}}
    delta = {"contentBlockIndex": 0, "delta": {"toolUse": {"input": "{}"}}}
    decoder = CONVERSE.decoder()
    events = decoder.decode(ServerSentEvent(msgspec.json.encode(start), "contentBlockStart", b""))
    events += decoder.decode(ServerSentEvent(msgspec.json.encode(delta), "contentBlockDelta", b""))
    assert [type(each) for each in events] == [Started]


def test_a_stream_without_its_last_frames_closes_what_is_whole_and_no_more() -> None:
    decoder, frames = CONVERSE.decoder(), EventStreamDecoder()
    stream = event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}})
    stream += event(
        "contentBlockDelta", {"contentBlockIndex": 1, "delta": {"reasoningContent": {"redactedContent": "eHg="}}}
    )
    stream += event(
        "contentBlockDelta", {"contentBlockIndex": 1, "delta": {"reasoningContent": {"redactedContent": "eQ=="}}}
    )
    events = [each for part in frames.feed(stream) for each in decoder.decode(part)]
    assert decoder.finish() == []
    stop = event("messageStop", {"stopReason": "tool_use"})
    events += [each for part in frames.feed(stop + event("metadata", {})[:9]) for each in decoder.decode(part)]
    assert ToolArgumentsDelta(0, "{}") in events and ReasoningSigned(redacted="eHh5") in events
    assert [*frames.finish(), *decoder.finish()] == [Ended()]


@pytest.mark.parametrize(
    ("headers", "payload", "kind"),
    [
        ({":message-type": "exception", ":exception-type": "throttlingException"}, {"message": "slow"}, UpstreamRateLimited),
        ({":message-type": "exception", ":exception-type": "modelStreamErrorException"}, {"message": "x"}, UpstreamFailed),
        ({":message-type": "exception", ":exception-type": "serviceUnavailableException"}, {}, UpstreamOverloaded),
        ({":message-type": "exception", ":exception-type": "validationException"}, {"message": "Input is too long"}, ContextTooLong),
        ({":message-type": "error", ":error-code": "InternalFailure", ":error-message": "x"}, b"", UpstreamFailed),
        ({":message-type": "exception", ":exception-type": "inventedException"}, b"<", UpstreamFailed),
    ],
)  # fmt: skip
def test_an_exception_inside_a_stream_is_the_error_it_stands_for(
    headers: dict[str, str], payload: Any, kind: type[UpstreamError]
) -> None:
    relay = Translate(CONVERSE, codec("openai.chat"), "alias", "req_1", include_usage=True)
    said = relay.feed(event("contentBlockDelta", {"delta": {"text": "so far"}}) + frame(headers, payload))
    assert b"so far" in said[0]
    assert type(relay.reading.failed) is kind
    assert b'"error"' in said[-1]


def test_what_was_whole_before_a_broken_frame_still_goes_out() -> None:
    relay = Translate(CONVERSE, codec("openai.chat"), "alias", "req_1", include_usage=True)
    good, broken = event("contentBlockDelta", {"delta": {"text": "whole"}}), bytearray(event("messageStop", {}))
    broken[-1] ^= 1
    assert b"whole" in relay.feed(good + bytes(broken))[0]
    assert relay.broken is None
    assert relay.feed(b"x") == [] and isinstance(relay.broken, UpstreamProtocolError)


def test_a_frame_beyond_the_bound_is_refused_before_it_is_there() -> None:
    with pytest.raises(UpstreamProtocolError):
        EventStreamDecoder(max_frame_bytes=1000).feed(struct.pack(">II", 1001, 0))
    with pytest.raises(UpstreamProtocolError):
        EventStreamDecoder().feed(struct.pack(">II", 15, 0))
    with pytest.raises(UpstreamProtocolError):
        EventStreamDecoder().feed(b"<html><body>")


def test_a_kind_of_frame_that_is_yet_to_be_invented_says_nothing() -> None:
    (read,) = EventStreamDecoder().feed(frame({":message-type": "ping"}, b"{}"))
    assert CONVERSE.decoder().decode(read) == []


@pytest.mark.parametrize(
    ("status", "name", "message", "kind"),
    [
        (403, "AccessDeniedException", "no", UpstreamUnauthorized),
        (403, "ExpiredTokenException:http://internal.amazon.com/coral/", "old", UpstreamUnauthorized),
        (400, "UnrecognizedClientException", "x", UpstreamUnauthorized),
        (429, "ThrottlingException", "Too many requests", UpstreamRateLimited),
        (
            429,
            "ThrottlingException",
            "Too many tokens per day, please wait before trying again.",
            UpstreamQuotaExhausted,
        ),
        (400, "ServiceQuotaExceededException", "x", UpstreamQuotaExhausted),
        (429, "ModelNotReadyException", "x", UpstreamOverloaded),
        (404, "ResourceNotFoundException", "x", UpstreamModelNotFound),
        (408, "ModelTimeoutException", "x", UpstreamTimedOut),
        (424, "ModelErrorException", "x", UpstreamFailed),
        (500, "InternalServerException", "x", UpstreamFailed),
        (503, "ServiceUnavailableException", "x", UpstreamOverloaded),
        (400, "ValidationException", "The provided model identifier is invalid.", UpstreamModelNotFound),
        (400, "ValidationException", "Input is too long for requested model.", ContextTooLong),
        (400, "ValidationException", "messages: bad", UpstreamRejected),
        (418, "", "x", UpstreamRejected),
    ],
)
def test_what_an_error_means(status: int, name: str, message: str, kind: type[UpstreamError]) -> None:
    error = upstream_error(status, (("x-amzn-errortype", name),), msgspec.json.encode({"message": message}))
    assert type(error) is kind
    assert error.upstream_code == (name.partition(":")[0] or None)
    again = upstream_error(status, (), msgspec.json.encode({"__type": f"com.amazon.coral#{name}", "Message": message}))
    assert type(again) is kind


@pytest.mark.parametrize(("status", "kind"), [(404, UpstreamProtocolError), (403, UpstreamUnauthorized), (502, UpstreamFailed), (301, UpstreamProtocolError)])  # fmt: skip
def test_a_page_in_place_of_an_error(status: int, kind: type[UpstreamError]) -> None:
    assert type(upstream_error(status, (), b"<html>")) is kind
