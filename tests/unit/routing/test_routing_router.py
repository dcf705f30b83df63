from __future__ import annotations

import calendar
import random
from collections import Counter
from collections.abc import Callable

import pytest

from pulse_gateway.catalog.catalog import Catalog
from pulse_gateway.errors import ModelNotFound
from pulse_gateway.routing.router import Router
from pulse_gateway.routing.targets import Alias, ProviderRow, Target
from pulse_gateway.types.catalog import Deployment, Price, Rates
from pulse_gateway.types.http import Timeouts

TODAY = calendar.timegm((2026, 11, 24, 12, 0, 0))
CATALOG = Catalog.load(now=lambda: TODAY)


def row(name: str, kind: str | None = None, **more: object) -> ProviderRow:
    return ProviderRow(name=name, kind=kind or name, base_url=f"https://{name}.example", key="sk-hidden", **more)  # type: ignore[arg-type]


ALL = {name: row(name) for name in ("openai", "anthropic", "google", "groq", "mistral")}


def router(
    *aliases: Alias,
    providers: dict[str, ProviderRow] = ALL,
    default: str | None = None,
    random: Callable[[], float] = random.random,
    catalog: Catalog = CATALOG,
) -> Router:
    return Router(aliases, providers, catalog, default, random)


def names(found: Router, model: str) -> list[str]:
    return [deployment.name for deployment in found.candidates(model)]


def targets(*texts: str) -> tuple[Target, ...]:
    return tuple(Target(provider=text.partition(":")[0], model=text.partition(":")[2]) for text in texts)


@pytest.mark.parametrize(
    ("model", "deployment"),
    [
        ("openai:gpt-6-sol", "openai:gpt-6-sol"),
        ("openai/gpt-6-sol", "openai:gpt-6-sol"),
        ("OpenAI/gpt-6-sol", "openai:gpt-6-sol"),
        ("openai:ft:gpt-4o:mine", "openai:ft:gpt-4o:mine"),
        ("groq/openai/gpt-oss-120b", "groq:openai/gpt-oss-120b"),
        ("groq:openai/gpt-oss-120b", "groq:openai/gpt-oss-120b"),
        ("google:gemini-3.8-flash", "google:gemini-3.8-flash"),
        ("gemini:gemini-3.8-flash", "google:gemini-3.8-flash"),
        ("gpt-6-sol", "openai:gpt-6-sol"),
        ("gpt-99-not-known-yet", "openai:gpt-99-not-known-yet"),
        ("chatgpt-image-latest", "openai:chatgpt-image-latest"),
        ("o1-pro", "openai:o1-pro"),
        ("o3-pro", "openai:o3-pro"),
        ("o4-pro", "openai:o4-pro"),
        ("text-embedding-3-small", "openai:text-embedding-3-small"),
        ("tts-1-hd", "openai:tts-1-hd"),
        ("whisper-1", "openai:whisper-1"),
        ("omni-moderation-latest", "openai:omni-moderation-latest"),
        ("claude-opus-5-5", "anthropic:claude-opus-5-5"),
        ("anthropic:claude-opus-5-5", "anthropic:claude-opus-5-5"),
        ("gemini-4-argon", "google:gemini-4-argon"),
        ("nano-banana", "google:gemini-3.1-flash-image"),
        ("nano-banana-pro", "google:gemini-3-pro-image"),
        ("nano-banana-pro-preview", "google:nano-banana-pro-preview"),
        ("models/gemini-4-argon", "google:gemini-4-argon"),
        ("models/openai:gpt-6-sol", "openai:gpt-6-sol"),
        ("echo", "echo:echo"),
        ("echo-2", "echo:echo-2"),
        ("echo:anything", "echo:anything"),
    ],
)
def test_names_lead_to_the_vendor_that_they_show(model: str, deployment: str) -> None:
    assert names(router(), model) == [deployment]


MEDIA = {name: row(name) for name in ("google", "vertex", "replicate", "stability")}


