"""Laws of Responses, whatever is asked and answered: its own words come back, and the official SDK understands what is written."""

from __future__ import annotations

import json

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from translation_answers import ANSWERS, Answer
from translation_bodies import BODIES
from translation_harness import ANY_MODEL, PAIRS, decoded
from translation_meaning import conversation, system_texts, tools
from translation_reading import events_of, of_events, of_reply, translated, writing

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.chat import ReasoningPart
from pulse_gateway.wire.passthrough import Passthrough
from pulse_gateway.wire.registry import codec
from pulse_gateway.wire.sse import SSEDecoder

RESPONSES = "openai.responses"
EVENT: pydantic.TypeAdapter[ResponseStreamEvent] = pydantic.TypeAdapter(ResponseStreamEvent)
UPSTREAMS = [upstream for client, upstream in PAIRS if client == RESPONSES]


@given(body=BODIES[RESPONSES]())
@settings(max_examples=60)
def test_a_request_said_again_in_its_own_dialect_means_the_same(body: dict[str, object]) -> None:
    before = decoded(RESPONSES, msgspec.json.encode(body))
    try:
        encoded = codec(RESPONSES).encode_request(before, ANY_MODEL[RESPONSES])
    except InvalidRequest:
        assert before.extra  # there is nothing else that it could not say to itself
        return
    after = decoded(RESPONSES, encoded.body)
    assert system_texts(after) == system_texts(before)
    assert conversation(after) == conversation(before)
    assert tools(after) == tools(before)
    proofs = [
        part
        for message in before.messages
        for part in message.parts
        if isinstance(part, ReasoningPart) and (part.signature or "").startswith("openai:")
    ]
    assert proofs == [part for message in after.messages for part in message.parts if isinstance(part, ReasoningPart)]
    for field in ("temperature", "top_p", "max_output_tokens", "logprobs", "top_logprobs", "user", "stream"):
        assert (getattr(after, field) or None) == (getattr(before, field) or None), field


@given(answer=ANSWERS[RESPONSES]())
@settings(max_examples=60)
def test_an_answer_comes_back_as_it_was_and_passes_through_untouched(answer: Answer) -> None:
    here = codec(RESPONSES)
    reply = here.decode_reply(answer.whole)
    assert here.decode_reply(writing(RESPONSES).encode_reply(reply)).choices[0].parts == reply.choices[0].parts
    assert of_events(events_of(RESPONSES, answer.stream)).summary == of_reply(reply).summary
    relay = Passthrough(here, "alias")
    assert b"".join(relay.feed(answer.stream)) == answer.stream
    assert relay.reading.usage == reply.usage
    assert relay.reading.usage_is_final


@pytest.mark.parametrize("upstream", UPSTREAMS)
@given(data=st.data())
@settings(max_examples=40)
def test_the_official_sdk_reads_what_is_written_whole_and_streamed(upstream: str, data: st.DataObject) -> None:
    answer: Answer = data.draw(ANSWERS[upstream]())
    reply = codec(upstream).decode_reply(answer.whole)
    whole = Response.model_validate(json.loads(writing(RESPONSES).encode_reply(reply)))
    assert whole.output_text == reply.text
    state: ResponseStreamState[None] = ResponseStreamState(input_tools=omit, text_format=omit)
    for number, frame in enumerate(SSEDecoder().feed(translated(upstream, RESPONSES, [answer.stream]))):
        event = EVENT.validate_python(json.loads(frame.data))
        assert (event.type, event.sequence_number) == (frame.event, number)
        state.handle_event(event)
    final = event.response
    assert final.output_text == reply.text
    assert final.usage is not None
    assert final.usage.total_tokens == (reply.usage.total if reply.usage else 0)
    calls = [(item.call_id, item.name, item.arguments) for item in final.output if item.type == "function_call"]
    told = of_events(events_of(upstream, answer.stream))
    assert calls == [tuple(call) for call in told.calls.values()]
