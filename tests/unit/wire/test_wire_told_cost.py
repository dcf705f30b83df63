"""What a vendor says that a call costs, read to the digit."""

from __future__ import annotations

import json
from decimal import ROUND_CEILING, Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.types.events import UsageReported
from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.openai_chat.codec import OpenAIChatCodec
from pulse_gateway.wire.openai_responses.codec import OpenAIResponsesCodec
from pulse_gateway.wire.reading import Reading
from pulse_gateway.wire.sse import ServerSentEvent
from pulse_gateway.wire.told_cost import ToldCost, told_nano_usd

_read = msgspec.json.Decoder(ToldCost).decode


def told(**members: Any) -> int | None:
    return told_nano_usd(_read(json.dumps(members).encode()))


@pytest.mark.parametrize(
    ("written", "nano_usd"),
    [
        ("0", 0),
        ("0.04", 40_000_000),
        ("0.1", 100_000_000),
        ("4.175e-05", 41_750),
        ("1E2", 100_000_000_000),
        ("1.6e-08", 16),
        ("1e-10", 1),  # rounded up: nothing is billed below its cost
        ("0.0000000010000001", 2),
        ("0e999", 0),
        ('{"total_cost": 0.006123}', 6_123_000),
    ],
)
def test_dollars_are_read_digit_by_digit(written: str, nano_usd: int) -> None:
    assert told_nano_usd(_read(b'{"cost": %b}' % written.encode())) == nano_usd


@pytest.mark.parametrize(
    "written", ["null", "-0.1", "-1e-9", '"0.1"', "true", "[]", "{}", '{"total_cost": null}', "1e5", "1e999", "1e9999", "1" * 50]
)  # fmt: skip
def test_what_could_be_no_price_is_no_word(written: str) -> None:
    assert told_nano_usd(_read(b'{"cost": %b}' % written.encode())) is None


@pytest.mark.parametrize(
    ("written", "nano_usd"),
    [
        ("0", 0),
        ("37756000", 3_775_600),
        ("1", 1),
        ("220000001", 22_000_001),
        ("100000000000001", None),
        ("9" * 60, None),
    ]
    + [(odd, None) for odd in ("-10", "1.5", '"10"', "null", "{}", "true")],
)
def test_ticks_are_tenths_of_a_nano_dollar(written: str, nano_usd: int | None) -> None:
    assert told_nano_usd(_read(b'{"cost_in_usd_ticks": %b}' % written.encode())) == nano_usd


def test_nobody_says_nothing() -> None:
    assert told_nano_usd(None) is None
    assert told() is None


def test_with_a_key_of_ones_own_the_makers_bill_comes_to_the_fee() -> None:
    assert told(cost=0.001, is_byok=True, cost_details={"upstream_inference_cost": 0.02}) == 21_000_000
    assert told(cost=0.001, is_byok=False, cost_details={"upstream_inference_cost": 0.02}) == 1_000_000
    for details in ({}, {"upstream_inference_cost": None}, None, "x"):
        assert told(cost=0.001, is_byok=True, cost_details=details) is None


@settings(max_examples=60, deadline=None)
@given(st.decimals(min_value=0, max_value=10_000, places=12), st.booleans())
def test_it_is_what_decimals_make_of_it(dollars: Decimal, scientific: bool) -> None:
    written = f"{dollars:E}" if scientific else f"{dollars:f}"
    exact = int((dollars * 10**9).to_integral_value(ROUND_CEILING))
    assert told_nano_usd(_read(b'{"cost": %b}' % written.encode())) == exact


CHAT = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "cost": 0.00014}
RESPONSES = {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14, "cost": 0.00014}


def test_a_whole_answer_says_it() -> None:
    message = {"role": "assistant", "content": "Hi"}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    chat = OpenAIChatCodec().decode_reply(json.dumps({"choices": choices, "usage": CHAT}).encode())
    output = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]}]
    body = {"id": "r", "status": "completed", "output": output, "usage": RESPONSES}
    for reply in (chat, OpenAIResponsesCodec().decode_reply(json.dumps(body).encode())):
        assert reply.cost_nano_usd == 140_000
        reading = Reading()
        reading.observe_reply(reply)
        assert (reading.told_nano_usd, reading.usage_is_final) == (140_000, True)


def test_an_answer_of_xais_says_it_in_ticks() -> None:
    choices = [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "cost_in_usd_ticks": 37_756_000}
    body = json.dumps({"choices": choices, "usage": usage}).encode()
    assert OpenAIChatCodec().decode_reply(body).cost_nano_usd == 3_775_600


def test_a_stream_says_it_with_its_usage_and_the_last_word_counts() -> None:
    decoder, reading = OpenAIChatCodec().decoder(), Reading()
    for data in (
        {"choices": [{"index": 0, "delta": {"content": "Hi"}}], "usage": {**CHAT, "cost": {"total_cost": 0}}},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": CHAT},
    ):
        frame = ServerSentEvent(data=json.dumps(data).encode(), event="", raw=b"")
        reading.observe(decoder.decode(frame))
    events = decoder.finish()
    assert UsageReported(Usage(input_tokens=9, output_tokens=5), 140_000) in events
    reading.observe(events)
    assert (reading.told_nano_usd, reading.usage_is_final) == (140_000, True)
