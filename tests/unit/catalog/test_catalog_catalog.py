from __future__ import annotations

import calendar
import subprocess
import sys
import time

import pytest

from pulse_gateway.catalog.catalog import Catalog
from pulse_gateway.types.catalog import Capabilities, Model, Price, Rates


def day(text: str) -> float:
    return calendar.timegm(time.strptime(text, "%Y-%m-%d"))


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.load(now=lambda: day("2026-11-24"))


def dollars(model: Model | None) -> tuple[float | None, ...]:
    """Input, cached input, cache write, output in USD per million tokens."""
    assert model is not None
    assert model.price is not None
    rates = model.price.rates
    per_million = (rates.input, rates.cached_input, rates.cache_write, rates.output)
    return tuple(None if amount is None else amount / 1_000_000_000 for amount in per_million)


@pytest.mark.parametrize(
    ("provider", "name", "price"),
    [
        ("openai", "gpt-6-astra", (10, 1, 12.5, 50)),
        ("openai", "gpt-6.1-sol", (2, 0.1, 2.5, 10)),
        ("openai", "gpt-6-luna", (0.1, 0.01, 0.125, 0.5)),
        ("openai", "gpt-5.6", (4, 0.4, 5, 20)),
        ("openai", "gpt-5.4", (2.5, 0.25, None, 15)),
        ("openai", "gpt-4o-mini", (0.15, 0.075, None, 0.6)),
        ("openai", "text-embedding-3-small", (0.02, None, None, 0)),
        ("anthropic", "claude-opus-5-5", (4, 0.2, 5, 20)),
        ("anthropic", "claude-mythos-5", (10, 1, 12.5, 50)),
        ("anthropic", "claude-fable-5-2", (8, 0.2, 10, 40)),
        ("anthropic", "claude-sonnet-4-6", (3, 0.3, 3.75, 15)),
        ("anthropic", "claude-haiku-4-5", (1, 0.1, 1.25, 5)),
        ("google", "gemini-4-argon", (2, 0.1, None, 10)),
        ("google", "gemini-3.8-flash", (0.75, 0.075, None, 3.75)),
        ("google", "gemini-2.5-pro", (1.25, 0.125, None, 10)),
        ("groq", "openai/gpt-oss-120b", (0.15, 0.075, None, 0.6)),
        ("groq", "qwen/qwen3.8-27b", (0.8, None, None, 4)),
        ("mistral", "mistral-large-latest", (0.5, 0.05, None, 1.5)),
        ("mistral", "mistral-large-4", (1.36, 0.14, None, 4.18)),
        ("deepseek", "deepseek-v4-pro", (1.32, 0.044, None, 3.96)),
        ("deepseek", "deepseek-v4-flash", (0.3, 0.006, None, 1.2)),
        ("xai", "grok-4.7", (2, 0.5, None, 6)),
        ("xai", "grok-4.3", (1.25, 0.2, None, 2.5)),
        ("together", "deepseek-ai/DeepSeek-V4.1-Flash-1017", (0.3, 0.006, None, 1.2)),
        ("together", "reflection/Beam-1.0-501B-A23B", (0.4, 0.04, None, 1.2)),
        ("ollama", "llama-of-my-own:8b", (0, None, None, 0)),
        ("echo", "echo", (0, None, None, 0)),
    ],
)
def test_list_prices_are_the_vendors(
    catalog: Catalog, provider: str, name: str, price: tuple[float | None, ...]
) -> None:
    assert dollars(catalog.find(provider, name)) == price


def test_a_day_long_cache_write_costs_what_the_vendor_asks(catalog: Catalog) -> None:
    for provider, name, written, long in (
        ("openai", "gpt-6-astra", 12.5, 25),
        ("openai", "gpt-6-cyber", 25, 50),
        ("anthropic", "claude-opus-5-5", 5, 8),
    ):
        price = catalog.model(provider, name).price
        assert price is not None
        assert price.rates.cache_write == written * 1_000_000_000
        assert price.rates.cache_write_long == long * 1_000_000_000


@pytest.mark.parametrize(
    ("provider", "name", "above", "input_factor", "output_factor"),
    [
        ("openai", "gpt-6.1-sol", 272_000, 2, 1.5),
        ("anthropic", "claude-haiku-5-5", 100_000, 5, 5),
        ("google", "gemini-3.1-pro-preview", 200_000, 2, 1.5),
        ("xai", "grok-4.7", 199_999, 2, 2),
    ],
)
def test_long_prompts_have_their_own_rates(
    catalog: Catalog, provider: str, name: str, above: int, input_factor: float, output_factor: float
) -> None:
    price = catalog.model(provider, name).price
    assert price is not None
    assert price.long_rates is not None
    assert price.long_above_tokens == above
    assert price.long_rates.input == price.rates.input * input_factor
    assert price.long_rates.cached_input == (price.rates.cached_input or 0) * input_factor
    assert price.long_rates.output == price.rates.output * output_factor


