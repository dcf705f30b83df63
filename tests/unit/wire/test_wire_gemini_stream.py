"""Streamed answers of Gemini's, in and out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import UpstreamFailed, UpstreamOverloaded, UpstreamProtocolError
from pulse_gateway.types.chat import FinishReason, Logprob
from pulse_gateway.types.events import (
    Ended,
    Event,
    Failed,
    Finished,
    LogprobsDelta,
    ReasoningDelta,
    ReasoningSigned,
    RefusalDelta,
    Started,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
    UsageReported,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.gemini import GeminiCodec
from pulse_gateway.wire.sse import ServerSentEvent, SSEDecoder

CODEC = GeminiCodec()
USAGE = Usage(input_tokens=3, output_tokens=2)


def frame(*parts: dict[str, Any], finish: str | None = None, index: int | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    if finish is not None:
        candidate["finishReason"] = finish
    if index is not None:
        candidate["index"] = index
    return {"candidates": [candidate], "responseId": "r1", "modelVersion": "gemini-x", **more}


def events(*frames: Any) -> list[Event]:
    """All frames, and the end."""
    decoder = CODEC.decoder()
    found: list[Event] = []
    for each in frames:
        data = each if isinstance(each, bytes) else msgspec.json.encode(each)
        found += decoder.decode(ServerSentEvent(data, "", b"data: " + data + b"\r\n\r\n"))
    return found + decoder.finish()


def written(*told: Event, model: str = "alias") -> list[dict[str, Any]]:
    """The frames that `told` became, as a client's parser sees them."""
    encoder = CODEC.encoder(model, include_usage=True)
    output = b"".join(encoder.encode(event) for event in told)
    assert output.count(b"\n") == output.count(b"\r\n")
    frames = SSEDecoder().feed(output)
    assert b"".join(each.raw for each in frames) == output
    assert all(each.raw.startswith(b"data: {") and not each.event for each in frames)
    return [msgspec.json.decode(each.data) for each in frames]


def parts_of(frames: list[dict[str, Any]]) -> list[Any]:
    return [candidate["content"]["parts"] for each in frames for candidate in each.get("candidates", ())]


# ── in ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stream_is_its_parts_in_order_and_its_end_comes_with_the_end() -> None:
    assert events(
        frame({"text": "hm", "thought": True}),
        frame({"text": "", "thought": True, "thoughtSignature": "c2ln"}),
        frame({"text": "Hel"}, usageMetadata={"promptTokenCount": 3}),
        frame({"text": "lo"}),
        frame({"functionCall": {"name": "f", "args": {"a": "é"}}, "thoughtSignature": "Y2FsbA=="}),
        frame({"functionCall": {"id": "own", "name": "g"}}),
        frame({"text": ""}, finish="STOP", usageMetadata={"promptTokenCount": 3, "candidatesTokenCount": 2}),
    ) == [
        Started("r1", "gemini-x"),
        ReasoningDelta("hm"),
        ReasoningDelta(""),
        ReasoningSigned("gemini:c2ln"),
        TextDelta("Hel"),
        UsageReported(Usage(input_tokens=3)),
        TextDelta("lo"),
        ToolCallStarted(0, "call_r1_0_0", "f", "Y2FsbA=="),
        ToolArgumentsDelta(0, '{"a":"é"}'),
        ToolCallStarted(1, "own", "g"),
        ToolArgumentsDelta(1, "{}"),
        Finished(FinishReason.TOOL_CALLS),
        UsageReported(USAGE),
        Ended(),
    ]


def test_candidates_keep_their_coordinates_and_the_end_waits_for_all_of_them() -> None:
    first = frame({"text": "a"}, finish="STOP", index=0)
    second = frame({"functionCall": {"id": "one", "name": "f"}}, index=1)

    assert events(first, second) == [
        Started("r1", "gemini-x"),
        TextDelta("a"),
        Finished(FinishReason.STOP),
        ToolCallStarted(0, "one", "f", choice=1),
        ToolArgumentsDelta(0, "{}", choice=1),
    ]
    assert events(first, second, frame(finish="MAX_TOKENS", index=1))[-2:] == [
        Finished(FinishReason.LENGTH, choice=1),
        Ended(),
    ]


def test_a_finish_reason_that_is_repeated_is_told_once() -> None:
    assert events(frame({"text": "a"}, finish="STOP"), frame({"text": "b"}, finish="STOP")) == [
        Started("r1", "gemini-x"),
        TextDelta("a"),
        Finished(FinishReason.STOP),
        TextDelta("b"),
        Ended(),
    ]


def test_a_blocked_prompt_ends_filtered() -> None:
    assert events({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}) == [
        Started("", ""),
        Finished(FinishReason.CONTENT_FILTER),
        UsageReported(Usage(input_tokens=3)),
        Ended(),
    ]


def test_a_stream_that_breaks_off_has_no_end() -> None:
    assert events(frame({"text": "a"})) == [Started("r1", "gemini-x"), TextDelta("a")]
    assert events() == []


