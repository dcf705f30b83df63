"""Neutral names become the paths that a client wrote."""

from __future__ import annotations

import pytest

from pulse_gateway.wire.client_spelling import as_spelled, dropped_paths, written_path
from pulse_gateway.wire.registry import DIALECTS, codec

PATHS = {
    "max_output_tokens": ("max_completion_tokens", "max_tokens"),
    "messages.name": ("messages[].name",),
    "messages.thought": ("messages[].content[].thinking", "messages[].content[].data"),
}


@pytest.mark.parametrize(
    ("param", "body", "path"),
    [
        ("max_output_tokens", b'{"max_tokens": 3}', "max_tokens"),
        ("max_output_tokens", b'{"max_completion_tokens": 3}', "max_completion_tokens"),
        ("max_output_tokens", b'{"max_completion_tokens": null, "max_tokens": 3}', "max_tokens"),
        ("max_output_tokens", b"{}", "max_completion_tokens"),
        (
            "messages.thought",
            b'{"messages": [{"content": "a"}, {"content": [{"data": "x"}]}]}',
            "messages[].content[].data",
        ),
        ("messages[3]", b"{}", "messages[3]"),
    ],
)
def test_a_field_is_named_as_it_was_written(param: str, body: bytes, path: str) -> None:
    assert written_path(param, PATHS, body) == path


def test_each_kind_of_hint_is_told_once() -> None:
    dropped = ["messages.name", "tools[0].cache_control", "tools[12].cache_control", "messages.name", "user"]
    assert dropped_paths(dropped, PATHS, b"{}") == ("messages[].name", "tools[].cache_control", "user")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_path_can_stand_in_a_header(dialect: str) -> None:
    for spellings in codec(dialect).field_paths.values():
        assert spellings
        assert all(path.isascii() and path.isprintable() and "," not in path for path in spellings)


@pytest.mark.parametrize(
    ("path", "body", "spelled"),
    [
        ("generationConfig.topK", b'{"generation_config": {"top_k": 1}}', "generation_config.top_k"),
        ("generationConfig.topK", b'{"generationConfig": {"top_k": 1}}', "generationConfig.top_k"),
        ("generationConfig.topK", b'{"generationConfig": {"topK": 1}}', "generationConfig.topK"),
        ("contents[0].parts[1].inlineData", b'{"contents": {"parts": [{}, {"inline_data": {}}]}}', None),
        ("contents[].parts[].inlineData", b'{"contents": [{"parts": [{}, {"inline_data": {}}]}]}', None),
        ("safetySettings[0].harmCategory", b'{"safety_settings": [{}]}', "safety_settings[0].harm_category"),
        ("cachedContent", b"no JSON", "cachedContent"),
        ("max_tokens", b"{}", "max_tokens"),
    ],
)
def test_a_path_in_camel_case_is_spelled_as_the_body_has_it(path: str, body: bytes, spelled: str | None) -> None:
    assert as_spelled(path, body) == (spelled or path.replace("inlineData", "inline_data"))
