"""A client's Messages request becomes neutral, or what cannot is kept by its path."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.chat import (
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
from pulse_gateway.wire.anthropic_messages import AnthropicMessagesCodec

CODEC = AnthropicMessagesCodec()
USER = {"role": "user", "content": "hello"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def decoded(**fields: Any) -> ChatRequest:
    return CODEC.decode_request(
        msgspec.json.encode({"model": "claude-opus-5", "max_tokens": 100, "messages": [USER]} | fields)
    )


def blocks(*content: dict[str, Any], role: str = "user") -> ChatRequest:
    return decoded(messages=[{"role": role, "content": list(content)}])


def test_plain_fields_have_neutral_places() -> None:
    request = decoded(
        system="Be brief.",
        stream=True,
        stop_sequences=["END"],
        temperature=1,
        top_p=0.5,
        top_k=40,
        metadata={"user_id": "u-1"},
        service_tier="auto",
        speed="standard",
        container=None,
    )
    assert request == ChatRequest(
        model="claude-opus-5",
        messages=(
            Message("system", (TextPart("Be brief."),), path="system"),
            Message("user", (TextPart("hello"),), path="messages[0]"),
        ),
        stream=True,
        include_usage=True,
        max_output_tokens=100,
        temperature=1.0,
        top_p=0.5,
        top_k=40,
        stop=("END",),
        user="u-1",
    )


def test_images_and_documents_keep_their_sources() -> None:
    request = blocks(
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.test/a.png"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "BBBB"},
            "title": "T",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain"}},
        {
            "type": "document",
            "source": {"type": "url", "url": "https://example.test/a.pdf"},
            "citations": {"enabled": False},
        },
    )
    assert request.messages[0].parts == (
        ImagePart("image/png", "AAAA"),
        ImagePart(url="https://example.test/a.png"),
        DocumentPart(media_type="application/pdf", data="BBBB", title="T"),
        DocumentPart(media_type="text/plain", text="plain"),
        DocumentPart(url="https://example.test/a.pdf"),
    )
    assert request.extra == {}


def test_a_turn_that_mixes_results_and_text_becomes_two_messages() -> None:
    request = decoded(
        messages=[
            USER,
            {"role": "assistant", "content": [CALL]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "and?"},
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "42", "is_error": True},
                ],
            },
        ]
    )
    assert request.messages[2:] == (
        Message("tool", (ToolResultPart("toolu_1", (TextPart("42"),), is_error=True),), path="messages[2]"),
        Message("user", (TextPart("and?"),), path="messages[2]"),
    )


def test_results_may_hold_images_and_nothing() -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
    request = decoded(
        messages=[
            {"role": "assistant", "content": [CALL, CALL | {"id": "toolu_2"}]},
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "content": [{"type": "text", "text": "see"}, image],
                    },
                    {"type": "tool_result", "tool_use_id": "toolu_2"},
                ],
            },
        ]
    )
    assert request.messages[1].parts == (
        ToolResultPart("toolu_1", (TextPart("see"), ImagePart("image/png", "AAAA"))),
        ToolResultPart("toolu_2", ()),
    )


def test_the_arguments_of_calls_keep_their_exact_bytes() -> None:
    first, second = '{ "price" : 1.10, "n":12345678901234567890123 }', '{"q":"\\u0041 ب"}'
    raw = (
        '{"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text","text":"x"}]},'
        '{"role":"assistant","content":"text"},'
        f'{{"role":"assistant","content":[{{"type":"text","text":"y"}},{{"type":"tool_use","id":"a","name":"f","input":{first}}},'
        f'{{"type":"tool_use","id":"b","name":"g","input":{second}}}]}}]}}'
    )
    calls = CODEC.decode_request(raw.encode()).messages[2].parts[1:]
    assert calls == (ToolCallPart("a", "f", first), ToolCallPart("b", "g", second))


def test_thinking_in_the_history_keeps_its_signature() -> None:
    request = blocks(
        {"type": "thinking", "thinking": "hm", "signature": "sig"},
        {"type": "thinking", "thinking": "unsigned", "signature": ""},
        {"type": "redacted_thinking", "data": "XX"},
        role="assistant",
    )
    assert request.messages[0].parts == (
        ReasoningPart("hm", signature="sig"),
        ReasoningPart("unsigned"),
        ReasoningPart(redacted="XX"),
    )


def test_a_system_message_may_stand_in_the_conversation() -> None:
    request = decoded(messages=[USER, {"role": "system", "content": "now in verse"}, USER])
    assert request.messages[1] == Message("system", (TextPart("now in verse"),), path="messages[1]")


def test_tools_keep_their_schema_and_strictness() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    request = decoded(
        tools=[
            {"name": "f", "description": "d", "input_schema": schema, "strict": True, "type": "custom"},
            {"name": "g", "input_schema": schema, "defer_loading": False, "allowed_callers": ["direct"]},
        ]
    )
    assert request.tools == (Tool("f", "d", schema, True), Tool("g", None, schema))
    assert request.extra == {}


@pytest.mark.parametrize(
    ("wire", "choice", "parallel"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "auto", "disable_parallel_tool_use": False}, ToolChoice("auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required"), False),
        ({"type": "tool", "name": "f"}, ToolChoice("required", ("f",)), None),
        ({"type": "none"}, ToolChoice("none"), None),
    ],
)
def test_tool_choice(wire: dict[str, Any], choice: ToolChoice, parallel: bool | None) -> None:
    request = decoded(tools=[TOOL], tool_choice=wire)
    assert (request.tool_choice, request.parallel_tool_calls) == (choice, parallel)


@pytest.mark.parametrize(
    ("fields", "control"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, ReasoningControl(budget_tokens=2048)),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2048, "display": "omitted"}},
            ReasoningControl(budget_tokens=2048, summary=False),
        ),
        (
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "max"}},
            ReasoningControl("max", adaptive=True, summary=True),
        ),
        ({"thinking": {"type": "disabled"}}, ReasoningControl("none")),
        ({"output_config": {"effort": "low"}}, ReasoningControl("low")),
        ({"output_config": {"effort": None}, "thinking": None}, None),
    ],
)
def test_reasoning(fields: dict[str, Any], control: ReasoningControl | None) -> None:
    request = decoded(**fields)
    assert request.reasoning == control
    assert request.extra == {}


def test_a_schema_for_the_answer() -> None:
    request = decoded(output_config={"format": {"type": "json_schema", "schema": {"type": "object"}}})
    assert request.response_format == ResponseFormat("json_schema", {"type": "object"})


@pytest.mark.parametrize("content", ["one\n\ntwo", [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]])
def test_a_document_of_texts_is_one_text(content: Any) -> None:
    request = blocks({"type": "document", "title": "t", "source": {"type": "content", "content": content}})
    assert request.messages[0].parts == (DocumentPart("text/plain", text="one\n\ntwo", title="t"),)
    assert request.extra == {}


def test_citations_of_what_was_said_are_hints() -> None:
    cited = [{"type": "char_location", "cited_text": "y"}]
    request = blocks({"type": "text", "text": "x", "citations": cited}, role="assistant")
    assert (request.extra, request.hints) == ({}, {"messages[0].content[0].citations": cited})


def test_cache_breakpoints_are_hints_wherever_they_stand() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    request = decoded(
        cache_control=mark,
        system=[{"type": "text", "text": "s", "cache_control": mark}],
        messages=[{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": mark}]}],
        tools=[TOOL | {"cache_control": mark, "eager_input_streaming": True}],
    )
    assert request.extra == {}
    assert request.hints == {
        "cache_control": mark,
        "system[0].cache_control": mark,
        "messages[0].content[0].cache_control": mark,
        "tools[0].cache_control": mark,
        "tools[0].eager_input_streaming": True,
    }


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"tool_choice": {"type": "maybe"}}, "tool_choice"),
        ({"container": "c-1"}, "container"),
        ({"mcp_servers": [{"url": "u"}]}, "mcp_servers"),
        ({"context_management": {}}, "context_management"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"speed": "fast"}, "speed"),
        ({"service_tier": "standard_only"}, "service_tier"),
        ({"diagnostics": {"previous_message_id": "m"}}, "diagnostics"),
        ({"invented_tomorrow": 0}, "invented_tomorrow"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"metadata": {"team": "t"}}, "metadata.team"),
        ({"thinking": {"type": "between_tools"}}, "thinking"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, "output_config.effort"),
        ({"output_config": {"effort": "heroic"}}, "output_config.effort"),
        ({"output_config": {"mood": "x"}}, "output_config.mood"),
        ({"tools": [{"type": "web_search_20260318", "name": "web_search"}]}, "tools[0]"),
        ({"tools": [TOOL | {"input_examples": [{"a": 1}]}]}, "tools[0].input_examples"),
        ({"tools": [TOOL | {"defer_loading": True}]}, "tools[0].defer_loading"),
    ],
)
def test_what_has_no_neutral_form_is_kept_by_its_path(fields: dict[str, Any], path: str) -> None:
    assert list(decoded(**fields).extra) == [path]


@pytest.mark.parametrize(
    ("block", "path"),
    [
        ({"type": "image", "source": {"type": "file", "file_id": "file_1"}}, "messages[0].content[0].source.file_id"),
        (
            {"type": "image", "source": {"type": "url", "url": "https://u.test"}, "transformations": {"a": 1}},
            "messages[0].content[0].transformations",
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://u.test"}, "citations": {"enabled": True}},
            "messages[0].content[0].citations",
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "https://u.test"}, "context": "c"},
            "messages[0].content[0].context",
        ),
        (
            {"type": "document", "source": {"type": "content", "content": [{"type": "image"}]}},
            "messages[0].content[0].source",
        ),
        ({"type": "search_result", "source": "s", "title": "t", "content": []}, "messages[0].content[0]"),
        ({"type": "container_upload", "file_id": "f"}, "messages[0].content[0]"),
    ],
)
def test_blocks_without_a_neutral_form_are_kept_by_their_path(block: dict[str, Any], path: str) -> None:
    assert list(blocks(block).extra) == [path]


def test_blocks_of_server_tools_are_kept_by_their_path() -> None:
    request = blocks(
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        CALL | {"caller": {"type": "direct"}},
        CALL | {"id": "toolu_2", "caller": {"type": "code_execution_20260521", "tool_id": "x"}},
        role="assistant",
    )
    assert list(request.extra) == ["messages[0].content[0]", "messages[0].content[2].caller"]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"model": None}, "model"),
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"system": 3}, "system"),
        ({"stop_sequences": [1]}, "stop_sequences[0]"),
        ({"temperature": True}, "temperature"),
        ({"temperature": 10**400}, "temperature"),
        ({"top_k": 1.5}, "top_k"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tool_choice": {}}, "tool_choice.type"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"thinking": {}}, "thinking.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": -1}}, "thinking.budget_tokens"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        (
            {"messages": [{"role": "assistant", "content": [CALL | {"input": "{}"}]}]},
            "messages[0].content[0].input",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "nobody"}]}]},
            "messages[0].content[0].tool_use_id",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "data": "A"}}]}]},
            "messages[0].content[0].source.media_type",
        ),
    ],
)
def test_what_is_malformed_is_refused_by_its_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded(**fields)
    assert caught.value.param == path


def test_a_result_before_its_call_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        decoded(
            messages=[
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "42"}]},
                {"role": "assistant", "content": [CALL]},
            ]
        )
    assert caught.value.param == "messages[0].content[0].tool_use_id"


def test_a_host_may_keep_model_and_stream_outside_the_body() -> None:
    request = CODEC.decode_request(
        b'{"max_tokens":1,"messages":[{"role":"user","content":"x"}]}', model="m", stream=True
    )
    assert (request.model, request.stream) == ("m", True)


def test_ids_that_were_escaped_for_this_dialect_are_read_back() -> None:
    escaped = "pulse-id_YS9i"  # a/b
    request = decoded(
        messages=[
            {"role": "assistant", "content": [CALL | {"id": escaped}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": escaped, "content": "r"}]},
        ]
    )
    assert request.messages == (
        Message("assistant", (ToolCallPart("a/b", "f", '{"a":1}'),), path="messages[0]"),
        Message("tool", (ToolResultPart("a/b", (TextPart("r"),)),), path="messages[1]"),
    )
