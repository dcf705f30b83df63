"""A simulator on a real socket, and the official SDKs pointed at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types
from simulator_wire import Wire

from pulse_gateway.testing.simulator import Simulator


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(seed=7) as running:
        yield running


@pytest.fixture
async def openai_client(simulator: Simulator) -> AsyncIterator[openai.AsyncOpenAI]:
    http_client = openai.DefaultAsyncHttpxClient(verify=False)  # no certificates to load for plain HTTP
    base_url = f"{simulator.url}/v1"
    async with openai.AsyncOpenAI(base_url=base_url, api_key="k", max_retries=0, http_client=http_client) as client:
        yield client


@pytest.fixture
async def anthropic_client(simulator: Simulator) -> AsyncIterator[anthropic.AsyncAnthropic]:
    http_client = anthropic.DefaultAsyncHttpxClient(verify=False)
    base_url = simulator.url
    async with anthropic.AsyncAnthropic(
        base_url=base_url, api_key="k", max_retries=0, http_client=http_client
    ) as client:
        yield client


@pytest.fixture
async def gemini_client(simulator: Simulator) -> AsyncIterator[Any]:
    plain = {"verify": False}
    options = types.HttpOptions(base_url=simulator.url, client_args=plain, async_client_args=plain)
    client = genai.Client(api_key="any", http_options=options)
    yield client.aio
    await client.aio.aclose()
    client.close()


@pytest.fixture
async def wire(simulator: Simulator) -> AsyncIterator[Wire]:
    async with httpx.AsyncClient(base_url=simulator.url, timeout=10, verify=False) as client:
        yield Wire(client)
