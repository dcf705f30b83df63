"""The page on translation says what happens: each refusal and each dropped hint on it is tried."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from translation_harness import deployment, sent

from pulse_gateway.errors import UnsupportedParameter
from pulse_gateway.wire.anthropic_messages.upstream_request import DEFAULT_MAX_TOKENS
from pulse_gateway.wire.effort_budgets import BUDGET_TOKENS

PAGE = (Path(__file__).parents[2] / "docs" / "translation.md").read_text(encoding="utf-8")
DIALECTS = {
    "OpenAI": "openai.chat",
    "Responses": "openai.responses",
    "Anthropic": "anthropic.messages",
    "Gemini": "gemini",
}
LEAST: dict[str, dict[str, Any]] = {
    "openai.chat": {"model": "alias", "messages": [{"role": "user", "content": "hi"}]},
    "openai.responses": {"model": "alias", "input": "hi"},
    "anthropic.messages": {"model": "alias", "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]},
    "gemini": {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
}
_ROW = re.compile(r"^\| (\w+) \| (any other|[\w, ]+) \| `(\{.*\})` \| `([^`]+)` \|$", re.MULTILINE)

Row = tuple[str, str, str, str]


def rows(heading: str) -> list[Row]:
    """(from, to, members, path) of the table under `heading`, once for each target."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = _ROW.findall(section)
    assert len(found) == section.count("\n| ") - 2, "a row of the table is not understood"
    return [
        (client, name, members, path)
        for client, target, members, path in found
        for name in DIALECTS
        if name in target.split(", ") or (target == "any other" and name != client)
    ]


@pytest.mark.parametrize(("client", "upstream", "members", "path"), rows("What is refused"))
def test_what_the_page_calls_refused_is_refused_by_that_name(
    client: str, upstream: str, members: str, path: str
) -> None:
    dialect = DIALECTS[client]
    body = LEAST[dialect] | json.loads(members)
    with pytest.raises(UnsupportedParameter) as caught:
        sent(dialect, body, deployment(DIALECTS[upstream]), stream=bool(body.get("stream")))
    assert caught.value.param == path
    assert caught.value.code == "unsupported_parameter"


@pytest.mark.parametrize(("client", "upstream", "members", "path"), rows("What is dropped and reported"))
def test_what_the_page_calls_dropped_is_dropped_and_reported(
    client: str, upstream: str, members: str, path: str
) -> None:
    dialect = DIALECTS[client]
    body = LEAST[dialect] | json.loads(members)
    prepared = sent(dialect, body, deployment(DIALECTS[upstream]), stream=bool(body.get("stream")))
    assert path in prepared.dropped


def test_the_budgets_on_the_page_are_those_in_force() -> None:
    efforts, tokens = re.search(r"^\| effort \|(.*)\|\n.*\n\| tokens \|(.*)\|$", PAGE, re.MULTILINE).groups()  # type: ignore[union-attr]
    words = re.findall(r"`(\w+)`", efforts)
    numbers = [int(cell.split()[0]) for cell in tokens.split("|")]
    assert dict(zip(words, numbers, strict=True)) == BUDGET_TOKENS


def test_the_limit_on_the_page_is_the_one_in_force() -> None:
    prepared = sent("openai.chat", LEAST["openai.chat"], deployment("anthropic.messages"))
    assert msgspec.json.decode(prepared.request.body)["max_tokens"] == DEFAULT_MAX_TOKENS
    assert f"or {DEFAULT_MAX_TOKENS} " in PAGE
