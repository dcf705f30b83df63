"""What clients are told about their limits, and that it is true: whoever waits as long as he is told is let in, and what is refused
costs nothing."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pulse_process import Pulse, Simulation, open_folder, run_pulse

from structured_fields import parse_list

WAITS = 100
TOO_LONG = 2_000_000  # tokens, for the plan
FORBIDDEN = "xylophonist"
CONFIG = f"""
[limits]
requests = "off"

[plans.quick]
requests = "1/60ms"
tokens = 50000000

[plans.steady]
requests = "30/60s"
tokens = 1000000

[plans.tight]
requests = "30/60s"
concurrency = 1

[[moderation.hooks]]
name = "terms"
on = ["prompt"]
extra_terms = ["{FORBIDDEN}"]
"""
DIALECTS = {
    "openai": ("/v1/chat/completions", {"model": "echo"}),
    "anthropic": ("/v1/messages", {"model": "echo", "max_tokens": 50}),
    "gemini": ("/v1beta/models/echo:generateContent", {}),
}


def body(dialect: str, text: str = "مرحبا") -> dict[str, Any]:
    if dialect == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    return {**DIALECTS[dialect][1], "messages": [{"role": "user", "content": text}]}


def code_of(dialect: str, answer: httpx.Response) -> str:
    """The stable code, wherever the dialect has it."""
    error = answer.json()["error"]
    if dialect == "openai":
        return str(error["code"])
    if dialect == "anthropic":
        return str(error["details"]["error_code"])
    (info,) = [each for each in error["details"] if "reason" in each]
    return str(info["reason"]).lower()


def parameters(answer: httpx.Response, name: str) -> dict[str, dict[str, Any]]:
    """The members of a list header by their name, each with its parameters."""
    return {str(value): members for value, members in parse_list(answer.headers[name])}


def proven(answer: httpx.Response) -> httpx.Response:
    """`answer`, once all that its headers say of limits agrees with itself."""
    policies, places = parameters(answer, "ratelimit-policy"), parameters(answer, "ratelimit")
    assert policies.keys() == places.keys()
    for name, place in places.items():
        assert 0 <= place["r"] <= policies[name]["q"]
        assert all(isinstance(number, int) and number >= 0 for number in place.values())
        assert isinstance(policies[name]["q"], int)
    for quota in parameters(answer, "pulse-quota").values():
        assert all(Decimal(str(number)) >= 0 for number in quota.values())
    requests = places["requests"]
    assert int(answer.headers["x-ratelimit-remaining-requests"]) == requests["r"]
    assert int(answer.headers["x-ratelimit-limit-requests"]) == policies["requests"]["q"]
    if answer.status_code == 429:
        wait_s = int(answer.headers["retry-after"])
        assert wait_s >= requests["t"]
        assert wait_s == math.ceil(int(answer.headers["retry-after-ms"]) / 1000)
    return answer


@contextmanager
def served(database_url: str, simulation: Simulation, config: str) -> Iterator[Pulse]:
    with open_folder() as folder:
        (folder / "pulse.toml").write_text(config)
        with Pulse.serve(database_url, simulation.provider_environment(), cwd=folder) as running:
            yield running


@pytest.fixture(scope="module")
def limited(database_url: str, simulation: Simulation) -> Iterator[Pulse]:
    with served(database_url, simulation, CONFIG) as running:
        yield running


_users = itertools.count()


def user_of(database_url: str, plan: str) -> str:
    """A key of a new user on `plan`."""
    user = f"user-{next(_users)}@example.com"
    with open_folder() as folder:
        (folder / "pulse.toml").write_text(CONFIG)
        made = run_pulse(
            *("keys", "create", "--user", user, "--plan", plan, "--config", "pulse.toml"),
            env={"PULSE_DATABASE_URL": database_url},
            cwd=folder,
        )
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def client(pulse: Pulse, key: str | None) -> httpx.AsyncClient:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return httpx.AsyncClient(base_url=pulse.url, headers=headers, timeout=30, trust_env=False)


async def ask(http: httpx.AsyncClient, dialect: str = "openai", text: str = "مرحبا", **headers: str) -> httpx.Response:
    return await http.post(DIALECTS[dialect][0], json=body(dialect, text), headers=headers)


async def refused(http: httpx.AsyncClient) -> httpx.Response:
    """The first refusal there is."""
    while (answer := proven(await ask(http))).status_code == 200:
        pass
    assert answer.status_code == 429
    assert code_of("openai", answer) == "rate_limit_exceeded"
    return answer


async def test_who_waits_exactly_as_long_as_it_is_told_is_never_refused_twice(
    limited: Pulse, database_url: str
) -> None:
    again = 0
    async with client(limited, user_of(database_url, "quick")) as http:
        for number in range(WAITS + 3):
            answer = await refused(http)
            # A browser that is given whole seconds waits for them; three are enough to see that they are no less.
            wait_s = (
                int(answer.headers["retry-after-ms"]) / 1000 if number < WAITS else int(answer.headers["retry-after"])
            )
            assert wait_s <= (0.06 if number < WAITS else 1)
            await asyncio.sleep(wait_s)
            again += proven(await ask(http)).status_code != 200
    assert again == 0


async def test_asking_while_one_is_to_wait_does_not_make_the_wait_longer(limited: Pulse, database_url: str) -> None:
    async with client(limited, user_of(database_url, "quick")) as http:
        for _ in range(10):
            told = await refused(http)
            sent = time.monotonic()
            until = sent + int(told.headers["retry-after-ms"]) / 1000
            while proven(await ask(http)).status_code != 200:
                assert sent < until
                sent = time.monotonic()


@pytest.mark.parametrize("dialect", list(DIALECTS))
async def test_what_is_refused_for_any_reason_takes_no_place(limited: Pulse, database_url: str, dialect: str) -> None:
    path, _ = DIALECTS[dialect]
    good = 0

    async def taken_by_one_more(http: httpx.AsyncClient) -> None:
        nonlocal good
        good += 1
        answer = proven(await ask(http, dialect))
        assert answer.status_code == 200
        assert parameters(answer, "ratelimit")["requests"]["r"] == 30 - good

    key = user_of(database_url, "steady")
    async with client(limited, key) as http, client(limited, None) as stranger:
        await taken_by_one_more(http)
        for _ in range(3):
            invalid = await http.post(
                path, content=b'{"messages": 1, "contents": 1', headers={"content-type": "application/json"}
            )
            assert (invalid.status_code, code_of(dialect, invalid)) == (400, "invalid_request")
            await taken_by_one_more(http)
            empty = await http.post(path, json={**body(dialect), "messages": [], "contents": []})
            assert (empty.status_code, code_of(dialect, empty)) == (400, "invalid_request")
            await taken_by_one_more(http)
            moderated = await ask(http, dialect, f"a {FORBIDDEN} plays")
            assert (moderated.status_code, code_of(dialect, moderated)) == (400, "content_blocked")
            await taken_by_one_more(http)
            unknown = await ask(stranger, dialect, authorization=f"Bearer {key}x")
            assert (unknown.status_code, code_of(dialect, unknown)) == (401, "unauthenticated")
            nobody = await ask(stranger, dialect)
            assert (nobody.status_code, code_of(dialect, nobody)) == (401, "unauthenticated")
            await taken_by_one_more(http)
        long = {"generationConfig": {"maxOutputTokens": TOO_LONG}} if dialect == "gemini" else {"max_tokens": TOO_LONG}
        too_much = await http.post(path, json={**body(dialect), **long})
        assert (too_much.status_code, code_of(dialect, too_much)) == (429, "insufficient_quota")
        await taken_by_one_more(http)

        while good < 30:
            await taken_by_one_more(http)
        first = proven(await ask(http, dialect))
        for _ in range(20):
            last = proven(await ask(http, dialect))
            assert (last.status_code, code_of(dialect, last)) == (429, "rate_limit_exceeded")
        assert int(last.headers["retry-after-ms"]) <= int(first.headers["retry-after-ms"])
        assert parameters(last, "ratelimit")["requests"]["r"] == 0


async def test_calls_refused_because_others_run_take_no_place_in_the_window(limited: Pulse, database_url: str) -> None:
    async with client(limited, user_of(database_url, "tight")) as http:

        async def slow() -> httpx.Response:
            fields = {"model": "openai:gpt-5.2+delay=1", "messages": [{"role": "user", "content": "hi"}]}
            return await http.post("/v1/chat/completions", json=fields)

        answers = await asyncio.gather(*(slow() for _ in range(8)))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 429: 7}
        codes = {code_of("openai", answer) for answer in answers if answer.status_code == 429}
        assert codes == {"concurrency_limit_exceeded"}
        after = proven(await ask(http))
        assert parameters(after, "ratelimit")["requests"]["r"] == 28


STRANGERS = """
[server]
trusted_proxies = ["127.0.0.3"]

