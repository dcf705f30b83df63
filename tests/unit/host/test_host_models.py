"""The list of models in three shapes, page by page, and what operators see of them."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import ModelInfo
from google.genai import types as gemini_types
from openai.types import Model as OpenAIModel

from pulse_gateway.config import Config, ProviderConfig, decode
from pulse_gateway.errors import InvalidRequest, ModelNotFound, PermissionDenied
from pulse_gateway.gateway import Gateway
from pulse_gateway.routing.listing import ListedModel
from pulse_gateway.testing.clock import FakeClock
from pulse_gateway.types.identity import Allowance, Plan, Principal
from pulse_host.model_admin import admin_models, require_scope
from pulse_host.models import list_models, show_model, usable

MODELS = [
    ListedModel(
        id="chat-one", provider="openai", operations=("chat", "count_tokens"), start="2026-03-05", context_tokens=5
    ),
    ListedModel(id="picture", provider="stability", operations=("images",)),
    ListedModel(id="vector", provider="openai", operations=("embeddings",)),
    ListedModel(id="chat/two", provider="google", operations=("chat",), shutdown="2027-01-14", max_output_tokens=9),
    ListedModel(id="chat-three", provider="google", operations=("chat", "images")),
]


def listed(dialect: str, **query: str) -> dict[str, Any]:
    return list_models(MODELS, dialect, {name: [value] for name, value in query.items()})


def ids(page: dict[str, Any]) -> list[str]:
    rows = page.get("data", page.get("models", []))
    return [row.get("id") or row["name"].removeprefix("models/") for row in rows]


def test_each_client_sees_what_it_can_call() -> None:
    assert ids(listed("openai.chat")) == ["chat-one", "picture", "vector", "chat/two", "chat-three"]
    assert ids(listed("anthropic.messages")) == ["chat-one", "chat/two", "chat-three"]
    assert ids(listed("gemini")) == ["chat-one", "vector", "chat/two", "chat-three"]


def test_openais_rows_are_what_its_sdk_reads_and_say_what_a_model_is_for() -> None:
    first, _, _, two, _ = (OpenAIModel.model_validate(row) for row in listed("openai.chat")["data"])
    assert (first.id, first.created, first.owned_by, first.shutdown_date) == ("chat-one", 1_772_668_800, "openai", None)
    assert (two.created, two.shutdown_date) == (0, "2027-01-14")
    assert listed("openai.chat")["data"][1]["operations"] == ("images",)


def test_anthropics_rows_are_what_its_sdk_reads() -> None:
    first, two, _ = (ModelInfo.model_validate(row) for row in listed("anthropic.messages")["data"])
    assert (first.lifecycle, first.created_at.year, first.max_input_tokens, first.retires_at) == (
        "active",
        2026,
        5,
        None,
    )
    assert (two.lifecycle, two.created_at.year, two.max_tokens) == ("deprecated", 1970, 9)
    assert two.retires_at is not None


def test_geminis_rows_say_which_methods_there_are() -> None:
    rows = {row["name"]: row for row in listed("gemini")["models"]}
    assert rows["models/chat-one"]["supportedGenerationMethods"] == [
        "generateContent",
        "streamGenerateContent",
        "countTokens",
    ]
    assert rows["models/chat/two"]["supportedGenerationMethods"] == ["generateContent", "streamGenerateContent"]
    assert rows["models/vector"]["supportedGenerationMethods"] == ["embedContent", "batchEmbedContents"]
    assert gemini_types.Model.model_validate({"name": rows["models/vector"]["name"]}).name == "models/vector"


def test_anthropics_pages_go_forth_and_back() -> None:
    first = listed("anthropic.messages", limit="2")
    assert (ids(first), first["has_more"], first["first_id"], first["last_id"]) == (
        ["chat-one", "chat/two"],
        True,
        "chat-one",
        "chat/two",
    )
    second = listed("anthropic.messages", limit="2", after_id="chat/two")
    assert (ids(second), second["has_more"]) == (["chat-three"], False)
    back = listed("anthropic.messages", limit="1", before_id="chat-three")
    assert (ids(back), back["has_more"]) == (["chat/two"], True)
    assert not listed("anthropic.messages", limit="2", before_id="chat-three")["has_more"]
    end = listed("anthropic.messages", after_id="chat-three")
    assert (end["data"], end["has_more"], end["first_id"]) == ([], False, None)
    assert ids(listed("anthropic.messages", lifecycle="deprecated")) == ["chat/two"]
    assert ids(list_models(MODELS, "anthropic.messages", {"lifecycle[]": ["active", "retired"]})) == [
        "chat-one",
        "chat-three",
    ]


def test_without_a_limit_a_page_has_as_many_as_the_vendors() -> None:
    many = [ListedModel(id=f"m{number:03d}", provider="openai") for number in range(120)]
    assert len(list_models(many, "anthropic.messages", {})["data"]) == 20
    page = list_models(many, "gemini", {})
    assert len(page["models"]) == 50
    assert len(list_models(many, "openai.chat", {})["data"]) == 120


def test_geminis_pages_follow_each_other_to_the_end() -> None:
    found: list[str] = []
    token: str | None = None
    while True:
        page = listed("gemini", pageSize="2", **({} if token is None else {"pageToken": token}))
        found += ids(page)
        token = page.get("nextPageToken")
        if token is None:
            break
    assert found == ["chat-one", "vector", "chat/two", "chat-three"]
    assert ids(listed("gemini", page_size="1")) == ["chat-one"]


@pytest.mark.parametrize(
    ("dialect", "query", "param"),
    [
        ("anthropic.messages", {"limit": "0"}, "limit"),
        ("anthropic.messages", {"limit": "1001"}, "limit"),
        ("anthropic.messages", {"limit": "many"}, "limit"),
        ("anthropic.messages", {"after_id": "nobody"}, "after_id"),
        ("anthropic.messages", {"before_id": "picture"}, "before_id"),  # which is not in this list
        ("anthropic.messages", {"before_id": "chat/two", "after_id": "chat-one"}, "before_id"),
        ("gemini", {"pageSize": "-1"}, "pageSize"),
        ("gemini", {"pageSize": "9" * 5_000}, "pageSize"),
        ("gemini", {"pageToken": "%%%"}, "pageToken"),
        ("gemini", {"pageToken": "YQ"}, "pageToken"),
    ],
)
def test_a_page_that_there_is_not_is_named(dialect: str, query: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        listed(dialect, **query)
    assert caught.value.param == param


def test_one_model_is_found_under_its_name_and_as_geminis_clients_write_it() -> None:
    for name in ("chat/two", "models/chat/two"):
        assert show_model(MODELS, name, "openai.chat")["id"] == "chat/two"
        assert show_model(MODELS, name, "gemini")["name"] == "models/chat/two"
    with pytest.raises(ModelNotFound):
        show_model(MODELS, "picture", "anthropic.messages")
    with pytest.raises(ModelNotFound):
        show_model(MODELS, "nobody", "openai.chat")


# ── who may use what ──

UNLIMITED = Plan(name="unlimited")
SPENDER = Principal(user_id="ada", plan=Plan(name="p", allowance=Allowance(budget_nano_usd=10**9)))


def gateway(text: str = "") -> Gateway:
    config = decode(text, "pulse.toml")
    return Gateway(
        Config(
            providers={
                "openai": ProviderConfig(key="x"),
                "eu": ProviderConfig(key="y", kind="openai"),
                **config.providers,
            },
            catalog=config.catalog,
            limits=config.limits,
        ),
        clock=FakeClock(now=1_795_521_600.0),
    )


def test_who_has_a_budget_sees_what_can_be_charged_to_it() -> None:
    made = gateway()
    everybody = {model.id for model in usable(made, Principal(user_id="bob", plan=UNLIMITED))}
    budgeted = {model.id for model in usable(made, SPENDER)}
    assert "gpt-6.2-astra" in everybody - budgeted
    assert {"gpt-6-sol", "eu:gpt-6-sol", "echo"} <= budgeted
    assert {model.id for model in usable(gateway('[limits]\nunpriced = "allow"'), SPENDER)} == everybody


def test_operators_see_prices_by_class_and_unit_with_their_source_and_version() -> None:
    made = gateway('[catalog."eu:ours"]\ncontext_tokens = 7\n[catalog."eu:ours".price]\nimage = { "1024x1024" = 0.04 }')
    rows = {row.id: row for row in admin_models(made.router, {"limit": ["1000"], "on": ["true"]}).data}
    sol = rows["openai:gpt-6-sol"]
    assert sol.price is not None
    assert sol.price.per_million_tokens["cached_input"] == "0.2"
    assert (sol.price.long_context_above_tokens, sol.price.long_context["input"]) == (272_000, "4")
    assert sol.price.version.startswith("2026-11-24.")
    assert "https://" in sol.price.source
    assert sol.capabilities["chat_tools_with_reasoning"] is False
    whisper = rows["eu:whisper-1"].price
    assert whisper is not None
    assert whisper.audio_minute == "0.006"
    ours = rows["eu:ours"]
    assert (ours.on, ours.context_tokens, ours.operations) == (True, 7, ())
    assert ours.price is not None
    assert (ours.price.image, ours.price.source) == ({"1024x1024": "0.04"}, "configuration")
    assert rows["openai:gpt-4"].shutdown == "2026-10-23"  # also what is gone
    assert "anthropic:claude-opus-5-5" not in rows


def test_operators_page_through_everything() -> None:
    made, found, asked = gateway(), [], {"limit": ["700"]}
    while True:
        page = admin_models(made.router, asked)
        found += [row.id for row in page.data]
        if not page.has_more:
            break
        asked["after"] = [str(page.last_id)]
    assert len(found) == len(set(found)) > 1_400
    assert {row.provider for row in admin_models(made.router, {"provider": ["vertex"]}).data} == {"vertex"}
    assert {"rerank"} <= set(admin_models(made.router, {"operation": ["rerank"]}).data[0].operations)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"limit": ["0"]}, "limit"),
        ({"on": ["yes"]}, "on"),
        ({"after": ["nobody"]}, "after"),
        ({"colour": ["red"]}, "colour"),
        ({"limit": ["1", "2"]}, "limit"),
    ],
)
def test_a_mistaken_parameter_is_named(asked: dict[str, list[str]], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        admin_models(gateway().router, asked)
    assert caught.value.param == param


def test_only_a_key_with_the_scope_sees_it() -> None:
    with pytest.raises(PermissionDenied, match="pulse keys create --scope admin"):
        require_scope(SPENDER, "admin")
    require_scope(Principal(user_id="op", plan=UNLIMITED, scopes=("admin",)), "admin")
