"""A client of Gemini that writes snake case is told of its fields in snake case, whoever finds fault with them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.config import ProviderConfig

CONTENTS = [{"role": "user", "parts": [{"text": "x"}]}]
CHAT, EMBED = (
    ("gemini", "chat", "anthropic:claude-opus-5"),
    ("gemini.embed_content", "embeddings", "openai:text-embedding-3-small"),
)


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    providers = {name: ProviderConfig(key="x", base_url="http://127.0.0.1:9") for name in ("anthropic", "openai")}
    async with Gateway(Config(providers=providers), observers=()) as opened:
        yield opened


@pytest.mark.parametrize(
    ("call", "members", "path"),
    [
        (CHAT, {"generation_config": {"max_output_tokens": "hot"}}, "generation_config.max_output_tokens"),
        (
            CHAT,
            {"generation_config": {"thinking_config": {"thinking_level": "FOO"}}},
            "generation_config.thinking_config.thinking_level",
        ),
        (CHAT, {"safety_settings": [{"category": "C", "threshold": "OFF"}]}, "safety_settings"),
        (CHAT, {"cached_content": "cachedContents/x"}, "cached_content"),
        (CHAT, {"cachedContent": "cachedContents/x"}, "cachedContent"),
        (CHAT, {"tools": [{"google_search": {}}]}, "tools[0].google_search"),
        (
            CHAT,
            {"contents": [{"parts": [{"file_data": {"mime_type": "video/mp4", "file_uri": "https://a.example/x"}}]}]},
            "contents[0].parts[0].file_data",
        ),
        (EMBED, {"output_dimensionality": "x"}, "output_dimensionality"),
        (EMBED, {"content": {"parts": [{"inline_data": {"data": "AAAA"}}]}}, "content.parts[0].inline_data"),
    ],
)
async def test_a_refusal_names_the_field_as_the_client_spells_it(
    gateway: Gateway, call: tuple[str, str, str], members: dict[str, Any], path: str
) -> None:
    dialect, operation, model = call
    own = {"contents": CONTENTS} if operation == "chat" else {"content": CONTENTS[0]}
    reply = await gateway.handle(
        Inbound(
            dialect=dialect,
            operation=operation,
            body=msgspec.json.encode(own | members),
            model=model,
            stream=False,
            principal=gateway.principal("u"),
        )
    )
    error = msgspec.json.decode(reply.body)["error"]
    assert reply.status == 400
    assert error["details"][0]["metadata"]["param"].startswith(path)
    assert path in error["message"]
