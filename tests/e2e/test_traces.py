"""What a collector of traces is told, and what it never is."""

from __future__ import annotations

import asyncio
import re
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from collector import Collector
from pulse_process import STORES, Pulse, Simulation, entries_of, open_folder, run_pulse

PARENT = "00f067aa0ba902b7"
PROMPT = "the prompt nobody may trace سر كبير"
CONFIG = """
[models.spare]
targets = ["openai:gpt-5.2+status=503", "anthropic:claude-opus-5"]

[models.hopeless]
targets = ["openai:gpt-5.2+status=500"]

[retries]
base_s = 0.001
"""

Serve = Callable[..., AbstractContextManager[Pulse]]


@pytest.fixture(scope="module")
def serve(database_url: str, simulation: Simulation) -> Iterator[Serve]:
    made = run_pulse("keys", "create", "--user", "ada@example.com", env={"PULSE_DATABASE_URL": database_url})

    with open_folder() as folder:
        (folder / "pulse.toml").write_text(CONFIG)

        @contextmanager
        def start(settings: dict[str, str], *arguments: str) -> Iterator[Pulse]:
            env = {**simulation.provider_environment(), "PULSE_RATE_LIMIT": "off", **settings}
            with Pulse.serve(database_url, env, key=made.stdout.strip(), arguments=[*arguments], cwd=folder) as pulse:
                yield pulse

        yield start


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collecting:
        yield collecting


@pytest.fixture(scope="module")
def traced(serve: Serve, collector: Collector) -> Iterator[Pulse]:
    """A server of which only those traces are exported whose callers want it."""
    with serve(collector.environment(PULSE_TRACES_SAMPLE="0")) as pulse:
        yield pulse


