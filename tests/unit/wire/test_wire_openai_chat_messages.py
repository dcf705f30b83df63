"""The conversation of a Chat Completions request in neutral words."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from openai_request_reading import CALL, PIXEL, decode, user_part

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.chat import (
    AudioPart,
    DocumentPart,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

# ── messages ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_conversation_with_tools() -> None:
    request = decode(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "s"},
            {"role": "user", "content": "weather?", "name": "ann"},
            {
                "role": "assistant",
                "content": "",
                "refusal": None,
                "audio": None,
                "function_call": None,
                "annotations": [],
                "reasoning_content": "hm",
                "tool_calls": [
                    {**CALL, "index": 0, "extra_content": {"google": {"thought_signature": "c2ln"}}},
                    {"id": "c2", "function": {"name": "time", "arguments": ""}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "noon"}], "name": "time"},
            {"role": "assistant", "content": [{"type": "text", "text": "Sun."}, {"type": "refusal", "refusal": "No."}]},
            {"role": "assistant", "content": None, "refusal": "Never."},
        ]
    )
    assert request.extra == {}
    assert request.messages == (
        Message("system", (TextPart("Be brief."),), path="messages[0]"),
        Message("system", (TextPart("a"), TextPart("b")), name="s", path="messages[1]"),
        Message("user", (TextPart("weather?"),), name="ann", path="messages[2]"),
        Message(
            "assistant",
            (
                ReasoningPart("hm"),
                ToolCallPart("c1", "weather", '{"a": 1}', "c2ln"),
                ToolCallPart("c2", "time", ""),
            ),
            path="messages[3]",
        ),
        Message("tool", (ToolResultPart("c1", (TextPart("sunny"),)),), path="messages[4]"),
        Message("tool", (ToolResultPart("c2", (TextPart("noon"),), name="time"),), path="messages[5]"),
        Message("assistant", (TextPart("Sun."), RefusalPart("No.")), path="messages[6]"),
        Message("assistant", (RefusalPart("Never."),), path="messages[7]"),
    )


@pytest.mark.parametrize(
    ("fields", "text", "left"),
    [
        ({"reasoning_content": "a"}, "a", {}),
        ({"reasoning": "a"}, "a", {}),
        ({"reasoning": "a", "reasoning_content": "a"}, "a", {}),
        ({"reasoning": "b", "reasoning_content": "a"}, "a", {"messages[0].reasoning": "b"}),
    ],
)
def test_reasoning_under_either_name(fields: dict[str, str], text: str, left: dict[str, str]) -> None:
    request = decode(messages=[{"role": "assistant", "content": "x", **fields}])
    assert request.messages[0].parts == (ReasoningPart(text), TextPart("x"))
    assert request.extra == left


def test_pictures_by_url_and_by_value() -> None:
    by_url = user_part({"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}})
    assert by_url.messages[0].parts == (ImagePart(url="https://example.com/a.png", detail="low"),)
    data = f"data:image/PNG;name=a.png;base64,{PIXEL}"
    by_value = user_part({"type": "image_url", "image_url": {"url": data, "detail": "auto"}})
    assert by_value.messages[0].parts == (ImagePart(media_type="image/png", data=PIXEL),)


def test_audio() -> None:
    for audio_format, media_type in (("wav", "audio/wav"), ("mp3", "audio/mp3")):
        request = user_part({"type": "input_audio", "input_audio": {"data": PIXEL, "format": audio_format}})
        assert request.messages[0].parts == (AudioPart(media_type, PIXEL),)


def test_files() -> None:
    pdf = {"file_data": f"data:application/pdf;base64,{PIXEL}", "filename": "a.pdf"}
    assert user_part({"type": "file", "file": pdf}).messages[0].parts == (
        DocumentPart(media_type="application/pdf", data=PIXEL, title="a.pdf"),
    )
    text = base64.b64encode("grüße".encode()).decode()
    request = user_part({"type": "file", "file": {"file_data": f"data:text/plain;charset=utf-8;base64,{text}"}})
    assert request.messages[0].parts == (DocumentPart(media_type="text/plain", text="grüße"),)


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "image_url", "image_url": {}}, "image_url.url"),
        ({"type": "image_url", "image_url": "https://example.com/a.png"}, "image_url"),
        ({"type": "image_url", "image_url": {"url": "ftp://example.com/a.png"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,abc"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,a b"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,abcde"}}, "image_url.url"),
        ({"type": "input_audio", "input_audio": {"data": "ä", "format": "wav"}}, "input_audio.data"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA"}}, "input_audio.format"),
        ({"type": "file", "file": {}}, "file.file_data"),
        ({"type": "file", "file": {"file_data": "AAAA"}}, "file.file_data"),
        ({"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}}, "file.file_data"),
    ],
)
def test_a_malformed_part_is_named_by_its_path(part: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        user_part(part)
    assert caught.value.param == f"messages[0].content[0].{param}"
