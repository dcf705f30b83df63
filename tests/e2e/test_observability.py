"""What an operator can see of an exchange, and what must never be seen."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from pulse_process import Pulse, Simulation

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SECRET_PROMPT = "the prompt nobody may read: سر كبير"


def chat(model: str = "gpt-5.2", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": SECRET_PROMPT}], **fields}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_one_line_tells_the_exchange(http: httpx.AsyncClient, pulse: Pulse, stream: bool) -> None:
    headers = {"x-request-id": f"line-{stream}", "x-pulse-tags": "team=search, env=test"}
    response = await http.post("/v1/chat/completions", json=chat(stream=stream), headers=headers)
    assert response.headers["x-request-id"] == f"line-{stream}"
    line = pulse.exchange(f"line-{stream}")
    assert line["dialect"] == "openai.chat"
    assert (line["model"], line["provider"], line["provider_model"]) == ("gpt-5.2", "openai", "gpt-5.2")
    assert (line["attempts"], line["outcome"], line["status"]) == (1, "completed", 200)
    assert line["input_tokens"] + line["output_tokens"] == line["total_tokens"] > 0
    assert line["usage_source"] == "provider"
    assert line["cost_nano_usd"] > 0
    assert re.fullmatch(r"0\.\d+", line["cost_usd"])
    assert 0 < line["first_byte_ms"] <= line["total_ms"]
    assert line["stream"] is stream
    assert line["user_id"] and line["key_id"]
    assert line["tags"] == {"team": "search", "env": "test"}
    assert len([each for each in pulse.log_lines() if each["request_id"] == f"line-{stream}"]) == 1


async def test_the_headers_of_a_whole_answer(http: httpx.AsyncClient, pulse: Pulse) -> None:
    response = await http.post("/v1/chat/completions", json=chat())
    headers = response.headers
    assert (headers["x-pulse-provider"], headers["x-pulse-model"], headers["x-pulse-attempts"]) == (
        "openai",
        "gpt-5.2",
        "1",
    )
    assert headers["x-pulse-cost-usd"] == pulse.exchange(headers["x-request-id"])["cost_usd"]
    timing = dict(re.findall(r"(\w+);dur=([\d.]+)", headers["server-timing"]))
    assert float(timing["gateway"]) >= 0
    assert float(timing["upstream"]) > 0


async def test_anthropics_sdk_finds_the_request_id_under_its_own_name(http: httpx.AsyncClient) -> None:
    body = {"model": "claude-opus-5", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
    response = await http.post("/v1/messages", json=body)
    assert response.headers["request-id"] == response.headers["x-request-id"]


async def test_the_callers_trace_reaches_the_provider(
    http: httpx.AsyncClient, pulse: Pulse, simulation: Simulation
) -> None:
    headers = {
        "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01",
        "tracestate": "vendor=1",
        "x-amzn-trace-id": "Root=1-67891233-abcdef012345678912345678;Sampled=1",
        "x-request-id": "traced-1",
    }
    await http.post("/v1/chat/completions", json=chat(), headers=headers)
    (record,) = [each for each in simulation.stats()["requests"] if each["caller_request_id"] == "traced-1"]
    version, trace_id, parent, flags = record["traceparent"].split("-")
    assert (version, trace_id, flags) == ("00", TRACE, "01")
    assert parent != "00f067aa0ba902b7"
    assert pulse.exchange("traced-1")["trace_id"] == TRACE
    (entry,) = [each for each in await pulse.entries() if each["request_id"] == "traced-1"]
    assert entry["trace_id"] == TRACE


@pytest.mark.parametrize("bad", ["with space", "", "x" * 200, "line\tbreak"])
async def test_a_request_id_that_is_not_clean_is_replaced(http: httpx.AsyncClient, bad: str) -> None:
    response = await http.post("/v1/chat/completions", json=chat(), headers={"x-request-id": bad})
    assert response.headers["x-request-id"].startswith("req_")


async def test_neither_prompts_nor_keys_are_logged(http: httpx.AsyncClient, pulse: Pulse) -> None:
    for body in (
        chat(),
        chat(stream=True),
        chat("gpt-5.2+status=500"),
        chat("nothing"),
        chat("claude-opus-5", seed=1),
        chat(n="x"),
    ):
        await http.post("/v1/chat/completions", json=body)
    await http.post("/v1/chat/completions", content=json.dumps(chat()).encode()[:-5])
    wrong = await http.post(
        "/v1/chat/completions", json=chat(), headers={"authorization": "Bearer pls_live_wrongwrongwrong"}
    )
    pulse.exchange(wrong.headers["x-request-id"])
    output = "\n".join(line for line in pulse.process.output.splitlines() if line.startswith("{"))
    assert SECRET_PROMPT[:30] not in output
    assert "سر كبير" not in output
    for secret in (pulse.key, "sk-simulated", "sk-ant-simulated", "gemini-simulated", "pls_live_wrong"):
        assert secret not in output


async def test_every_log_line_is_one_json_object(http: httpx.AsyncClient, pulse: Pulse) -> None:
    response = await http.post("/v1/chat/completions", json=chat("a model\nwith\u2028breaks\x1b[31m"))
    pulse.exchange(response.headers["x-request-id"])
    welcome_ended = pulse.process.output.index("Ctrl-C")
    for line in pulse.process.output[welcome_ended:].splitlines()[1:]:
        assert not line or isinstance(json.loads(line), dict)


async def test_metrics_count_exchanges_and_hold_no_request_text(http: httpx.AsyncClient, pulse: Pulse) -> None:
    await http.post("/v1/chat/completions", json=chat("nonsense-model-name-of-a-client"))
    text = (await http.get("/metrics")).text
    assert re.search(
        r'pulse_exchanges_total\{dialect="openai\.chat",outcome="completed",provider="openai",status="200"\} \d', text
    )
    assert "pulse_open_permits 0.0" in text
    assert "nonsense-model-name" not in text


async def test_the_models_are_listed_in_the_shape_of_who_asks(http: httpx.AsyncClient, pulse: Pulse) -> None:
    plain = (await http.get("/v1/models")).json()
    assert plain["object"] == "list"
    assert {"gpt-5.2", "claude-opus-5", "gemini-3.8-flash", "echo"} <= {row["id"] for row in plain["data"]}
    anthropics = (await http.get("/v1/models", headers={"anthropic-version": "2026-10-21"})).json()
    assert anthropics["data"][0]["type"] == "model"
    googles = (await http.get("/v1beta/models?pageSize=1000", headers={"x-goog-api-key": pulse.key})).json()
    assert any(row["name"] == "models/gemini-3.8-flash" for row in googles["models"])
    assert (await http.get("/v1/models/gpt-5.2")).json()["owned_by"] == "openai"
    assert (await http.get("/v1/models/nothing")).status_code == 404
    assert (await http.get("/v1/models", headers={"authorization": "Bearer wrong"})).status_code == 401
