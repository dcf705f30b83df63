"""A whole Pulse as a process, with the provider simulator behind it, for tests that look at it from outside."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import httpx
import pytest
from pulse_process import API_KEY, STORES, Pulse, Simulation, open_folder, run_pulse

from pulse_host.dev.embedded import EmbeddedPostgres


@pytest.fixture(scope="session")
def simulation() -> Iterator[Simulation]:
    with Simulation.start() as running:
        yield running


@pytest.fixture(scope="session", autouse=True)
def stores() -> Iterator[None]:
    """What servers without stores of their own have used goes with the session."""
    yield
    STORES.close()


@pytest.fixture(scope="session")
def pulse(simulation: Simulation) -> Iterator[Pulse]:
    """One `pulse dev` for the session, without a rate limit."""
    settings = {**simulation.provider_environment(), "PULSE_DEV_API_KEY": API_KEY, "PULSE_RATE_LIMIT": "off"}
    with open_folder() as folder, Pulse.dev(folder / "data", settings) as running:
        yield running


@pytest.fixture(scope="session")
def new_database() -> Iterator[Callable[[], str]]:
    """Makes an empty database and gives its address, on one Postgres for the session."""
    numbers = itertools.count(1)

    async def create(server_url: str, name: str) -> None:
        connection = await asyncpg.connect(server_url)
        await connection.execute(f"create database {name}")
        await connection.close()

    with open_folder() as folder:
        server = EmbeddedPostgres(folder / "postgres", log=folder / "postgres.log", settings={"fsync": "off"})

        def make() -> str:
            name = f"pulse_{next(numbers)}"
            with ThreadPoolExecutor(1) as thread:  # apart from the test's own event loop
                thread.submit(lambda: asyncio.run(create(server.start(), name))).result()
            return server.url(name)

        yield make
        server.stop()


@pytest.fixture(scope="module")
def database_url(new_database: Callable[[], str]) -> str:
    """A migrated database for the tests of one file."""
    url = new_database()
    assert run_pulse("migrate", env={"PULSE_DATABASE_URL": url}).returncode == 0
    return url


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
