"""Language models at Replicate: what their predictions mean, whole and heard as they write."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.errors import (
    ContextTooLong,
    UpstreamError,
    UpstreamFailed,
    UpstreamOverloaded,
    UpstreamProtocolError,
    UpstreamRefusedContent,
)
from pulse_gateway.types.chat import (
    FinishReason,
)
from pulse_gateway.types.events import Ended, Event, Failed, Finished, ReasoningDelta, Started, TextDelta, UsageReported
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.replicate_predictions import ReplicatePredictionsCodec
from pulse_gateway.wire.replicate_predictions.stream import closing_frame
from pulse_gateway.wire.thinking_aloud import ThinkingSplitter

CODEC = ReplicatePredictionsCodec()
GPT_5 = "openai/gpt-5"


# ── what it answers ───────────────────────────────────────────────────────────────────────────────────────────────────


def prediction(**fields: Any) -> bytes:
    return msgspec.json.encode({"id": "p1", "status": "succeeded", "model": GPT_5, "input": {}, **fields})


def test_a_prediction_is_an_answer() -> None:
    reply = CODEC.decode_reply(
        prediction(
            output=["Am", "man"],
            created_at="2026-11-24T10:00:00.5Z",
            metrics={"input_token_count": 5, "output_token_count": 20, "predict_time": 1.5},
            logs="Model variant: gpt-5\n- Reasoning tokens: 12\n",
        )
    )
    assert (reply.id, reply.model, reply.created, reply.text) == ("p1", GPT_5, 1_795_514_400, "Amman")
    assert reply.finish_reason is FinishReason.STOP
    assert reply.usage == Usage(input_tokens=5, output_tokens=8, reasoning_tokens=12)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_as_many_tokens_as_were_allowed_are_a_cut_answer(name: str) -> None:
    body = prediction(output=["a"], input={name: 16}, metrics={"output_token_count": 16})
    assert CODEC.decode_reply(body).finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize("output", [None, [], ""])
def test_an_empty_answer_is_one(output: Any) -> None:
    assert CODEC.decode_reply(prediction(output=output)).text == ""


@pytest.mark.parametrize(
    "metrics", [None, {}, {"input_token_count": "many"}, {"output_token_count": True}, {"output_token_count": -1}]
)
def test_what_was_not_counted_is_unknown(metrics: Any) -> None:
    assert CODEC.decode_reply(prediction(output="a", metrics=metrics)).usage is None


def test_structured_output_is_its_json_or_its_text() -> None:
    assert CODEC.decode_reply(prediction(output={"json_output": {"a": "é"}, "text": ""})).text == '{"a":"é"}'
    assert CODEC.decode_reply(prediction(output={"json_output": None, "text": "hi"})).text == "hi"
    for odd in ({"url": "x"}, [1], 5):
        with pytest.raises(UpstreamProtocolError):
            CODEC.decode_reply(prediction(output=odd))


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        ("failed", "The input or output was flagged as sensitive. (E005)", UpstreamRefusedContent),
        ("failed", "This model's maximum context length is 8192 tokens", ContextTooLong),
        ("failed", "Service is currently unavailable due to high demand (E003)", UpstreamOverloaded),
        ("failed", "Prediction interrupted; please retry (code: PA)", UpstreamFailed),
        ("failed", "shape mismatch", UpstreamError),
        ("failed", None, UpstreamError),
        ("canceled", None, UpstreamError),
        ("aborted", None, UpstreamError),
    ],
)
def test_what_did_not_succeed_is_the_error_that_it_is(status: str, words: Any, kind: type[UpstreamError]) -> None:
    with pytest.raises(UpstreamError) as caught:
        CODEC.decode_reply(prediction(status=status, error=words, output=None))
    assert type(caught.value) is kind
    assert caught.value.upstream_code == status


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def event(name: str, text: str) -> bytes:
    lines = "".join(f"data: {line}\n" for line in text.split("\n"))
    return f"event: {name}\nid: 1:0\n{lines}\n".encode()


def heard(*slices: bytes) -> list[Event]:
    frames, decoder, events = CODEC.framing.decoder(), CODEC.decoder(), list[Event]()
    for data in slices:
        for frame in frames.feed(data):
            events += decoder.decode(frame)
    for frame in frames.finish():
        events += decoder.decode(frame)
    return events + decoder.finish()


def text_of(events: list[Event]) -> str:
    return "".join(each.text for each in events)


DONE = event("done", "{}")
CLOSING = closing_frame(prediction(output=["a\n", "b"], metrics={"input_token_count": 1, "output_token_count": 2}))


def test_a_stream_ends_with_what_the_prediction_says() -> None:
    events = heard(
        event("logs", "x"), event("output", "a\n"), event("output", "b"), DONE, CLOSING, event("output", "c")
    )
    assert isinstance(events[0], Started)
    assert events[1:] == [
        TextDelta("a\n"),
        TextDelta("b"),
        Finished(FinishReason.STOP),
        UsageReported(Usage(input_tokens=1, output_tokens=2)),
        Ended(),
    ]


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_one_that_breaks_off_anywhere_is_completed_from_it(cut: int) -> None:
    stream = event("output", "a\n") + event("output", "b")
    events = heard(stream[:cut], CLOSING)
    assert text_of(events) == "a\nb"
    assert events[-1] == Ended()


def test_one_that_breaks_off_inside_a_character_too() -> None:
    closing = closing_frame(prediction(output=["قطة"]))
    broken = event("output", "قطة")[:-4]
    assert text_of(heard(broken, closing)) == "قطة"


@pytest.mark.parametrize(
    ("streamed", "output", "told"),
    [
        ("ab", "abc", "abc"),
        ("a\n", "a\r\n", "a\n"),  # line ends change on the way
        ("a \n", "a\n\n b", "a \n b"),
        ("a", "a\nb c", "a\nb c"),
        (" ", "a", " a"),
        ("ab", "ab  ", "ab"),
        ("", "ab", "ab"),
    ],
)
def test_what_a_stream_lacks_is_added_once(streamed: str, output: str, told: str) -> None:
    assert text_of(heard(event("output", streamed), DONE, closing_frame(prediction(output=[output])))) == told


@pytest.mark.parametrize("output", ["", "a", "ax", "x", "axb"])
def test_a_stream_that_has_something_else_is_damaged(output: str) -> None:
    with pytest.raises(UpstreamProtocolError):
        heard(event("output", "a"), event("output", "b"), DONE, closing_frame(prediction(output=[output])))


def test_without_the_prediction_only_one_that_was_done_is_whole() -> None:
    assert heard(event("output", "a"), DONE)[-2:] == [Finished(FinishReason.STOP), Ended()]
    assert not isinstance(heard(event("output", "a"))[-1], Ended)
    assert heard() == []


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        ([event("error", '{"detail":"flagged as sensitive"}')], UpstreamRefusedContent),
        ([event("error", "interrupted")], UpstreamFailed),
        ([event("done", '{"reason":"canceled"}')], UpstreamError),
        ([event("done", '{"reason":"error"}'), closing_frame(prediction(status="failed", error="x"))], UpstreamError),
        ([closing_frame(prediction(status="canceled"))], UpstreamError),
    ],
)
def test_what_fails_in_a_stream_is_told(frames: list[bytes], kind: type[UpstreamError]) -> None:
    [failed] = heard(*frames)
    assert isinstance(failed, Failed)
    assert type(failed.error) is kind


def test_frames_that_are_none_of_its_protocol_are_the_vendors_fault() -> None:
    for frame in (event("done", "{"), event("prediction", "[]"), b"event: output\ndata: \xff\xff\n\n"):
        with pytest.raises(UpstreamProtocolError):
            heard(frame)


# ── thinking aloud ────────────────────────────────────────────────────────────────────────────────────────────────────

ALOUD = "\n<think>\n a <b>\n</think>\n\nIt is </think> so. "


@settings(max_examples=60)
@given(st.sets(st.integers(1, len(ALOUD) - 1), max_size=8))
def test_thinking_is_told_apart_however_it_is_cut(edges: set[int]) -> None:
    splitter, at, said = ThinkingSplitter(), 0, list[tuple[bool, str]]()
    for edge in [*sorted(edges), len(ALOUD)]:
        said += splitter.feed(ALOUD[at:edge])
        at = edge
    said += splitter.finish()
    assert "".join(text for thinks, text in said if thinks) == "a <b>"
    assert "".join(text for thinks, text in said if not thinks) == "It is </think> so. "


@pytest.mark.parametrize("text", ["<thin", "<thinking>", " x<think>y</think>", "a", " "])
def test_what_only_looks_like_thinking_is_text(text: str) -> None:
    splitter = ThinkingSplitter()
    assert "".join(said for _, said in splitter.feed(text) + splitter.finish()) == text


@pytest.mark.parametrize("beginning", ["", "<think>a"])
def test_white_space_without_end_is_not_kept(beginning: str) -> None:
    splitter = ThinkingSplitter()
    said = splitter.feed(beginning)
    for _ in range(100):
        said += splitter.feed(" " * 100)
    assert sum(len(text) for _, text in said) > 9_000


def test_thinking_is_reasoning_whole_and_streamed() -> None:
    reply = CODEC.decode_reply(prediction(output=["<think>hm</think>", "yes"]))
    assert (reply.reasoning, reply.text) == ("hm", "yes")
    events = heard(event("output", "<think>hm"), event("output", "</think>yes"), DONE)
    assert events[1:3] == [ReasoningDelta("hm"), TextDelta("yes")]
