"""Answers that OpenAI's SDK would misread are put right; all else keeps its bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.types.events import ReasoningDelta, TextDelta
from pulse_gateway.wire.openai_chat import OpenAIChatCodec
from pulse_gateway.wire.openai_chat.aloud import AloudChatCodec
from pulse_gateway.wire.openai_chat.mending import ChatMender
from pulse_gateway.wire.passthrough import Mended
from pulse_gateway.wire.sse import SSEDecoder

CALL = b'{"index":0,"id":"%b","type":"function","function":{"name":"f","arguments":"%b"}}'


def chunk(delta: bytes, finish: bytes = b"null", index: int = 0) -> bytes:
    return b'{"id":"c","choices":[{"index":%d,"delta":%b,"finish_reason":%b}],"speed":1.50}' % (index, delta, finish)


def test_what_is_right_is_the_same_object() -> None:
    mender = ChatMender()
    for data in (
        b"[DONE]",
        b"",
        chunk(b'{"role":"assistant","content":""}'),
        chunk(b'{"content":"a"}', b'"stop"'),
        b'{"choices":[],"usage":{"prompt_tokens":1}}',
        b'{"choices":[{"index":0,"message":{"content":null,"tool_calls":[%b]},"finish_reason":"tool_calls"}]}'
        % (CALL % (b"a", b"{}")),
    ):
        assert mender.mend(data) is data


def test_calls_that_all_have_the_same_number_are_counted_for_each_choice() -> None:
    mender = ChatMender()
    first, second = (
        b'{"tool_calls":[%b]}' % (CALL % (b"a", b"{}")),
        b'{"tool_calls":[%b]}' % (CALL % (b"b", b'{\\"x\\"')),
    )
    assert mender.mend(chunk(first)) == chunk(first)
    assert mender.mend(chunk(second)) == chunk(second.replace(b'"index":0', b'"index":1'))
    rest = b'{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}'
    assert mender.mend(chunk(rest)) == chunk(rest.replace(b'"index":0', b'"index":1'))
    assert mender.mend(chunk(second, index=1)) == chunk(second, index=1)


def test_calls_in_pieces_that_are_numbered_well_stay_as_they_are() -> None:
    mender = ChatMender()
    for number, known in ((0, b"a"), (1, b"b"), (0, b""), (1, b"")):
        piece = b'{"index":%d,"id":"%b","function":{"arguments":"{"}}' % (number, known)
        data = chunk(b'{"tool_calls":[%b]}' % piece)
        assert mender.mend(data) is data


@pytest.mark.parametrize("finish", [b'""', b'"eos"'])
def test_reasons_that_openai_has_no_word_for(finish: bytes) -> None:
    mender = ChatMender()
    assert mender.mend(chunk(b"{}", finish)) == chunk(b"{}", b'"stop"')
    called = b'{"tool_calls":[%b]}' % (CALL % (b"a", b"{}"))
    assert mender.mend(chunk(called, finish)) == chunk(called, b'"tool_calls"')


def test_a_list_with_thinking_in_it_is_a_text_and_the_thinking_beside_it() -> None:
    said = b'[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"}]'
    whole = b'{"choices":[{"message":{"role":"assistant","content":%b}}]}'
    assert ChatMender().mend(whole % said) == whole.replace(b"%b", b'"a","reasoning_content":"hm"')
    thought = b'{"content":[{"type":"thinking","thinking":"hm"}]}'
    assert ChatMender().mend(chunk(thought)) == chunk(b'{"content":null,"reasoning_content":"hm"}')


ALOUD = "<think>\nhm, <b>\n</think>\n\nIt is </think> so."


def whole_aloud(content: str) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": content}}]}).encode()


def test_thinking_between_marks_stands_beside_the_text() -> None:
    (choice,) = json.loads(ChatMender(aloud=True).mend(whole_aloud(ALOUD)))["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": "It is </think> so.",
        "reasoning_content": "hm, <b>",
    }
    for silent in (whole_aloud("It is so."), whole_aloud("a <think>"), chunk(b'{"role":"assistant"}'), b"[DONE]"):
        assert ChatMender(aloud=True).mend(silent) is silent
    assert ChatMender().mend(whole_aloud(ALOUD)) == whole_aloud(ALOUD)


@settings(max_examples=40)
@given(st.sets(st.integers(1, len(ALOUD) - 1), max_size=8), st.booleans(), st.integers(1, 200))
def test_thinking_aloud_is_told_apart_however_its_stream_is_cut(edges: set[int], so_far: bool, size: int) -> None:
    """`so_far`: every frame also tells the whole message that has come of it, as Perplexity's do."""
    ends, frames = [*sorted(edges), len(ALOUD)], list[bytes]()
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):
        choice = {
            "index": 0,
            "delta": {"content": ALOUD[begin:end]},
            "finish_reason": "stop" if end == ends[-1] else None,
        }
        if so_far:
            choice["message"] = {"content": ALOUD[:end]}
        frames.append(b"data: " + json.dumps({"id": "c", "choices": [choice]}).encode() + b"\n\n")
    relay = Mended(OpenAIChatCodec(), "m", ChatMender(aloud=True), hide_usage=False)
    stream, decoder = b"".join(frames), AloudChatCodec().decoder()
    told = b"".join(item for at in range(0, len(stream), size) for item in relay.feed(stream[at : at + size]))
    deltas = [json.loads(frame[6:])["choices"][0] for frame in told.split(b"\n\n") if frame]
    assert "".join(each["delta"].get("reasoning_content", "") for each in deltas) == "hm, <b>"
    assert "".join(each["delta"]["content"] for each in deltas) == "It is </think> so."
    if so_far:
        assert deltas[-1]["message"] == {"content": "It is </think> so.", "reasoning_content": "hm, <b>"}
    events = [event for frame in SSEDecoder().feed(stream) for event in decoder.decode(frame)] + decoder.finish()
    assert "".join(event.reasoning for event in events if isinstance(event, ReasoningDelta)) == "hm, <b>"
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "It is </think> so."
    reply = AloudChatCodec().decode_reply(whole_aloud(ALOUD))
    assert (reply.reasoning, reply.text) == ("hm, <b>", "It is </think> so.")


@pytest.mark.parametrize(
    "choices",
    [
        b"null", b"{}", b"[3]", b'[{"delta":3}]', b'[{"delta":{"content":[1]}}]', b'[{"delta":{"tool_calls":{}}}]',
        b'[{"delta":{"tool_calls":[{"index":[]}]}}]', b'[{"delta":{"content":["x"],"tool_calls":["x"]}}]', b"[",
    ],
)  # fmt: skip
def test_what_is_no_answer_is_left_to_whoever_reads_it(choices: bytes) -> None:
    data = b'{"choices":%b}' % choices
    assert ChatMender().mend(data) is data


def test_a_stream_is_mended_frame_by_frame_and_its_usage_hidden_where_nobody_asked() -> None:
    frames = [
        chunk(b'{"content":"a"}'),
        chunk(b"{}", b'"eos"'),
        b'{"choices":[],"usage":{"prompt_tokens":1}}',
        b"[DONE]",
    ]
    stream = b"".join(b"data: %b\n\n" % frame for frame in frames)
    for hide, shown in ((False, frames), (True, [*frames[:2], frames[3]])):
        relay = Mended(OpenAIChatCodec(), "m", ChatMender(), hide_usage=hide)
        got = b"".join(relay.feed(stream))
        assert got == b"".join(b"data: %b\n\n" % frame for frame in shown).replace(b'"eos"', b'"stop"')
        assert relay.reading.ended