@pytest.mark.parametrize(
    ("model", "deployments"),
    [
        (
            "nano-banana",
            [
                "google:gemini-3.1-flash-image",
                "vertex:gemini-3.1-flash-image",
                "replicate:google/nano-banana-2",
                "stability:core",
            ],
        ),
        (
            "nano-banana-pro",
            [
                "google:gemini-3-pro-image",
                "vertex:gemini-3-pro-image",
                "replicate:google/nano-banana-pro",
                "stability:ultra",
            ],
        ),
        ("veo3", ["vertex:veo-3.1-generate-001", "replicate:google/veo-3.1"]),
        ("veo-3", ["vertex:veo-3.1-generate-001", "replicate:google/veo-3.1"]),
        ("veo-3.1", ["vertex:veo-3.1-generate-001", "replicate:google/veo-3.1"]),
        ("veo3-fast", ["vertex:veo-3.1-fast-generate-001", "replicate:google/veo-3.1-fast"]),
        ("veo-3.1-lite", ["vertex:veo-3.1-lite-generate-001", "replicate:google/veo-3.1-fast"]),
        ("veo-3.2-generate-001", ["vertex:veo-3.2-generate-001", "replicate:google/veo-3.1"]),
        ("veo-3.1-fast-generate-preview", ["vertex:veo-3.1-fast-generate-preview", "replicate:google/veo-3.1-fast"]),
    ],
)
def test_media_names_lead_to_google_and_then_to_others(model: str, deployments: list[str]) -> None:
    assert names(router(providers=MEDIA), model) == deployments
    for provider, alone_on in MEDIA.items():  # each alone is enough, where it has such a model
        alone = [each for each in deployments if each.startswith(f"{provider}:")]
        if alone:
            assert names(router(providers={provider: alone_on}), model) == alone


def test_a_media_name_without_any_of_its_providers_says_what_would_switch_one_on() -> None:
    with pytest.raises(ModelNotFound, match="none is switched on") as caught:
        router(providers={"openai": row("openai")}).candidates("veo3")
    assert "GOOGLE_CLOUD_PROJECT" in caught.value.message
    assert "REPLICATE_API_TOKEN" in caught.value.message
    assert "STABILITY" not in caught.value.message


def test_an_alias_stands_before_a_media_name() -> None:
    alias = Alias(name="veo3", targets=targets("replicate:google/veo-3"))
    assert names(router(alias, providers=MEDIA), "veo3") == ["replicate:google/veo-3"]


def test_media_models_are_listed_with_what_they_are_for() -> None:
    def offers(deployment: Deployment, operation: str) -> bool:
        return (deployment.kind, operation) not in {("google", "videos"), ("google", "image_edits")}

    found = Router((), MEDIA, CATALOG, offers=offers)
    listed = {each.id: each for each in found.models()}
    assert listed["nano-banana"].operations == ("chat", "images", "count_tokens", "image_edits")  # edits of Vertex
    assert listed["gemini-3-pro-image"].operations == ("chat", "images", "count_tokens")
    assert listed["veo-3"].operations == ("videos",)
    assert (listed["veo-3"].provider, listed["veo-3.1-generate-001"].provider) == ("vertex", "vertex")
    assert listed["stability:ultra"].operations == ("images",)
    assert listed["replicate:google/veo-3.1"].operations == ("videos",)
    assert "gemini-omni-1.1-flash" not in listed  # nothing of what it is for is offered here
    assert listed["gemini-embedding-2"].operations == ("embeddings",)
    assert listed["gemini-3-pro-image"].start == "2026-05-28"
    priced = {each.id for each in found.models(priced=True)}
    assert "replicate:google/veo-3.1" in listed.keys() - priced
    assert "gemini-3-pro-image" in priced


