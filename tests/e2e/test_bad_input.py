"""Bad input gets a clear answer, in the dialect of the route."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/gemini-3.8-flash:generateContent",
}
MODEL = {"openai": "gpt-5.2", "anthropic": "claude-opus-5"}


def good(dialect: str, model: str | None = None) -> dict[str, Any]:
    """A request that would be answered."""
    if dialect == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    body: dict[str, Any] = {"model": model or MODEL[dialect], "messages": [{"role": "user", "content": "hi"}]}
    return {**body, "max_tokens": 50} if dialect == "anthropic" else body


def path(dialect: str, model: str) -> str:
    return f"/v1beta/models/{model}:generateContent" if dialect == "gemini" else PATHS[dialect]


def error_of(dialect: str, response: httpx.Response) -> dict[str, Any]:
    """Message and code, from wherever the dialect has them; checks the shape on the way."""
    body = response.json()
    if dialect == "openai":
        assert set(body["error"]) >= {"message", "type", "code", "param", "request_id"}
        return dict(body["error"])
    if dialect == "anthropic":
        assert body["type"] == "error"
        return {"message": body["error"]["message"], "type": body["error"]["type"]}
    assert body["error"]["code"] == response.status_code
    return {"message": body["error"]["message"], "type": body["error"]["status"]}


@pytest.mark.parametrize("dialect", list(PATHS))
class TestEveryDialect:
    async def test_malformed_json(self, http: httpx.AsyncClient, dialect: str) -> None:
        response = await http.post(
            PATHS[dialect], content=b'{"model": "gpt-5.2", "messages": [', headers={"content-type": "application/json"}
        )
        assert response.status_code == 400
        assert "JSON" in error_of(dialect, response)["message"]

    @pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"text"', b"\xff\xfe"])
    async def test_what_is_no_object(self, http: httpx.AsyncClient, dialect: str, body: bytes) -> None:
        response = await http.post(PATHS[dialect], content=body)
        assert response.status_code == 400
        assert error_of(dialect, response)["message"]

    async def test_no_messages(self, http: httpx.AsyncClient, dialect: str) -> None:
        name = "contents" if dialect == "gemini" else "messages"
        for body in ({**good(dialect), name: []}, {key: value for key, value in good(dialect).items() if key != name}):
            response = await http.post(PATHS[dialect], json=body)
            assert response.status_code == 400
            assert name in error_of(dialect, response)["message"] + str(response.json())

    async def test_an_unknown_role(self, http: httpx.AsyncClient, dialect: str) -> None:
        body = good(dialect)
        name = "contents" if dialect == "gemini" else "messages"
        body[name][0]["role"] = "wizard"
        response = await http.post(PATHS[dialect], json=body)
        assert response.status_code == 400
        said = error_of(dialect, response)["message"]
        assert "wizard" in said or "user" in said  # what was wrong, or what it may be
        assert f"{name}[0].role" in response.text

    async def test_a_wrong_type_is_named_by_its_path(self, http: httpx.AsyncClient, dialect: str) -> None:
        body = good(dialect)
        if dialect == "gemini":
            body["generationConfig"] = {"maxOutputTokens": "many"}
            place = "generationConfig.maxOutputTokens"
        else:
            body["max_tokens"] = "many"
            place = "max_tokens"
        response = await http.post(PATHS[dialect], json=body)
        assert response.status_code == 400
        assert place in response.text

    async def test_no_key_and_a_wrong_key(self, http: httpx.AsyncClient, pulse: Any, dialect: str) -> None:
        async with httpx.AsyncClient(base_url=pulse.url, trust_env=False) as anonymous:
            for headers in ({}, {"authorization": "Bearer wrong"}, {"x-api-key": "wrong"}, {"x-goog-api-key": "wrong"}):
                response = await anonymous.post(PATHS[dialect], json=good(dialect), headers=headers)
                assert response.status_code == 401
                assert "key" in error_of(dialect, response)["message"].lower()

    async def test_a_body_that_is_too_large(self, http: httpx.AsyncClient, dialect: str) -> None:
        response = await http.post(PATHS[dialect], content=b'{"x": "' + b"a" * 20_000_001 + b'"}')
        assert response.status_code == 413
        assert "20000000" in error_of(dialect, response)["message"]

    async def test_an_unknown_model_names_close_ones(self, http: httpx.AsyncClient, dialect: str) -> None:
        response = await http.post(path(dialect, "cluade-opus-5"), json=good(dialect, "cluade-opus-5"))
        assert response.status_code == 404
        assert "claude-opus-5" in error_of(dialect, response)["message"]

    async def test_a_provider_without_a_key_is_named_with_its_variable(
        self, http: httpx.AsyncClient, dialect: str
    ) -> None:
        response = await http.post(path(dialect, "groq:qwen"), json=good(dialect, "groq:qwen"))
        assert response.status_code == 404
        assert "GROQ_API_KEY" in error_of(dialect, response)["message"]

    async def test_another_method(self, http: httpx.AsyncClient, dialect: str) -> None:
        if dialect != "gemini":
            response = await http.get(PATHS[dialect])
            assert response.status_code == 405
            assert error_of(dialect, response)["message"]

    async def test_every_refusal_carries_the_request_id(self, http: httpx.AsyncClient, dialect: str) -> None:
        response = await http.post(PATHS[dialect], content=b"{", headers={"x-request-id": "my-id-1"})
        assert response.headers["x-request-id"] == "my-id-1"
        assert "my-id-1" in response.text


class TestWhatATargetLacks:
    """A 400 that names the field as the client spelled it."""

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            ({"n": 2}, "n"),
            ({"logprobs": True, "top_logprobs": 2}, "logprobs"),
            ({"seed": 7}, "seed"),
            ({"logit_bias": {"50256": -100}}, "logit_bias"),
            ({"frequency_penalty": 0.5}, "frequency_penalty"),
            ({"modalities": ["text", "audio"], "audio": {"format": "wav", "voice": "alloy"}}, "audio"),
            ({"response_format": {"type": "json_object"}}, "response_format"),
            ({"store": True}, "store"),
            ({"service_tier": "flex"}, "service_tier"),
            ({"temperature": 0.5}, "temperature"),
            ({"verbosity": "low"}, "verbosity"),
            ({"a_field_of_tomorrow": 1}, "a_field_of_tomorrow"),
        ],
    )
    async def test_openai_to_anthropic(self, http: httpx.AsyncClient, fields: dict[str, Any], param: str) -> None:
        response = await http.post(PATHS["openai"], json={**good("openai", "claude-opus-5"), **fields})
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "unsupported_parameter"
        assert response.json()["error"]["param"] in {param, "modalities"}

    @pytest.mark.parametrize(
        ("fields", "param"),
        [
            (
                {"parallel_tool_calls": False, "tools": [{"type": "function", "function": {"name": "f"}}]},
                "parallel_tool_calls",
            ),
            ({"logit_bias": {"1": 1}}, "logit_bias"),
        ],
    )
    async def test_openai_to_gemini(self, http: httpx.AsyncClient, fields: dict[str, Any], param: str) -> None:
        response = await http.post(PATHS["openai"], json={**good("openai", "gemini-3.8-flash"), **fields})
        assert response.status_code == 400
        assert response.json()["error"]["param"] == param

    async def test_anthropic_to_openai(self, http: httpx.AsyncClient) -> None:
        response = await http.post(PATHS["anthropic"], json={**good("anthropic", "gpt-5.2"), "top_k": 5})
        assert response.status_code == 400
        assert "top_k" in response.json()["error"]["message"] + response.text

    async def test_gemini_to_anthropic(self, http: httpx.AsyncClient) -> None:
        body = {**good("gemini"), "generationConfig": {"candidateCount": 2}}
        response = await http.post("/v1beta/models/claude-opus-5:generateContent", json=body)
        assert response.status_code == 400
        assert "generationConfig.candidateCount" in response.text

    async def test_an_image_address_where_only_bytes_are_taken(self, http: httpx.AsyncClient) -> None:
        part = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
        body = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": [part]}]}
        response = await http.post(PATHS["openai"], json=body)
        assert response.status_code == 400
        assert response.json()["error"]["param"].startswith("messages[0]")

    async def test_a_tool_result_without_its_call(self, http: httpx.AsyncClient) -> None:
        messages = [{"role": "user", "content": "hi"}, {"role": "tool", "tool_call_id": "call_x", "content": "1"}]
        response = await http.post(PATHS["openai"], json={"model": "claude-opus-5", "messages": messages})
        assert response.status_code == 400
        assert response.json()["error"]["param"].startswith("messages[1]")

    async def test_arguments_that_are_no_json(self, http: httpx.AsyncClient) -> None:
        call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{not json"}}
        messages = [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "1"},
        ]
        response = await http.post(PATHS["openai"], json={"model": "claude-opus-5", "messages": messages})
        assert response.status_code == 400
        assert response.json()["error"]["param"].startswith("messages[1]")


async def test_two_system_prompts_are_both_heard(http: httpx.AsyncClient) -> None:
    messages = [
        {"role": "system", "content": "First"},
        {"role": "developer", "content": "Second"},
        {"role": "user", "content": "hi"},
    ]
    for model in ("gpt-5.2", "claude-opus-5", "gemini-3.8-flash"):
        response = await http.post(PATHS["openai"], json={"model": model, "messages": messages})
        assert response.status_code == 200, response.text
        assert "[system:First" in response.json()["choices"][0]["message"]["content"]


async def test_a_system_prompt_in_the_middle_is_refused_where_there_is_no_place_for_it(http: httpx.AsyncClient) -> None:
    messages = [
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "Now be brief"},
        {"role": "user", "content": "go on"},
    ]
    response = await http.post(PATHS["openai"], json={"model": "gemini-3.8-flash", "messages": messages})
    assert response.status_code == 400
    assert response.json()["error"]["param"].startswith("messages[1]")


@pytest.mark.parametrize(
    ("headers", "param"),
    [
        ({"x-pulse-timeout-ms": "soon"}, "x-pulse-timeout-ms"),
        ({"x-pulse-tags": "no-pair"}, "x-pulse-tags"),
        ({"content-encoding": "gzip"}, "content-encoding"),
    ],
)
async def test_bad_headers(http: httpx.AsyncClient, headers: dict[str, str], param: str) -> None:
    response = await http.post(PATHS["openai"], json=good("openai"), headers=headers)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_an_unknown_address_has_the_products_error_shape(http: httpx.AsyncClient) -> None:
    response = await http.get("/v1/nowhere")
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "not_found"


async def test_an_unknown_gemini_method(http: httpx.AsyncClient) -> None:
    response = await http.post("/v1beta/models/gemini-3.8-flash:doSomething", json=good("gemini"))
    assert response.status_code == 404
    assert response.json()["error"]["status"] == "NOT_FOUND"


async def test_an_address_that_is_not_there_answers_in_the_shape_of_its_neighbours(http: httpx.AsyncClient) -> None:
    anthropics = await http.post("/v1/messages/batches", json={})
    assert (anthropics.status_code, anthropics.json()["type"]) == (404, "error")
    googles = await http.get("/v1beta/nowhere")
    assert (googles.status_code, googles.json()["error"]["status"]) == (404, "NOT_FOUND")
    interactions = await http.post("/v1beta/interactions", json={"model": "gemini-omni-1.1-flash", "input": "a"})
    assert (interactions.status_code, interactions.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", "/v1/chat/completions", "POST"), ("DELETE", "/v1/models", "GET"), ("POST", "/health", "GET")],
)
async def test_another_method_is_told_which_one(http: httpx.AsyncClient, method: str, path: str, allowed: str) -> None:
    response = await http.request(method, path)
    assert response.status_code == 405
    assert allowed in response.headers["allow"]
    assert response.json()["error"]["code"] == "method_not_allowed"


async def test_geminis_clients_may_put_the_key_into_the_address(http: httpx.AsyncClient, pulse: Any) -> None:
    async with httpx.AsyncClient(base_url=pulse.url, trust_env=False) as anonymous:
        listed = await anonymous.get(f"/v1beta/models?key={pulse.key}")
        assert listed.status_code == 200
        assert "models" in listed.json()
        asked = await anonymous.post(f"/v1beta/models/echo:generateContent?key={pulse.key}", json=good("gemini"))
        assert asked.status_code == 200
    assert pulse.key not in "".join(line for line in pulse.process.output.splitlines() if line.startswith("{"))


@pytest.mark.parametrize("path", ["/schema", "/schema/openapi.json", "/schema/swagger", "/schema/redoc"])
async def test_no_page_is_served_that_nobody_asked_for(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


async def test_the_documents_pages_name_every_route_and_load_nothing_from_elsewhere(http: httpx.AsyncClient) -> None:
    document = (await http.get("/openapi.json")).json()
    assert {"/v1/chat/completions", "/v1/messages", "/v1/models", "/v1/usage/me", "/health", "/ready"} <= set(
        document["paths"]
    )
    page = (await http.get("/docs")).text
    assert "/v1/chat/completions" in page
    assert "<script" not in page
    assert "http://" not in page.replace("http://127.0.0.1", "")


async def test_the_document_names_the_idempotency_key_and_every_refusal(http: httpx.AsyncClient) -> None:
    paths = (await http.get("/openapi.json")).json()["paths"]
    # Whoever calls a webhook proves it by a signature, and calls again when it was not taken.
    posts = [each["post"] for path, each in paths.items() if "post" in each and not path.startswith("/v1/webhooks")]
    assert len(posts) > 20
    for post in posts:
        assert ("Idempotency-Key", "header") in [(each["name"], each["in"]) for each in post["parameters"]]
        assert {"401", "403", "409", "429", "503"} <= set(post["responses"])
    for path in ("/v1/usage/me", "/v1/usage/me/history", "/v1/models"):
        answers = paths[path]["get"]["responses"]
        assert {"200", "401", "403", "429", "503"} <= set(answers)
        assert "409" not in answers
        assert {tuple(answer["headers"]) for answer in answers.values()} == {("x-request-id",)}


@pytest.mark.parametrize(
    "path", ["/v1/usage/me", "/v1/usage/me/history", "/v1/models", "/v1beta/models", "/v1/models/echo"]
)
async def test_whoever_looks_something_up_gets_a_request_id(http: httpx.AsyncClient, path: str) -> None:
    answer = await http.get(path, headers={"x-request-id": "my-id-2"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "my-id-2")
    assert (await http.get(path)).headers["x-request-id"]


@pytest.mark.parametrize("number", ["\u00b2", "9" * 5000, "-1", "0", "1e3"])
async def test_odd_numbers_in_headers_are_refused(http: httpx.AsyncClient, number: str) -> None:
    headers = {"x-pulse-timeout-ms": number.encode("latin-1")}
    response = await http.post(PATHS["openai"], json=good("openai"), headers=headers)
    assert response.status_code == 400


@pytest.mark.parametrize("name", ["x-amzn-trace-id", "tracestate", "openai-organization", "traceparent"])
async def test_bytes_beyond_ascii_in_headers_break_nothing(http: httpx.AsyncClient, name: str) -> None:
    response = await http.post(PATHS["openai"], json=good("openai"), headers={name: b"caf\xe9"})
    assert response.status_code in {200, 400}