def test_a_model_without_a_long_price_has_none(catalog: Catalog) -> None:
    for provider, name in (("openai", "gpt-4.1"), ("openai", "gpt-5.2"), ("anthropic", "claude-opus-4-6")):
        price = catalog.model(provider, name).price
        assert price is not None
        assert price.long_rates is None


@pytest.mark.parametrize(
    ("provider", "name", "expected"),
    [
        ("openai", "gpt-6-astra", {"chat_tools": False, "sampling": False, "legacy_max_tokens": False}),
        ("openai", "gpt-6.1-sol", {"chat_tools": False, "efforts": ("low", "medium", "high", "xhigh", "max")}),
        ("openai", "gpt-6-sol", {"chat_tools": True, "chat_tools_with_reasoning": False, "sampling": True}),
        (
            "openai",
            "gpt-5.4",
            {"chat_tools_with_reasoning": False, "efforts": ("none", "low", "medium", "high", "xhigh")},
        ),
        ("openai", "gpt-5.1", {"chat_tools_with_reasoning": True, "efforts": ("none", "low", "medium", "high")}),
        ("openai", "gpt-4o", {"thinking": "none", "efforts": (), "legacy_max_tokens": True, "sampling": True}),
        ("anthropic", "claude-opus-5-5", {"thinking": "always", "forced_tool_choice": False, "prefill": False}),
        ("anthropic", "claude-sonnet-5-5", {"thinking": "adaptive", "forced_tool_choice": False, "sampling": False}),
        (
            "anthropic",
            "claude-fable-5",
            {"thinking": "always", "thinking_can_be_disabled": False, "forced_tool_choice": True},
        ),
        ("anthropic", "claude-opus-4-8", {"system_mid_conversation": True, "thinking": "adaptive"}),
        ("anthropic", "claude-opus-4-7", {"system_mid_conversation": False, "sampling": False}),
        (
            "anthropic",
            "claude-sonnet-4-6",
            {"sampling": True, "prefill": False, "efforts": ("low", "medium", "high", "max")},
        ),
        ("anthropic", "claude-haiku-4-5", {"sampling": True, "prefill": True, "thinking": "budget"}),
        ("google", "gemini-4-argon", {"thinking": "level", "efforts": ("low", "medium", "high", "xhigh")}),
        ("google", "gemini-3.8-flash", {"sampling": False}),
        (
            "google",
            "gemini-2.5-pro",
            {"thinking": "budget", "thinking_can_be_disabled": False, "schema_with_tools": False},
        ),
        ("google", "gemini-2.5-flash", {"thinking": "budget", "thinking_can_be_disabled": True}),
    ],
)
def test_capabilities_are_those_of_the_model(
    catalog: Catalog, provider: str, name: str, expected: dict[str, object]
) -> None:
    capabilities = catalog.model(provider, name).capabilities
    assert {field: getattr(capabilities, field) for field in expected} == expected


def test_limits_are_those_of_the_model(catalog: Catalog) -> None:
    for provider, name, context, output in (
        ("openai", "gpt-6-sol", 922_000, 128_000),
        ("anthropic", "claude-opus-4-5", 200_000, 64_000),
        ("google", "gemini-3.8-flash", 1_048_576, 65_536),
    ):
        model = catalog.model(provider, name)
        assert (model.context_tokens, model.max_output_tokens) == (context, output)


@pytest.mark.parametrize(
    ("provider", "asked", "row"),
    [
        ("openai", "gpt-5.4-2026-03-05", "gpt-5.4"),
        ("openai", "gpt-4o-2024-11-20", "gpt-4o"),
        ("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5"),
        ("anthropic", "claude-opus-4-5@20251101", "claude-opus-4-5"),
        ("anthropic", "claude-opus-5-latest", "claude-opus-5"),
        ("anthropic", "claude-3-5-haiku-20241022", "claude-3-5-haiku-latest"),
        ("google", "gemini-2.5-flash-001", "gemini-2.5-flash"),
        ("google", "gemini-flash-latest", "gemini-3.8-flash"),
        ("google", "gemini-2.5-flash-preview-09-2025", "gemini-2.5-flash"),
        ("mistral", "mistral-large-latest", "mistral-large-latest"),
        ("together", "qwen/qwen3.5-9b", "Qwen/Qwen3.5-9B"),  # vendors take any case
        ("azure", "gpt-5.4", "gpt-5.4"),
    ],
)
def test_a_snapshot_is_its_model_under_the_name_it_was_asked_by(
    catalog: Catalog, provider: str, asked: str, row: str
) -> None:
    found, base = catalog.find(provider, asked), catalog.find(provider, row)
    assert found is not None
    assert base is not None
    assert found.name == asked
    assert (found.price, found.capabilities, found.max_output_tokens) == (
        base.price,
        base.capabilities,
        base.max_output_tokens,
    )