@pytest.mark.parametrize("priced", [False, True])
def test_every_name_of_the_media_table_is_listed_and_others_are_shown(priced: bool) -> None:
    found = router(providers=MEDIA)
    listed = {each.id for each in found.models(priced=priced)}
    veos = {f"{veo}{size}" for veo in ("veo3", "veo-3", "veo-3.1") for size in ("", "-fast", "-lite")}
    bananas = {f"nano-banana{size}" for size in ("", "-2", "-2-lite", "-2.1", "-pro")}
    assert veos | bananas <= listed
    for name in ("veo-3.2-fast", "vertex/veo-3.1-generate-001", "gemini-3.8-flash-001", "stability:core"):
        shown = found.spelled_out(name, priced=priced)
        assert shown is not None and shown.id == name
        assert found.candidates(name)[0].provider == shown.provider
    assert found.spelled_out("replicate:google/veo-3.1", priced=True) is None  # unpriced
    for name in ("gemini-99", "vertex:veo-3.0-generate-001", "nothing"):
        assert found.spelled_out(name, priced=priced) is None


def test_under_a_budget_an_alias_is_listed_for_what_its_priced_targets_do() -> None:
    found = router(
        Alias(name="film", targets=targets("replicate:google/veo-3.1", "vertex:veo-3.1-generate-001")),
        Alias(name="either", targets=targets("google:gemini-99", "google:gemini-embedding-2")),
        Alias(name="free", targets=targets("replicate:google/veo-3.1")),
        providers=MEDIA,
    )
    every = {each.id: each for each in found.models()}
    assert (every["film"].provider, every["either"].operations) == ("replicate", ("chat", "count_tokens", "embeddings"))
    priced = {each.id: each for each in found.models(priced=True)}
    assert (priced["film"].provider, priced["either"].operations) == ("vertex", ("embeddings",))
    assert "free" in every and "free" not in priced


def test_an_alias_comes_before_everything_else() -> None:
    aliases = [Alias(name=name, targets=targets("groq:llama")) for name in ("gpt-6-sol", "openai:gpt-6-sol", "echo")]
    for alias in aliases:
        assert names(router(*aliases), alias.name) == ["groq:llama"]


def test_a_deployment_carries_all_that_a_call_needs() -> None:
    own = row(
        "eu",
        kind="openai",
        headers=(("x-team", "a"),),
        timeouts=Timeouts(first_byte_s=5.0),
        abandoned="drain",
        proxy="http://proxy.example:3128",
    )
    (deployment,) = router(providers={"eu": own}).candidates("eu:gpt-4o")
    assert (deployment.provider, deployment.kind, deployment.base_url) == ("eu", "openai", "https://eu.example")
    assert (deployment.key, deployment.headers, deployment.proxy) == ("sk-hidden", (("x-team", "a"),), own.proxy)
    assert (deployment.timeouts, deployment.abandoned) == (own.timeouts, "drain")
    assert deployment.model.price == CATALOG.model("openai", "gpt-4o").price  # an account's models are its kind's


def test_keys_are_in_no_repr() -> None:
    (deployment,) = router().candidates("gpt-4o")
    assert "sk-hidden" not in repr(deployment) + repr(router().providers())


def test_an_unknown_model_of_a_known_vendor_has_no_price() -> None:
    (deployment,) = router().candidates("openai:gpt-99")
    assert (deployment.model.name, deployment.model.price) == ("gpt-99", None)


def test_a_model_that_was_shut_down_is_refused_with_the_day_and_others_for_the_same() -> None:
    for name in ("gpt-4", "gpt-4-0613", "openai/gpt-4"):  # snapshots too
        with pytest.raises(ModelNotFound, match=r"gpt-4.* was shut down on 2026-10-23; use .*gpt-.* instead") as caught:
            router().candidates(name)
        assert caught.value.param == "model"
    with pytest.raises(ModelNotFound, match=r"openai:sora-2 was shut down on 2026-09-24; use .*veo.* instead"):
        router(providers={**ALL, **MEDIA}).candidates("sora-2")
    with pytest.raises(ModelNotFound, match=r"2026-09-24; GET /v1/models lists what there is"):
        Router((), ALL, CATALOG, offers=lambda deployment, operation: False).candidates("sora-2")
    (deployment,) = router(providers={**ALL, "azure": row("azure")}).candidates("azure:gpt-4")  # has days of its own
    assert deployment.model.shutdown is None