[limits]
anonymous = "40/60s"
"""
ROUTES = [
    ("POST", "/v1/chat/completions", "openai"),
    ("POST", "/v1/messages", "anthropic"),
    ("POST", "/v1beta/models/echo:generateContent", "gemini"),
    ("GET", "/v1/models", "openai"),
    ("GET", "/v1beta/models", "gemini"),
    ("GET", "/v1/usage/me", "openai"),
    ("GET", "/v1/usage/me/history", "openai"),
]


async def test_a_thousand_requests_without_a_key_are_one_clients_whatever_they_say_of_their_origin(
    database_url: str, simulation: Simulation
) -> None:
    """From 127.0.0.1, which is no trusted proxy. Through 127.0.0.3, which is one, each client it names is counted for itself."""
    key = user_of(database_url, "unlimited")
    with served(database_url, simulation, STRANGERS) as pulse:
        async with client(pulse, None) as far:

            async def knock(number: int) -> tuple[int, str]:
                method, path, dialect = ROUTES[number % len(ROUTES)]
                headers = {
                    "x-forwarded-for": f"198.51.100.{number % 250}, 203.0.113.{number % 7}",
                    "forwarded": f"for=198.51.100.{number % 250};proto=https",
                    "x-real-ip": f"198.51.100.{number % 250}",
                    **({} if number % 2 else {"authorization": f"Bearer pls-guessed-{number}"}),
                }
                answer = await far.request(method, path, headers=headers, json={} if method == "POST" else None)
                if answer.status_code == 429:
                    assert 0 < int(answer.headers["retry-after"]) <= 60
                return answer.status_code, code_of(dialect, answer)

            knocked = [
                each
                for start in range(0, 1000, 20)
                for each in await asyncio.gather(*map(knock, range(start, start + 20)))
            ]
            assert Counter(knocked) == {(401, "unauthenticated"): 40, (429, "rate_limit_exceeded"): 960}

            with_key = await ask(far, authorization=f"Bearer {key}")
            assert with_key.status_code == 200
            assert (await ask(far)).status_code == 429

        through = httpx.AsyncHTTPTransport(local_address="127.0.0.3")
        async with httpx.AsyncClient(base_url=pulse.url, transport=through, timeout=30, trust_env=False) as proxy:
            for number in range(50):
                assert (await ask(proxy, **{"x-forwarded-for": f"198.51.100.{number}"})).status_code == 401
            behind = [
                (await ask(proxy, **{"x-forwarded-for": "198.51.100.1, 203.0.113.7"})).status_code for _ in range(50)
            ]
            assert Counter(behind) == {401: 40, 429: 10}
