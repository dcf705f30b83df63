"""The page on translation says what happens beside chat: each refusal and each dropped hint on it is tried, through the whole pipeline."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from vendor_stub import Vendor

from pulse_gateway import Config, Gateway, Inbound
from pulse_gateway.config import ProviderConfig
from pulse_gateway.types.http import HttpRequest
from pulse_gateway.wire.registry import operation_codec

PAGE = (Path(__file__).parents[2] / "docs" / "translation.md").read_text(encoding="utf-8")
LEAST: dict[str, dict[str, Any]] = {
    "openai.embeddings": {"input": "a"},
    "gemini.embed_content": {"content": {"parts": [{"text": "a"}]}},
    "gemini.batch_embed_contents": {"requests": [{"content": {"parts": [{"text": "a"}]}}]},
    "openai.moderations": {"input": "a"},
    "cohere.rerank": {"query": "q", "documents": ["a"]},
    "anthropic.count_tokens": {"messages": [{"role": "user", "content": "a"}]},
    "gemini.count_tokens": {"contents": [{"parts": [{"text": "a"}]}]},
    "openai.responses.input_tokens": {"input": "a"},
}
_ROW = re.compile(r"^\| `([\w.]+)` \| (\w+) \| `(\{.*\})` \| `([^`]+)` \|$", re.MULTILINE)


def rows(heading: str) -> list[tuple[str, str, str, str]]:
    """(from, to, members, path) of the table under `heading`; those of operations that are written as forms are tried elsewhere."""
    section = PAGE.split(f"\n### {heading}\n")[1].split("\n### ")[0]
    found = _ROW.findall(section)
    assert len(found) == section.count("\n| ") - 2, "a row of the table is not understood"
    return [row for row in found if row[0] in LEAST]


def answer(request: HttpRequest) -> dict[str, Any]:
    """Good for whatever was asked."""
    return {
        "embeddings": [{"values": [1.0]}],
        "input_tokens": 1,
        "totalTokens": 1,
        "data": [{"embedding": [1.0]}],
    }


async def replied(dialect: str, kind: str, members: str) -> Any:
    body = {"model": f"{kind}:m", **LEAST[dialect], **json.loads(members)}
    in_path = dialect.startswith("gemini.")
    if in_path:
        del body["model"]
    config = Config(providers={kind: ProviderConfig(key="k", base_url="http://vendor.test")})
    async with Gateway(config, transport=Vendor(answer), observers=()) as gateway:
        inbound = Inbound(
            dialect=dialect,
            operation=operation_codec(dialect).operation,
            body=json.dumps(body).encode(),
            model=f"{kind}:m" if in_path else None,
            principal=gateway.principal("u"),
        )
        return await gateway.handle(inbound)


@pytest.mark.parametrize(("dialect", "kind", "members", "path"), rows("Refused beside chat"))
async def test_what_the_page_calls_refused_is_refused_by_that_name(
    dialect: str, kind: str, members: str, path: str
) -> None:
    reply = await replied(dialect, kind, members)
    assert reply.status == 400
    error = json.loads(reply.body)["error"]
    if dialect.startswith("gemini."):
        (info,) = [each for each in error["details"] if "reason" in each]
        assert (info["reason"], info["metadata"]["param"]) == ("UNSUPPORTED_PARAMETER", path)
    elif dialect.startswith("anthropic."):
        assert error["details"]["error_code"] == "unsupported_parameter"
        assert path in reply.body.decode()
    else:
        assert (error["code"], error["param"]) == ("unsupported_parameter", path)


@pytest.mark.parametrize(("dialect", "kind", "members", "path"), rows("Dropped and reported beside chat"))
async def test_what_the_page_calls_dropped_is_dropped_and_reported(
    dialect: str, kind: str, members: str, path: str
) -> None:
    reply = await replied(dialect, kind, members)
    assert reply.status == 200
    assert path in dict(reply.headers)["x-pulse-dropped"].split(", ")
