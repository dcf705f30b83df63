"""The models that a server offers, to the vendors' own SDKs and to operators."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import types
from pulse_process import Pulse, Simulation, run_pulse


@pytest.fixture(scope="module")
def database(new_database: Callable[[], str]) -> str:
    url = new_database()
    assert run_pulse("migrate", env={"PULSE_DATABASE_URL": url}).returncode == 0
    return url


def new_key(database: str, *words: str) -> str:
    made = run_pulse(
        "keys", "create", "--user", "ada@example.com", "--json", *words, env={"PULSE_DATABASE_URL": database}
    )
    return str(json.loads(made.stdout)["key"])


@pytest.fixture(scope="module")
def served(database: str, simulation: Simulation) -> Iterator[Pulse]:
    settings = {**simulation.provider_environment(), "PULSE_RATE_LIMIT": "off"}
    with Pulse.serve(database, settings, key=new_key(database)) as running:
        yield running


def test_openais_sdk_lists_what_models_are_for_and_calls_one_as_gemini_names_it(served: Pulse) -> None:
    with openai.OpenAI(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0) as sdk:
        listed = {model.id: model for model in sdk.models.list()}
        assert listed["gpt-5.4"].created == 1_772_668_800
        assert listed["gpt-5.4"].model_dump()["operations"][0] == "chat"
        assert "images" in listed["nano-banana"].model_dump()["operations"]
        assert sdk.models.retrieve("gpt-5.4").owned_by == "openai"
        for whole in ("openai:gpt-5.4", "vllm:whatever-it-runs"):
            assert sdk.models.retrieve(whole).id == whole
        with pytest.raises(openai.NotFoundError):
            sdk.models.retrieve("openai:gpt-none")
        said = sdk.chat.completions.create(
            model="models/gemini-3.8-flash", messages=[{"role": "user", "content": "hi"}], max_completion_tokens=20
        )
    assert said.choices[0].message.content


def test_anthropics_sdk_goes_through_every_page(served: Pulse) -> None:
    with anthropic.Anthropic(base_url=served.url, api_key=served.key, max_retries=0) as sdk:
        first = sdk.models.list(limit=7)
        assert (len(first.data), first.has_more) == (7, True)
        everything = [model.id for model in sdk.models.list(limit=100)]
        assert sdk.models.retrieve("claude-opus-5-5").max_tokens == 128_000
    assert len(everything) == len(set(everything)) > 20
    assert {"claude-opus-5-5", "gpt-5.4", "echo"} <= set(everything)
    assert "text-embedding-3-small" not in everything


def test_googles_sdk_goes_through_every_page(served: Pulse) -> None:
    sdk = genai.Client(api_key=served.key, http_options=types.HttpOptions(base_url=served.url))
    listed = {model.name: model for model in sdk.models.list(config={"page_size": 25})}
    assert len(listed) > 50
    assert listed["models/gemini-3.8-flash"].supported_actions == [
        "generateContent",
        "streamGenerateContent",
        "countTokens",
    ]
    assert "embedContent" in (listed["models/gemini-embedding-001"].supported_actions or [])


def test_only_operators_see_prices(served: Pulse, database: str) -> None:
    operator = new_key(database, "--scope", "admin", "--name", "operator")
    with httpx.Client(base_url=served.url, timeout=30, trust_env=False) as http:
        path = "/v1/admin/models?on=true&operation=images"
        assert http.get(path).status_code == 401
        refused = http.get(path, headers=served.headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "permission_denied")
        answer = http.get(path, headers={"authorization": f"Bearer {operator}"})
        assert answer.status_code == 200
        rows = {row["id"]: row for row in answer.json()["data"]}
        assert rows["google:gemini-3-pro-image"]["price"]["per_million_tokens"]["image_output"] == "120"
        document = http.get("/openapi.json").json()
        assert {"400", "403"} <= set(document["paths"]["/v1/admin/models"]["get"]["responses"])
    keys = run_pulse("keys", "list", "--json", env={"PULSE_DATABASE_URL": database}).stdout.splitlines()
    assert [json.loads(line)["scopes"] for line in keys] == [[], ["admin"]]