def chat(model: str = "gpt-5.2", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": PROMPT}], **fields}


async def ask(
    pulse: Pulse, body: Any, *, flags: str | None = "01", path: str = "/v1/chat/completions", **headers: str
) -> tuple[str, httpx.Response]:
    """The trace id and the answer."""
    trace_id = secrets.token_hex(16)
    sent = {**pulse.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    if flags is not None:
        sent["traceparent"] = f"00-{trace_id}-{PARENT}-{flags}"
    async with httpx.AsyncClient(base_url=pulse.url, headers=sent, trust_env=False, timeout=30) as client:
        response = await client.post(path, json=body)
    if flags is None:
        trace_id = pulse.exchange(response.headers["x-request-id"])["trace_id"]
    return trace_id, response


def at_the_vendor(simulation: Simulation, request_id: str) -> list[tuple[str, str, str]]:
    """Trace id, parent id and flags of what the vendors got."""
    return [
        tuple(request["traceparent"].split("-")[1:])
        for request in simulation.stats()["requests"]
        if request["caller_request_id"] == request_id
    ]


async def test_a_caller_who_samples_gets_one_span_of_the_server_and_one_of_the_call(
    traced: Pulse, collector: Collector, simulation: Simulation, database_url: str
) -> None:
    trace_id, response = await ask(traced, chat(), x_request_id="traced-one", tracestate="vendor=1")
    server, (call,) = collector.of(trace_id, 2)
    assert server.name == "POST /v1/chat/completions"
    assert (server.parent_id, server.state, server.is_error) == (PARENT, "vendor=1", False)
    assert call.parent_id == server.span_id
    assert call.name == "chat gpt-5.2"
    assert at_the_vendor(simulation, "traced-one") == [(trace_id, call.span_id, "01")]
    assert server.start_ns <= call.start_ns <= call.end_ns <= server.end_ns
    assert call.start_ns < call.events["pulse.first_byte"] <= call.end_ns
    usage, line = response.json()["usage"], traced.exchange("traced-one")
    for span in (server, call):
        assert span.attributes["gen_ai.provider.name"] == "openai"
        assert span.attributes["gen_ai.request.model"] == "gpt-5.2"
        assert span.attributes["gen_ai.response.model"] == response.json()["model"]
        assert span.attributes["gen_ai.response.finish_reasons"] == ["stop"]
        assert span.attributes["gen_ai.usage.input_tokens"] == usage["prompt_tokens"]
        assert span.attributes["gen_ai.usage.output_tokens"] == usage["completion_tokens"]
        assert span.attributes["http.response.status_code"] == 200
        assert span.attributes["pulse.cost_nano_usd"] == line["cost_nano_usd"]
        assert span.attributes["pulse.outcome"] == "completed"
        assert span.attributes["pulse.request_id"] == "traced-one"
    assert server.attributes["pulse.tenant_id"] == line["tenant_id"]
    assert call.attributes["gen_ai.response.id"] == response.json()["id"]
    assert (call.attributes["server.address"], call.attributes["server.port"]) == (
        "127.0.0.1",
        int(simulation.url.rpartition(":")[2]),
    )
    assert server.resource["service.name"] == "pulse"
    assert line["trace_id"] == trace_id
    async with asyncio.timeout(20):
        while not (found := [e for e in await entries_of(database_url) if e["request_id"] == "traced-one"]):
            await asyncio.sleep(0.02)
    assert found[0]["trace_id"] == trace_id


@pytest.mark.parametrize("flags", ["00", None])
async def test_what_nobody_samples_is_not_exported_and_says_so_to_the_vendor(
    traced: Pulse, collector: Collector, simulation: Simulation, flags: str | None
) -> None:
    name = f"untraced-{flags}"
    trace_id, _ = await ask(traced, chat(), flags=flags, x_request_id=name)
    ((at_vendor, _, said),) = at_the_vendor(simulation, name)
    assert (at_vendor, said) == (trace_id, "00")
    later, _ = await ask(traced, chat())
    collector.of(later, 2)
    assert not [span for span in collector.spans if span.trace_id == trace_id]


async def test_amazons_header_decides_as_the_standards_does(traced: Pulse, collector: Collector) -> None:
    header = f"Root=1-67891233-{secrets.token_hex(12)};Parent=53995c3f42cd8ad8;Sampled=1"
    trace_id, _ = await ask(traced, chat(), flags=None, x_amzn_trace_id=header)
    server, _ = collector.of(trace_id, 2)
    assert server.parent_id == "53995c3f42cd8ad8"
    assert trace_id == header[5:].split(";", maxsplit=1)[0].replace("-", "")[1:]


async def test_each_retry_is_a_span_of_its_own(traced: Pulse, collector: Collector, simulation: Simulation) -> None:
    simulation.reset()
    trace_id, response = await ask(traced, chat("gpt-5.2+status=500,first=2"), x_request_id="traced-retries")
    assert response.status_code == 200
    server, calls = collector.of(trace_id, 4)
    assert [call.is_error for call in calls] == [True, True, False]
    assert [call.attributes["http.response.status_code"] for call in calls] == [500, 500, 200]
    assert [call.attributes.get("http.request.resend_count") for call in calls] == [None, 1, 2]
    assert {call.parent_id for call in calls} == {server.span_id}
    assert at_the_vendor(simulation, "traced-retries") == [(trace_id, call.span_id, "01") for call in calls]
    assert (server.attributes["pulse.attempts"], server.is_error) == (3, False)


async def test_a_fallback_is_a_span_of_another_provider(traced: Pulse, collector: Collector) -> None:
    trace_id, response = await ask(traced, chat("spare"))
    assert response.headers["x-pulse-provider"] == "anthropic"
    count = 1 + int(response.headers["x-pulse-attempts"])
    server, calls = collector.of(trace_id, count)
    providers = [call.attributes["gen_ai.provider.name"] for call in calls]
    assert providers == ["openai"] * (count - 2) + ["anthropic"]
    assert calls[0].attributes["error.type"] == "upstream_overloaded"
    assert server.attributes["gen_ai.request.model"] == "spare"
    assert server.attributes["gen_ai.provider.name"] == "anthropic"


async def test_a_failure_is_an_error_of_both_and_a_refusal_is_the_callers(traced: Pulse, collector: Collector) -> None:
    trace_id, response = await ask(traced, chat("hopeless"))
    server, calls = collector.of(trace_id, 1 + int(response.headers["x-pulse-attempts"]))
    assert server.is_error and all(call.is_error for call in calls)
    assert server.attributes["http.response.status_code"] == response.status_code
    assert server.attributes["error.type"] == response.json()["error"]["code"]

    trace_id, response = await ask(traced, chat("nothing"))
    server, _ = collector.of(trace_id, 1)
    assert not server.is_error
    assert server.attributes["error.type"] == "model_not_found"
    assert server.attributes["http.response.status_code"] == 404

    trace_id, _ = await ask(traced, chat(), authorization="Bearer wrong")
    assert collector.of(trace_id, 1)[0].attributes["error.type"] == "unauthenticated"


@pytest.mark.parametrize("model", ["gpt-5.2", "claude-opus-5"], ids=["the vendor's dialect", "another"])
async def test_the_span_of_a_stream_ends_when_the_stream_does(traced: Pulse, collector: Collector, model: str) -> None:
    trace_id, _ = await ask(traced, chat(f"{model}+chunks=10,tokens=10,chunk-delay=0.02", stream=True))
    server, (call,) = collector.of(trace_id, 2)
    for span in (server, call):
        assert span.end_ns - span.events["pulse.first_byte"] > 100_000_000
        assert span.attributes["gen_ai.request.stream"] is True
        assert span.attributes["gen_ai.usage.output_tokens"] > 0
    assert 0 < call.attributes["gen_ai.response.time_to_first_chunk"] < 10


async def test_a_stream_that_breaks_is_an_error_though_its_status_was_200(traced: Pulse, collector: Collector) -> None:
    trace_id, _ = await ask(traced, chat("gpt-5.2+reset=5", stream=True))
    server, (call,) = collector.of(trace_id, 2)
    assert server.is_error and call.is_error
    assert server.attributes["http.response.status_code"] == 200
    assert server.attributes["pulse.outcome"] == call.attributes["pulse.outcome"] == "interrupted"
    assert server.attributes["error.type"] == call.attributes["error.type"] == "upstream_interrupted"


async def test_a_client_that_leaves_is_no_error(traced: Pulse, collector: Collector) -> None:
    trace_id = secrets.token_hex(16)
    headers = {**traced.headers, "traceparent": f"00-{trace_id}-{PARENT}-01"}
    body = chat("gpt-5.2+tokens=400,chunks=200,chunk-delay=0.02", stream=True)
    async with (
        httpx.AsyncClient(base_url=traced.url, headers=headers, trust_env=False) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as response,
    ):
        await anext(response.aiter_raw())
    server, (call,) = collector.of(trace_id, 2)
    assert server.attributes["pulse.outcome"] == call.attributes["pulse.outcome"] == "client_gone"
    assert not server.is_error and not call.is_error


async def test_what_is_no_chat_is_traced_too(traced: Pulse, collector: Collector, simulation: Simulation) -> None:
    body = {"model": "text-embedding-3-small", "input": PROMPT}
    trace_id, _ = await ask(traced, body, path="/v1/embeddings", x_request_id="traced-embeddings")
    server, (call,) = collector.of(trace_id, 2)
    assert (server.name, call.name) == ("POST /v1/embeddings", "embeddings text-embedding-3-small")
    assert at_the_vendor(simulation, "traced-embeddings") == [(trace_id, call.span_id, "01")]

    gemini = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
    trace_id, _ = await ask(traced, gemini, path="/v1beta/models/gemini-3.8-flash:generateContent")
    server, (call,) = collector.of(trace_id, 2)
    assert server.name == "POST /v1beta/models/{model}:generateContent"
    assert call.name == "generate_content gemini-3.8-flash"
    assert call.attributes["gen_ai.provider.name"] == "gcp.gemini"


async def test_a_repeat_is_a_trace_of_its_own_that_calls_nobody(traced: Pulse, collector: Collector) -> None:
    key = secrets.token_hex(8)
    first, _ = await ask(traced, chat(), idempotency_key=key)
    collector.of(first, 2)
    again, response = await ask(traced, chat(), idempotency_key=key)
    assert response.headers["idempotent-replayed"] == "true"
    server, _ = collector.of(again, 1)
    assert server.attributes["pulse.replayed"] is True


async def test_neither_prompts_nor_keys_are_exported(traced: Pulse, collector: Collector) -> None:
    before = len(collector.bodies)
    wrong = "pls_live_" + "x" * 43
    bodies = [chat(f"{model}{fault}", stream=stream)
              for model in ("gpt-5.2", "claude-opus-5", "gemini-3.8-flash")
              for fault in ("", "+status=400", "+status=401", "+status=500", "+error=2", "+malformed=2", "+html,status=502")
              for stream in (False, True)]  # fmt: skip
    bodies += [chat(temperature=PROMPT), chat(n="x"), chat(wrong), chat(metadata={"a": PROMPT}), [PROMPT]]
    for body in bodies:
        await ask(traced, body, x_pulse_tags=f"canary={wrong}")
    await ask(traced, chat(), authorization=f"Bearer {wrong}")
    await ask(traced, chat(), x_request_id=wrong)
    last, _ = await ask(traced, chat())
    collector.of(last, 2)
    said = b"".join(collector.bodies[before:])
    for canary in (PROMPT[:30], "سر كبير", wrong, traced.key, "sk-simulated", "sk-ant-simulated", "gemini-simulated"):
        assert canary.encode() not in said
    assert b"pls_live_[redacted]" in said  # what stood for a model was looked at


async def test_all_traces_that_start_here_are_exported_where_that_is_wanted(serve: Serve, collector: Collector) -> None:
    attributes = "deployment.environment.name=test,service.namespace=ai"
    settings = collector.environment(
        PULSE_TRACES_SAMPLE="1.0",
        OTEL_SERVICE_NAME="gateway-of-ours",
        OTEL_RESOURCE_ATTRIBUTES=attributes,
        OTEL_EXPORTER_OTLP_HEADERS="x-api-key=key-of-the-collector",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
    )
    with serve(settings) as pulse:
        trace_id, _ = await ask(pulse, chat(), flags=None)
        server, _ = collector.of(trace_id, 2)
        assert server.parent_id == ""
        assert server.resource["service.name"] == "gateway-of-ours"
        assert server.resource["deployment.environment.name"] == "test"
        unwanted, _ = await ask(pulse, chat(), flags="00")
        metrics = httpx.get(f"{pulse.url}/metrics", trust_env=False).text
        assert re.search(r"(?m)^pulse_spans_exported_total [2-9]", metrics)
    assert not [span for span in collector.spans if span.trace_id == unwanted]
    assert collector.headers[-1]["x-api-key"] == "key-of-the-collector"
    assert "key-of-the-collector" not in pulse.process.output


async def test_every_worker_exports_its_own_and_the_end_sends_what_waits(serve: Serve, collector: Collector) -> None:
    settings = collector.environment(PULSE_TRACES_SAMPLE="1", OTEL_BSP_SCHEDULE_DELAY="600000")
    with serve(settings, "--workers", "2") as pulse:
        body = chat("gpt-5.2+delay=0.2")
        asked = await asyncio.gather(*(ask(pulse, body, flags=None) for _ in range(30)))
        workers = {line["worker"] for line in pulse.log_lines()}
        trace_ids = {trace_id for trace_id, _ in asked}
        assert not [span for span in collector.spans if span.trace_id in trace_ids]
        assert pulse.process.stop() == 0
    found = [span for span in collector.spans if span.trace_id in trace_ids]
    assert len(found) == 60
    assert len({span.span_id for span in found}) == 60
    assert len({span.resource["service.instance.id"] for span in found}) == len(workers)


async def test_a_collector_that_is_away_fails_no_request_and_its_return_is_told(serve: Serve) -> None:
    with Collector() as away:
        away.status = 503
        settings = away.environment(
            PULSE_TRACES_SAMPLE="1",
            OTEL_BSP_MAX_QUEUE_SIZE="8",
            OTEL_BSP_MAX_EXPORT_BATCH_SIZE="4",
            OTEL_EXPORTER_OTLP_TIMEOUT="0.5",
        )
        with serve(settings) as pulse:
            asked = await asyncio.gather(*(ask(pulse, chat()) for _ in range(40)))
            assert {response.status_code for _, response in asked} == {200}
            pulse.process.wait_for("traces are not exported")
            metrics = httpx.get(f"{pulse.url}/metrics", trust_env=False).text
            assert re.search(r'(?m)^pulse_spans_dropped_total\{reason="queue_full"\} [1-9]', metrics)
            away.status = 200
            async with asyncio.timeout(30):
                while not away.spans:
                    await ask(pulse, chat())
            pulse.process.wait_for("traces are exported again")
            lines = [line for line in pulse.log_lines("traces are not exported") if "reason" in line]
            assert len(lines) == 1
            assert "opentelemetry" not in pulse.process.output.lower()


@pytest.mark.parametrize("listens", [False, True], ids=["refuses", "never answers"])
async def test_a_collector_that_is_no_good_does_not_hold_up_the_end(serve: Serve, listens: bool) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        if listens:
            taken.listen()
        endpoint = f"http://user:password-of-the-collector@127.0.0.1:{taken.getsockname()[1]}/?token=token-of-ours"
        settings = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint, "PULSE_TRACES_SAMPLE": "1"}
        with serve({**settings, "OTEL_BSP_SCHEDULE_DELAY": "50"}) as pulse:
            await asyncio.gather(*(ask(pulse, chat()) for _ in range(5)))
            asked_at = time.monotonic()
            assert pulse.process.stop(signal.SIGTERM) == 0
            assert time.monotonic() - asked_at < 15
            (line,) = pulse.log_lines("spans were not exported")
            assert line["spans"] == 10
            for secret in ("password-of-the-collector", "token-of-ours"):
                assert secret not in pulse.process.output


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, None),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, None),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, None),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4317"}, "no http:// or https:// address"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "4", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, "refuses its settings"),
    ],
    ids=["no collector", "disabled", "none", "another protocol", "no address", "bad settings"],
)
async def test_without_a_collector_nothing_is_traced(
    serve: Serve, simulation: Simulation, settings: dict[str, str], said: str | None
) -> None:
    with serve({**settings, "PULSE_TRACES_SAMPLE": "1"}) as pulse:
        name = secrets.token_hex(8)
        _, response = await ask(pulse, chat(), flags=None, x_request_id=name)
        assert response.status_code == 200
        ((_, _, flags),) = at_the_vendor(simulation, name)
        assert flags == "00"
        assert "pulse_spans" not in httpx.get(f"{pulse.url}/metrics", trust_env=False).text
        warnings = pulse.log_lines("no traces are exported")
        assert [said in line["reason"] for line in warnings] == ([] if said is None else [True])
        if said is None:
            mapped = Path(f"/proc/{pulse.process.pid}/maps")
            assert not mapped.exists() or "google/_upb" not in mapped.read_text()  # protobuf's, which the SDK loads


def test_a_share_that_is_none_stops_the_start(database_url: str) -> None:
    for value in ("2", "-0.1", "nan", "one"):
        done = run_pulse("serve", env={"PULSE_DATABASE_URL": database_url, "PULSE_TRACES_SAMPLE": value})
        assert done.returncode == 1
        assert "PULSE_TRACES_SAMPLE" in done.stderr and "from 0 to 1" in done.stderr


def test_check_asks_the_collector(database_url: str, collector: Collector) -> None:
    def row(**settings: str) -> list[str]:
        env = {"PULSE_DATABASE_URL": database_url, **STORES.environment(database_url), **settings}
        done = run_pulse("check", env=env)
        assert done.returncode == 0, done.stdout
        return [line for line in done.stdout.splitlines() if re.search(r"\btraces\b", line)]

    assert row() == []
    (well,) = row(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    assert "ok" in well and "the collector takes them" in well
    (lost,) = row(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.url}/elsewhere?key=key-of-the-collector")
    assert "WARN" in lost and "the collector answers with status 404" in lost
    assert "key-of-the-collector" not in lost
    (away,) = row(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert "WARN" in away and "http/protobuf" in away
