"""What an error of an OpenAI-shaped API means, and how ours look to its clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulse_gateway.errors import (
    ContextTooLong,
    InvalidRequest,
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
from pulse_gateway.wire.openai_chat.errors import encode_error, retry_after_s, upstream_error


def error(status: int, headers: Headers = (), **members: Any) -> UpstreamError:
    return upstream_error(status, headers, json.dumps({"error": {"message": "told", **members}}).encode())


@pytest.mark.parametrize(
    ("status", "words", "kind"),
    [
        (400, "Generated image rejected by content moderation.", UpstreamRefusedContent),
        (400, "Content violates usage guidelines.", UpstreamRefusedContent),
        (
            400,
            "Incorrect API key provided: xa***ys. You can obtain one from https://console.x.ai.",
            UpstreamUnauthorized,
        ),
        (400, "Incorrect%20API%20key%20provided:%20xa***ys.", UpstreamUnauthorized),
        (400, "The model expects a single `text` element per message.", UpstreamRejected),
        (
            403,
            "Content violates usage guidelines. Team: 0b9-f1, API key ID: 77-a, Model: grok-4",
            UpstreamRefusedContent,
        ),
    ],
)
def test_what_xai_says_with_a_status_of_something_else_is_known_by_its_words(
    status: int, words: str, kind: type[UpstreamError]
) -> None:
    body = {"code": "Client specified an invalid argument", "error": words}
    failed = upstream_error(status, (), json.dumps(body).encode())
    assert type(failed) is kind
    for ours in ("xa***ys", "0b9-f1", "77-a"):  # of our key, and whose it is
        assert ours not in failed.message
    assert ("grok-4" in words) == ("Model: grok-4" in failed.message)


@pytest.mark.parametrize(
    ("status", "members", "kind"),
    [
        (400, {"type": "invalid_request_error"}, UpstreamRejected),
        (400, {"code": "context_length_exceeded"}, ContextTooLong),
        (400, {"code": 400, "message": "This model's maximum context length is 4096 tokens."}, ContextTooLong),
        (400, {"code": "content_filter", "param": "prompt", "type": None}, UpstreamRefusedContent),
        (400, {"code": "content_policy_violation"}, UpstreamRefusedContent),
        (401, {"code": "invalid_api_key"}, UpstreamUnauthorized),
        (401, {}, UpstreamUnauthorized),
        (402, {"code": 402}, UpstreamQuotaExhausted),
        (403, {"code": "unsupported_country_region_territory"}, UpstreamUnauthorized),
        (404, {"code": "model_not_found"}, UpstreamModelNotFound),
        (404, {"code": "DeploymentNotFound"}, UpstreamModelNotFound),
        (404, {}, UpstreamModelNotFound),
        (408, {}, UpstreamTimedOut),
        (409, {}, UpstreamFailed),
        (413, {"code": "rate_limit_exceeded", "type": "tokens"}, UpstreamRateLimited),
        (413, {}, UpstreamTooLarge),
        (422, {}, UpstreamRejected),
        (429, {"type": "rate_limit_error", "code": "rate_limit_exceeded"}, UpstreamRateLimited),
        (429, {"type": "requests"}, UpstreamRateLimited),
        (429, {"code": "slow_down"}, UpstreamRateLimited),
        (429, {"type": "insufficient_quota", "code": None}, UpstreamQuotaExhausted),
        (429, {"type": "insufficient_quota", "code": "a_limit_of_next_year"}, UpstreamQuotaExhausted),
        (429, {"code": "insufficient_quota"}, UpstreamQuotaExhausted),
        (429, {"code": "credit_balance_exhausted"}, UpstreamQuotaExhausted),
        (429, {"code": "organization_spend_limit_exceeded"}, UpstreamQuotaExhausted),
        (429, {"code": "project_spend_limit_exceeded"}, UpstreamQuotaExhausted),
        (429, {"code": "organization_usage_limit_exceeded"}, UpstreamQuotaExhausted),
        (500, {"type": "server_error"}, UpstreamFailed),
        (500, {"type": "server_error", "message": "context length of the engine"}, UpstreamFailed),
        (502, {}, UpstreamFailed),
        (503, {"code": "slow_down"}, UpstreamOverloaded),
        (503, {"code": "server_is_overloaded"}, UpstreamOverloaded),
        (504, {}, UpstreamTimedOut),
        (524, {}, UpstreamTimedOut),
        (529, {}, UpstreamOverloaded),
        (307, {}, UpstreamProtocolError),
        # with status 200, from a router or inside a stream
        (200, {"code": 402}, UpstreamQuotaExhausted),
        (200, {"code": "429"}, UpstreamRateLimited),
        (200, {"code": 502}, UpstreamFailed),
        (200, {"status_code": 503}, UpstreamOverloaded),
        (200, {"code": 400}, UpstreamRejected),
        (200, {"code": "server_error"}, UpstreamFailed),
        (200, {"code": 3001, "type": "invalid_request_error"}, UpstreamRejected),
        (200, {"type": "invalid_request_error"}, UpstreamRejected),
        (200, {"type": "rate_limit_error"}, UpstreamRateLimited),
        (200, {"code": True}, UpstreamFailed),
    ],
)
def test_the_code_decides_before_the_status(status: int, members: dict[str, Any], kind: type[UpstreamError]) -> None:
    raised = error(status, **members)
    assert type(raised) is kind
    assert raised.upstream_status == status


def test_the_vendors_own_words_are_kept_for_logs() -> None:
    raised = error(400, type="invalid_request_error", code="unsupported_value", param="messages[0].role")
    assert raised.message == "told"
    assert raised.param == "messages[0].role"
    assert (raised.upstream_status, raised.upstream_code) == (400, "unsupported_value")
    assert error(400, type="invalid_request_error").upstream_code == "invalid_request_error"


@pytest.mark.parametrize("status", [401, 402, 403, 429, 500, 503, 504])
def test_what_speaks_of_our_account_is_not_passed_on(status: int) -> None:
    raised = error(status, message="key sk-abc of organization org-1", param="sk-abc")
    assert "sk-abc" not in raised.message
    assert raised.param is None


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b"<html>nginx</html>", UpstreamRejected),
        (404, b"<html>nginx</html>", UpstreamProtocolError),
        (404, b"", UpstreamProtocolError),
        (405, b"", UpstreamProtocolError),
        (502, b"<html>bad gateway</html>", UpstreamFailed),
        (500, b"\xff\xfe", UpstreamFailed),
        (500, b"[" * 100_000, UpstreamFailed),
        (429, b"3", UpstreamRateLimited),
        (429, b"{}", UpstreamRateLimited),
        (500, b"[]", UpstreamFailed),
    ],
)
def test_bodies_that_are_no_error_object(status: int, body: bytes, kind: type[UpstreamError]) -> None:
    raised = upstream_error(status, (), body)
    assert type(raised) is kind
    assert "html" not in raised.message
    assert raised.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": "plain words"}, "plain words"),
        ({"code": "bad", "error": "xAI's form"}, "xAI's form"),
        ([{"error": {"message": "in a list", "code": 400}}], "in a list"),
        ({"object": "error", "message": "vLLM's form", "code": 400}, "vLLM's form"),
        ({"statusCode": 400, "message": "a front door's form"}, "a front door's form"),
        ({"detail": "FastAPI's form"}, "FastAPI's form"),
        (
            {"detail": [{"loc": ["body", "messages", 0, "name"], "msg": "Extra inputs", "input": "secret"}, {"x": 1}]},
            "messages.0.name: Extra inputs",
        ),
        (
            {
                "object": "error",
                "message": {"detail": [{"loc": ["body", "a"], "msg": "m"}, {"msg": "n"}]},
                "code": None,
            },
            "a: m; n",
        ),
        ({"error": {"message": 3, "code": "c"}}, "the provider refused the request"),
    ],
)
def test_every_shape_of_an_error_is_read(body: Any, message: str) -> None:
    assert upstream_error(422, (), json.dumps(body).encode()).message == message


def test_long_messages_are_cut() -> None:
    assert len(error(400, message="x" * 5000).message) == 1000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((), None),
        ((("retry-after-ms", "1500"), ("retry-after", "9")), 1.5),
        ((("retry-after", "9"),), 9.0),
        ((("retry-after", "0.5"),), 0.5),
        ((("retry-after", "soon"),), None),
        ((("retry-after", "inf"),), None),
        ((("retry-after", "-3"),), None),
        ((("date", "Tue, 24 Nov 2026 10:00:00 GMT"), ("retry-after", "Tue, 24 Nov 2026 10:00:30 GMT")), 30.0),
        ((("date", "Tue, 24 Nov 2026 10:00:30 GMT"), ("retry-after", "Tue, 24 Nov 2026 10:00:00 GMT")), 0.0),
        ((("retry-after", "Tue, 24 Nov 1998 10:00:00 GMT"),), 0.0),
        ((("retry-after", "Tue, 24 Nov 1998 10:00:00 -0000"),), 0.0),
    ],
)
def test_when_to_come_back(headers: Headers, seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds
    assert error(429, headers).retry_after_s == seconds


def test_our_own_errors_in_openais_shape() -> None:
    told = json.loads(encode_error(InvalidRequest("no", param="n"), "req-1"))
    assert told == {
        "error": {
            "message": "no",
            "type": "invalid_request_error",
            "code": "invalid_request",
            "param": "n",
            "request_id": "req-1",
        }
    }
    upstream = json.loads(encode_error(error(400, code="unsupported_value"), "req-1"))["error"]
    assert upstream["code"] == "upstream_rejected"
    assert upstream["upstream_code"] == "unsupported_value"
    assert "upstream_code" not in json.loads(encode_error(UpstreamFailed("no"), "r"))["error"]
