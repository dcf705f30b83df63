"""What spans say of an exchange, and in whose words."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pulse_gateway.telemetry.record import ExchangeRecord
from pulse_gateway.telemetry.spans import spans_of
from pulse_gateway.telemetry.traced import TracedAttempt, TracedExchange
from pulse_gateway.types.usage import Usage

RECORD = ExchangeRecord(
    request_id="r", trace_id="ab" * 16, tenant_id="t", user_id="u", key_id="k", dialect="openai.chat", operation="chat", stream=False,
    model="fast", provider="mine", provider_model="gpt-5.2", attempts=1, outcome="completed", status=200, error_code=None,
    upstream_status=None, input_tokens=12, cached_input_tokens=2, output_tokens=7, reasoning_tokens=3, total_tokens=19,
    usage_source="provider", cost_nano_usd=5, first_byte_ms=10.0, total_ms=20.0, tags={"team": "search"},
)  # fmt: skip
ATTEMPT = TracedAttempt(
    span_id="12" * 8, number=1, provider="mine", kind="azure", model="gpt-5.2", base_url="https://user:word@x.example/openai?key=k",
    started_at=1000.001, first_byte_ms=9.0, total_ms=18.0, outcome="completed", status=200, error_code=None,
    usage=Usage(input_tokens=10, cached_input_tokens=2, cache_write_tokens=1, cache_write_long_tokens=4, output_tokens=4, reasoning_tokens=3),
    usage_source="provider", cost_nano_usd=5, response_id="c1", response_model="gpt-5.2-x", finish_reason="stop",
)  # fmt: skip
TRACED = TracedExchange(
    record=RECORD, span_id="34" * 8, parent_id=None, tracestate=None, started_at=1000.0, attempts=(ATTEMPT,)
)


def test_the_call_is_told_in_the_words_of_the_conventions() -> None:
    _, call = spans_of(TRACED)
    assert (call.name, call.kind, call.parent_id, call.is_error) == ("chat gpt-5.2", "client", TRACED.span_id, False)
    assert call.attributes["gen_ai.provider.name"] == "azure.ai.openai"
    assert call.attributes["gen_ai.usage.input_tokens"] == 17
    assert call.attributes["gen_ai.usage.output_tokens"] == 7
    assert call.attributes["gen_ai.usage.cache_read.input_tokens"] == 2
    assert call.attributes["gen_ai.usage.cache_write.input_tokens"] == 5
    assert call.attributes["gen_ai.usage.reasoning.output_tokens"] == 3
    assert call.attributes["gen_ai.response.finish_reasons"] == ("stop",)
    assert (call.attributes["server.address"], call.attributes["server.port"]) == ("x.example", 443)
    assert call.end_ns - call.start_ns == 18_000_000


def test_the_exchange_is_named_by_its_route_where_it_has_one() -> None:
    served = spans_of(TRACED, route="/v1/chat/completions")[0]
    assert (served.name, served.kind) == ("POST /v1/chat/completions", "server")
    assert served.end_ns - served.start_ns == 20_000_000
    assert [(event.name, event.at_ns - served.start_ns) for event in served.events] == [
        ("pulse.first_byte", 10_000_000)
    ]
    native = spans_of(replace(TRACED, record=replace(RECORD, dialect="native")))[0]
    assert (native.name, native.kind) == ("chat fast", "internal")
    assert not [name for name in native.attributes if name.startswith("http.")]


def test_neither_users_nor_their_tags_nor_credentials_are_told() -> None:
    said = repr(spans_of(TRACED, route="/v1/chat/completions"))
    for kept_back in ("user:word", "key=k", "search", "user_id", "key_id"):
        assert kept_back not in said


@pytest.mark.parametrize(
    ("changes", "is_error"),
    [
        ({"status": 500, "outcome": "failed", "error_code": "x"}, True),
        ({"status": 429, "outcome": "refused", "error_code": "x"}, False),
        ({"status": 400, "outcome": "failed", "error_code": "x"}, False),
        ({"status": 200, "outcome": "interrupted", "error_code": "x"}, True),
        ({"status": 200, "outcome": "client_gone"}, False),
    ],
)
def test_what_is_the_callers_fault_is_no_error_of_the_server(changes: dict[str, Any], is_error: bool) -> None:
    served = spans_of(replace(TRACED, record=replace(RECORD, **changes), attempts=()))[0]
    assert served.is_error is is_error
    assert served.attributes.get("error.type") == changes.get("error_code")


def test_an_address_that_is_none_is_left_out() -> None:
    call = spans_of(replace(TRACED, attempts=(replace(ATTEMPT, base_url="http://[x"),)))[1]
    assert "server.address" not in call.attributes


def test_names_that_are_long_are_cut() -> None:
    long = replace(TRACED, record=replace(RECORD, model="m" * 9000), attempts=(replace(ATTEMPT, model="n" * 9000),))
    for span in spans_of(long):
        assert len(span.name) <= 200
        assert all(len(value) <= 200 for value in span.attributes.values() if isinstance(value, str))
