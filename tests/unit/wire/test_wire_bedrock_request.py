"""What Bedrock's Converse is asked, and what is refused because it could not be."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import InvalidRequest, UnsupportedParameter
from pulse_gateway.types.catalog import Capabilities, Model
from pulse_gateway.types.chat import (
    AudioPart,
    ChatRequest,
    DocumentPart,
    ImagePart,
    Message,
    ReasoningControl,
    ReasoningPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolChoice,
    ToolResultPart,
)
from pulse_gateway.wire.bedrock_converse.tool_ids import escape, unescape
from pulse_gateway.wire.codec import Encoded
from pulse_gateway.wire.registry import codec, upstream_codec

CONVERSE = upstream_codec("bedrock.converse")
USER = Message("user", (TextPart("hi"),), path="messages[0]")
TOOL = Tool("f", "does", {"type": "object", "properties": {}})
CALL = Message("assistant", (ToolCallPart("c1", "f", '{"a":1}'),), path="messages[1]")
RESULT = Message("tool", (ToolResultPart("c1", (TextPart("done"),)),), path="messages[2]")


def model(name: str = "anthropic.claude-x", **capabilities: Any) -> Model:
    return Model(provider="bedrock", name=name, capabilities=Capabilities(**capabilities))


def encoded(*messages: Message, to: Model | None = None, **fields: Any) -> Encoded:
    return CONVERSE.encode_request(ChatRequest(model="x", messages=messages or (USER,), **fields), to or model())


def body(*messages: Message, **fields: Any) -> dict[str, Any]:
    read: dict[str, Any] = msgspec.json.decode(encoded(*messages, **fields).body)
    return read


def refused(*messages: Message, **fields: Any) -> str | None:
    with pytest.raises(UnsupportedParameter) as caught:
        encoded(*messages, **fields)
    return caught.value.param


def test_a_conversation_with_instructions_tools_and_results() -> None:
    said = body(
        Message("system", (TextPart("be brief"),)), USER, CALL, RESULT, Message("user", (TextPart("so?"),)),
        tools=(TOOL,), tool_choice=ToolChoice("required"), max_output_tokens=9, temperature=0.5, top_p=0.9, stop=("END",),
    )  # fmt: skip
    assert said == {
        "system": [{"text": "be brief"}],
        "messages": [
            {"role": "user", "content": [{"text": "hi"}]},
            {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}}]},
            {
                "role": "user",
                "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "done"}]}}, {"text": "so?"}],
            },
        ],
        "inferenceConfig": {"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
        "toolConfig": {
            "tools": [
                {
                    "toolSpec": {
                        "name": "f",
                        "description": "does",
                        "inputSchema": {"json": {"type": "object", "properties": {}}},
                    }
                }
            ],
            "toolChoice": {"any": {}},
        },
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
    }


def test_media_goes_as_bytes_with_its_format_and_documents_under_names_of_their_own() -> None:
    message = Message(
        "user",
        (
            TextPart("look"),
            ImagePart("image/jpg", "AAAA"),
            AudioPart("audio/mp3", "AAAA"),
            DocumentPart("application/pdf", "JVBERi0=", title="Q3 report (final)"),
            DocumentPart("application/pdf", "JVBERi0=", title="Q3 report (final)"),
            DocumentPart(text="a,b", media_type="text/csv", title="قائمة.csv"),
        ),
    )
    encoding = encoded(message)
    content = msgspec.json.decode(encoding.body)["messages"][0]["content"][1:]
    assert content[0] == {"image": {"format": "jpeg", "source": {"bytes": "AAAA"}}}
    assert content[1] == {"audio": {"format": "mp3", "source": {"bytes": "AAAA"}}}
    assert [block["document"]["name"] for block in content[2:]] == [
        "Q3 report (final)",
        "Q3 report (final) (2)",
        "-csv",
    ]
    assert content[4]["document"] == {"format": "csv", "name": "-csv", "source": {"bytes": "YSxi"}}
    assert encoding.dropped == ("messages.document_title",)


def test_results_keep_their_shape_their_failure_and_their_pictures() -> None:
    results = Message(
        "tool",
        (
            ToolResultPart("c1", (TextPart('{"t":1}'),), structured=True),
            ToolResultPart("c2", (TextPart("boom"), ImagePart("image/png", "AAAA")), is_error=True),
            ToolResultPart("c3", ()),
        ),
    )
    calls = Message("assistant", tuple(ToolCallPart(f"c{n}", "f", "{}") for n in (1, 2, 3)))
    content = body(USER, calls, results, tools=(TOOL,))["messages"][2]["content"]
    assert [block["toolResult"] for block in content] == [
        {"toolUseId": "c1", "content": [{"json": {"t": 1}}]},
        {
            "toolUseId": "c2",
            "content": [{"text": "boom"}, {"image": {"format": "png", "source": {"bytes": "AAAA"}}}],
            "status": "error",
        },
        {"toolUseId": "c3", "content": []},
    ]


def test_thinking_goes_back_signed_or_not_at_all() -> None:
    thoughts = (
        ReasoningPart("hm", signature="s"),
        ReasoningPart(redacted="eHg="),
        ReasoningPart(redacted="no base64"),
        ReasoningPart("unsigned"),
        ReasoningPart("foreign", signature="gemini:s"),
        TextPart("so"),
    )
    encoding = encoded(USER, Message("assistant", thoughts), USER)
    assert msgspec.json.decode(encoding.body)["messages"][1]["content"] == [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"reasoningContent": {"redactedContent": "eHg="}},
        {"text": "so"},
    ]
    assert encoding.dropped == ("messages.reasoning",)


@pytest.mark.parametrize(
    "call_id",
    ["call_1", "functions.f:0", "نداء", "a b", "", "pulse-id_x", "pulse-sha_x", "x" * 64, "x" * 65, "é" * 300],
)
def test_ids_are_written_in_the_vendors_alphabet_one_to_one(call_id: str) -> None:
    written = escape(call_id)
    assert 1 <= len(written) <= 64
    assert written.replace("-", "").replace("_", "").isalnum() and written.isascii()
    assert unescape(written) == call_id or (written.startswith("pulse-sha_") and len(call_id) > 40)


def test_an_id_used_in_two_turns_is_two_ids() -> None:
    said = body(USER, CALL, RESULT, CALL, RESULT, tools=(TOOL,))["messages"]
    first, second = (said[place]["content"][0]["toolUse"]["toolUseId"] for place in (1, 3))
    assert first == "c1" and second != first
    assert said[4]["content"][0]["toolResult"]["toolUseId"] == second


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        (None, {}),
        (ToolChoice("auto"), {"toolChoice": {"auto": {}}}),
        (ToolChoice("required", ("f",)), {"toolChoice": {"tool": {"name": "f"}}}),
    ],
)
def test_a_choice_among_tools(choice: ToolChoice | None, config: dict[str, Any]) -> None:
    said = body(tools=(TOOL,), tool_choice=choice)["toolConfig"]
    assert {name: value for name, value in said.items() if name != "tools"} == config


def test_no_choice_is_no_tools_and_a_choice_among_some_is_fewer() -> None:
    assert "toolConfig" not in body(tools=(TOOL,), tool_choice=ToolChoice("none"))
    two = (TOOL, Tool("g"))
    assert [
        tool["toolSpec"]["name"]
        for tool in body(tools=two, tool_choice=ToolChoice("auto", ("g",)))["toolConfig"]["tools"]
    ] == ["g"]
    assert refused(USER, CALL, RESULT, tools=(TOOL,), tool_choice=ToolChoice("none")) == "tool_choice"
    assert refused(USER, CALL, RESULT) == "messages[1]"


@pytest.mark.parametrize(
    ("name", "control", "said"),
    [
        ("anthropic.claude-x", ReasoningControl(budget_tokens=2000), {"additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 2000}}}),
        ("eu.anthropic.claude-x", ReasoningControl(effort="high"), {"additionalModelRequestFields": {"thinking": {"type": "adaptive"}}, "outputConfig": {"effort": "high"}}),
        ("openai.gpt-oss-120b-1:0", ReasoningControl(effort="low"), {"additionalModelRequestFields": {"reasoning_effort": "low"}}),
        ("amazon.nova-2-lite-v1:0", ReasoningControl(effort="minimal"), {"outputConfig": {"effort": "low"}}),
        ("amazon.nova-2-lite-v1:0", ReasoningControl(adaptive=True), {}),
    ],
)  # fmt: skip
def test_how_hard_to_think_is_said_in_the_words_of_the_model(
    name: str, control: ReasoningControl, said: dict[str, Any]
) -> None:
    whole = body(to=model(name), reasoning=control)
    assert {key: value for key, value in whole.items() if key != "messages"} == said


def test_one_call_at_a_time_is_said_in_claudes_own_words() -> None:
    said = body(tools=(TOOL,), parallel_tool_calls=False)["additionalModelRequestFields"]
    assert said == {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}


def test_a_schema_is_text_inside_json_with_its_name() -> None:
    form = ResponseFormat("json_schema", {"type": "object"}, name="n", strict=True)
    encoding = encoded(response_format=form)
    assert msgspec.json.decode(encoding.body)["outputConfig"] == {
        "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "n"}}}
    }
    assert encoding.dropped == ("response_format.strict",)


def test_top_k_is_said_in_the_models_own_words() -> None:
    assert body(top_k=5)["additionalModelRequestFields"] == {"top_k": 5}
    assert body(to=model("us.amazon.nova-pro-v1:0"), top_k=5)["additionalModelRequestFields"] == {
        "inferenceConfig": {"topK": 5}
    }
    assert refused(to=model("meta.llama4"), top_k=5) == "top_k"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 2), ("seed", 1), ("presence_penalty", 0.5), ("frequency_penalty", 0.5), ("logprobs", True), ("temperature", 1.5),
        ("max_output_tokens", 0), ("stop", ("\n",)), ("response_format", ResponseFormat("json_object")),
    ],
)  # fmt: skip
def test_what_it_has_no_words_for_is_refused_by_its_neutral_name(field: str, value: Any) -> None:
    assert refused(**{field: value}) == field


def test_what_stands_in_a_message_is_refused_by_its_path() -> None:
    for part in (
        ImagePart(url="https://a.example/b.png"), ImagePart("image/heic", "AAAA"), DocumentPart("application/zip", "AAAA"),
        DocumentPart(url="https://a.example/b.pdf"), AudioPart("audio/x-unheard-of", "AAAA"),
    ):  # fmt: skip
        assert refused(Message("user", (TextPart("a"), part), path="messages[0]")) == "messages[0]"
    assert refused(Message("user", (DocumentPart("application/pdf", "JVBERi0="),), path="messages[0]")) == "messages[0]"
    assert refused(Message("assistant", (TextPart("a"),), path="messages[0]"), USER) == "messages[0]"
    assert refused(USER, Message("system", (TextPart("a"),), path="messages[1]")) == "messages[1]"
    assert (
        refused(USER, Message("assistant", (TextPart("a"),), path="messages[1]"), to=model(prefill=False))
        == "messages[1]"
    )
    assert refused(extra={"container": "c"}) == "container"
    assert refused(to=model("meta.llama4"), tools=(TOOL,), parallel_tool_calls=False) == "parallel_tool_calls"
    forced = ToolChoice("required")
    assert refused(tools=(TOOL,), tool_choice=forced, parallel_tool_calls=False) == "parallel_tool_calls"
    with pytest.raises(InvalidRequest):
        encoded(USER, Message("assistant", (ToolCallPart("c", "f", "[1]"),), path="m"), tools=(TOOL,))


def test_cache_control_becomes_cache_points_behind_the_blocks_it_stood_on() -> None:
    request = codec("anthropic.messages").decode_request(
        msgspec.json.encode(
            {
                "model": "m",
                "max_tokens": 9,
                "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
                "tools": [
                    {"name": "f", "input_schema": {"type": "object"}},
                    {"name": "g", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}},
                ],
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "text", "text": "a"},
                            {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}},
                            {"type": "text", "text": "c"},
                        ],
                    },
                ],
                "cache_control": {"type": "ephemeral"},
            }
        )
    )
    encoding = CONVERSE.encode_request(request, model())
    said = msgspec.json.decode(encoding.body)
    point = {"cachePoint": {"type": "default"}}
    assert said["system"] == [{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert [next(iter(tool)) for tool in said["toolConfig"]["tools"]] == ["toolSpec", "toolSpec", "cachePoint"]
    assert said["messages"][0]["content"] == [{"text": "a"}, {"text": "b"}, point, {"text": "c"}, point]
    assert encoding.dropped == ()
    elsewhere = CONVERSE.encode_request(request, model("meta.llama4"))
    assert set(elsewhere.dropped) == {
        "system[0].cache_control", "tools[1].cache_control", "messages[0].content[1].cache_control", "cache_control",
    }  # fmt: skip
