"""What Anthropic's errors mean to us, and what ours look like to its clients."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import (
    AllAttemptsFailed,
    ContextTooLong,
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    ModelNotFound,
    PermissionDenied,
    PulseError,
    QuotaExceeded,
    RateLimited,
    RequestTooLarge,
    StreamInterrupted,
    Unauthenticated,
    UnsupportedParameter,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelNotFound,
    UpstreamOverloaded,
    UpstreamProtocolError,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRefusedContent,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamTooLarge,
    UpstreamUnauthorized,
)
from pulse_gateway.types.http import Headers
from pulse_gateway.wire.anthropic_messages import AnthropicMessagesCodec
from pulse_gateway.wire.anthropic_messages.errors import upstream_error

CODEC = AnthropicMessagesCodec()


def told(kind: str, message: str = "words of the vendor", code: str | None = None) -> bytes:
    error: dict[str, Any] = {"type": kind, "message": message}
    if code is not None:
        error["details"] = {"error_code": code}
    return msgspec.json.encode({"type": "error", "error": error, "request_id": "req_1"})


@pytest.mark.parametrize(
    ("status", "body", "meaning", "code"),
    [
        (400, told("invalid_request_error"), UpstreamRejected, "invalid_request_error"),
        (413, told("request_too_large"), UpstreamTooLarge, "request_too_large"),
        (401, told("authentication_error"), UpstreamUnauthorized, "authentication_error"),
        (403, told("permission_error"), UpstreamUnauthorized, "permission_error"),
        (402, told("billing_error"), UpstreamQuotaExhausted, "billing_error"),
        (404, told("not_found_error", "model: claude-x"), UpstreamModelNotFound, "not_found_error"),
        (404, told("not_found_error", "File not found: file_1"), UpstreamRejected, "not_found_error"),
        (409, told("conflict_error"), UpstreamFailed, "conflict_error"),
        (429, told("rate_limit_error"), UpstreamRateLimited, "rate_limit_error"),
        (500, told("api_error"), UpstreamFailed, "api_error"),
        (504, told("timeout_error"), UpstreamTimedOut, "timeout_error"),
        (529, told("overloaded_error"), UpstreamOverloaded, "overloaded_error"),
        # the code decides before the type, the type before the status
        (
            429,
            told("rate_limit_error", code="enforced_spend_limit_reached"),
            UpstreamQuotaExhausted,
            "enforced_spend_limit_reached",
        ),
        (
            429,
            told("rate_limit_error", code="contract_spend_limit_reached"),
            UpstreamQuotaExhausted,
            "contract_spend_limit_reached",
        ),
        (429, told("rate_limit_error", code="ramp_limit_exceeded"), UpstreamRateLimited, "ramp_limit_exceeded"),
        (400, told("invalid_request_error", code="organization_on_hold"), UpstreamUnauthorized, "organization_on_hold"),
        (400, told("invalid_request_error", code="tool_name_conflict"), UpstreamRejected, "tool_name_conflict"),
        (500, told("overloaded_error"), UpstreamOverloaded, "overloaded_error"),
        (400, told("invented_tomorrow"), UpstreamRejected, "invented_tomorrow"),
        (503, told("invented_tomorrow"), UpstreamOverloaded, "invented_tomorrow"),
        # what only the text tells apart
        (
            400,
            told("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum"),
            ContextTooLong,
            "invalid_request_error",
        ),
        (
            400,
            told("invalid_request_error", "input length and `max_tokens` exceed context limit: 9 + 1 > 8"),
            ContextTooLong,
            "invalid_request_error",
        ),
        (
            400,
            told("invalid_request_error", "Your credit balance is too low to access the Anthropic API."),
            UpstreamQuotaExhausted,
            "invalid_request_error",
        ),
        (
            400,
            told("invalid_request_error", "You have reached your specified API usage limits."),
            UpstreamQuotaExhausted,
            "invalid_request_error",
        ),
        (
            400,
            told("invalid_request_error", "Output blocked by content filtering policy"),
            UpstreamRefusedContent,
            "invalid_request_error",
        ),
        # somebody else's words
        (502, b"<html>Bad gateway</html>", UpstreamFailed, None),
        (503, b"", UpstreamOverloaded, None),
        (504, b"\xff\xfe", UpstreamTimedOut, None),
        (429, b"slow down", UpstreamRateLimited, None),
        (403, b"<html>blocked</html>", UpstreamUnauthorized, None),
        (404, b"<html>Not found</html>", UpstreamProtocolError, None),
        (400, b'{"detail":"x"}', UpstreamProtocolError, None),
        (302, b"", UpstreamProtocolError, None),
        (500, b"[" * 100_000, UpstreamFailed, None),
        (500, b'{"error":"text"}', UpstreamFailed, None),
    ],
)
def test_what_an_answer_means(status: int, body: bytes, meaning: type[UpstreamError], code: str | None) -> None:
    error = upstream_error(status, (), body)
    assert type(error) is meaning
    assert (error.upstream_status, error.upstream_code) == (status, code)


def test_callers_read_the_vendors_words_about_their_request_alone() -> None:
    assert upstream_error(400, (), told("invalid_request_error", "messages: too few")).message == "messages: too few"
    for kind in ("authentication_error", "rate_limit_error", "billing_error", "api_error"):
        assert "secret" not in upstream_error(400, (), told(kind, "secret account of acme corp")).message


def test_the_vendors_words_are_cut() -> None:
    assert len(upstream_error(400, (), told("invalid_request_error", "x" * 100_000)).message) == 1000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), None),
        ((("retry-after", "7"),), 7.0),
        ((("retry-after", "1.5"),), 1.5),
        ((("retry-after", "7"), ("retry-after-ms", "250")), 0.25),
        ((("retry-after", "Tue, 24 Nov 2026 10:00:30 GMT"), ("date", "Tue, 24 Nov 2026 10:00:00 GMT")), 30.0),
        ((("retry-after", "Tue, 24 Nov 2026 09:00:00 GMT"), ("date", "Tue, 24 Nov 2026 10:00:00 GMT")), 0.0),
        ((("retry-after", "Tue, 24 Nov 2020 10:00:30 GMT"),), 0.0),
        ((("retry-after", "soon"), ("date", "Tue, 24 Nov 2026 10:00:00 GMT")), None),
        ((("retry-after", "-3"),), None),
        ((("retry-after", "inf"),), None),
    ],
)
def test_how_long_to_wait(headers: Headers, seconds: float | None) -> None:
    assert upstream_error(429, headers, told("rate_limit_error")).retry_after_s == seconds


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidRequest("x"), "invalid_request_error"),
        (UnsupportedParameter("x"), "invalid_request_error"),
        (ContextTooLong("x"), "invalid_request_error"),
        (Unauthenticated("x"), "authentication_error"),
        (PermissionDenied("x"), "permission_error"),
        (ModelNotFound("x"), "not_found_error"),
        (RequestTooLarge("x"), "request_too_large"),
        (RateLimited("x"), "rate_limit_error"),
        (QuotaExceeded("x"), "rate_limit_error"),
        (UpstreamOverloaded("x"), "overloaded_error"),
        (AllAttemptsFailed([UpstreamFailed("x")]), "overloaded_error"),
        (UpstreamQuotaExhausted("x"), "api_error"),
        (UpstreamUnauthorized("x"), "api_error"),
        (StreamInterrupted("x"), "api_error"),
        (InternalError("x"), "api_error"),
        (DeadlineExceeded("x"), "timeout_error"),
    ],
)
def test_our_errors_have_a_type_that_the_vendors_clients_know(error: PulseError, kind: str) -> None:
    body = msgspec.json.decode(CODEC.encode_error(error, "req-1"))
    assert (body["type"], body["error"]["type"], body["request_id"]) == ("error", kind, "req-1")
    assert body["error"]["details"]["error_code"] == error.code


def test_details_name_the_field_and_the_vendors_code() -> None:
    body = msgspec.json.decode(CODEC.encode_error(InvalidRequest("no", param="messages[0].role"), "req-1"))
    assert body["error"]["details"] == {"error_code": "invalid_request", "param": "messages[0].role"}
    rejected = upstream_error(400, (), told("invalid_request_error", code="tool_name_conflict"))
    assert msgspec.json.decode(CODEC.encode_error(rejected, "req-1"))["error"]["details"] == {
        "error_code": "upstream_rejected",
        "upstream_code": "tool_name_conflict",
    }
