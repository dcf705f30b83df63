"""What Anthropic would refuse, the simulator refuses; what it takes, it takes."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from simulator_wire import Wire

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(8)).decode()
USER: dict[str, Any] = {"role": "user", "content": "hi"}
USE: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
RESULT: dict[str, Any] = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
TEXT: dict[str, Any] = {"type": "text", "text": "hi"}
TOOL: dict[str, Any] = {"name": "f", "input_schema": {"type": "object"}}
MARKED: dict[str, Any] = {**TEXT, "cache_control": {"type": "ephemeral"}}


def said(role: str, *blocks: Any) -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def image(data: str, media_type: str = "image/png") -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("unknown field", {"frobnicate": 1}, "frobnicate: Extra inputs are not permitted"),
    ("unknown block field", {"messages": [said("user", {**TEXT, "x": 1})]}, "messages.0.content.0.x: Extra inputs"),
    ("OpenAI's image", {"messages": [said("user", {"type": "image_url"})]}, "messages.0.content.0: Input tag"),
    ("no max_tokens", {"max_tokens": None}, "max_tokens: "),
    ("negative max_tokens", {"max_tokens": -1}, "max_tokens: "),
    ("too many max_tokens", {"max_tokens": 128_001}, "max_tokens: 128001 > 128000"),
    ("temperature", {"temperature": 1}, "temperature: Extra inputs are not permitted"),
    ("top_p", {"top_p": 1}, "top_p: Extra inputs are not permitted"),
    ("top_k", {"top_k": 1}, "top_k: Extra inputs are not permitted"),
    ("stop", {"stop": ["a"]}, "stop: Extra inputs are not permitted"),
    ("blank stop sequence", {"stop_sequences": [" \n"]}, "stop_sequences.0: "),
    ("no messages", {"messages": []}, "at least one message is required"),
    ("assistant first", {"messages": [said("assistant", TEXT), USER]}, "first message must use"),
    ("tool role", {"messages": [USER, {"role": "tool", "content": "x"}]}, "messages.1.role: "),
    ("empty text", {"messages": [said("user", {"type": "text", "text": ""})]}, "must be non-empty"),
    ("blank text", {"messages": [said("user", {"type": "text", "text": " \n"})]}, "must contain non-whitespace text"),
    ("empty content", {"messages": [{"role": "user", "content": ""}]}, "messages.0: all messages must have non-empty"),
    ("no blocks", {"messages": [said("user")]}, "messages.0: all messages must have non-empty"),
    ("empty system", {"system": [{"type": "text", "text": ""}]}, "system.0: text content blocks must be non-empty"),
    ("prefill", {"messages": [USER, said("assistant", TEXT)]}, "prefill"),
    ("prefill with a blank", {"model": "claude-opus-4-5", "messages": [USER, {"role": "assistant", "content": "a "}]},
     "cannot end with trailing whitespace"),
    ("use without result", {"messages": [USER, said("assistant", USE), USER]}, "without `tool_result` blocks"),
    ("result without use", {"messages": [said("user", RESULT)]}, "unexpected `tool_use_id`"),
    ("result of another", {"messages": [USER, said("assistant", USE), said("user", {**RESULT, "tool_use_id": "t"})]},
     "unexpected `tool_use_id`"),
    ("result late in its turn", {"messages": [USER, said("assistant", USE), said("user", TEXT, RESULT)]},
     "must come before any other content"),
    ("result a turn too late", {"messages": [USER, said("assistant", USE), said("user", RESULT), said("assistant", TEXT),
                                             said("user", RESULT)]}, "unexpected `tool_use_id`"),
    ("two results", {"messages": [USER, said("assistant", USE), said("user", RESULT, RESULT)]}, "single result"),
    ("two uses of one id", {"messages": [USER, said("assistant", USE, USE), said("user", RESULT)]}, "must be unique"),
    ("id pattern", {"messages": [USER, said("assistant", {**USE, "id": "a.b"}), said("user", RESULT)]},
     "messages.1.content.0.id: String should match pattern"),
    ("use by the user", {"messages": [said("user", USE)]}, "may only be in assistant messages"),
    ("image by the assistant", {"messages": [USER, said("assistant", image(PNG)), USER]}, "may only be in user"),
    ("input as text", {"messages": [USER, said("assistant", {**USE, "input": "{}"}), said("user", RESULT)]},
     "messages.1.content.0.input: Input should be a valid dictionary"),
    ("image that is not base64", {"messages": [said("user", image("@@"))]}, "Invalid base64 data"),
    ("image of another type", {"messages": [said("user", image(PNG, "image/jpeg"))]}, "appears to be a image/png"),
    ("image of no type", {"messages": [said("user", image(PNG, "image/svg+xml"))]}, "source.media_type"),
    ("image over http", {"messages": [said("user", {"type": "image", "source": {"type": "url", "url": "http://a/b"}})]},
     "Only HTTPS URLs"),
    ("unsigned thinking", {"messages": [USER, said("assistant", {"type": "thinking", "thinking": "a"}), USER]},
     "signature: Field required"),
    ("foreign thinking", {"messages": [USER, said("assistant", {"type": "thinking", "thinking": "a", "signature": "b"}),
                                       USER]}, "Invalid `signature`"),
    ("five breakpoints", {"messages": [said("user", *[MARKED] * 5)]}, "A maximum of 4 blocks"),
    ("tool without a schema", {"tools": [{"name": "f"}]}, "tools.0.custom.input_schema: Field required"),
    ("tool schema of no object", {"tools": [{"name": "f", "input_schema": {"type": "string"}}]}, "should be 'object'"),
    ("tool name", {"tools": [{**TOOL, "name": "a b"}]}, "tools.0.custom.name: String should match pattern"),
    ("OpenAI's tool", {"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools.0: Input tag 'function'"),
    ("two tools of one name", {"tools": [TOOL, TOOL]}, "Tool names must be unique"),
    ("choice without tools", {"tool_choice": {"type": "auto"}}, "tool_choice: may only be specified"),
    ("choice of another tool", {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "g"}}, "'g' not found"),
    ("forced choice", {"model": "claude-opus-5-5", "tools": [TOOL], "tool_choice": {"type": "any"}},
     "forced tool use is not supported"),
    ("forced choice, sonnet", {"model": "claude-sonnet-5-5", "tools": [TOOL], "tool_choice": {"type": "any"}},
     "forced tool use is not supported"),
    ("thinking off", {"model": "claude-opus-5-5", "thinking": {"type": "disabled"}}, "thinking.type: 'disabled'"),
    ("thinking off, sonnet", {"model": "claude-sonnet-5-5", "thinking": {"type": "disabled"}}, "between_tools"),
    ("thinking budget", {"model": "claude-opus-5-5", "max_tokens": 4000,
                         "thinking": {"type": "enabled", "budget_tokens": 2000}}, "thinking.type: 'enabled'"),
    ("adaptive, old model", {"model": "claude-haiku-4-5", "thinking": {"type": "adaptive"}}, "thinking.type: 'adaptive'"),
    ("small budget", {"thinking": {"type": "enabled", "budget_tokens": 1023}}, "thinking.budget_tokens"),
    ("large budget", {"max_tokens": 1024, "thinking": {"type": "enabled", "budget_tokens": 1024}},
     "must be greater than `thinking.budget_tokens`"),
    ("thinking and force", {"tools": [TOOL], "tool_choice": {"type": "any"}, "thinking": {"type": "adaptive"}},
     "Thinking may not be enabled"),
    ("effort", {"model": "claude-haiku-4-5", "output_config": {"effort": "low"}}, "output_config.effort"),
    ("system first", {"messages": [{"role": "system", "content": "s"}, USER]}, "top-level `system`"),
    ("system, old model", {"model": "claude-opus-4-7", "messages": [USER, {"role": "system", "content": "s"}, USER]},
     "not supported by this model"),
    ("pdf of something else", {"messages": [said("user", {"type": "document", "source": {
        "type": "base64", "media_type": "application/pdf", "data": PNG}})]}, "The PDF specified was not valid"),
    ("document by the assistant", {"messages": [USER, said("assistant", {"type": "document", "source": {
        "type": "url", "url": "https://a/b"}}), USER]}, "document blocks are not permitted in assistant messages"),
    ("an id used again", {"messages": [USER, said("assistant", USE), said("user", RESULT), said("assistant", USE),
                                       said("user", RESULT)]}, "must be unique"),
    ("image in a system message", {"messages": [USER, {"role": "system", "content": [image(PNG)]}, USER]},
     "only text blocks are allowed in system messages"),
    ("citations", {"messages": [said("user", {**TEXT, "citations": [{"type": "char_location"}]})]}, "not permitted"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
async def test_a_bad_request_is_refused_with_its_field(wire: Wire, change: dict[str, Any], message: str) -> None:
    body = {"model": "claude-sonnet-5", "max_tokens": 100, "messages": [USER], **change}
    response = await wire.anthropic({name: value for name, value in body.items() if value is not None})
    answer = response.json()
    assert response.status_code == 400, answer
    assert (answer["type"], answer["error"]["type"]) == ("error", "invalid_request_error")
    assert message in answer["error"]["message"]
    assert answer["request_id"] == response.headers["request-id"]


TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("merged turns", {"messages": [USER, USER, said("assistant", TEXT), said("assistant", USE), said("user", RESULT),
                                   USER]}),
    ("result with an image", {"messages": [USER, said("assistant", USE),
                                           said("user", {**RESULT, "content": [TEXT, image(PNG)], "is_error": True})]}),
    ("result of nothing", {"messages": [USER, said("assistant", USE),
                                        said("user", {"type": "tool_result", "tool_use_id": "toolu_1"})]}),
    ("system in the middle", {"messages": [USER, {"role": "system", "content": "s"}, USER]}),
    ("prefill on an old model", {"model": "claude-opus-4-5", "messages": [USER, said("assistant", TEXT)]}),
    ("every option", {"metadata": {"user_id": "u"}, "service_tier": "auto", "inference_geo": "us", "speed": "fast",
                      "output_config": {"effort": "max"}, "thinking": {"type": "adaptive", "display": "omitted"}}),
    ("server tools", {"tools": [{"type": "web_search_20260318", "name": "web_search"}, TOOL]}),
    ("server blocks", {"messages": [USER, said("assistant", {"type": "server_tool_use", "id": "s", "name": "web_search",
                                                             "input": {}}, TEXT), USER]}),
    ("four breakpoints", {"system": [MARKED], "tools": [{**TOOL, "cache_control": {"type": "ephemeral"}}],
                          "messages": [said("user", MARKED, MARKED)]}),
    ("a model nobody knows", {"model": "sim-fast", "thinking": {"type": "disabled"}}),
    ("documents", {"messages": [said(
        "user",
        {"type": "document", "title": "t", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        {"type": "document", "source": {"type": "content", "content": [TEXT, image(PNG)]}},
        {"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}, "citations": {"enabled": True}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "search_result", "source": "s", "title": "t", "content": [TEXT]},
    )]}),
    ("system blocks in the middle", {"messages": [USER, {"role": "system", "content": [MARKED]}, USER]}),
    ("tool reference", {"messages": [USER, said("assistant", USE), said(
        "user", {**RESULT, "content": [{"type": "tool_reference", "tool_name": "f"}]})]}),
]  # fmt: skip


@pytest.mark.parametrize("change", [case[1] for case in TAKEN], ids=[case[0] for case in TAKEN])
async def test_a_good_request_is_taken(wire: Wire, change: dict[str, Any]) -> None:
    response = await wire.anthropic({"model": "claude-sonnet-5", "max_tokens": 100, "messages": [USER], **change})
    assert response.status_code == 200, response.text


async def test_the_old_version_takes_sampling_on_models_that_sample_but_no_system_messages(wire: Wire) -> None:
    async def status(**change: Any) -> int:
        body = {"model": "claude-sonnet-4-6", "max_tokens": 100, "messages": [USER], **change}
        return (await wire.anthropic(body, anthropic_version="2023-06-01")).status_code

    assert await status(temperature=0.5) == 200
    assert await status(temperature=1.5) == 400
    assert await status(temperature=0.5, model="claude-sonnet-5") == 400
    assert await status(temperature=0.5, thinking={"type": "adaptive"}) == 400
    assert await status(messages=[USER, {"role": "system", "content": "s"}, USER]) == 400


async def test_the_version_is_required_and_known(wire: Wire) -> None:
    body = {"model": "claude-sonnet-5", "max_tokens": 1, "messages": [USER]}
    assert (await wire.anthropic(body, anthropic_version="2024-01-01")).status_code == 400
    response = await wire.post("/v1/messages", b"{}", x_api_key="k", content_type="application/json")
    assert (response.status_code, response.json()["error"]["message"]) == (400, "anthropic-version: header is required")


async def test_the_old_version_takes_documents_of_the_assistant(wire: Wire) -> None:
    document = {"type": "document", "source": {"type": "url", "url": "https://a/b"}}
    body = {"model": "claude-sonnet-5", "max_tokens": 9, "messages": [USER, said("assistant", document), USER]}
    assert (await wire.anthropic(body, anthropic_version="2023-06-01")).status_code == 200


async def test_what_is_no_json_or_no_message_is_refused(wire: Wire) -> None:
    headers = {"x_api_key": "k", "anthropic_version": "2026-10-21"}
    broken = await wire.post("/v1/messages", b"{", content_type="application/json", **headers)
    assert broken.json()["error"]["message"].startswith("The request body is not valid JSON")
    form = await wire.post("/v1/messages", b"{}", content_type="application/x-www-form-urlencoded", **headers)
    assert form.json()["error"]["message"] == "content-type: must be application/json"
    assert (await wire.get("/v1/messages", **headers)).status_code == 405
    assert (await wire.get("/v1/nothing", **headers)).json()["error"]["type"] == "not_found_error"
    assert (await wire.get("/v1/models/gpt-4.1", **headers)).status_code == 404
    missing = await wire.get("/v1/models", anthropic_version="2026-10-21")
    assert (missing.status_code, missing.json()["error"]["type"]) == (401, "authentication_error")


async def test_x_api_key_wins_over_bearer(wire: Wire) -> None:
    body = {"model": "claude-sonnet-5", "max_tokens": 1, "messages": [USER]}
    assert (await wire.anthropic(body, x_api_key="k", authorization="Bearer wrong")).status_code == 200
    assert (await wire.anthropic(body, x_api_key="wrong", authorization="Bearer k")).status_code == 401


async def test_a_body_of_more_than_32_mebibytes_is_too_large(wire: Wire) -> None:
    headers = {"x_api_key": "k", "anthropic_version": "2026-10-21", "content_type": "application/json"}
    response = await wire.post("/v1/messages", b" " * (32 * 1024 * 1024 + 1), **headers)
    assert (response.status_code, response.json()["error"]["type"]) == (413, "request_too_large")


async def test_models_of_other_vendors_are_not_found(wire: Wire) -> None:
    response = await wire.anthropic({"model": "gpt-4.1", "max_tokens": 1, "messages": [USER]})
    assert (response.status_code, response.json()["error"]["type"]) == (404, "not_found_error")
