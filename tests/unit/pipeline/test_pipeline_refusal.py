"""A refusal names the target as it is configured here, and the field as its client wrote it."""

from __future__ import annotations

import msgspec
import pytest

from pulse_gateway.pipeline.refusal import reword
from pulse_gateway.types.catalog import Deployment, Model
from pulse_gateway.wire import registry as wire
from pulse_gateway.wire.refusals import not_taken, unsupported

MODEL = Model(provider="openai", name="gpt-5")
RESOLD = Deployment(provider="ours", kind="azure", model=MODEL, base_url="https://a.example")


@pytest.mark.parametrize(
    ("dialect", "body", "field", "written"),
    [
        ("gemini", {"generationConfig": {"topK": 5}}, "top_k", "generationConfig.topK"),
        ("gemini", {"generationConfig": {"top_k": 5}}, "top_k", "generationConfig.top_k"),
        ("anthropic.messages", {"stop_sequences": ["a"]}, "stop", "stop_sequences"),
        ("openai.responses", {"reasoning": {"effort": "max"}}, "reasoning", "reasoning.effort"),
        ("openai.chat", {"messages": []}, "messages[0].audio", "messages[0].audio"),
    ],
)
def test_the_field_is_quoted_as_it_was_written(dialect: str, body: object, field: str, written: str) -> None:
    error = not_taken(MODEL, field, " while it reasons")
    reword(error, RESOLD, wire.codec(dialect).field_paths, msgspec.json.encode(body))
    assert (error.message, error.param) == (f"ours:gpt-5 takes no '{written}' while it reasons", written)
    assert str(error) == error.message


def test_words_that_only_look_like_the_field_stay() -> None:
    error = unsupported(MODEL, "stop", "takes at most 4 stop sequences, not 'stop!'")
    reword(error, RESOLD, wire.codec("anthropic.messages").field_paths, b'{"stop_sequences": ["a"]}')
    assert error.message == "ours:gpt-5 takes at most 4 stop sequences, not 'stop!'"
