"""A whole Pulse as a process, with the provider simulator behind it, for tests that look at it from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator

import httpx
import pytest
from pulse_process import Pulse, Simulation, open_folder

API_KEY = "pls-test-key-of-the-suite"


@pytest.fixture(scope="session")
def simulation() -> Iterator[Simulation]:
    with Simulation.start() as running:
        yield running


@pytest.fixture(scope="session")
def pulse(simulation: Simulation) -> Iterator[Pulse]:
    """One `pulse dev` for the session, without a rate limit."""
    settings = {**simulation.provider_environment(), "PULSE_DEV_API_KEY": API_KEY, "PULSE_RATE_LIMIT": "off"}
    with open_folder() as folder, Pulse.dev(folder / "data", settings) as running:
        yield running


@pytest.fixture
async def http(pulse: Pulse) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {pulse.key}"}
    async with httpx.AsyncClient(base_url=pulse.url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure is shown with what Pulse said last."""
    report = yield
    running = getattr(item, "funcargs", {}).get("pulse")
    if report.failed and isinstance(running, Pulse):
        report.sections.append(("the end of Pulse's log", "\n".join(running.process.output.splitlines()[-15:])))
    return report
