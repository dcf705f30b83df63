"""How Google's API is called."""

from __future__ import annotations

from typing import Any

import pytest

from pulse_gateway.errors import UpstreamOverloaded
from pulse_gateway.providers.google import GOOGLE
from pulse_gateway.providers.provider import Provider, UpstreamCall
from pulse_gateway.providers.registry import provider
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.types.chat import ChatRequest
from pulse_gateway.types.http import HttpRequest, header


def deployment(name: str = "gemini-3.8-flash", base_url: str = GOOGLE.base_url, **more: Any) -> Deployment:
    return Deployment(
        provider="google", kind="google", model=Model(provider="google", name=name), base_url=base_url, **more
    )


def build(target: Deployment, *, stream: bool = False, **call: Any) -> HttpRequest:
    return GOOGLE.build(UpstreamCall(deployment=target, body=b"{}", stream=stream, **call))


def test_it_is_the_provider_of_its_kind_and_speaks_its_dialect() -> None:
    found: Provider = provider("google")

    assert found is GOOGLE
    assert (found.kind, found.dialect) == ("google", "gemini")


@pytest.mark.parametrize(
    ("base_url", "stream", "url"),
    [
        ("", False, "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.8-flash:generateContent"),
        (
            GOOGLE.base_url,
            True,
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse",
        ),
        ("http://host/google/", False, "http://host/google/v1beta/models/gemini-3.8-flash:generateContent"),
        ("http://host/v1", False, "http://host/v1/models/gemini-3.8-flash:generateContent"),
        ("http://host/v1beta/", False, "http://host/v1beta/models/gemini-3.8-flash:generateContent"),
    ],
)
def test_model_and_streaming_are_in_the_path(base_url: str, stream: bool, url: str) -> None:
    request = build(deployment(base_url=base_url), stream=stream)

    assert (request.method, request.url, request.body) == ("POST", url, b"{}")


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("models/gemini-a", "models/gemini-a"),
        ("tunedModels/mine-1", "tunedModels/mine-1"),
        ("org/mine", "models/org%2Fmine"),
        ("a b?c#d:e%/../é", "models/a%20b%3Fc%23d%3Ae%25%2F..%2F%C3%A9"),
    ],
)
def test_a_model_s_name_never_leaves_its_place_in_the_path(name: str, resource: str) -> None:
    assert build(deployment(name, "http://h")).url == f"http://h/v1beta/{resource}:generateContent"


def test_the_key_travels_in_a_header_and_nowhere_else() -> None:
    request = build(deployment(key="secret"))

    assert header(request.headers, "x-goog-api-key") == "secret"
    assert "secret" not in request.url
    assert header(build(deployment()).headers, "x-goog-api-key") is None


def test_configured_headers_are_the_last_word() -> None:
    request = build(
        deployment(key="secret", headers=(("x-goog-user-project", "p"), ("x-goog-api-client", "pulse"))),
        client_headers=(("x-goog-api-client", "sdk"), ("x-server-timeout", "30")),
        trace_headers=(("traceparent", "00-a-b-01"),),
    )

    assert dict(request.headers) == {
        "content-type": "application/json",
        "x-goog-api-key": "secret",
        "x-goog-api-client": "pulse",
        "x-server-timeout": "30",
        "x-goog-user-project": "p",
        "traceparent": "00-a-b-01",
    }
    assert len(request.headers) == 6


def test_keys_and_projects_of_a_client_are_never_handed_on() -> None:
    assert GOOGLE.passed_headers.isdisjoint({"authorization", "x-goog-api-key", "x-goog-user-project", "cookie"})


@pytest.mark.parametrize("key", ["secret", None])
def test_a_probe_lists_models_with_the_configured_key_and_headers(key: str | None) -> None:
    request = GOOGLE.probe("http://h/v1/", key, (("x-extra", "1"),))

    assert (request.method, request.url, request.body) == ("GET", "http://h/v1/models?pageSize=1", b"")
    assert dict(request.headers) == ({"x-extra": "1"} | ({"x-goog-api-key": key} if key else {}))
    assert GOOGLE.probe("", key, ()).url.startswith(GOOGLE.base_url + "/v1beta/models")


def test_it_has_what_its_dialect_has() -> None:
    GOOGLE.check(ChatRequest(model="m", messages=()), deployment())


def test_its_errors_are_its_dialect_s() -> None:
    assert isinstance(GOOGLE.error(503, (), b""), UpstreamOverloaded)
