"""A Gemini client's request as the neutral form has it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from gemini_request_reading import CODEC, HELLO, config, decode

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.chat import (
    ChatRequest,
    ImagePart,
    Message,
    ReasoningControl,
    ResponseFormat,
    TextPart,
    Tool,
    ToolChoice,
)

# ── the request as a whole ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_official_sdk_s_mixture_of_spellings_is_understood() -> None:
    request = decode(
        {
            "contents": [
                {
                    "parts": [
                        {"text": "look"},
                        {"inlineData": {"data": "__77", "mime_type": "image/png"}},
                        {"fileData": {"file_uri": "https://a.example/b.jpeg", "mime_type": "image/jpeg"}},
                    ],
                    "role": "user",
                }
            ],
            "systemInstruction": {"parts": [{"text": "be brief"}], "role": "user"},
            "tools": [
                {
                    "functionDeclarations": [
                        {
                            "name": "f",
                            "parameters_json_schema": {"type": "object", "properties": {"any_of": {"type": "string"}}},
                            "response_json_schema": {"type": "string"},
                        }
                    ]
                }
            ],
            "labels": {"a_b": "c"},
            "serviceTier": "standard",
            "generationConfig": {
                "temperature": 0.1,
                "topK": 3.0,
                "candidateCount": 2,
                "maxOutputTokens": 5,
                "stopSequences": ["a"],
                "responseLogprobs": True,
                "logprobs": 2,
                "responseModalities": ["TEXT"],
                "mediaResolution": "MEDIA_RESOLUTION_LOW",
                "thinkingConfig": {"include_thoughts": True, "thinking_level": "LOW"},
            },
        },
        stream=True,
    )

    assert request == ChatRequest(
        model="alias",
        stream=True,
        include_usage=True,
        messages=(
            Message("system", (TextPart("be brief"),), path="systemInstruction"),
            Message(
                "user",
                (
                    TextPart("look"),
                    ImagePart("image/png", "//77"),
                    ImagePart("image/jpeg", url="https://a.example/b.jpeg"),
                ),
                path="contents[0]",
            ),
        ),
        tools=(Tool("f", parameters={"type": "object", "properties": {"any_of": {"type": "string"}}}),),
        temperature=0.1,
        top_k=3,
        n=2,
        max_output_tokens=5,
        stop=("a",),
        logprobs=True,
        top_logprobs=2,
        reasoning=ReasoningControl(effort="low", summary=True),
        hints={
            "tools[0].functionDeclarations[0].responseJsonSchema": {"type": "string"},
            "labels": {"a_b": "c"},
            "generationConfig.mediaResolution": "MEDIA_RESOLUTION_LOW",
        },
    )


def test_members_that_say_nothing_are_nothing() -> None:
    bare = decode(HELLO)

    assert bare == decode(
        {
            **HELLO,
            "systemInstruction": None,
            "tools": [],
            "toolConfig": {"functionCallingConfig": {"mode": "MODE_UNSPECIFIED"}},
            "safetySettings": [],
            "labels": {},
            "cachedContent": "",
            "serviceTier": "unspecified",
            "store": False,
            "generationConfig": {
                "candidateCount": 1,
                "responseMimeType": "text/plain",
                "thinkingConfig": {"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"},
                "mediaResolution": "MEDIA_RESOLUTION_UNSPECIFIED",
                "responseModalities": ["text"],
            },
        }
    )
    assert (bare.extra, bare.hints) == ({}, {})


@pytest.mark.parametrize(
    ("member", "path"),
    [
        ({"cachedContent": "cachedContents/a"}, "cachedContent"),
        ({"service_tier": "flex"}, "serviceTier"),
        ({"safetySettings": [{"category": "C", "threshold": "BLOCK_NONE"}]}, "safetySettings"),
        ({"store": True}, "store"),
        ({"continuation_token": "AA=="}, "continuationToken"),
        ({"futureField": 0}, "futureField"),
        ({"tools": [{"google_search": {}}]}, "tools[0].googleSearch"),
        ({"tools": [{"codeExecution": {}}]}, "tools[0].codeExecution"),
        (
            {"tools": [{"functionDeclarations": [{"name": "f", "behavior": "NON_BLOCKING"}]}]},
            "tools[0].functionDeclarations[0].behavior",
        ),
        (
            {"toolConfig": {"functionCallingConfig": {"mode": "SOMETIMES"}}},
            "toolConfig.functionCallingConfig.mode",
        ),
        ({"toolConfig": {"retrievalConfig": {}}}, "toolConfig.retrievalConfig"),
        ({"generationConfig": {"speechConfig": {}}}, "generationConfig.speechConfig"),
        ({"generationConfig": {"image_config": {}}}, "generationConfig.imageConfig"),
        ({"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}}, "generationConfig.responseModalities"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "generationConfig.responseMimeType"),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": "ULTRA"}}},
            "generationConfig.thinkingConfig.thinkingLevel",
        ),
        ({"generationConfig": {"thinkingConfig": {"future": 1}}}, "generationConfig.thinkingConfig.future"),
        ({"contents": [{"parts": [{"text": "a"}], "future": 1}]}, "contents[0].future"),
        ({"contents": [{"parts": [{"text": "a", "videoMetadata": {}}]}]}, "contents[0].parts[0].videoMetadata"),
        ({"contents": [{"parts": [{"executableCode": {}}]}]}, "contents[0].parts[0].executableCode"),
    ],
)
def test_what_has_no_neutral_form_is_kept_under_its_path(member: dict[str, Any], path: str) -> None:
    assert list(decode({**HELLO, **member}).extra) == [path]


# ── generationConfig ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_numbers_of_the_config_are_the_neutral_ones() -> None:
    request = config(topP=0.5, seed=7, presencePenalty=-1, frequencyPenalty=0.25)

    assert (request.top_p, request.seed, request.presence_penalty, request.frequency_penalty) == (0.5, 7, -1, 0.25)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"thinkingBudget": 0}, ReasoningControl(budget_tokens=0)),
        ({"thinking_budget": -1, "includeThoughts": False}, ReasoningControl(budget_tokens=-1, summary=False)),
        ({"thinkingLevel": "XHIGH"}, ReasoningControl(effort="xhigh")),
        ({"includeThoughts": True}, ReasoningControl(summary=True)),
        ({}, None),
    ],
)
def test_thinking_config_is_the_control_of_reasoning(
    written: dict[str, Any], expected: ReasoningControl | None
) -> None:
    assert config(thinkingConfig=written).reasoning == expected


def test_json_without_a_schema_is_a_json_object() -> None:
    assert config(responseMimeType="application/json").response_format == ResponseFormat("json_object")


def test_a_json_schema_stays_as_it_is() -> None:
    schema = {"type": "object", "properties": {"any_of": {"type": "STRING"}}}
    request = config(responseMimeType="application/json", response_json_schema=schema)

    assert request.response_format == ResponseFormat("json_schema", schema)


def test_a_schema_of_the_vendor_s_own_kind_becomes_a_json_schema() -> None:
    request = config(
        responseMimeType="application/json",
        responseSchema={
            "type": "OBJECT",
            "required": ["any_of"],
            "property_ordering": ["b", "any_of"],
            "properties": {
                "any_of": {"type": "STRING", "nullable": True, "enum": ["x"], "max_length": "4"},
                "b": {"any_of": [{"type": "INTEGER"}, {"type": "TYPE_UNSPECIFIED"}], "nullable": True},
                "c": {"type": "ARRAY", "items": {"type": "NUMBER", "example": 1.5}, "minItems": 1},
                "d": {"ref": "#/defs/D", "nullable": True},
                "e": {"type": ["STRING", "NULL"], "nullable": True, "default": None, "title": None},
            },
            "defs": {"D": {"type": "OBJECT", "additionalProperties": {"type": "BOOLEAN"}}},
        },
    )

    assert request.response_format is not None
    schema = request.response_format.schema
    assert schema == {
        "type": "object",
        "required": ["any_of"],
        "properties": {
            "any_of": {"type": ["string", "null"], "enum": ["x", None], "maxLength": 4},
            "b": {"anyOf": [{"type": "integer"}, {}, {"type": "null"}]},
            "c": {"type": "array", "items": {"type": "number", "examples": [1.5]}, "minItems": 1},
            "d": {"anyOf": [{"$ref": "#/$defs/D"}, {"type": "null"}]},
            "e": {"type": ["string", "null"], "default": None},
        },
        "$defs": {"D": {"type": "object", "additionalProperties": {"type": "boolean"}}},
    }
    assert list(schema["properties"]) == ["b", "any_of", "c", "d", "e"]


# ── tools ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_functions_of_all_tools_are_the_tools() -> None:
    request = decode(
        {
            **HELLO,
            "tools": [
                {"functionDeclarations": [{"name": "f", "description": "d", "parameters": {"type": "OBJECT"}}]},
                {"function_declarations": {"name": "g", "behavior": "BLOCKING"}},
            ],
        }
    )

    assert request.tools == (Tool("f", "d", {"type": "object"}), Tool("g"))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"mode": "AUTO"}, ToolChoice("auto")),
        ({"mode": "NONE"}, ToolChoice("none")),
        ({"mode": "ANY"}, ToolChoice("required")),
        ({"mode": "ANY", "allowed_function_names": ["f"]}, ToolChoice("required", ("f",))),
        ({}, None),
    ],
)
def test_the_calling_mode_is_the_tool_choice(written: dict[str, Any], expected: ToolChoice | None) -> None:
    assert decode({**HELLO, "toolConfig": {"functionCallingConfig": written}}).tool_choice == expected


def test_validated_calls_are_automatic_ones_and_the_promise_is_a_hint() -> None:
    calling = {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}
    request = decode({**HELLO, "toolConfig": {"functionCallingConfig": calling}})
    assert request.tool_choice == ToolChoice("auto", ("f",))
    assert request.hints == {"toolConfig.functionCallingConfig.mode": "VALIDATED"}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"contents": []}, "contents"),
        ({"contents": [{"parts": []}]}, "contents[0].parts"),
        ({"contents": [{"parts": [{}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"role": "tool", "parts": [{"text": "a"}]}]}, "contents[0].role"),
        ({"contents": [{"parts": [{"functionCall": {"name": "f"}}]}]}, "contents[0].parts[0].functionCall"),
        (
            {"contents": [{"role": "model", "parts": [{"functionResponse": {"name": "f"}}]}]},
            "contents[0].parts[0].functionResponse",
        ),
        (
            {"contents": [{"role": "model", "parts": [{"functionCall": {"args": {}}}]}]},
            "contents[0].parts[0].functionCall.name",
        ),
        (
            {"contents": [{"role": "model", "parts": [{"functionCall": {"name": "f", "args": "{}"}}]}]},
            "contents[0].parts[0].functionCall.args",
        ),
        ({"contents": [{"parts": [{"inlineData": {"data": "AAAA"}}]}]}, "contents[0].parts[0].inlineData.mimeType"),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png"}}]}]},
            "contents[0].parts[0].inlineData.data",
        ),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "not base64!"}}]}]},
            "contents[0].parts[0].inlineData.data",
        ),
        (
            {"contents": [{"parts": [{"inlineData": {"mimeType": "text/plain", "data": "/w=="}}]}]},
            "contents[0].parts[0].inlineData.data",
        ),
        ({"contents": [{"parts": [{"fileData": {}}]}]}, "contents[0].parts[0].fileData.fileUri"),
        ({**HELLO, "generationConfig": {"temperature": "hot"}}, "generationConfig.temperature"),
        ({**HELLO, "generationConfig": {"top_k": 1.5}}, "generationConfig.topK"),
        ({**HELLO, "generationConfig": {"topK": 1, "top_k": 1}}, "generationConfig.topK"),
        ({**HELLO, "generationConfig": {"responseLogprobs": 1}}, "generationConfig.responseLogprobs"),
        ({**HELLO, "generationConfig": {"responseSchema": {"type": "OBJECT"}}}, "generationConfig.responseSchema"),
        (
            {
                **HELLO,
                "generationConfig": {
                    "responseMimeType": "application/json",
                    "responseSchema": {},
                    "responseJsonSchema": {},
                },
            },
            "generationConfig.responseJsonSchema",
        ),
        (
            {
                **HELLO,
                "generationConfig": {
                    "responseMimeType": "application/json",
                    "responseSchema": {"properties": {"a": {"items": 1}}},
                },
            },
            "generationConfig.responseSchema.properties.a.items",
        ),
        (
            {**HELLO, "generationConfig": {"thinkingConfig": {"thinkingLevel": "LOW", "thinkingBudget": 1}}},
            "generationConfig.thinkingConfig.thinkingBudget",
        ),
        ({**HELLO, "tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
        (
            {**HELLO, "tools": [{"functionDeclarations": [{"name": "f", "parameters": {}, "parametersJsonSchema": {}}]}]},
            "tools[0].functionDeclarations[0].parametersJsonSchema",
        ),
        (
            {**HELLO, "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": 1}}]}]},
            "tools[0].functionDeclarations[0].parameters.type",
        ),
        ({**HELLO, "tools": "search"}, "tools"),
        ({**HELLO, "tools": ["search"]}, "tools[0]"),
        ({**HELLO, "labels": []}, "labels"),
        ({"contents": [{"parts": [{"functionResponse": {}}]}]}, "contents[0].parts[0].functionResponse.name"),
    ],
)  # fmt: skip
def test_a_bad_field_is_named_by_its_path(body: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(body)
    assert caught.value.param == param


def test_instructions_are_text_and_everything_else_in_them_is_kept_under_its_path() -> None:
    request = decode({**HELLO, "systemInstruction": {"parts": [{"text": "a"}, {"fileData": {"fileUri": "https://b"}}]}})

    assert request.messages[0] == Message("system", (TextPart("a"),), path="systemInstruction")
    assert list(request.extra) == ["systemInstruction.parts[1].fileData"]


def test_what_a_client_says_of_a_part_is_a_hint() -> None:
    request = decode({"contents": [{"parts": [{"text": "a", "part_metadata": {"b": 1}, "mediaResolution": {}}]}]})

    assert request.extra == {}
    assert list(request.hints) == ["contents[0].parts[0].partMetadata", "contents[0].parts[0].mediaResolution"]


def test_a_schema_nested_beyond_reason_is_refused() -> None:
    schema = b'{"items":' * 5000 + b"{}" + b"}" * 5000
    body = (
        b'{"contents":[{"parts":[{"text":"a"}]}],"tools":[{"functionDeclarations":[{"name":"f","parameters":'
        + schema
        + b"}]}]}"
    )
    with pytest.raises(InvalidRequest):
        CODEC.decode_request(body, model="m", stream=False)


def test_a_request_without_a_model_in_its_path_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        CODEC.decode_request(msgspec.json.encode(HELLO))
    assert caught.value.param == "model"