def test_aliases_pass_over_what_is_gone_until_nothing_is_left() -> None:
    assert names(router(Alias(name="a", targets=targets("openai:gpt-4", "groq:llama"))), "a") == ["groq:llama"]
    assert names(router(Alias(name="a", targets=targets("openai:gpt-4"), fallbacks=("claude-opus-5-5",))), "a") == [
        "anthropic:claude-opus-5-5"
    ]
    alias = Alias(name="a", targets=targets("openai:gpt-4"), fallbacks=("claude-3-opus-20240229",))
    with pytest.raises(ModelNotFound, match="the model 'a' is not served: openai:gpt-4 was shut down on 2026-10-23"):
        router(alias).candidates("a")
    assert "a" not in {each.id for each in router(alias).models()}


def test_a_shutdown_comes_into_force_in_a_running_router() -> None:
    now = [float(calendar.timegm((2026, 10, 22, 23, 59, 59)))]
    found = router(catalog=Catalog.load(now=lambda: now[0]))
    assert names(found, "gpt-4") == ["openai:gpt-4"]
    now[0] += 1
    with pytest.raises(ModelNotFound):
        found.candidates("gpt-4")


# ── aliases ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_ordered_targets_come_as_written_then_the_fallbacks() -> None:
    alias = Alias(
        name="smart",
        targets=targets("anthropic:claude-opus-5-5", "openai:gpt-6-sol"),
        fallbacks=("google:gemini-3.8-flash", "anthropic:claude-opus-5-5", "gpt-6-luna"),
    )
    assert names(router(alias), "smart") == [
        "anthropic:claude-opus-5-5",
        "openai:gpt-6-sol",
        "google:gemini-3.8-flash",
        "openai:gpt-6-luna",
    ]


def test_a_fallback_may_be_an_alias_and_a_circle_ends() -> None:
    one = Alias(name="one", targets=targets("openai:gpt-6-sol"), fallbacks=("two",))
    two = Alias(name="two", targets=targets("groq:llama"), fallbacks=("one", "two"))
    assert names(router(one, two), "one") == ["openai:gpt-6-sol", "groq:llama"]
    assert names(router(one, two), "two") == ["groq:llama", "openai:gpt-6-sol"]


def test_a_fallback_that_nothing_is_called_is_passed_over() -> None:
    alias = Alias(name="smart", targets=targets("openai:gpt-6-sol"), fallbacks=("nonsense",))
    assert names(router(alias), "smart") == ["openai:gpt-6-sol"]
    lost = Alias(name="lost", targets=targets("xai:grok"), fallbacks=("nonsense",))
    with pytest.raises(ModelNotFound, match="no provider of the model 'lost' is switched on"):
        router(lost).candidates("lost")


def test_weighted_targets_come_first_in_proportion_to_their_weights() -> None:
    alias = Alias(
        name="spread",
        strategy="weighted",
        targets=(
            Target(provider="openai", model="a", weight=6),
            Target(provider="groq", model="b", weight=3),
            Target(provider="mistral", model="c", weight=1),
            Target(provider="google", model="never-first", weight=0),
        ),
        fallbacks=("echo",),
    )
    found = router(alias, random=random.Random(7).random)
    orders = [names(found, "spread") for _ in range(20_000)]
    first, second = (Counter(order[place] for order in orders) for place in (0, 1))
    assert first["openai:a"] / 20_000 == pytest.approx(0.6, abs=0.02)
    assert first["groq:b"] / 20_000 == pytest.approx(0.3, abs=0.02)
    assert first["mistral:c"] / 20_000 == pytest.approx(0.1, abs=0.02)
    assert second["groq:b"] / 20_000 == pytest.approx(0.6 * 3 / 4 + 0.1 * 3 / 9, abs=0.02)
    assert all(order[3:] == ["google:never-first", "echo:echo"] for order in orders)
    assert all(len(set(order)) == 5 for order in orders)


