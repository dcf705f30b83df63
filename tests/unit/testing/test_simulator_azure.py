"""Azure's face of the simulator."""

from __future__ import annotations

from typing import Any

import pytest
from simulator_calls import Caller

VERSION = "api-version=2024-10-21"
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}


def test_a_deployment_is_the_model_whatever_the_body_says() -> None:
    caller = Caller()
    path = f"/openai/deployments/gpt-4.1/chat/completions?{VERSION}"
    for body in (CHAT, {**CHAT, "model": "gpt-5.2"}):
        assert caller.post(path, body).json["model"] == "gpt-4.1"
    assert (caller.record.provider, caller.record.operation) == ("azure", "chat")
    path = f"/openai/deployments/gpt-5.2/chat/completions?{VERSION}"
    assert caller.post(path, {**CHAT, "max_tokens": 5}).error == (400, "unsupported_parameter", "max_tokens")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/openai/deployments/gpt-4.1/chat/completions", 404),
        ("/openai/deployments/gpt-4.1/chat/completions?api-version=yesterday", 400),
        (f"/openai/deployments/gpt-4.1/moderations?{VERSION}", 404),
        (f"/openai/deployments/gpt-5.2/responses?{VERSION}", 404),
        ("/openai/responses", 404),
        ("/openai/v1/moderations", 404),
        ("/openai/v1/chat/completions", 200),
        ("/openai/v1/chat/completions?api-version=preview", 200),
    ],
)
def test_paths_and_versions(path: str, status: int) -> None:
    assert Caller().post(path, {**CHAT, "model": "gpt-4.1"}).status == status


def test_either_header_lets_in() -> None:
    caller = Caller()
    body = {**CHAT, "model": "gpt-4.1"}
    assert caller.post("/openai/v1/chat/completions", body, authorization="", api_key="k").status == 200
    refused = caller.post("/openai/v1/chat/completions", body, authorization="", api_key="wrong")
    assert (refused.status, refused.json["error"]["code"]) == (401, "401")


def test_what_is_filtered_is_marked() -> None:
    caller = Caller()
    body = {**CHAT, "model": "gpt-4.1+finish=content_filter"}
    choice = caller.post("/openai/v1/chat/completions", body).json["choices"][0]
    assert choice["finish_reason"] == "content_filter"
    assert choice["content_filter_results"]["violence"]["filtered"]
    first, *rest = caller.post("/openai/v1/chat/completions", {**body, "stream": True}).events
    assert (first["id"], first["choices"]) == ("", [])
    assert rest[-1]["choices"][0]["content_filter_results"]["violence"]["filtered"]
    refused = caller.post("/openai/v1/chat/completions", {**CHAT, "model": "gpt-4.1+code=content_filter"}).json["error"]
    assert refused["innererror"]["code"] == "ResponsibleAIPolicyViolation"


def test_an_error_inside_a_stream_has_azures_shape() -> None:
    body = {**CHAT, "model": "gpt-4.1+error=2,status=429", "stream": True}
    events = Caller().post("/openai/v1/chat/completions", body).events
    assert events[-1]["error"] == {"code": "429", "message": events[-1]["error"]["message"]}
