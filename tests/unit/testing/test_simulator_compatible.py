"""What each of those who copied OpenAI's API does otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from simulator_calls import Answered, Caller

TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}}}  # fmt: skip
OTHER: dict[str, Any] = {"type": "function", "function": {"name": "g", "parameters": {"type": "object"}}}
USER: dict[str, Any] = {"role": "user", "content": "Hello"}


def chat(vendor: str, caller: Caller | None = None, **members: Any) -> Answered:
    body = {"model": "org/some-model", "messages": [USER], **members}
    return (caller or Caller()).post(f"/as/{vendor}/v1/chat/completions", body)


def asked_again(call_id: str, **members: Any) -> list[dict[str, Any]]:
    call = {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}
    return [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call], **members},
        {"role": "tool", "tool_call_id": call_id, "content": "done"},
    ]


@pytest.mark.parametrize(
    ("vendor", "members", "status"),
    [
        ("groq", {"logprobs": True}, 400),
        ("groq", {"n": 2}, 400),
        ("groq", {"messages": [{**USER, "name": "Sara"}]}, 400),
        ("groq", {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}, "stream": True}, 400),
        ("mistral", {"seed": 1}, 422),
        ("mistral", {"max_completion_tokens": 5}, 422),
        ("mistral", {"messages": [{**USER, "name": "Sara"}]}, 422),
        ("mistral", {"messages": [{"role": "robot", "content": "x"}]}, 422),
        ("mistral", {"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]}, 422),
        ("mistral", {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "$schema": "x"}}}]}, 400),
        ("mistral", {"messages": [USER, {"role": "assistant", "content": ""}, USER]}, 400),
        ("mistral", {"messages": asked_again("call_0123456789")}, 400),
        ("deepseek", {"thinking": {"type": "enabled"}, "messages": asked_again("c1")}, 400),
        ("deepseek", {"thinking": {"type": "sometimes"}}, 400),
        ("xai", {"model": "grok-4.7", "stop": ["x"]}, 400),
        ("xai", {"model": "grok-4.7", "presence_penalty": 1}, 400),
        ("xai", {"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]}, 400),
        ("together", {"model": "gpt-4o"}, 404),
        ("cerebras", {"frequency_penalty": 1}, 400),
        ("openrouter", {"model": "gpt-4o"}, 400),
        ("openrouter", {"reasoning": {"effort": "max"}}, 400),
        ("vllm", {"model": "no-tools", "tools": [TOOL]}, 400),
        ("plain", {"top_k": 4}, 400),
    ],
)  # fmt: skip
def test_what_the_vendor_would_not_take_is_refused(vendor: str, members: dict[str, Any], status: int) -> None:
    assert chat(vendor, **members).status == status


@pytest.mark.parametrize(
    ("vendor", "members"),
    [
        ("mistral", {"random_seed": 1, "tool_choice": "any", "tools": [TOOL]}),
        ("mistral", {"messages": asked_again("aB3456789")}),
        ("deepseek", {"thinking": {"type": "enabled"}, "messages": asked_again("c1", reasoning_content="because")}),
        ("deepseek", {"messages": asked_again("c1")}),
        ("xai", {"model": "grok-4-fast-non-reasoning", "stop": ["x"]}),
        ("ollama", {"keep_alive": 5, "logit_bias": {"1": 2}, "tool_choice": "required", "tools": [TOOL]}),
        ("vllm", {"top_k": 4, "min_p": 0.1, "no_such_member": 1}),
        ("openrouter", {"provider": {"sort": "price"}, "reasoning": {"effort": "xhigh"}}),
        ("oddities", {"no_such_member": 1}),
    ],
)
def test_what_only_the_vendor_takes_is_taken(vendor: str, members: dict[str, Any]) -> None:
    assert chat(vendor, **members).status == 200


@pytest.mark.parametrize(
    ("vendor", "model", "field"),
    [
        ("groq", "qwen/qwen3.8-27b", "reasoning"),
        ("deepseek", "deepseek-reasoner", "reasoning_content"),
        ("xai", "grok-4.7", "reasoning_content"),
        ("together", "deepseek-ai/DeepSeek-R1", "reasoning_content"),
        ("fireworks", "accounts/fireworks/models/qwen3", "reasoning_content"),
        ("cerebras", "gpt-oss-120b", "reasoning"),
        ("openrouter", "openai/gpt-5.2", "reasoning"),
        ("ollama", "qwen3", "reasoning"),
        ("vllm", "Qwen/Qwen3-32B", "reasoning"),
        ("vllm", "older-r1", "reasoning_content"),
        ("lmstudio", "qwen3-8b", "reasoning_content"),
        ("oddities", "think", "reasoning_content"),
    ],
)
def test_reasoning_is_read_where_the_vendor_writes_it(vendor: str, model: str, field: str) -> None:
    message = chat(vendor, model=model).json["choices"][0]["message"]
    deltas = [choice["delta"] for event in chat(vendor, model=model, stream=True).events for choice in event["choices"]] if vendor != "oddities" else []  # fmt: skip
    assert message[field].startswith("The question is about “Hello”.")
    if deltas:
        assert "".join(delta.get(field) or "" for delta in deltas) == message[field]


def test_mistral_thinks_in_parts_and_says_nothing_with_an_empty_string() -> None:
    content = chat("mistral", model="magistral-medium").json["choices"][0]["message"]["content"]
    assert [part["type"] for part in content] == ["thinking", "text"]
    called = chat("mistral", tools=[TOOL]).json["choices"][0]["message"]
    assert called["content"] == ""
    assert len(called["tool_calls"][0]["id"]) == 9
    streamed = chat("mistral", tools=[TOOL], stream=True).events
    assert [call["id"] for event in streamed for call in event["choices"][0]["delta"].get("tool_calls", ()) if "id" in call] == [called["tool_calls"][0]["id"]]  # fmt: skip


@pytest.mark.parametrize(
    ("vendor", "asked", "where"),
    [
        ("mistral", False, "finish"),
        ("together", False, "finish"),
        ("xai", False, "own"),
        ("openrouter", False, "own"),
        ("vllm", False, "nowhere"),
        ("vllm", True, "own"),
        ("groq", False, "nowhere"),
        ("perplexity", False, "finish"),
    ],
)
def test_the_usage_comes_where_the_vendor_puts_it(vendor: str, asked: bool, where: str) -> None:
    options = {"stream_options": {"include_usage": True}} if asked else {}
    last = chat(vendor, stream=True, **options).events[-1]
    found = "nowhere" if "usage" not in last else "finish" if last["choices"] else "own"
    assert found == where


def test_groq_puts_its_usage_into_a_member_of_its_own() -> None:
    events = chat("groq", stream=True).events
    assert "usage" not in events[0]["x_groq"]
    assert events[-1]["x_groq"]["usage"]["prompt_tokens"] == 2
    failed = chat("groq", model="org/m+error=2", stream=True).events[-1]
    assert failed["error"]["status_code"] == 500
    full = chat("groq", model="org/m+status=498")
    assert (full.status, full.json["error"]["code"]) == (498, "capacity_exceeded")


def test_xai_counts_reasoning_beside_the_completion() -> None:
    usage = chat("xai", model="grok-4.7").json["usage"]
    reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] + reasoning
    assert chat("xai", tools=[TOOL]).json["choices"][0]["finish_reason"] == ""
    assert isinstance(chat("xai", model="grok+status=429").json["error"], str)


def test_deepseek_shows_that_it_lives_while_it_queues() -> None:
    assert chat("deepseek").body.startswith(b"\n\n\n{")
    assert chat("deepseek", stream=True).body.startswith(b": keep-alive\n\n")
    usage = chat("deepseek", model="deepseek-chat+cached=1").json["usage"]
    assert (usage["prompt_cache_hit_tokens"], usage["prompt_cache_miss_tokens"]) == (1, 1)
    broke = chat("deepseek", model="deepseek-chat+status=402")
    assert broke.json["error"]["message"] == "Insufficient Balance"


def test_together_finishes_otherwise_and_scores_otherwise() -> None:
    choice = chat("together", logprobs=1).json["choices"][0]
    assert choice["finish_reason"] == "eos"
    assert set(choice["logprobs"]) == {"tokens", "token_logprobs"}
    assert chat("together", model="org/m+finish=length").json["choices"][0]["finish_reason"] == "length"


def test_openrouter_says_200_once_it_has_begun() -> None:
    whole = chat("openrouter", model="org/m+error=0,status=502")
    assert (whole.status, whole.json["error"]["code"]) == (200, 502)
    streamed = chat("openrouter", model="org/m+error=3,status=502", stream=True)
    assert streamed.body.startswith(b": OPENROUTER PROCESSING\n\n")
    assert streamed.events[-1]["error"]["code"] == 502
    assert streamed.events[-1]["choices"][0]["finish_reason"] == "error"
    plain = chat("openrouter", model="org/m+status=402")
    assert (plain.status, plain.json["error"]["code"]) == (402, 402)
    reply = chat("openrouter", model="openai/gpt-5.2")
    assert reply.headers["x-generation-id"].startswith("gen-")
    assert reply.json["usage"]["cost"] > 0
    assert reply.json["choices"][0]["native_finish_reason"] == "stop"


def test_ollama_calls_in_one_piece_and_forgets_its_numbers() -> None:
    events = chat("ollama", tools=[TOOL, OTHER], stream=True).events
    calls = [call for event in events for call in event["choices"][0]["delta"].get("tool_calls", ())]
    assert [(call["index"], call["function"]["name"]) for call in calls] == [(0, "f"), (0, "g")]
    assert all(isinstance(json.loads(call["function"]["arguments"]), dict) for call in calls)
    long = chat("ollama", messages=[{"role": "user", "content": "x" * 20_000}]).json
    assert long["usage"]["prompt_tokens"] == 4096
    assert len(chat("ollama", n=3).json["choices"]) == 1


def test_vllm_numbers_its_errors_and_counts_as_it_goes() -> None:
    assert chat("vllm", model="m+status=400").json["error"]["code"] == 400
    options = {"include_usage": True, "continuous_usage_stats": True}
    counted = [
        event["usage"]["completion_tokens"] for event in chat("vllm", stream=True, stream_options=options).events
    ]
    assert counted == sorted(counted)
    assert counted[-1] > 0


def test_perplexity_cites_and_has_no_end_mark() -> None:
    streamed = chat("perplexity", stream=True)
    assert b"[DONE]" not in streamed.body
    assert all(event["citations"] for event in streamed.events)
    assert streamed.events[-1]["choices"][0]["finish_reason"] == "stop"
    assert streamed.events[-1]["choices"][0]["delta"]["content"]


def test_the_careless_one_leaves_out_what_it_can() -> None:
    reply = chat("oddities", tools=[TOOL]).json
    assert "id" not in reply
    assert "index" not in reply["choices"][0]
    assert reply["choices"][0]["message"]["content"] == ""
    body = chat("oddities", stream=True).body
    assert b"[DONE]" not in body
    assert b'data:{"model"' in body
    assert b'\ndata:"choices"' in body


@pytest.mark.parametrize(
    ("vendor", "operation", "status"),
    [
        ("together", "rerank", 200),
        ("vllm", "rerank", 200),
        ("openrouter", "rerank", 200),
        ("groq", "rerank", 404),
        ("mistral", "embeddings", 200),
        ("groq", "embeddings", 404),
        ("deepseek", "responses", 404),
    ],
)
def test_a_vendor_offers_what_it_offers(vendor: str, operation: str, status: int) -> None:
    members = {"query": "a b", "documents": ["b", "a b"]} if operation == "rerank" else {"input": "a"}
    assert Caller().post(f"/as/{vendor}/v1/{operation}", {"model": "org/m", **members}).status == status


def test_rerank_puts_the_best_first() -> None:
    caller = Caller()
    body: dict[str, Any] = {
        "model": "m",
        "query": "capital of Iraq",
        "documents": ["Bananas", {"text": "Iraq's capital"}],
    }
    reply = caller.post("/as/plain/v1/rerank", {**body, "return_documents": True, "top_n": 1}).json
    assert [(each["index"], each["document"]["text"]) for each in reply["results"]] == [(1, "Iraq's capital")]
    assert caller.record.billed.input == reply["usage"]["total_tokens"] == 6 + 8
    assert caller.record.units == {"documents": 2}
    assert caller.post("/v1/rerank", {**body, "return_documents": True, "top_n": 1}).json == reply
    assert caller.post("/as/plain/v1/rerank", {**body, "documents": []}).error == (400, "invalid_value", "documents")


def test_mistral_embeds_and_moderates_in_its_own_words() -> None:
    caller = Caller()
    body: dict[str, Any] = {"model": "mistral-embed", "input": "x"}
    assert (
        len(caller.post("/as/mistral/v1/embeddings", {**body, "output_dimension": 8}).json["data"][0]["embedding"]) == 8
    )
    assert caller.post("/as/mistral/v1/embeddings", {**body, "dimensions": 8}).status == 422
    reply = caller.post(
        "/as/mistral/v1/moderations", {"model": "mistral-moderation-latest", "input": ["x", "kill"]}
    ).json
    assert [result["categories"]["violence_and_threats"] for result in reply["results"]] == [False, True]


@pytest.mark.parametrize(
    ("vendor", "shape"), [("xai", {"aspect_ratio": "1:1"}), ("together", {"width": 1024, "height": 1024})]
)
def test_pictures_can_be_fetched(vendor: str, shape: dict[str, Any]) -> None:
    caller = Caller()
    reply = caller.post(f"/as/{vendor}/v1/images/generations", {"model": "org/m", "prompt": "a cat", **shape}).json
    path = reply["data"][0]["url"].removeprefix("http://simulator")
    assert caller.send("GET", path, authorization="").body.startswith(b"\xff\xd8\xff")
    assert (
        caller.post(f"/as/{vendor}/v1/images/generations", {"model": "org/m", "prompt": "x", "style": "vivid"}).status
        == 400
    )


@pytest.mark.parametrize("vendor", ["groq", "mistral", "openrouter", "plain"])
def test_a_key_is_needed_where_the_vendor_needs_one(vendor: str) -> None:
    caller = Caller()
    assert caller.send("GET", f"/as/{vendor}/v1/models", authorization="").status == 401
    assert caller.send("GET", f"/as/{vendor}/v1/models").json["object"] == "list"
    assert caller.send("GET", "/as/ollama/v1/models", authorization="").status == 200
    assert caller.send("GET", f"/as/{vendor}/v1/nothing").status == 404
    assert caller.record.provider == vendor
