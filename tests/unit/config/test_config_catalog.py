"""What an operator says of models, from the file to the deployment."""

from __future__ import annotations

import calendar
import re
from pathlib import Path

import pytest

from pulse_gateway.catalog.catalog import Catalog
from pulse_gateway.catalog.cost import cost
from pulse_gateway.catalog.settings import CapabilitiesConfig, PriceConfig, price_of
from pulse_gateway.composition import build_router, build_terms
from pulse_gateway.config import decode
from pulse_gateway.errors import ConfigError, ModelNotFound
from pulse_gateway.pipeline.terms import Terms
from pulse_gateway.routing.defaults import media_targets
from pulse_gateway.routing.router import Router
from pulse_gateway.types.catalog import Capabilities, Rates, UnitRates
from pulse_gateway.types.identity import Allowance, Plan, Principal
from pulse_gateway.types.usage import Usage

CATALOG = Catalog.load(now=lambda: calendar.timegm((2026, 11, 24, 12, 0, 0)))
PROVIDERS = '[providers.openai]\nkey = "sk"\n[providers.house]\nkind = "vllm"\nbase_url = "http://gpu.example/v1"\n'


def router(text: str) -> Router:
    return build_router(decode(PROVIDERS + text, "pulse.toml"), CATALOG, {})


def test_a_model_of_ones_own_has_what_was_said_of_it() -> None:
    found = router(
        """
        [catalog."house:picasso"]
        operations = ["images"]
        inputs = ["text"]
        outputs = ["image"]
        context_tokens = 1_000
        start = "2026-01-01"
        [catalog."house:picasso".price]
        image = { "1024x1024/high" = 0.1, "" = 0.05 }
        """
    )
    (deployment,) = found.candidates("house:picasso")
    model = deployment.model
    assert (model.operations, model.inputs, model.outputs, model.context_tokens, model.start) == (
        ("images",),
        ("text",),
        ("image",),
        1_000,
        "2026-01-01",
    )
    assert model.price is not None
    assert model.price.source == "configuration"
    assert cost(Usage(images=2, variant="1024x1024/high"), model.price) == 200_000_000
    assert cost(Usage(images=1, variant="512x512"), model.price) == 50_000_000


def test_a_known_model_keeps_what_nothing_is_said_of() -> None:
    text = """
        [catalog."openai:gpt-6-sol"]
        max_output_tokens = 4_000
        capabilities = { sampling = false, efforts = ["low"] }
        [catalog."openai:gpt-6-sol".price]
        input = 0.1
        output = 0.4
        """
    (deployment,) = router(text).candidates("gpt-6-sol")
    (before,) = router("").candidates("gpt-6-sol")
    after, known = deployment.model, before.model
    assert (after.max_output_tokens, after.context_tokens) == (4_000, known.context_tokens)
    assert (after.capabilities.sampling, after.capabilities.efforts) == (False, ("low",))
    assert after.capabilities.chat_tools_with_reasoning is known.capabilities.chat_tools_with_reasoning is False
    assert after.price is not None
    assert after.price.rates == Rates(input=100_000_000, output=400_000_000)


def test_a_model_of_ones_own_is_listed_until_its_last_day() -> None:
    text = '[catalog."house:{name}"]\nshutdown = "{day}"\n'
    found = router(text.format(name="young", day="2026-11-25") + text.format(name="old", day="2026-11-24"))
    assert [model.id for model in found.models() if model.provider == "house"] == ["house:young"]
    with pytest.raises(ModelNotFound, match=r"house:old was shut down on 2026-11-24; use house:young instead"):
        found.candidates("house:old")
    assert found.deployment("house", "old").model.shutdown == "2026-11-24"  # for what was begun there


def test_a_model_of_ones_own_is_neither_listed_nor_served_before_its_first_day() -> None:
    text = '[catalog."house:{name}"]\nstart = "{day}"\n'
    found = router(text.format(name="new", day="2026-11-25") + text.format(name="here", day="2026-11-24"))
    assert [model.id for model in found.models() if model.provider == "house"] == ["house:here"]
    assert found.candidates("house:here")
    with pytest.raises(ModelNotFound, match=r"house:new is not served before 2026-11-25; use house:here instead"):
        found.candidates("house:new")
    assert found.spelled_out("house:new") is None


