"""An answer reads the same in every dialect, whole or streamed, however its bytes are cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from translation_answers import ANSWERS, Answer
from translation_harness import PAIRS
from translation_reading import events_of, expected, of_events, of_reply, translated

from pulse_gateway.types.chat import FinishReason
from pulse_gateway.wire.registry import codec


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(data=st.data())
@settings(max_examples=60)
def test_an_answer_reads_the_same_whole_and_streamed(client: str, upstream: str, data: st.DataObject) -> None:
    answer: Answer = data.draw(ANSWERS[upstream]())
    there = codec(upstream).decode_reply(answer.whole)
    wanted = expected(client, of_reply(there))
    assert of_events(events_of(upstream, answer.stream)).summary == of_reply(there).summary
    assert of_reply(codec(client).decode_reply(codec(client).encode_reply(there))).summary == wanted
    assert of_events(events_of(client, translated(upstream, client, [answer.stream]))).summary == wanted


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(data=st.data())
@settings(max_examples=40)
def test_any_cut_of_a_stream_gives_the_client_the_same_bytes(client: str, upstream: str, data: st.DataObject) -> None:
    stream = data.draw(ANSWERS[upstream]()).stream
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert translated(upstream, client, chunks) == translated(upstream, client, [stream])


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(data=st.data())
@settings(max_examples=30)
def test_a_call_that_the_length_limit_cut_off_is_told_by_the_reason_alone(
    client: str, upstream: str, data: st.DataObject
) -> None:
    """Whole calls are kept. Of the one that is cut off a reader sees nothing, or no more than was written of it."""
    answer: Answer = data.draw(ANSWERS[upstream](cut_short=True))
    there = codec(upstream).decode_reply(answer.whole)
    whole = {call.id: call.arguments for call in there.tool_calls}
    for read in (
        of_reply(codec(client).decode_reply(codec(client).encode_reply(there))),
        of_events(events_of(client, translated(upstream, client, [answer.stream]))),
    ):
        assert read.finish is FinishReason.LENGTH
        assert read.text + read.refusal == there.text + of_reply(there).refusal
        for call_id, _, arguments in read.calls.values():
            assert without_space(arguments or "{}") == without_space(whole[call_id])


def without_space(text: str) -> str:
    return "".join(text.split())