def test_logprobs_are_told_with_their_candidate() -> None:
    found = events(
        {
            "candidates": [
                {
                    "index": 2,
                    "logprobsResult": {
                        "chosenCandidates": [{"token": "a", "logProbability": -1}],
                        "topCandidates": [{"candidates": [{"token": "b", "logProbability": -2}]}],
                    },
                }
            ]
        }
    )
    assert found[1:] == [LogprobsDelta((Logprob("a", -1.0, (("b", -2.0),)),), 2)]


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_error_inside_the_stream_replaces_the_rest(wrapped: bool) -> None:
    error = {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}
    found = events(frame({"text": "a"}), [error] if wrapped else error, frame({"text": "b"}, finish="STOP"))

    assert found[:2] == [Started("r1", "gemini-x"), TextDelta("a")]
    assert len(found) == 3
    assert isinstance(found[2], Failed)
    assert isinstance(found[2].error, UpstreamOverloaded)
    assert found[2].error.upstream_status == 503


def test_an_unusable_answer_fails_after_its_usage_was_told() -> None:
    found = events(frame({"text": "a"}), frame(finish="MALFORMED_FUNCTION_CALL", usageMetadata={"promptTokenCount": 3}))

    assert found[2] == UsageReported(Usage(input_tokens=3))
    assert isinstance(found[3], Failed)
    assert isinstance(found[3].error, UpstreamFailed)
    assert found[3].error.upstream_code == "MALFORMED_FUNCTION_CALL"
    assert len(found) == 4


def test_what_nobody_has_heard_of_is_passed_over() -> None:
    assert events(
        b"",
        frame({"inlineData": {"mimeType": "image/png", "data": "AAAA"}}, {"executableCode": {"code": "x"}}, {"new": 1}),
        frame({"functionCall": {"willContinue": True}}, {"text": "a", "future": {}}, finish="STOP", future=1),
    ) == [Started("r1", "gemini-x"), TextDelta("a"), Finished(FinishReason.STOP), Ended()]


