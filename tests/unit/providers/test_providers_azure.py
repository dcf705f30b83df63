"""How Azure OpenAI is called, and what its errors mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulse_gateway.errors import (
    UpstreamError,
    UpstreamFailed,
    UpstreamModelNotFound,
    UpstreamRateLimited,
    UpstreamRefusedContent,
    UpstreamUnauthorized,
)
from pulse_gateway.providers.azure import AZURE
from pulse_gateway.providers.offer import OfferCall
from pulse_gateway.providers.provider import UpstreamCall
from pulse_gateway.providers.registry import provider
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.events import Ended, Finished, Started, TextDelta
from pulse_gateway.types.http import HttpRequest, Payload, header
from pulse_gateway.wire.registry import codec
from pulse_gateway.wire.sse import SSEDecoder

R = "https://r.openai.azure.com"
DATED = "?api-version=2024-10-21"


def deployment(base_url: str, **more: Any) -> Deployment:
    return Deployment(
        provider="azure", kind="azure", model=Model(provider="azure", name="my gpt"), base_url=base_url, **more
    )


def chat(base_url: str, dialect: str = "openai.chat", **more: Any) -> HttpRequest:
    return AZURE.build(UpstreamCall(deployment=deployment(base_url, **more), body=b"{}", stream=False, dialect=dialect))


@pytest.mark.parametrize(
    ("base_url", "chats", "responds"),
    [
        (R, f"{R}/openai/v1/chat/completions", f"{R}/openai/v1/responses"),
        (f"{R}/openai/v1/", f"{R}/openai/v1/chat/completions", f"{R}/openai/v1/responses"),
        (f"{R}/openai/v1?api-version=preview", f"{R}/openai/v1/chat/completions?api-version=preview", f"{R}/openai/v1/responses?api-version=preview"),
        (f"{R}/{DATED}", f"{R}/openai/deployments/my%20gpt/chat/completions{DATED}", f"{R}/openai/responses{DATED}"),
        (f"{R}/openai{DATED}", f"{R}/openai/deployments/my%20gpt/chat/completions{DATED}", f"{R}/openai/responses{DATED}"),
        (f"{R}/openai/deployments/d{DATED}", f"{R}/openai/deployments/d/chat/completions{DATED}", f"{R}/openai/responses{DATED}"),
        ("https://proxy.example/azure", "https://proxy.example/azure/openai/v1/chat/completions", "https://proxy.example/azure/openai/v1/responses"),
    ],
)  # fmt: skip
def test_where_chat_and_responses_are_spoken(base_url: str, chats: str, responds: str) -> None:
    assert chat(base_url).url == chats
    assert chat(base_url, "openai.responses").url == responds


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("embeddings", "/embeddings"),
        ("images", "/images/generations"),
        ("image_edits", "/images/edits"),
        ("speech", "/audio/speech"),
        ("transcription", "/audio/transcriptions"),
        ("translation", "/audio/translations"),
    ],
)
def test_operations_stand_below_the_deployment_before_v1(operation: str, path: str) -> None:
    for base_url, wanted in ((R, f"{R}/openai/v1{path}"), (R + DATED, f"{R}/openai/deployments/my%20gpt{path}{DATED}")):
        target = deployment(base_url, key="k")
        offer = AZURE.offer(operation, target)
        assert offer is not None
        request = offer.forward(Payload(b"{}"), OfferCall(deployment=target))
        assert request.url == wanted
        assert header(request.headers, "api-key") == "k"
    assert AZURE.offer("moderation", deployment(R)) is None


def test_a_key_is_a_header_of_its_own_and_a_token_of_entras_a_bearer() -> None:
    assert header(chat(R, key="0123abcd").headers, "api-key") == "0123abcd"
    assert header(chat(R, key="0123abcd").headers, "authorization") is None
    token = "eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJ4In0.c2lnbmF0dXJl"
    assert header(chat(R, key=token).headers, "authorization") == f"Bearer {token}"
    assert header(chat(R, key=token).headers, "api-key") is None
    assert header(AZURE.probe(R + DATED, "k", ()).headers, "api-key") == "k"
    assert AZURE.probe(R + DATED, "k", ()).url == f"{R}/openai/models{DATED}"
    assert AZURE.probe(R, None, ()).url == f"{R}/openai/v1/models"


FILTERED = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"violence": {"filtered": True}}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"code": "content_filter", "message": "m", "param": "prompt", "type": None, "innererror": FILTERED}}, UpstreamRefusedContent),
        (400, {"error": {"code": "contentFilter", "message": "m", "inner_error": FILTERED}}, UpstreamRefusedContent),
        (400, {"error": {"code": None, "message": "m", "innererror": FILTERED}}, UpstreamRefusedContent),
        (401, {"statusCode": 401, "message": "Unauthorized. Access token is missing, invalid"}, UpstreamUnauthorized),
        (401, {"error": {"code": "401", "message": "Access denied due to invalid subscription key"}}, UpstreamUnauthorized),
        (404, {"error": {"code": "DeploymentNotFound", "message": "m"}}, UpstreamModelNotFound),
        (404, {"error": {"code": "404", "message": "Resource not found"}}, UpstreamModelNotFound),
        (429, {"error": {"code": "429", "message": "Requests have exceeded call rate limit"}}, UpstreamRateLimited),
        (429, {"statusCode": 429, "message": "Rate limit is exceeded. Try again in 1 seconds."}, UpstreamRateLimited),
        (424, {"error": {"code": "FailedDependency", "message": "m"}}, UpstreamFailed),
    ],
)  # fmt: skip
def test_what_its_errors_mean(status: int, body: dict[str, Any], kind: type[UpstreamError]) -> None:
    error = AZURE.error(status, (("retry-after-ms", "1500"), ("retry-after", "2")), json.dumps(body).encode())
    assert type(error) is kind
    assert error.retry_after_s == 1.5
    if kind is UpstreamRefusedContent:
        assert (error.status, error.code) == (400, "content_blocked")


def test_a_stream_may_begin_without_choices_id_or_model() -> None:
    chunks = [
        {"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": [{"prompt_index": 0}]},
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "hi"}, "content_filter_results": {}}], "id": "c1", "model": "gpt-x"},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter", "content_filter_offsets": {}}], "id": "c1", "model": "gpt-x"},
    ]  # fmt: skip
    decoder, frames = codec("openai.chat").decoder(), SSEDecoder()
    stream = b"".join(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks) + b"data: [DONE]\n\n"
    events = [event for frame in frames.feed(stream) for event in decoder.decode(frame)]
    assert [type(event) for event in events] == [Started, TextDelta, Finished, Ended]
    assert events[0] == Started("c1", "gpt-x")


def test_it_is_the_provider_of_its_kind() -> None:
    assert provider("azure") is AZURE
    assert AZURE.dialects == {"openai.chat", "openai.responses"}
