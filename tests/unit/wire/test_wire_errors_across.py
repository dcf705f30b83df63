"""An error of any vendor reads the same in every client's dialect: status, code, what it was about, and whether to come again."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from pulse_gateway.errors import (
    Advice,
    ContextTooLong,
    UpstreamError,
    UpstreamFailed,
    UpstreamModelNotFound,
    UpstreamOverloaded,
    UpstreamProtocolError,
    UpstreamQuotaExhausted,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimedOut,
    UpstreamTooLarge,
    UpstreamUnauthorized,
)
from pulse_gateway.types.http import Headers
from pulse_gateway.wire.anthropic_messages.errors import upstream_error as of_anthropic
from pulse_gateway.wire.bedrock_converse.errors import upstream_error as of_bedrock
from pulse_gateway.wire.gemini.errors import upstream_error as of_gemini
from pulse_gateway.wire.openai_chat.errors import upstream_error as of_openai
from pulse_gateway.wire.registry import DIALECTS, codec

Answer = tuple[int, Headers, Any]
READERS: dict[str, Callable[[int, Headers, bytes], UpstreamError]] = {
    "openai": of_openai,
    "anthropic": of_anthropic,
    "gemini": of_gemini,
    "bedrock": of_bedrock,
}


def openai(code: str | None, kind: str = "invalid_request_error", message: str = "m") -> Any:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def anthropic(kind: str, message: str = "m", **details: str) -> Any:
    return {"type": "error", "error": {"type": kind, "message": message, "details": details or None}}


def gemini(name: str, code: int, message: str = "m", *details: Any) -> Any:
    return {"error": {"code": code, "message": message, "status": name, "details": list(details)}}


def bedrock(name: str, message: str = "m") -> Any:
    return {"__type": name, "message": message}


WAIT = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
AFTER: Headers = (("retry-after", "7"),)
LONG = "prompt is too long: 9 tokens > 8 maximum"
# What it means, how each vendor says it, and whether to wait.
ERRORS: dict[type[UpstreamError], tuple[dict[str, Answer], float | None]] = {
    UpstreamRejected: ({"openai": (400, (), openai("invalid_value")), "anthropic": (400, (), anthropic("invalid_request_error")), "gemini": (400, (), gemini("INVALID_ARGUMENT", 400)), "bedrock": (400, (), bedrock("ValidationException"))}, None),
    ContextTooLong: ({"openai": (400, (), openai("context_length_exceeded")), "anthropic": (400, (), anthropic("invalid_request_error", LONG)), "gemini": (400, (), gemini("INVALID_ARGUMENT", 400, "The input token count (9) exceeds the maximum number of tokens allowed (8).")), "bedrock": (400, (), bedrock("ValidationException", "Input is too long for requested model."))}, None),
    UpstreamUnauthorized: ({"openai": (401, (), openai("invalid_api_key")), "anthropic": (401, (), anthropic("authentication_error")), "gemini": (401, (), gemini("UNAUTHENTICATED", 401)), "bedrock": (403, (), bedrock("UnrecognizedClientException"))}, None),
    UpstreamQuotaExhausted: ({"openai": (429, AFTER, openai("insufficient_quota", "insufficient_quota")), "anthropic": (402, (), anthropic("billing_error")), "gemini": (402, (), gemini("RESOURCE_EXHAUSTED", 402)), "bedrock": (400, (), bedrock("ServiceQuotaExceededException"))}, None),
    UpstreamModelNotFound: ({"openai": (404, (), openai("model_not_found")), "anthropic": (404, (), anthropic("not_found_error", "model: x")), "gemini": (404, (), gemini("NOT_FOUND", 404)), "bedrock": (404, (), bedrock("ResourceNotFoundException"))}, None),
    UpstreamTooLarge: ({"openai": (413, (), openai(None)), "anthropic": (413, (), anthropic("request_too_large")), "gemini": (413, (), gemini("", 413)), "bedrock": (413, (), bedrock("RequestEntityTooLargeException"))}, None),
    UpstreamRateLimited: ({"openai": (429, AFTER, openai("rate_limit_exceeded", "requests")), "anthropic": (429, AFTER, anthropic("rate_limit_error")), "gemini": (429, (), gemini("RESOURCE_EXHAUSTED", 429, "m", WAIT)), "bedrock": (429, AFTER, bedrock("ThrottlingException"))}, 7.0),
    UpstreamFailed: ({"openai": (500, (), openai(None, "server_error")), "anthropic": (500, (), anthropic("api_error")), "gemini": (500, (), gemini("INTERNAL", 500)), "bedrock": (500, (), bedrock("InternalServerException"))}, None),
    UpstreamOverloaded: ({"openai": (503, AFTER, openai("server_is_overloaded")), "anthropic": (529, AFTER, anthropic("overloaded_error")), "gemini": (503, AFTER, gemini("UNAVAILABLE", 503)), "bedrock": (503, AFTER, bedrock("ServiceUnavailableException"))}, 7.0),
    UpstreamTimedOut: ({"openai": (504, (), openai(None, "server_error")), "anthropic": (504, (), anthropic("timeout_error")), "gemini": (504, (), gemini("DEADLINE_EXCEEDED", 504)), "bedrock": (408, (), bedrock("ModelTimeoutException"))}, None),
    UpstreamProtocolError: (dict.fromkeys(READERS, (404, (), "<html><body>nginx</body></html>")), None),
}  # fmt: skip
# How each client's SDK tells what kind of error it is.
WORDS: dict[str, dict[int, str]] = {
    "openai.chat": {400: "invalid_request_error", 404: "invalid_request_error", 413: "invalid_request_error", 429: "rate_limit_error", 502: "upstream_error", 504: "upstream_error"},
    "anthropic.messages": {400: "invalid_request_error", 404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error", 502: "api_error", 504: "timeout_error"},
    "gemini": {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 413: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"},
}  # fmt: skip
WORDS["openai.responses"] = WORDS["openai.chat"]


def read(client: str, error: UpstreamError) -> tuple[str, str, Any]:
    """The kind, the code and the vendor's own code, as a client finds them."""
    body = json.loads(codec(client).encode_error(error, "req_1"))["error"]
    match client:
        case "anthropic.messages":
            return body["type"], body["details"]["error_code"], body["details"].get("upstream_code")
        case "gemini":
            info = next(detail for detail in body["details"] if detail["@type"].endswith("ErrorInfo"))
            assert body["code"] == error.status
            return body["status"], info["reason"].lower(), None
    return body["type"], body["code"], body.get("upstream_code")