def test_an_alias_has_a_price_by_every_class_and_unit() -> None:
    text = """
        [models.reader]
        targets = ["openai:whisper-1"]
        price = { audio_minute = 0.003, characters = 2, search = 0.01, video_second = 0.2, input = 1, output = 2, image_output = 9 }
        """
    (deployment,) = router(text).candidates("reader")
    price = deployment.model.price
    assert price is not None
    assert price.units == UnitRates(
        video_second={"": 200_000_000}, audio_minute=3_000_000, characters=2_000_000_000, search=10_000_000
    )
    assert price.rates == Rates(input=10**9, output=2 * 10**9, image_output=9 * 10**9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[catalog."gpt-6-sol"]', 'catalog."gpt-6-sol": the table\'s name is not of the form provider:model'),
        ('[catalog."nobody:x"]', "catalog.\"nobody:x\": there is no provider 'nobody'; known: openai, house"),
        ('[catalog."openai:x".price]\ninput = 1', 'catalog."openai:x".price.output is missing'),
        ('[catalog."openai:x".price]\naudio_input = 1', 'catalog."openai:x".price.input is missing'),
        ('[catalog."openai:x".price]', 'catalog."openai:x".price prices nothing'),
        ('[catalog."openai:x".price.image]', 'catalog."openai:x".price prices nothing'),
        ('[models.m]\ntargets = ["openai:x"]\nprice = { output = 1 }', "models.m.price.input is missing"),
        ('[catalog."openai:x"]\nshutdown = "2026-13-01"', "catalog.\"openai:x\".shutdown = '2026-13-01' is no day"),
        ('[catalog."openai:x"]\nstart = "20261101"', "catalog.\"openai:x\".start = '20261101' is no day"),
        ('[catalog."openai:x"]\ncontext_tokens = 0', "`catalog[...].context_tokens`"),
        ('[catalog."openai:x"]\ncontext = 5', "did you mean `context_tokens`"),
        ('[catalog."openai:x"]\noperations = ["chats"]', "; valid: chat, embeddings, images"),
        ('[catalog."openai:x".price]\ninput = -1\noutput = 1', "`catalog[...].price.input`"),
        ('[catalog."openai:x".price]\nimage = { a = -1 }', "`catalog[...].price.image"),
        ('[catalog."openai:x".capabilities]\nsamplings = true', "did you mean `sampling`"),
        ('[catalog."openai:x".capabilities]\nthinking = "much"', "; valid: none, budget, adaptive"),
    ],
)
def test_a_mistake_names_its_key(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        router(text)
    assert said in str(caught.value)


def test_a_tenth_is_a_tenth_and_what_is_smaller_than_a_nano_dollar_is_one() -> None:
    price = price_of(PriceConfig(input=0.1, output=1e-12, image=0.1), "price")
    assert price.rates == Rates(input=100_000_000, output=1)
    assert price.units == UnitRates(image={"": 100_000_000})


def test_whatever_a_model_can_do_and_cost_can_be_written() -> None:
    assert set(CapabilitiesConfig.__struct_fields__) == set(Capabilities.__struct_fields__)
    assert set(PriceConfig.__struct_fields__) == {*Rates.__struct_fields__, *UnitRates.__struct_fields__}


def test_a_call_without_a_price_is_let_through_a_budget_only_if_the_operator_says_so() -> None:
    spender = Principal(user_id="ada", plan=Plan(name="p", allowance=Allowance(budget_nano_usd=1)))
    anybody = Principal(user_id="bob", plan=Plan(name="q"))
    refusing, allowing = (
        build_terms(decode(text, "pulse.toml").limits) for text in ("", '[limits]\nunpriced = "allow"')
    )
    assert (refusing.needs_price(spender), refusing.needs_price(anybody)) == (True, False)
    assert (allowing.needs_price(spender), allowing.needs_price(anybody)) == (False, False)
    assert Terms().unpriced == "refuse"


def test_what_the_page_about_models_shows_can_be_written() -> None:
    page = (Path(__file__).parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    found = build_router(decode('[providers.openai]\nkey = "sk"\n' + shown, "pulse.toml"), CATALOG, {})
    assert found.candidates("gpt-5.4")[0].model.price == found.catalog.model("openai", "gpt-5.4-2026-03-05").price
    assert found.candidates("house:picasso")[0].model.operations == ("images",)
    assert found.catalog.model("azure", "our-deployment").capabilities.efforts == ("none", "low", "medium", "high")
    for names in re.findall(r"^\| `(?:nano|veo)[^|]*", page, re.MULTILINE):
        for name in re.findall(r"`([^`]+)`", names):
            assert media_targets(name), name
            assert f"`{media_targets(name)[0].provider}:{media_targets(name)[0].model}`" in page
