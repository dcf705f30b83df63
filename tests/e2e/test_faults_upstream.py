"""Everything a provider can do wrong, towards clients of every dialect: named for what it is, in time, settled once, and never a clean
end that hides a cut."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from pulse_process import Pulse, Simulation, entries_of, open_folder, run_pulse

FIRST_BYTE_S, IDLE_S, TOTAL_S = 0.4, 0.5, 4.0
LATE_S = 0.25  # by how much a watchdog may be late
UPSTREAMS = {"openai": "gpt-5.2", "anthropic": "claude-opus-5", "google": "gemini-3.8-flash"}
CLIENTS = ("openai", "anthropic", "gemini")
PAIRS = [*itertools.product(UPSTREAMS, CLIENTS)]

_numbers = itertools.count()


def config(simulation: Simulation) -> str:
    hasty = "".join(
        f"""
[providers.hasty-{name}]
kind = "{name}"
key = "env:{variable}"
base_url = "{simulation.url}{path}"
timeouts = {{first_byte_s = {FIRST_BYTE_S}, idle_s = {IDLE_S}}}
"""
        for name, variable, path in (
            ("openai", "OPENAI_API_KEY", "/v1"),
            ("anthropic", "ANTHROPIC_API_KEY", ""),
            ("google", "GEMINI_API_KEY", ""),
        )
    )
    return f"""
[limits]
requests = "off"

[retries]
base_s = 0.01
max_wait_s = 0.05
total_s = {TOTAL_S}
{hasty}"""


@pytest.fixture(scope="module")
def faulty(database_url: str, simulation: Simulation) -> Iterator[Pulse]:
    made = run_pulse("keys", "create", "--user", "ada@example.com", env={"PULSE_DATABASE_URL": database_url})
    with open_folder() as folder:
        (folder / "pulse.toml").write_text(config(simulation))
        settings = simulation.provider_environment()
        with Pulse.serve(database_url, settings, key=made.stdout.strip(), cwd=folder) as running:
            yield running


@pytest.fixture
async def client(faulty: Pulse) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=faulty.url, headers=faulty.headers, timeout=30, trust_env=False) as made:
        yield made


class Answer(msgspec.Struct, kw_only=True):
    """What a client of `dialect` got from `upstream`."""

    upstream: str
    dialect: str
    request_id: str
    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def events(self) -> list[Any]:
        """The data of a stream's events."""
        texts = re.findall(r"(?m)^data: (.*?)\r?$", self.body.decode())
        return [text if text == "[DONE]" else json.loads(text) for text in texts]

    @property
    def code(self) -> str | None:
        """The stable code of its one error, wherever the dialect has it; None when there is none."""
        found = [self.body and json.loads(self.body)] if self.status != 200 else self.events
        errors = [each["error"] for each in found if isinstance(each, dict) and each.get("error")]
        assert len(errors) <= 1, self.body
        return code_of(self.dialect, errors[0]) if errors else None

    @property
    def is_whole(self) -> bool:
        """Whether a stream says that it has come to its end."""
        if self.dialect == "openai":
            return "[DONE]" in self.events
        if self.dialect == "anthropic":
            return any(event.get("type") == "message_stop" for event in self.events)
        return any(each.get("finishReason") for event in self.events for each in event.get("candidates") or ())


def code_of(dialect: str, error: dict[str, Any]) -> str:
    if dialect == "openai":
        return str(error.get("code") or error.get("type"))
    if dialect == "anthropic":
        return str((error.get("details") or {}).get("error_code") or error["type"])
    reasons = [each["reason"] for each in error.get("details", ()) if "reason" in each]
    return reasons[0].lower() if reasons else str(error["status"])


