"""What a failure of Gemini's means, and how ours look to its clients."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import (
    Advice,
    ContextTooLong,
    InvalidRequest,
    PulseError,
    QuotaExceeded,
    RateLimited,
    Unauthenticated,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelNotFound,
    UpstreamOverloaded,
    UpstreamProtocolError,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamUnauthorized,
)
from pulse_gateway.types.http import Headers
from pulse_gateway.wire.gemini import GeminiCodec
from pulse_gateway.wire.gemini.errors import embedded_error, upstream_error

RATE_MESSAGE = (
    "You exceeded your current quota, please check your plan and billing details. For more information on this error,"
    " head to: https://ai.google.dev/gemini-api/docs/rate-limits. Please retry in 46s."
)


def error(
    status: int, name: str | None = None, message: str = "", *details: dict[str, Any], headers: Headers = ()
) -> UpstreamError:
    body = {"error": {"code": status, "message": message, "status": name, "details": list(details)}}
    return upstream_error(status, headers, msgspec.json.encode(body))


def detail(kind: str, **members: Any) -> dict[str, Any]:
    return {"@type": f"type.googleapis.com/google.rpc.{kind}", **members}


@pytest.mark.parametrize(
    ("status", "name", "message", "kind"),
    [
        (400, "INVALID_ARGUMENT", "Invalid value at 'contents'", UpstreamRejected),
        (400, "FAILED_PRECONDITION", "Unsupported for this model", UpstreamRejected),
        (400, "FAILED_PRECONDITION", "The free tier ends here. Please enable billing.", UpstreamQuotaExhausted),
        (400, "FAILED_PRECONDITION", "User location is not supported for the API use.", UpstreamUnauthorized),
        (
            400,
            "INVALID_ARGUMENT",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            ContextTooLong,
        ),
        (401, "UNAUTHENTICATED", "no", UpstreamUnauthorized),
        (403, "PERMISSION_DENIED", "Consumer 'api_key:AIza' has been suspended.", UpstreamUnauthorized),
        (403, "PERMISSION_DENIED", "You do not have permission to access the File a or it may not exist.", UpstreamRejected),
        (402, "RESOURCE_EXHAUSTED", "pay", UpstreamQuotaExhausted),
        (404, "NOT_FOUND", "models/a is not found for API version v1beta", UpstreamModelNotFound),
        (429, "RESOURCE_EXHAUSTED", RATE_MESSAGE, UpstreamRateLimited),
        (429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted. Go to billing.", UpstreamQuotaExhausted),
        (429, "RESOURCE_EXHAUSTED", RATE_MESSAGE + "\n* Quota exceeded, limit: 0", UpstreamQuotaExhausted),
        (499, "CANCELLED", "", UpstreamFailed),
        (500, "INTERNAL", "", UpstreamFailed),
        (503, "UNAVAILABLE", "The model is overloaded.", UpstreamOverloaded),
        (504, "DEADLINE_EXCEEDED", "", UpstreamTimedOut),
        (503, None, "", UpstreamOverloaded),
        (418, "BRAND_NEW", "", UpstreamProtocolError),
        (599, "BRAND_NEW", "", UpstreamFailed),
    ],
)  # fmt: skip
def test_the_vendor_s_name_of_an_error_decides_what_it_means(
    status: int, name: str | None, message: str, kind: type[UpstreamError]
) -> None:
    found = error(status, name, message)

    assert type(found) is kind
    assert (found.upstream_status, found.upstream_code) == (status, name)


def test_a_bad_key_is_ours_although_it_comes_as_a_bad_request() -> None:
    found = error(
        400, "INVALID_ARGUMENT", "API key not valid. AIza", detail("ErrorInfo", reason="API_KEY_INVALID", metadata={})
    )

    assert isinstance(found, UpstreamUnauthorized)
    assert found.upstream_code == "API_KEY_INVALID"
    assert "AIza" not in found.message


def test_a_used_up_day_is_not_waited_for() -> None:
    day = detail("QuotaFailure", violations=[{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}])
    minute = detail("QuotaFailure", violations=[{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}])

    assert error(429, "RESOURCE_EXHAUSTED", RATE_MESSAGE, day).advice is Advice.NEXT
    assert error(429, "RESOURCE_EXHAUSTED", RATE_MESSAGE, minute).advice is Advice.RETRY


@pytest.mark.parametrize(
    ("headers", "written", "wait_s"),
    [
        ((), "46s", 46.0),
        ((), "0.5s", 0.5),
        ((), "soon", None),
        ((("retry-after", "7"),), "46s", 7.0),
        ((("retry-after", "7"), ("retry-after-ms", "250")), "46s", 0.25),
        (
            (("date", "Tue, 24 Nov 2026 06:00:00 GMT"), ("retry-after", "Tue, 24 Nov 2026 06:00:09 GMT")),
            "46s",
            9.0,
        ),
        ((("retry-after", "Tue, 24 Nov 2020 06:00:09 GMT"),), "46s", 0.0),
        ((("retry-after", "later"),), "46s", 46.0),
    ],
)
def test_how_long_to_wait_is_read_from_headers_and_else_from_the_error(
    headers: Headers, written: str, wait_s: float | None
) -> None:
    found = error(429, "RESOURCE_EXHAUSTED", RATE_MESSAGE, detail("RetryInfo", retryDelay=written), headers=headers)

    assert found.retry_after_s == wait_s


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (502, b"<html>Bad Gateway</html>", UpstreamFailed),
        (503, b"", UpstreamOverloaded),
        (403, b"<html>", UpstreamUnauthorized),
        (429, b"slow down", UpstreamRateLimited),
        (404, b"<html>", UpstreamProtocolError),
        (400, b"\xff\xfe", UpstreamProtocolError),
        (302, b"", UpstreamProtocolError),
        (500, b"[" * 100_000, UpstreamFailed),
        (400, b'{"error":"text"}', UpstreamProtocolError),
        (500, b'{"error":{"code":"x","message":1,"status":2,"details":[1,{"reason":3}]}}', UpstreamFailed),
        (404, b'[{"error":{"code":404,"message":"gone","status":"NOT_FOUND"}}]', UpstreamModelNotFound),
    ],
)
def test_any_body_is_survived_and_none_but_the_vendor_s_message_is_shown(
    status: int, body: bytes, kind: type[UpstreamError]
) -> None:
    found = upstream_error(status, (), body)

    assert type(found) is kind
    assert "html" not in found.message


def test_the_vendor_s_words_about_the_request_are_passed_on_and_those_about_our_account_are_not() -> None:
    assert error(400, "INVALID_ARGUMENT", "Invalid value").message == "Invalid value"
    assert "project" not in error(429, "RESOURCE_EXHAUSTED", "Quota of project 7 exceeded").message


def test_an_error_inside_a_good_answer_is_read_by_its_own_code() -> None:
    assert type(embedded_error({"code": 429, "status": "RESOURCE_EXHAUSTED"})) is UpstreamRateLimited
    assert type(embedded_error("broken")) is UpstreamFailed


@pytest.mark.parametrize(
    ("told", "code", "name"),
    [
        (InvalidRequest("bad", param="contents[0]"), 400, "INVALID_ARGUMENT"),
        (Unauthenticated("who?"), 401, "UNAUTHENTICATED"),
        (RateLimited("slow", retry_after_s=12.0), 429, "RESOURCE_EXHAUSTED"),
        (QuotaExceeded("spent"), 429, "RESOURCE_EXHAUSTED"),
        (UpstreamUnauthorized("ours", upstream_code="API_KEY_INVALID"), 502, "UNAVAILABLE"),
        (UpstreamTimedOut("late"), 504, "DEADLINE_EXCEEDED"),
        (PulseError("broken"), 500, "INTERNAL"),
    ],
)
def test_our_errors_have_the_vendor_s_shape(told: PulseError, code: int, name: str) -> None:
    body = msgspec.json.decode(GeminiCodec().encode_error(told, "req_1"))["error"]
    info, *others = body["details"]

    assert (body["code"], body["status"], body["message"]) == (code, name, told.message)
    assert (info["reason"], info["domain"]) == (told.code.upper(), "pulse")
    assert info["metadata"]["request_id"] == "req_1"
    assert info["metadata"].get("param") == told.param
    assert info["metadata"].get("upstream_code") == getattr(told, "upstream_code", None)
    assert others == ([] if told.retry_after_s is None else [detail("RetryInfo", retryDelay="12s")])
