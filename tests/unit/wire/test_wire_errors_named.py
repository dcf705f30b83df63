"""Where a vendor names the member that it refuses, the error does, in the spelling of whoever asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulse_gateway.pipeline.refusal import respelled
from pulse_gateway.providers.compatible import MISTRAL
from pulse_gateway.wire.anthropic_messages.errors import upstream_error as anthropic
from pulse_gateway.wire.gemini.errors import upstream_error as gemini
from pulse_gateway.wire.registry import codec

UNKNOWN = 'Invalid JSON payload received. Unknown name "foo"'


def mistrals(*place: Any) -> str | None:
    detail = [{"type": "extra_forbidden", "loc": place, "msg": "Extra inputs are not permitted"}]
    return MISTRAL.error(422, (), json.dumps({"detail": detail}).encode()).param


@pytest.mark.parametrize(
    ("place", "param"),
    [
        (("body", "store"), "store"),
        (("body", "messages", 1, "user", "content"), "messages[1]"),  # what comes after it may be a variant's name
        (("body", "random_seed"), "seed"),
        (("body",), None),
        (("query", "store"), None),
        ((), None),
    ],
)
def test_a_location_of_fastapis(place: tuple[Any, ...], param: str | None) -> None:
    assert mistrals(*place) == param


@pytest.mark.parametrize(
    ("status", "message", "param"),
    [
        (400, "top_kk: Extra inputs are not permitted", "top_kk"),
        (400, "messages.0.content.1.text: Field required", "messages[0]"),
        (400, "max_tokens: Input should be greater than or equal to 1", "max_tokens"),
        (400, "Your key: it is bad", None),
        (401, "top_kk: Extra inputs are not permitted", None),
    ],
)
def test_a_path_of_anthropics(status: int, message: str, param: str | None) -> None:
    kind = "invalid_request_error" if status == 400 else "authentication_error"
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}}).encode()
    assert anthropic(status, (), body).param == param


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (f"{UNKNOWN} at 'generation_config': Cannot find field.", "generationConfig.foo"),
        (f"{UNKNOWN} at 'contents[0].parts[1]': Cannot find field.", "contents[0].parts[1].foo"),
        (f"{UNKNOWN}: Cannot find field.\n{UNKNOWN} at 'tools[0]': Cannot find field.", "foo"),
        ("something else", None),
    ],
)
def test_a_name_that_google_does_not_know(message: str, param: str | None) -> None:
    body = json.dumps({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": message}}).encode()
    assert gemini(400, (), body).param == param


@pytest.mark.parametrize(
    ("vendor", "client", "param", "body", "told"),
    [
        ("gemini", "gemini", "generationConfig.foo", {"generation_config": {"foo": 1}}, "generation_config.foo"),
        ("openai.chat", "openai.chat", "max_completion_tokens", {"max_tokens": 0}, "max_tokens"),
        ("openai.chat", "openai.chat", "messages", {}, "messages"),
        ("openai.chat", "anthropic.messages", "max_completion_tokens", {"max_tokens": 0}, "max_tokens"),
        ("openai.chat", "openai.responses", "messages[2].content", {"input": "a"}, "input"),
        ("openai.chat", "anthropic.messages", "something", {"max_tokens": 1}, None),
    ],
)
def test_a_path_is_the_clients_own(
    vendor: str, client: str, param: str, body: dict[str, Any], told: str | None
) -> None:
    paths, theirs = codec(vendor).field_paths, codec(client).field_paths
    assert respelled(param, paths, theirs, json.dumps(body).encode(), verbatim=vendor == client) == told