async def ask(http: httpx.AsyncClient, pair: tuple[str, str], fault: str, *, stream: bool) -> Answer:
    """A model name of its own for every call, so that no failure counts against another's deployment."""
    upstream, dialect = pair
    number = next(_numbers)
    model = f"hasty-{upstream}:{UPSTREAMS[upstream]}-{number}+{fault}"
    request_id = f"fault-{number}"
    body: dict[str, Any] = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}]}
    path = "/v1/chat/completions"
    if dialect == "anthropic":
        path, body = "/v1/messages", {**body, "max_tokens": 128_000}
    elif dialect == "gemini":
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        path, body = f"/v1beta/models/{model}:{method}", {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    response = await http.post(path, json=body, headers={"x-request-id": request_id})
    return Answer(
        upstream=upstream,
        dialect=dialect,
        request_id=request_id,
        status=response.status_code,
        headers=response.headers,
        body=response.content,
    )


async def ask_all(http: httpx.AsyncClient, fault: str, *, stream: bool) -> list[Answer]:
    """Each provider by clients of each dialect, at once."""
    return await asyncio.gather(*(ask(http, pair, fault, stream=stream) for pair in PAIRS))


async def settled(pulse: Pulse, database_url: str, simulation: Simulation, answers: list[Answer]) -> dict[str, Any]:
    """The ledger's last row of each request, once it is sure that every attempt that reached the provider has one, and that nothing
    is held any more."""
    async with (
        asyncio.timeout(10),
        httpx.AsyncClient(base_url=pulse.url, trust_env=False, headers=pulse.headers) as http,
    ):
        while not re.search(
            r"(?m)^pulse_open_permits 0\.0$", page := (await http.get("/metrics")).text
        ) or not re.search(r"(?m)^pulse_ledger_backlog 0\.0$", page):
            pass
        assert (await http.get("/v1/usage/me")).json()["tokens"]["reserved"] == 0
    wanted = {answer.request_id for answer in answers}
    rows = [row for row in await entries_of(database_url) if row["request_id"] in wanted]
    asked = [record["caller_request_id"] for record in simulation.stats()["requests"]]
    assert Counter(row["request_id"] for row in rows) == Counter(name for name in asked if name in wanted)
    return {row["request_id"]: row for row in rows}


def in_time(rows: dict[str, Any], answers: list[Answer], watchdog_s: float) -> None:
    """No call was given up before its time, and a provider's calls at most so much later, where the machine let them."""
    for upstream in UPSTREAMS:
        took = [rows[answer.request_id]["total_ms"] / 1000 for answer in answers if answer.upstream == upstream]
        assert watchdog_s <= min(took) <= watchdog_s + LATE_S, (upstream, took)


BEFORE_THE_ANSWER = [
    ("delay=20", True, 504, "upstream_timeout", FIRST_BYTE_S),  # no head
    ("delay=20", False, 504, "upstream_timeout", FIRST_BYTE_S),
    ("stall=0", True, 504, "upstream_timeout", IDLE_S),  # a head, then silence
    ("stall=0", False, 504, "upstream_timeout", IDLE_S),
    ("stall=1", False, 504, "upstream_timeout", IDLE_S),  # the beginning of an answer, then silence
    ("reset=1", False, 502, "upstream_interrupted", None),
    ("cut=1", False, 502, "upstream_interrupted", None),
    ("drop=0", True, 502, "upstream_interrupted", None),
    ("cut=0", True, 502, "upstream_bad_response", None),
    ("content-type=text/html", True, 502, "upstream_bad_response", None),
    ("content-type=application/json", True, 502, "upstream_bad_response", None),
    ("malformed=1", False, 502, "upstream_bad_response", None),
    ("empty", False, 502, "upstream_bad_response", None),
]


@pytest.mark.parametrize(("fault", "stream", "status", "code", "watchdog_s"), BEFORE_THE_ANSWER)
async def test_what_fails_before_the_answer_is_an_error_of_the_clients_dialect(
    client: httpx.AsyncClient,
    faulty: Pulse,
    database_url: str,
    simulation: Simulation,
    fault: str,
    stream: bool,
    status: int,
    code: str,
    watchdog_s: float | None,
) -> None:
    answers = await ask_all(client, fault, stream=stream)
    assert {(answer.status, answer.code) for answer in answers} == {(status, code)}
    rows = await settled(faulty, database_url, simulation, answers)
    assert {row["outcome"] for row in rows.values()} == {"failed"}
    if watchdog_s is not None:
        in_time(rows, answers, watchdog_s)


AFTER_THE_START = [
    ("stall=4", "upstream_timeout", IDLE_S),
    ("reset=4", "upstream_interrupted", None),
    ("drop=4", "upstream_interrupted", None),
    ("cut=4", "upstream_interrupted", None),
    ("malformed=4", "upstream_bad_response", None),
    ("error=4", None, None),
]


@pytest.mark.parametrize(("fault", "code", "watchdog_s"), AFTER_THE_START)
async def test_a_stream_that_breaks_ends_in_an_error_event_of_the_clients_dialect(
    client: httpx.AsyncClient,
    faulty: Pulse,
    database_url: str,
    simulation: Simulation,
    fault: str,
    code: str | None,
    watchdog_s: float | None,
) -> None:
    answers = await ask_all(client, fault, stream=True)
    for answer in answers:
        assert answer.status == 200
        assert not answer.is_whole
        assert answer.code is not None
        native = answer.upstream == {"gemini": "google"}.get(answer.dialect, answer.dialect)
        if code is not None:
            assert answer.code == code
        elif not native:  # within one dialect the provider's own words go through
            assert answer.code.startswith("upstream_")
        last = answer.events[-1]
        assert last.get("error"), "nothing follows the error"
    rows = await settled(faulty, database_url, simulation, answers)
    assert {row["outcome"] for row in rows.values()} == {"interrupted"}
    assert all(row["tokens"] > 0 for row in rows.values())
    if watchdog_s is not None:
        in_time(rows, answers, watchdog_s)


async def test_an_error_event_in_place_of_an_answer_is_an_error_with_a_status(
    client: httpx.AsyncClient, faulty: Pulse, database_url: str, simulation: Simulation
) -> None:
    answers = await ask_all(client, "error=0", stream=True)
    for answer in answers:
        assert answer.status in {502, 503}
        assert answer.code is not None and answer.code.startswith("upstream_")
    rows = await settled(faulty, database_url, simulation, answers)
    assert {row["outcome"] for row in rows.values()} == {"failed"}


async def test_a_stream_goes_on_for_no_longer_than_the_whole_time_allows(
    client: httpx.AsyncClient, faulty: Pulse, database_url: str, simulation: Simulation
) -> None:
    answers = await ask_all(client, "tokens=4000,chunks=1000,chunk-delay=0.1", stream=True)
    for answer in answers:
        assert (answer.status, answer.code, answer.is_whole) == (200, "upstream_timeout", False)
    rows = await settled(faulty, database_url, simulation, answers)
    assert {row["outcome"] for row in rows.values()} == {"interrupted"}
    in_time(rows, answers, TOTAL_S - LATE_S / 5)  # of the exchange, of which the call is a part


class TestRateLimitsOfTheProvider:
    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    async def test_a_short_wait_is_waited_for(
        self, client: httpx.AsyncClient, faulty: Pulse, database_url: str, simulation: Simulation, stream: bool
    ) -> None:
        answers = await ask_all(client, "status=429,retry-after=1,first=1", stream=stream)
        assert {(answer.status, answer.headers["x-pulse-attempts"]) for answer in answers} == {(200, "2")}
        rows = await settled(faulty, database_url, simulation, answers)
        assert {row["attempt"] for row in rows.values()} == {2}
        assert all(faulty.exchange(answer.request_id)["total_ms"] >= 1000 for answer in answers)

    @pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
    async def test_a_long_wait_is_told_at_once(
        self, client: httpx.AsyncClient, faulty: Pulse, database_url: str, simulation: Simulation, stream: bool
    ) -> None:
        answers = await ask_all(client, "status=429,retry-after=3600", stream=stream)
        assert {(answer.status, answer.code) for answer in answers} == {(429, "upstream_rate_limited")}
        for answer in answers:
            assert answer.headers["retry-after"] == "3600"
            assert answer.headers["x-should-retry"] == "false"
            assert answer.headers["x-pulse-attempts"] == "1"
        rows = await settled(faulty, database_url, simulation, answers)
        assert {(row["tokens"], row["cost_nano_usd"]) for row in rows.values()} == {(0, 0)}

    async def test_one_that_lasts_is_passed_on_with_what_the_provider_said(
        self, client: httpx.AsyncClient, faulty: Pulse, database_url: str, simulation: Simulation
    ) -> None:
        answers = await ask_all(client, "status=429,retry-after=1", stream=False)
        for answer in answers:
            assert (answer.status, answer.code) == (429, "upstream_rate_limited")
            assert answer.headers["retry-after"] == "1"
            assert 2 <= int(answer.headers["x-pulse-attempts"]) <= 3
        await settled(faulty, database_url, simulation, answers)


@pytest.mark.parametrize("fault", ["status=400", "status=401", "status=500", "status=503", "delay=20", "html"])
async def test_where_no_answer_begins_nothing_is_charged_and_the_hold_is_back_at_once(
    client: httpx.AsyncClient, faulty: Pulse, database_url: str, simulation: Simulation, fault: str
) -> None:
    answers = await ask_all(client, fault, stream=False)
    answered = time.monotonic()
    while (await client.get("/v1/usage/me")).json()["tokens"]["reserved"]:
        assert time.monotonic() < answered + 1
    assert all(answer.status >= 400 for answer in answers)
    rows = await settled(faulty, database_url, simulation, answers)
    assert {(row["tokens"], row["cost_nano_usd"], row["source"]) for row in rows.values()} == {(0, 0, "none")}
