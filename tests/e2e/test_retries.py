"""Retries and fallbacks: what is tried again, what is not, and that nothing is after the first byte."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from pulse_process import API_KEY, Pulse, Simulation, open_folder

_numbers = itertools.count()


def config(simulation: Simulation) -> str:
    return f"""
[retries]
attempts = 3
base_s = 0.01
max_wait_s = 0.05
total_s = 5

[providers.dead]
kind = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"

[providers.slow]
kind = "openai_compatible"
base_url = "{simulation.url}/v1"
key = "env:OPENAI_API_KEY"
timeouts = {{first_byte_s = 0.3, idle_s = 0.3}}

[models.safe]
targets = ["openai:gpt-5.2+status=503"]
fallbacks = ["anthropic:claude-opus-5", "google:gemini-3.8-flash"]

[models.dead-then-alive]
targets = ["dead:any", "openai:gpt-5.2"]

[models.hopeless]
targets = ["openai:gpt-5.2+status=500", "anthropic:claude-opus-5+status=529", "dead:any"]

[models.out-of-money]
targets = ["openai:gpt-5.2+status=429,code=insufficient_quota"]
fallbacks = ["google:gemini-3.8-flash"]

[models.mixed]
targets = ["anthropic:claude-opus-5", "openai:gpt-5.2"]