def test_targets_whose_provider_is_off_are_passed_over() -> None:
    alias = Alias(
        name="smart", targets=targets("anthropic:claude-opus-5-5", "openai:gpt-6-sol"), fallbacks=("xai:grok",)
    )
    assert names(router(alias, providers={"openai": row("openai")}), "smart") == ["openai:gpt-6-sol"]


def test_an_alias_none_of_whose_providers_is_on_says_what_would_switch_them_on() -> None:
    alias = Alias(name="smart", targets=targets("anthropic:claude-opus-5-5", "openai:gpt-6-sol", "openai:gpt-6-luna"))
    with pytest.raises(ModelNotFound, match=r"set ANTHROPIC_API_KEY or OPENAI_API_KEY$"):
        router(alias, providers={}).candidates("smart")


def test_an_alias_may_have_its_own_timeouts_and_price() -> None:
    price = Price(rates=Rates(input=1, output=2), source="contract", as_of="2026-11-01")
    alias = Alias(
        name="cheap",
        targets=targets("openai:gpt-4o"),
        fallbacks=("openai:gpt-4o-mini",),
        price=price,
        timeouts=Timeouts(first_byte_s=1.0),
    )
    first, fallback = router(alias).candidates("cheap")
    assert (first.model.price, first.timeouts.first_byte_s) == (price, 1.0)
    assert fallback.model.price == CATALOG.model("openai", "gpt-4o-mini").price
    assert fallback.timeouts == Timeouts()


# ── nothing found ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "variable"),
    [
        ("openai:gpt-6-sol", "OPENAI_API_KEY"),
        ("gpt-6-sol", "OPENAI_API_KEY"),
        ("claude-opus-5-5", "ANTHROPIC_API_KEY"),
        ("gemini-3.8-flash", "GEMINI_API_KEY"),
        ("gemini/gemini-3.8-flash", "GEMINI_API_KEY"),
        ("x-ai/grok-4.7", "XAI_API_KEY"),
        ("replicate/black-forest-labs/flux", "REPLICATE_API_TOKEN"),
    ],
)
def test_a_provider_that_is_off_is_named_with_the_variable_that_switches_it_on(model: str, variable: str) -> None:
    with pytest.raises(ModelNotFound, match=f"not switched on; set {variable}$") as error:
        router(providers={}).candidates(model)
    assert (error.value.param, error.value.status) == ("model", 404)


def test_a_misspelled_name_is_answered_with_those_that_are_close() -> None:
    alias = Alias(name="house-model", targets=targets("openai:gpt-6-sol"))
    found = router(alias)
    for asked, meant in (
        ("house-modle", "house-model"),
        ("cluade-opus-5-5", "claude-opus-5-5"),
        ("mistral-large-latst", "mistral:mistral-large-latest"),
    ):
        with pytest.raises(ModelNotFound) as error:
            found.candidates(asked)
        assert "did you mean" in str(error.value)
        assert meant in str(error.value)


def test_a_name_like_no_other_is_pointed_to_the_list() -> None:
    with pytest.raises(ModelNotFound, match="GET /v1/models"):
        router().candidates("zzzzzzzz")


@pytest.mark.parametrize("model", ["", ":", "/", "openai:", ":gpt", "meta-llama/llama-3"])
def test_odd_names_are_not_found(model: str) -> None:
    with pytest.raises(ModelNotFound):
        router().candidates(model)


def test_an_endless_name_is_not_repeated_in_full() -> None:
    with pytest.raises(ModelNotFound) as error:
        router().candidates("x" * 100_000)
    assert len(str(error.value)) < 300


