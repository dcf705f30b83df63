"""What is read of an answer that passes through is what its neutral form would tell."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.errors import UpstreamError
from pulse_gateway.types.chat import TextPart
from pulse_gateway.wire.openai_chat.reply import decode_reply, read_reply
from pulse_gateway.wire.reading import Reading

TEXTS = st.one_of(st.none(), st.text(max_size=6), st.just(""))
COUNTS = st.one_of(st.none(), st.integers(-3, 40))
FUNCTIONS = st.one_of(
    st.none(), st.fixed_dictionaries({}, optional={"name": TEXTS, "arguments": st.one_of(TEXTS, st.just({"a": 1}))})
)
PIECES = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS, "refusal": TEXTS}),
    st.fixed_dictionaries(
        {"type": st.just("thinking"), "thinking": st.sampled_from(["so", [{"text": "hm"}, 7], None])}
    ),
)
MESSAGES = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {},
        optional={
            "content": st.one_of(TEXTS, st.lists(PIECES, max_size=3)),
            "refusal": TEXTS,
            "reasoning_content": TEXTS,
            "reasoning": st.one_of(TEXTS, st.just({"a": 1})),
            "reasoning_details": st.sampled_from([None, [], [{"type": "reasoning.text", "text": "so"}], 7]),
            "tool_calls": st.one_of(
                st.none(), st.lists(st.fixed_dictionaries({"id": TEXTS, "function": FUNCTIONS}), max_size=3)
            ),
            "function_call": FUNCTIONS,
        },
    ),
)
REASONS = st.sampled_from([None, "", "stop", "eos", "length", "tool_calls", "content_filter", "error", "new"])
CHOICES = st.fixed_dictionaries({"message": MESSAGES, "finish_reason": REASONS}, optional={"index": st.integers(0, 3)})
USAGES = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {"prompt_tokens": COUNTS, "completion_tokens": COUNTS},
        optional={
            "total_tokens": COUNTS,
            "prompt_cache_hit_tokens": COUNTS,
            "prompt_tokens_details": st.fixed_dictionaries(
                {},
                optional=dict.fromkeys(("cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens"), COUNTS),
            ),
            "completion_tokens_details": st.fixed_dictionaries(
                {}, optional=dict.fromkeys(("reasoning_tokens", "audio_tokens", "image_tokens"), COUNTS)
            ),
            "cost": st.sampled_from([0.25, "much", {"total_cost": 1}]),
        },
    ),
)
ANSWERS = st.fixed_dictionaries(
    {"id": TEXTS, "model": TEXTS, "choices": st.one_of(st.none(), st.lists(CHOICES, max_size=3)), "usage": USAGES},
    optional={
        "error": st.sampled_from([None, {}, {"message": "no"}, "no"]),
        "object": st.sampled_from(["chat.completion", "error"]),
        "message": st.sampled_from([None, "no", 7]),
        "x_groq": st.fixed_dictionaries({"usage": USAGES}),
    },
)


def _told(reading: Reading, text: str) -> object:
    names = ("id", "model", "started", "ended", "failed", "finish_reason", "usage", "usage_is_final", "told_nano_usd")
    told = {name: getattr(reading, name) for name in (*names, "output_chars", "says_something")}
    return told, reading.take_written(), text


def _passing(body: bytes) -> object:
    reading = Reading()
    try:
        return _told(reading, read_reply(body, reading))
    except UpstreamError as error:
        assert not reading.started
        return type(error), str(error)


def _neutral(body: bytes) -> object:
    reading = Reading()
    try:
        reply = decode_reply(body)
    except UpstreamError as error:
        return type(error), str(error)
    reading.observe_reply(reply)
    texts = ["".join([p.text for p in choice.parts if isinstance(p, TextPart)]) for choice in reply.choices]
    return _told(reading, "\n".join(texts))


@given(ANSWERS)
@settings(max_examples=400, deadline=None)
def test_an_answer_that_passes_through_is_read_as_its_neutral_form_is(answer: dict[str, Any]) -> None:
    body = msgspec.json.encode(answer)
    assert _passing(body) == _neutral(body)