[models.shared]
targets = [{{target = "openai:gpt-5.2", weight = 3}}, {{target = "anthropic:claude-opus-5", weight = 1}}]
strategy = "weighted"
"""


@pytest.fixture(scope="module")
def trying(simulation: Simulation) -> Iterator[Pulse]:
    environment = {**simulation.provider_environment(), "PULSE_DEV_API_KEY": API_KEY, "PULSE_RATE_LIMIT": "off"}
    with open_folder() as folder:
        (folder / "pulse.toml").write_text(config(simulation))
        with Pulse.dev(folder / "data", environment) as running:
            yield running


@pytest.fixture
async def client(trying: Pulse) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {trying.key}"}
    async with httpx.AsyncClient(base_url=trying.url, headers=headers, timeout=30, trust_env=False) as made:
        yield made


async def ask(client: httpx.AsyncClient, model: str, *, stream: bool = False, **headers: str) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hello there"}], "stream": stream}
    return await client.post("/v1/chat/completions", json=body, headers=headers)


def once(fault: str) -> str:
    """A model whose first request fails like this and whose later ones are answered; a name of its own for each test."""
    return f"openai:gpt-5.2-{next(_numbers)}+{fault},first=1"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    "fault", ["status=500", "status=502", "status=503", "status=429", "status=529", "status=408", "error=0", "html"]
)
async def test_what_may_pass_is_tried_again(client: httpx.AsyncClient, fault: str, stream: bool) -> None:
    if fault == "error=0" and not stream:
        fault = "status=504"  # an error inside an answer needs a stream
    response = await ask(client, once(fault), stream=stream)
    assert response.status_code == 200
    assert response.headers["x-pulse-attempts"] == "2"
    assert b'"error"' not in response.content


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ("status=400", 400, "upstream_rejected"),
        ("status=401", 502, "upstream_unauthorized"),
        ("status=403", 502, "upstream_unauthorized"),
        ("status=404", 404, "model_not_found"),
        ("status=429,code=insufficient_quota", 503, "upstream_quota_exhausted"),
        ("status=429,code=credit_balance_exhausted", 503, "upstream_quota_exhausted"),
        ("empty", 502, "upstream_bad_response"),
    ],
)
async def test_what_cannot_pass_is_not(client: httpx.AsyncClient, fault: str, status: int, code: str) -> None:
    response = await ask(client, f"openai:gpt-5.2+{fault}")
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.headers["x-pulse-attempts"] == "1"


async def test_a_billing_error_tells_clients_not_to_retry(client: httpx.AsyncClient) -> None:
    response = await ask(client, "openai:gpt-5.2+status=429,code=insufficient_quota")
    assert response.headers["x-should-retry"] == "false"


async def test_the_providers_retry_after_is_waited_for(client: httpx.AsyncClient) -> None:
    started = time.monotonic()
    response = await ask(client, once("status=429,retry-after-ms=400"))
    assert response.status_code == 200
    assert time.monotonic() - started >= 0.4


async def test_a_retry_after_beyond_the_deadline_is_passed_on_at_once(client: httpx.AsyncClient) -> None:
    started = time.monotonic()
    response = await ask(client, once("status=429,retry-after=60"))
    assert response.status_code == 429
    assert response.headers["retry-after"] == "60"
    assert response.json()["error"]["code"] == "upstream_rate_limited"
    assert time.monotonic() - started < 4


async def test_attempts_are_bounded(client: httpx.AsyncClient) -> None:
    response = await ask(client, "openai:gpt-5.2-bounded+status=500")
    assert response.status_code == 502
    assert int(response.headers["x-pulse-attempts"]) <= 3


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_fallback_answers_when_the_targets_fail(client: httpx.AsyncClient, stream: bool) -> None:
    response = await ask(client, "safe", stream=stream)
    assert response.status_code == 200
    assert response.headers["x-pulse-provider"] in {"anthropic", "google"}


async def test_a_provider_that_cannot_be_reached_is_passed_over(client: httpx.AsyncClient) -> None:
    response = await ask(client, "dead-then-alive")
    assert response.headers["x-pulse-provider"] == "openai"


async def test_a_provider_out_of_money_is_passed_over(client: httpx.AsyncClient) -> None:
    response = await ask(client, "out-of-money")
    assert response.headers["x-pulse-provider"] == "google"


async def test_when_all_fail_in_different_ways_each_is_named(client: httpx.AsyncClient) -> None:
    response = await ask(client, "hopeless")
    assert response.status_code in {502, 503}
    assert response.json()["error"]["code"].startswith("upstream_")


async def test_a_target_that_cannot_express_the_request_is_passed_over(client: httpx.AsyncClient) -> None:
    body = {"model": "mixed", "messages": [{"role": "user", "content": "hi"}], "seed": 7}
    response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200
    assert response.headers["x-pulse-provider"] == "openai"


async def test_weights_share_the_traffic(client: httpx.AsyncClient) -> None:
    providers = [(await ask(client, "shared")).headers["x-pulse-provider"] for _ in range(60)]
    assert 25 <= providers.count("openai") <= 58
    assert set(providers) == {"openai", "anthropic"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_provider_that_says_nothing_times_out(client: httpx.AsyncClient, stream: bool) -> None:
    started = time.monotonic()
    response = await ask(client, "slow:gpt-5.2+delay=20", stream=stream)
    assert (response.status_code, response.json()["error"]["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - started < 4


async def test_a_provider_that_falls_silent_inside_a_stream_times_out_with_an_error_event(
    client: httpx.AsyncClient,
) -> None:
    response = await ask(client, "slow:gpt-5.2+stall=4", stream=True)
    assert response.status_code == 200
    assert b"upstream_timeout" in response.content
    assert b"[DONE]" not in response.content


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_the_clients_own_deadline_is_kept(client: httpx.AsyncClient, stream: bool) -> None:
    started = time.monotonic()
    response = await ask(client, "openai:gpt-5.2+delay=20", stream=stream, **{"x-pulse-timeout-ms": "300"})
    assert (response.status_code, response.json()["error"]["code"]) == (504, "upstream_timeout")
    assert time.monotonic() - started < 4


async def test_the_deadline_also_ends_a_stream_that_has_begun(client: httpx.AsyncClient) -> None:
    response = await ask(client, "openai:gpt-5.2+stall=4", stream=True, **{"x-pulse-timeout-ms": "500"})
    assert b"upstream_timeout" in response.content


async def test_nothing_is_retried_after_the_first_byte(client: httpx.AsyncClient, simulation: Simulation) -> None:
    response = await ask(client, "openai:gpt-5.2+cut=4", stream=True, **{"x-request-id": "cut-once"})
    assert response.headers["x-pulse-attempts"] == "1"
    served: list[dict[str, Any]] = simulation.stats()["requests"]
    assert len([record for record in served if record["caller_request_id"] == "cut-once"]) == 1
