"""Whole answers of Gemini's, in and out, and what they cost."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import UpstreamFailed, UpstreamOverloaded, UpstreamProtocolError
from pulse_gateway.types.chat import (
    ChatReply,
    Choice,
    FinishReason,
    ImagePart,
    Logprob,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
)
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.gemini import GeminiCodec
from pulse_gateway.wire.reading import Reading

CODEC = GeminiCodec()
IMAGE = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}


def body(*parts: dict[str, Any], finish: str | None = "STOP", **more: Any) -> bytes:
    candidate = {"index": 0, "content": {"role": "model", "parts": list(parts)}, "finishReason": finish}
    return msgspec.json.encode({"candidates": [candidate], "responseId": "r1", "modelVersion": "gemini-x", **more})


def decode(*parts: dict[str, Any], finish: str | None = "STOP", **more: Any) -> ChatReply:
    return CODEC.decode_reply(body(*parts, finish=finish, **more))


def usage(**counts: Any) -> Usage | None:
    return decode({"text": "a"}, usageMetadata=counts).usage


def encoded(*parts: Any, finish: FinishReason = FinishReason.STOP, **more: Any) -> Any:
    choice = Choice(parts=parts, finish_reason=finish)
    return msgspec.json.decode(CODEC.encode_reply(ChatReply(id="r1", model="m", choices=(choice,), **more)))


# ── in ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_is_its_candidates_and_their_parts() -> None:
    reply = CODEC.decode_reply(
        msgspec.json.encode(
            {
                "candidates": [
                    {"index": 1, "content": {"parts": [{"text": "second"}]}, "finishReason": "MAX_TOKENS"},
                    {
                        "content": {
                            "parts": [
                                {"text": "I ", "thought": True},
                                {"text": "think", "thought": True, "thoughtSignature": "c2ln"},
                                {"text": "Hel"},
                                {"text": "lo", "thoughtSignature": "left behind"},
                                {
                                    "functionCall": {"id": "fc", "name": "f", "args": {"a": "é", "b": 1.0}},
                                    "thoughtSignature": "Y2FsbA==",
                                },
                                {"functionCall": {"name": "g"}},
                            ]
                        },
                        "finishReason": "STOP",
                        "logprobsResult": {
                            "chosenCandidates": [{"token": "Hel", "logProbability": -0.5}, {"token": "lo"}],
                            "topCandidates": [{"candidates": [{"token": "Hel", "logProbability": -0.5}]}],
                        },
                        "safetyRatings": [{"category": "C"}],
                    },
                ],
                "modelVersion": "gemini-x",
                "responseId": "r1",
                "futureField": {},
            }
        )
    )

    assert reply == ChatReply(
        id="r1",
        model="gemini-x",
        choices=(
            Choice(
                parts=(
                    ReasoningPart("I think", "gemini:c2ln"),
                    TextPart("Hello"),
                    ToolCallPart("fc", "f", '{"a":"é","b":1.0}', "Y2FsbA=="),
                    ToolCallPart("call_r1_0_1", "g", "{}"),
                ),
                finish_reason=FinishReason.TOOL_CALLS,
                logprobs=(Logprob("Hel", -0.5, (("Hel", -0.5),)), Logprob("lo", 0.0)),
            ),
            Choice(index=1, parts=(TextPart("second"),), finish_reason=FinishReason.LENGTH),
        ),
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("STOP", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("CONTINUATION", FinishReason.LENGTH),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("RECITATION", FinishReason.CONTENT_FILTER),
        ("MODEL_ARMOR", FinishReason.CONTENT_FILTER),
        ("OTHER", FinishReason.CONTENT_FILTER),
        ("NOT_INVENTED_YET", FinishReason.CONTENT_FILTER),
        ("FINISH_REASON_UNSPECIFIED", None),
        (None, None),
    ],
)
def test_finish_reasons_have_neutral_names(name: str | None, reason: FinishReason | None) -> None:
    assert decode({"text": "a"}, finish=name).finish_reason == reason


@pytest.mark.parametrize("name", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE"])
def test_an_unusable_answer_is_an_upstream_failure(name: str) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        decode(finish=name)
    assert (caught.value.upstream_code, caught.value.upstream_status) == (name, 200)


def test_a_blocked_prompt_is_an_empty_answer_that_was_filtered() -> None:
    reply = CODEC.decode_reply(b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":4}}')

    assert reply.choices == (Choice(finish_reason=FinishReason.CONTENT_FILTER),)
    assert reply.usage == Usage(input_tokens=4)


def test_a_candidate_without_content_is_an_empty_one() -> None:
    reply = CODEC.decode_reply(b'{"candidates":[{"finishReason":"SAFETY"},{"index":1,"content":{}}]}')

    assert [choice.parts for choice in reply.choices] == [(), ()]


def test_the_array_of_a_stream_without_events_is_one_answer() -> None:
    frames = b"[" + body({"text": "Hel"}, finish=None) + b"," + body({"text": "lo"}) + b"]"

    assert CODEC.decode_reply(frames).text == "Hello"


def test_made_up_call_ids_are_short_enough_for_every_vendor() -> None:
    call = CODEC.decode_reply(
        msgspec.json.encode(
            {"responseId": "r" * 90, "candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]}
        )
    ).tool_calls[0]

    assert len(call.id) <= 40


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"{",
        b'{"candidates":[]}',
        b"[]",
        b"{}",
        b'{"candidates":"x"}',
        b'{"a":"\xff","modelVersion":"\xff"}',
    ],
)
def test_what_is_no_answer_of_the_dialect_is_an_upstream_fault(data: bytes) -> None:
    with pytest.raises(UpstreamProtocolError):
        CODEC.decode_reply(data)


def test_an_error_object_with_status_200_is_raised_as_what_it_means() -> None:
    error = b'{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}'

    with pytest.raises(UpstreamOverloaded):
        CODEC.decode_reply(error)
    with pytest.raises(UpstreamOverloaded):
        CODEC.read_reply(b"[" + error + b"]", Reading())


def test_media_are_no_chat_of_another_dialect() -> None:
    with pytest.raises(UpstreamProtocolError, match="media"):
        decode({"text": "see"}, IMAGE)
    assert decode({"text": "see"}, {**IMAGE, "thought": True}).text == "see"


def test_what_passes_through_is_read_whatever_it_holds() -> None:
    reading = Reading()
    text = CODEC.read_reply(
        body({"text": "see"}, IMAGE, {"executableCode": {}}, usageMetadata={"candidatesTokenCount": 3}), reading
    )

    assert (text, reading.id, reading.model, reading.ended) == ("see", "r1", "gemini-x", True)
    assert reading.usage == Usage(output_tokens=3)
    assert CODEC.read_reply(body(finish="MALFORMED_FUNCTION_CALL"), Reading()) == ""
    assert CODEC.read_reply(b'{"usageMetadata":{"promptTokenCount":3}}', Reading()) == ""
    with pytest.raises(UpstreamProtocolError):
        CODEC.read_reply(b"<html>", Reading())


# ── usage ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_classes_of_usage_are_disjoint_and_add_up_to_the_vendor_s_total() -> None:
    read = usage(
        promptTokenCount=100,
        cachedContentTokenCount=30,
        toolUsePromptTokenCount=5,
        candidatesTokenCount=40,
        thoughtsTokenCount=15,
        totalTokenCount=160,
        promptTokensDetails=[{"modality": "TEXT", "tokenCount": 80}, {"modality": "AUDIO", "tokenCount": 20}],
        cacheTokensDetails=[{"modality": "AUDIO", "tokenCount": 8}],
        candidatesTokensDetails=[{"modality": "IMAGE", "tokenCount": 10}, {"modality": "AUDIO", "tokenCount": 4}],
    )

    assert read == Usage(
        input_tokens=63,
        cached_input_tokens=30,
        audio_input_tokens=12,
        output_tokens=26,
        reasoning_tokens=15,
        image_output_tokens=10,
        audio_output_tokens=4,
    )
    assert read is not None
    assert read.total == 160


def test_thoughts_counted_among_the_candidates_are_not_counted_twice() -> None:
    read = usage(promptTokenCount=20, candidatesTokenCount=23, thoughtsTokenCount=15, totalTokenCount=43)

    assert read == Usage(input_tokens=20, output_tokens=8, reasoning_tokens=15)


def test_what_the_vendor_did_not_count_is_unknown_and_zero_is_zero() -> None:
    assert usage() == Usage()
    assert usage(promptTokenCount=0, thoughtsTokenCount=0) == Usage(input_tokens=0, reasoning_tokens=0)


def test_counts_that_do_not_add_up_never_go_below_zero() -> None:
    assert usage(promptTokenCount=1, cachedContentTokenCount=9) == Usage(input_tokens=0, cached_input_tokens=9)


# ── out ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_is_written_as_the_vendor_writes_it() -> None:
    told = encoded(
        ReasoningPart("hm", "of another vendor"),
        TextPart("Hello"),
        ToolCallPart("one", "f", '{"a" : 1}', "c2ln"),
        finish=FinishReason.TOOL_CALLS,
        usage=Usage(input_tokens=3, cached_input_tokens=2, audio_input_tokens=1, output_tokens=5, reasoning_tokens=4),
    )

    assert told == {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "hm", "thought": True, "thoughtSignature": "cHVsc2U6c2lnbmF0dXJlOm9mIGFub3RoZXIgdmVuZG9y"},
                        {"text": "Hello"},
                        {"functionCall": {"id": "one", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
                    ],
                    "role": "model",
                },
                "index": 0,
                "finishReason": "STOP",
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 6,
            "cachedContentTokenCount": 2,
            "candidatesTokenCount": 5,
            "thoughtsTokenCount": 4,
            "totalTokenCount": 15,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 1}],
        },
        "modelVersion": "m",
        "responseId": "r1",
    }  # fmt: skip


def test_counts_that_are_unknown_are_not_written_as_zero() -> None:
    assert encoded(TextPart("a"), usage=Usage())["usageMetadata"] == {}
    assert encoded(TextPart("a"), usage=Usage(input_tokens=0, image_output_tokens=2))["usageMetadata"] == {
        "promptTokenCount": 0,
        "candidatesTokenCount": 2,
        "totalTokenCount": 2,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 2}],
    }


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        (FinishReason.STOP, "STOP"),
        (FinishReason.STOP_SEQUENCE, "STOP"),
        (FinishReason.LENGTH, "MAX_TOKENS"),
        (FinishReason.PAUSE, "MAX_TOKENS"),
        (FinishReason.CONTENT_FILTER, "SAFETY"),
    ],
)
def test_every_finish_reason_has_a_name(reason: FinishReason, name: str) -> None:
    assert encoded(TextPart("a"), finish=reason)["candidates"][0]["finishReason"] == name


def test_a_refusal_is_text_that_ended_for_safety() -> None:
    candidate = encoded(RefusalPart("no"))["candidates"][0]

    assert (candidate["content"]["parts"], candidate["finishReason"]) == ([{"text": "no"}], "SAFETY")


def test_arguments_that_are_no_object_cannot_be_written() -> None:
    for arguments in ('{"a":', "[1]", "null"):
        with pytest.raises(UpstreamProtocolError):
            encoded(ToolCallPart("one", "f", arguments))
    with pytest.raises(UpstreamProtocolError):
        encoded(ImagePart("image/png", "AAAA"))


def test_a_call_that_the_length_limit_cut_short_is_left_out() -> None:
    (candidate,) = encoded(TextPart("a"), ToolCallPart("one", "f", '{"a":'), finish=FinishReason.LENGTH)["candidates"]

    assert (candidate["content"]["parts"], candidate["finishReason"]) == ([{"text": "a"}], "MAX_TOKENS")


@pytest.mark.parametrize(
    "part",
    [
        ReasoningPart("hm", "Claude's+/="),
        ReasoningPart("hm", "ends in é"),
        ReasoningPart(redacted="EncryptedBlock=="),
        ToolCallPart("one", "f", "{}", "c2ln"),
        ToolCallPart("one", "f", "{}", "not-base64!"),
    ],
)
def test_proofs_of_another_vendor_survive_a_client_that_sends_them_back(part: Any) -> None:
    content = encoded(part)["candidates"][0]["content"]
    request = CODEC.decode_request(msgspec.json.encode({"contents": [content]}), model="m")

    assert request.messages[0].parts == (part,)
    assert request.hints == {}