@pytest.mark.parametrize("vendor", READERS)
@pytest.mark.parametrize("meaning", ERRORS, ids=lambda kind: kind.__name__)
def test_every_vendors_error_means_the_same_to_every_client(meaning: type[UpstreamError], vendor: str) -> None:
    told, wait_s = ERRORS[meaning]
    status, headers, body = told[vendor]
    error = READERS[vendor](status, headers, body.encode() if isinstance(body, str) else json.dumps(body).encode())
    assert type(error) is meaning
    if meaning is not UpstreamQuotaExhausted:  # not to be tried again, whatever the vendor says of waiting
        assert error.retry_after_s == wait_s
    assert error.advice is meaning.advice
    for client in DIALECTS:
        kind, code, upstream_code = read(client, error)
        assert code == meaning.code
        assert kind == WORDS[client].get(error.status, kind)
        assert upstream_code in (None, error.upstream_code)


def test_what_a_gateway_does_about_them() -> None:
    """Again at the same place, at the next one, or not at all."""
    assert {meaning for meaning in ERRORS if meaning.advice is Advice.STOP} == {UpstreamRejected, ContextTooLong, UpstreamTooLarge}  # fmt: skip
    assert not {UpstreamUnauthorized, UpstreamQuotaExhausted, UpstreamModelNotFound, UpstreamProtocolError} & {meaning for meaning in ERRORS if meaning.advice is not Advice.NEXT}  # fmt: skip