@pytest.mark.parametrize("data", [b"[DONE]", b"{", b'"text"', b'{"candidates":{}}', b'{"modelVersion":"\xff"}'])
def test_a_frame_that_is_not_of_the_dialect_is_an_upstream_fault(data: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        events(data)


# ── out ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_events_are_frames_and_the_last_one_says_how_it_ended() -> None:
    assert written(
        Started("r1", "m"),
        TextDelta("Hel"),
        TextDelta("lo"),
        Finished(FinishReason.STOP),
        UsageReported(Usage(input_tokens=1)),
        UsageReported(USAGE),
        Ended(),
    ) == [
        {
            "candidates": [{"content": {"parts": [{"text": "Hel"}], "role": "model"}, "index": 0}],
            "modelVersion": "m",
            "responseId": "r1",
        },
        {
            "candidates": [{"content": {"parts": [{"text": "lo"}], "role": "model"}, "index": 0}],
            "modelVersion": "m",
            "responseId": "r1",
        },
        {
            "candidates": [{"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
            "modelVersion": "m",
            "responseId": "r1",
        },
    ]


def test_a_call_is_written_whole_as_soon_as_it_is_and_something_follows() -> None:
    frames = written(
        Started("r1", ""),
        ToolCallStarted(0, "one", "f", "c2ln"),
        ToolArgumentsDelta(0, '{"a"'),
        ToolArgumentsDelta(0, ":1}"),
        TextDelta("and"),
        ToolCallStarted(1, "two", "g"),
        ToolArgumentsDelta(1, '{"b":\n2}'),
        ToolCallStarted(2, "three", "h"),
        Finished(FinishReason.TOOL_CALLS),
        Ended(),
        model="alias",
    )

    assert parts_of(frames) == [
        [
            {"functionCall": {"id": "one", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
            {"text": "and"},
        ],
        [{"functionCall": {"id": "two", "name": "g", "args": {"b": 2}}}],
        [{"functionCall": {"id": "three", "name": "h", "args": {}}}],
        [{"text": ""}],
    ]
    assert {each["modelVersion"] for each in frames} == {"alias"}


def test_calls_whose_arguments_interleave_keep_their_order() -> None:
    frames = written(
        Started("r1", "m"),
        ToolCallStarted(0, "one", "f"),
        ToolArgumentsDelta(0, ""),
        ToolCallStarted(1, "two", "g"),
        ToolArgumentsDelta(0, '{"a":'),
        TextDelta("meanwhile"),
        ToolArgumentsDelta(1, "{}"),
        ToolArgumentsDelta(0, "1}"),
        Finished(FinishReason.TOOL_CALLS),
        Ended(),
    )

    assert [part["functionCall"]["id"] for part in parts_of(frames)[1]] == ["one", "two"]


@pytest.mark.parametrize(
    "told",
    [
        (ToolCallStarted(0, "one", "f"), ToolArgumentsDelta(0, '{"a":'), Finished(FinishReason.TOOL_CALLS)),
        (ToolCallStarted(0, "one", "f"), ToolArgumentsDelta(0, "[]"), Finished(FinishReason.TOOL_CALLS)),
        (ToolArgumentsDelta(3, "{}"),),
        (
            ToolCallStarted(0, "one", "f"),
            ToolArgumentsDelta(0, "{}"),
            TextDelta("a"),
            ToolArgumentsDelta(0, "x"),
        ),
    ],
)
def test_arguments_that_are_no_object_are_an_error_of_the_provider(told: tuple[Event, ...]) -> None:
    with pytest.raises(UpstreamProtocolError):
        written(Started("r1", "m"), *told, UsageReported(USAGE), Ended())


def test_a_call_that_the_length_limit_cut_short_is_left_out() -> None:
    frames = written(
        ToolCallStarted(0, "one", "f"),
        ToolArgumentsDelta(0, "{}"),
        ToolCallStarted(1, "two", "g"),
        ToolArgumentsDelta(1, '{"a":'),
        Finished(FinishReason.LENGTH),
        Ended(),
    )

    assert [part["functionCall"]["id"] for parts in parts_of(frames[:-1]) for part in parts] == ["one"]
    assert frames[-1]["candidates"][0]["finishReason"] == "MAX_TOKENS"


def test_white_space_behind_a_call_that_is_written_changes_nothing() -> None:
    frames = written(
        ToolCallStarted(0, "one", "f"),
        ToolArgumentsDelta(0, "{}"),
        TextDelta("a"),
        ToolArgumentsDelta(0, "\n"),
        Finished(FinishReason.TOOL_CALLS),
        Ended(),
    )

    assert [list(part) for parts in parts_of(frames) for part in parts] == [["functionCall"], ["text"], ["text"]]


def test_thinking_is_thought_and_its_proofs_travel_sealed() -> None:
    frames = written(
        ReasoningDelta("hm"), ReasoningDelta(""), ReasoningSigned("gemini:c2ln"), ReasoningSigned(redacted="x"), Ended()
    )

    assert parts_of(frames) == [
        [{"text": "hm", "thought": True}],
        [{"text": "", "thought": True, "thoughtSignature": "c2ln"}],
        [{"text": "", "thought": True, "thoughtSignature": "cHVsc2U6cmVkYWN0ZWQ6eA=="}],
    ]


def test_a_refusal_is_text_that_ended_for_safety() -> None:
    frames = written(RefusalDelta("no"), Finished(FinishReason.STOP), Ended())

    assert parts_of(frames) == [[{"text": "no"}], [{"text": ""}]]
    assert frames[-1]["candidates"][0]["finishReason"] == "SAFETY"


def test_several_candidates_finish_together_in_the_last_frame() -> None:
    frames = written(
        TextDelta("b", choice=1),
        Finished(FinishReason.LENGTH, choice=1),
        TextDelta("a"),
        Finished(FinishReason.STOP),
        Ended(),
    )

    assert [(each["index"], each.get("finishReason")) for each in frames[-1]["candidates"]] == [
        (0, "STOP"),
        (1, "MAX_TOKENS"),
    ]
    assert not any("finishReason" in each for earlier in frames[:-1] for each in earlier["candidates"])


def test_logprobs_have_a_frame_that_no_client_takes_for_a_spoiled_one() -> None:
    (told, _) = written(LogprobsDelta((Logprob("a", -1.0, (("a", -1.0),)),)), Finished(FinishReason.STOP), Ended())

    assert told["candidates"][0] == {
        "content": {"parts": [{"text": ""}], "role": "model"},
        "logprobsResult": {
            "chosenCandidates": [{"token": "a", "logProbability": -1.0}],
            "topCandidates": [{"candidates": [{"token": "a", "logProbability": -1.0}]}],
        },
        "index": 0,
    }


def test_nothing_follows_an_error() -> None:
    encoder = CODEC.encoder("m", include_usage=True)
    told = encoder.error(UpstreamOverloaded("busy", retry_after_s=2.5), "req_1")

    assert told.startswith(b'data: {"error":{"code":503,"message":"busy","status":"UNAVAILABLE"')
    assert told.endswith(b"\r\n\r\n")
    assert b'"request_id":"req_1"' in told
    assert b'"retryDelay":"2.5s"' in told
    assert encoder.encode(TextDelta("late")) == encoder.encode(Ended()) == b""


def test_a_failure_that_is_an_event_is_left_to_whoever_knows_the_request() -> None:
    encoder = CODEC.encoder("m", include_usage=True)
    failure = UpstreamFailed("broken")

    assert encoder.encode(Failed(failure)) == b""
    assert b'"request_id":"req_1"' in encoder.error(failure, "req_1")


def test_the_dialect_has_nothing_to_keep_a_stream_alive_with_and_always_shows_usage() -> None:
    raw = b'data: {"usageMetadata":{}}\r\n\r\n'

    assert CODEC.keep_alive is None
    assert CODEC.hide_usage(ServerSentEvent(b"", "", raw)) is raw