def test_a_longer_name_is_not_a_snapshot_of_a_shorter_one(catalog: Catalog) -> None:
    for name in ("gpt-5-ultra", "gpt-6", "gpt-6-astra-2", "claude", ""):
        assert catalog.find("openai", name) is None


def test_an_unknown_model_has_no_price_and_is_refused_nothing(catalog: Catalog) -> None:
    assert catalog.model("openai", "gpt-99") == Model(provider="openai", name="gpt-99")
    assert catalog.model("openai", "gpt-99").capabilities == Capabilities()
    assert catalog.find("nobody", "gpt-4o") is None


def test_a_model_that_was_shut_down_is_not_offered_but_says_since_when(catalog: Catalog) -> None:
    assert "gpt-4o" in catalog.names("openai")
    for provider, name, shutdown in (
        ("openai", "gpt-4", "2026-10-23"),
        ("openai", "gpt-4.1-nano-2025-04-14", "2026-10-23"),
        ("openai", "gpt-5-chat-latest", "2026-07-23"),
        ("anthropic", "claude-sonnet-4-0", "2026-06-15"),
        ("deepseek", "deepseek-chat", "2026-07-24"),
    ):
        assert name not in catalog.names(provider)
        found = catalog.find(provider, name)
        assert found is not None
        assert found.shutdown == shutdown


def test_a_shutdown_takes_effect_on_its_day() -> None:
    today = [day("2026-12-10")]
    catalog = Catalog.load(now=lambda: today[0])
    assert "gpt-5" in catalog.names("openai")
    before = catalog.day
    today[0] = day("2026-12-11")
    assert "gpt-5" not in catalog.names("openai")
    assert catalog.day == before + 1


def test_an_announced_price_takes_effect_on_its_day_in_a_running_process() -> None:
    """gemini-4-argon doubles on 2026-12-01, the 3.x Flash models on 2027-01-01."""
    now = [day("2026-12-01") - 0.001]
    catalog = Catalog.load(now=lambda: now[0])
    assert dollars(catalog.find("google", "gemini-4-argon")) == (2, 0.1, None, 10)
    now[0] = day("2026-12-01")
    assert dollars(catalog.find("google", "gemini-4-argon")) == (4, 0.2, None, 20)
    assert dollars(catalog.find("google", "gemini-3.8-flash")) == (0.75, 0.075, None, 3.75)
    now[0] = day("2027-01-01")
    assert dollars(catalog.find("google", "gemini-3.8-flash")) == (1.5, 0.15, None, 7.5)


def test_only_models_for_the_operation_are_offered(catalog: Catalog) -> None:
    chat = catalog.names("openai")
    assert not [name for name in chat if "embedding" in name or "image" in name or "tts" in name or "whisper" in name]
    assert "text-embedding-3-large" in [model.name for model in catalog.models("openai", "embedding")]
    assert "gemini-3-pro-image" in [model.name for model in catalog.models("google", "image")]


def test_models_handed_in_replace_and_add_to_the_shipped_ones() -> None:
    price = Price(rates=Rates(input=1, output=2), source="our contract", as_of="2026-11-01")
    mine = Model(provider="openai", name="gpt-4o", price=price)
    new = Model(provider="openai", name="gpt-of-ours")
    catalog = Catalog.load(own=[mine, new], now=lambda: day("2026-11-24"))
    assert catalog.find("openai", "gpt-4o") == mine
    assert catalog.find("openai", "gpt-of-ours") == new
    assert catalog.names("openai").count("gpt-4o") == 1
    assert "gpt-of-ours" in catalog.names("openai")


def test_loading_is_quick() -> None:
    """10 ms on an idle machine; the best of several, so that a busy one does not matter."""
    best_s = min(_load_time_s() for _ in range(10))
    assert best_s < 0.010


def _load_time_s() -> float:
    started = time.perf_counter()
    Catalog.load()
    return time.perf_counter() - started


def test_importing_the_catalog_reads_no_file() -> None:
    script = (
        "import sys, os\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "import pulse_gateway.catalog.catalog\n"
        "sys.exit(any(name.endswith('models.json') for name in opened))\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
