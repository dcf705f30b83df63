"""How Anthropic's API is called."""

from __future__ import annotations

import pytest

from pulse_gateway.errors import UpstreamOverloaded
from pulse_gateway.providers.anthropic import ANTHROPIC
from pulse_gateway.providers.provider import Provider, UpstreamCall
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.http import Headers, HttpRequest

PROVIDER: Provider = ANTHROPIC


def deployment(
    base_url: str = "https://api.anthropic.com", key: str | None = "sk-1", headers: Headers = ()
) -> Deployment:
    model = Model(provider="anthropic", name="claude-opus-5")
    return Deployment(provider="anthropic", kind="anthropic", model=model, base_url=base_url, key=key, headers=headers)


def built(
    body: bytes = b"{}", at: Deployment | None = None, client: Headers = (), trace: Headers = (), stream: bool = False
) -> HttpRequest:
    return PROVIDER.build(
        UpstreamCall(
            deployment=at or deployment(), body=body, stream=stream, client_headers=client, trace_headers=trace
        )
    )


def test_a_call() -> None:
    request = built(b'{"model":"m"}', trace=(("traceparent", "00-1"),))
    assert (request.method, request.url, request.body) == (
        "POST",
        "https://api.anthropic.com/v1/messages",
        b'{"model":"m"}',
    )
    assert dict(request.headers) == {
        "content-type": "application/json",
        "accept": "application/json",
        "x-api-key": "sk-1",
        "anthropic-version": "2026-10-21",
        "traceparent": "00-1",
    }


def test_a_stream_asks_for_events() -> None:
    assert ("accept", "text/event-stream") in built(stream=True).headers


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://proxy.test/anthropic/", "https://proxy.test/anthropic/v1/messages"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/messages"),
        ("", "https://api.anthropic.com/v1/messages"),
    ],
)
def test_the_path_follows_the_base_url(base_url: str, url: str) -> None:
    assert built(at=deployment(base_url)).url == url


@pytest.mark.parametrize(
    ("body", "version"),
    [
        (b'{"messages":[{"role":"user","content":"temperature"}]}', "2026-10-21"),
        (b'{"temperature":1}', "2023-06-01"),
        (b'{"top_p":0.5}', "2023-06-01"),
        (b'{"top_k":null}', "2023-06-01"),
    ],
)
def test_the_version_is_the_newest_that_takes_the_body(body: bytes, version: str) -> None:
    assert dict(built(body).headers)["anthropic-version"] == version


def test_a_client_of_the_dialect_has_chosen_its_version() -> None:
    client = (("anthropic-version", "2023-06-01"), ("anthropic-beta", "a,b"), ("anthropic-workspace-id", "w"))
    headers = dict(built(client=client).headers)
    assert headers.items() >= dict(client).items()


def test_no_other_header_of_a_client_is_handed_on() -> None:
    client = (("authorization", "Bearer theirs"), ("x-api-key", "theirs"), ("cookie", "c"))
    headers = dict(built(client=client).headers)
    assert headers["x-api-key"] == "sk-1"
    assert not {"authorization", "cookie"} & headers.keys()


def test_betas_of_the_client_and_of_the_deployment_are_both_asked_for() -> None:
    at = deployment(headers=(("anthropic-beta", "ours"), ("x-team", "t")))
    headers = dict(built(at=at, client=(("anthropic-beta", "theirs"), ("anthropic-beta", "more"))).headers)
    assert headers["anthropic-beta"] == "ours,theirs,more"
    assert headers["x-team"] == "t"


def test_a_deployment_may_name_its_own_version() -> None:
    at = deployment(headers=(("anthropic-version", "2023-06-01"),))
    assert dict(built(at=at).headers)["anthropic-version"] == "2023-06-01"


def test_without_a_key_none_is_sent() -> None:
    assert "x-api-key" not in dict(built(at=deployment(key=None)).headers)


def test_it_lacks_nothing_that_its_dialect_has() -> None:
    PROVIDER.check(ChatRequest(model="m", messages=()), deployment())


def test_errors_are_read_as_the_vendors() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}'
    assert type(PROVIDER.error(529, (), body)) is UpstreamOverloaded