def test_the_default_stands_in_for_names_that_nothing_else_matches() -> None:
    alias = Alias(name="house-model", targets=targets("openai:gpt-6-sol", "groq:llama"))
    assert names(router(alias, default="house-model"), "whatever") == ["openai:gpt-6-sol", "groq:llama"]
    assert names(router(default="anthropic:claude-opus-5-5"), "whatever") == ["anthropic:claude-opus-5-5"]
    assert names(router(default="anthropic:claude-opus-5-5"), "gpt-6-sol") == ["openai:gpt-6-sol"]


def test_a_default_that_does_not_exist_is_not_found_either() -> None:
    with pytest.raises(ModelNotFound, match="nowhere"):
        router(default="nowhere").candidates("whatever")


# ── listing and memory ────────────────────────────────────────────────────────────────────────────────────────────────


def test_models_are_the_aliases_the_catalogs_of_what_is_on_and_echo() -> None:
    usable = Alias(name="house-model", targets=targets("groq:llama", "openai:gpt-6-sol"))
    off = Alias(name="off", targets=targets("xai:grok-4.7"))
    listed = router(usable, off).models()
    ids = [model.id for model in listed]
    assert ids[0] == "house-model"
    assert ids[-1] == "echo"
    assert {"gpt-6-sol", "claude-opus-5-5", "gemini-3.8-flash", "groq:openai/gpt-oss-120b"} < set(ids)
    assert not {"off", "gpt-4", "xai:grok-4.7", "veo-3", "dall-e-3"} & set(ids)
    operations = {model.id: model.operations for model in listed}
    assert operations["text-embedding-3-small"] == ("embeddings",)
    assert operations["gpt-6-sol"] == ("chat", "count_tokens")
    assert len(ids) == len(set(ids))
    by_id = {model.id: model for model in listed}
    assert by_id["gpt-5"].shutdown == "2026-12-11"
    assert by_id["claude-opus-5-5"].max_output_tokens == 128_000
    assert by_id["claude-opus-5-5"].provider == "anthropic"


def test_every_listed_model_can_be_asked_for_by_its_id() -> None:
    alias = Alias(name="gpt-4o", targets=targets("groq:llama"))  # hides OpenAI's model of that name
    found = router(alias, providers={**ALL, "eu": row("eu", kind="openai")})
    for model in found.models():
        (deployment, *_) = found.candidates(model.id)
        assert deployment.provider == model.provider
    assert "openai:gpt-4o" in [model.id for model in found.models()]
    assert "eu:gpt-4o" in [model.id for model in found.models()]


def test_without_a_provider_there_is_echo() -> None:
    found = router(providers={})
    assert [model.id for model in found.models()] == ["echo"]
    assert [provider.kind for provider in found.providers()] == ["echo"]


def test_a_deployment_is_made_once() -> None:
    found = router(Alias(name="smart", targets=targets("openai:gpt-6-sol")))
    assert found.candidates("smart")[0] is found.candidates("smart")[0]
    assert found.candidates("gpt-6-sol")[0] is found.candidates("gpt-6-sol")[0]


def test_names_from_clients_do_not_fill_the_memory() -> None:
    found = router(Alias(name="smart", targets=targets("openai:gpt-6-sol")))
    kept = found.candidates("smart")[0]
    for number in range(5_000):
        found.candidates(f"gpt-invented-{number}")
    assert len(found._name_choices) == 2_000
    assert found.candidates("smart")[0] is kept


def test_a_new_day_brings_new_prices_and_shutdowns() -> None:
    now = [float(calendar.timegm((2026, 11, 30, 12, 0, 0)))]
    found = router(catalog=Catalog.load(now=lambda: now[0]))
    before = found.candidates("gemini-4-argon")[0].model.price
    assert "gpt-5" in [model.id for model in found.models()]
    now[0] += 12 * 86_400
    after = found.candidates("gemini-4-argon")[0].model.price
    assert before is not None
    assert after is not None
    assert after.rates.input == 2 * before.rates.input
    assert "gpt-5" not in [model.id for model in found.models()]
