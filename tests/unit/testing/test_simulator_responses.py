"""What the Responses API refuses, and what is in its books."""

from __future__ import annotations

from typing import Any

import pytest
from simulator_calls import Caller

TOOL: dict[str, Any] = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
CALL: dict[str, Any] = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
OUTPUT: dict[str, Any] = {"type": "function_call_output", "call_id": "c1", "output": "done"}
USER: dict[str, Any] = {"role": "user", "content": "hi"}


def create(caller: Caller, **members: Any) -> Any:
    return caller.post("/v1/responses", {"model": "gpt-6-sol", "input": "hi", **members})


@pytest.mark.parametrize(
    ("members", "refusal"),
    [
        ({"messages": []}, (400, "unknown_parameter", "messages")),
        ({"input": []}, (400, "empty_array", "input")),
        ({"input": None}, (400, "missing_required_parameter", "input")),
        ({"input": [{"role": "bot", "content": "x"}]}, (400, "invalid_value", "input[0].role")),
        ({"input": [{"content": "x"}]}, (400, "missing_required_parameter", "input[0].type")),
        ({"input": [{"type": "nothing"}]}, (400, "invalid_value", "input[0].type")),
        ({"input": [{**USER, "name": "x"}]}, (400, "unknown_parameter", "input[0].name")),
        (
            {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
            (400, "invalid_value", "input[0].content[0].type"),
        ),
        (
            {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
            (400, "invalid_value", "input[0].content[0].type"),
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            (400, "missing_required_parameter", "input[0].content[0].image_url"),
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": {"url": "https://a"}}]}]},
            (400, "invalid_type", "input[0].content[0].image_url"),
        ),
        ({"input": [USER, OUTPUT]}, (400, None, "input")),
        ({"input": [USER, CALL]}, (400, None, "input")),
        ({"input": [USER, {**OUTPUT, "output": {"a": 1}}]}, (400, "invalid_type", "input[1].output")),
        ({"input": [{"id": "msg_1"}]}, (404, None, "input")),
        ({"input": [USER, {"type": "reasoning", "id": "rs_1", "summary": []}, CALL, OUTPUT]}, (404, None, "input")),
        ({"previous_response_id": "resp_1"}, (400, "previous_response_not_found", "previous_response_id")),
        ({"conversation": "conv_1"}, (404, None, "conversation")),
        ({"prompt": {"id": "pmpt_1"}}, (404, None, "prompt")),
        ({"temperature": 0.2}, (400, "unsupported_parameter", "temperature")),
        ({"top_p": 0.2}, (400, "unsupported_parameter", "top_p")),
        ({"model": "gpt-6-astra", "reasoning": {"effort": "none"}}, (400, "unsupported_value", "reasoning.effort")),
        ({"model": "gpt-4.1", "reasoning": {"effort": "low"}}, (400, "unsupported_parameter", "reasoning.effort")),
        ({"model": "gpt-4.1", "include": ["reasoning.encrypted_content"]}, (400, None, "include")),
        ({"model": "o4-mini"}, (404, "model_not_found", None)),
        ({"model": "claude-opus-5"}, (404, "model_not_found", None)),
        ({"max_output_tokens": 15}, (400, "invalid_value", "max_output_tokens")),
        ({"stream_options": {"include_obfuscation": True}}, (400, None, "stream_options")),
        ({"background": True, "store": False}, (400, None, "background")),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, (400, "unknown_parameter", "tools[0].function")),
        ({"tools": [{"type": "magic"}]}, (400, "invalid_value", "tools[0].type")),
        ({"tools": [TOOL, TOOL]}, (400, "invalid_value", "tools")),
        ({"tools": [{**TOOL, "strict": True}]}, (400, "invalid_function_parameters", "tools[0].parameters")),
        ({"tool_choice": "required"}, (400, "invalid_value", "tool_choice")),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "g"}}, (400, "invalid_value", "tool_choice")),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
            (400, "invalid_value", "tool_choice"),
        ),
        ({"text": {"format": {"type": "json_object"}}}, (400, None, "input")),
        (
            {"text": {"format": {"type": "json_schema", "json_schema": {}}}},
            (400, "unknown_parameter", "text.format.json_schema"),
        ),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "array"}}}},
            (400, "invalid_json_schema", "text.format.schema"),
        ),
    ],
)
def test_what_the_api_would_not_take_is_refused(members: dict[str, Any], refusal: tuple[int, str | None, str]) -> None:
    assert create(Caller(), **members).error == refusal


def test_reasoning_that_was_tampered_with_is_refused() -> None:
    caller = Caller()
    settings: dict[str, Any] = {"tools": [TOOL], "store": False, "include": ["reasoning.encrypted_content"]}
    reasoning, call = create(caller, **settings).json["output"]
    said = [USER, reasoning, call, {**OUTPUT, "call_id": call["call_id"]}]
    assert create(caller, input=said, **settings).status == 200
    for changed in ({"encrypted_content": "c2lt"}, {"id": "rs_2"}):
        said[1] = {**reasoning, **changed}
        assert create(caller, input=said, **settings).error == (400, "invalid_encrypted_content", None)
    said[1] = {name: value for name, value in reasoning.items() if name != "encrypted_content"}
    assert create(caller, input=said, **settings).error == (404, None, "input")
    said[1:3] = [reasoning]
    assert create(caller, input=[USER, reasoning], **settings).error == (400, None, "input")


def test_what_is_stored_may_be_referred_to() -> None:
    caller = Caller()
    first = create(caller, input=[USER]).json
    reasoning, message = ({"type": "item_reference", "id": item["id"]} for item in first["output"])
    assert create(caller, input=[USER, reasoning, message, USER]).status == 200
    caller.send("POST", "/_reset")
    assert create(caller, input=[USER, reasoning, message, USER]).error == (404, None, "input")


def test_a_continued_conversation_is_read_again_and_billed() -> None:
    caller = Caller()
    first = create(caller, model="gpt-4.1", input="Four by four", tools=[TOOL]).json
    assert caller.record.operation == "responses"
    call_id = first["output"][0]["call_id"]
    unanswered = create(caller, model="gpt-4.1", previous_response_id=first["id"], tools=[TOOL])
    assert unanswered.error == (400, None, "input")
    answer = [{"type": "function_call_output", "call_id": call_id, "output": "sixteen"}]
    second = create(caller, model="gpt-4.1", input=answer, previous_response_id=first["id"], tools=[TOOL]).json
    assert second["output"][0]["content"][0]["text"].startswith("[result:f sixteen] You said: “Four by four”")
    billed = caller.record.billed
    assert billed.input == second["usage"]["input_tokens"] > first["usage"]["input_tokens"]
    assert billed.output == second["usage"]["output_tokens"]


def test_a_conversation_goes_on_without_another_word() -> None:
    caller = Caller()
    first = create(caller, model="gpt-4.1").json
    second = caller.post("/v1/responses", {"model": "gpt-4.1", "previous_response_id": first["id"]}).json
    assert second["output"][0]["content"][0]["text"].startswith("You said: “hi”")


def test_a_cut_stream_owes_what_was_sent() -> None:
    caller = Caller()
    whole = create(caller, model="gpt-4.1+tokens=100").json["usage"]["output_tokens"]
    create(caller, model="gpt-4.1+tokens=100,cut=20", stream=True)
    assert whole == 100
    assert 0 < caller.record.billed.output < 100
    assert caller.record.outcome == "faulted"


def test_cache_writes_are_told_by_lifetime() -> None:
    part = {"type": "input_text", "text": "long prefix!", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}
    usage = create(Caller(), input=[{"role": "user", "content": [part]}]).json["usage"]
    assert usage["input_tokens_details"] == {
        "cached_tokens": 0,
        "cache_write_tokens": 3,
        "cache_write_tokens_details": {"ttl_30m_tokens": 0, "ttl_12h_tokens": 3},
    }


def test_a_limit_makes_the_response_incomplete() -> None:
    reply = create(Caller(), model="gpt-4.1", max_output_tokens=16).json
    assert (reply["status"], reply["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert reply["output"][-1]["status"] == "incomplete"
    thinking = create(Caller(), max_output_tokens=16, model="gpt-6-sol+reasoning=16").json
    assert [item["type"] for item in thinking["output"]] == ["reasoning"]


def test_what_the_model_is_shown_arrives() -> None:
    parts = [
        {"type": "input_image", "image_url": "https://example.com/a.png"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    text = create(Caller(), model="gpt-4.1", input=[{"role": "user", "content": parts}]).json["output"][0]["content"][
        0
    ]["text"]
    assert text.startswith(
        "[image:1 https://example.com/a.png] [document:1 application/pdf 4 bytes] [audio:1 wav 4 bytes]"
    )


def test_obfuscation_can_be_turned_off() -> None:
    with_it = create(Caller(), stream=True).events
    without = create(Caller(), stream=True, stream_options={"include_obfuscation": False}).events
    assert any("obfuscation" in event for event in with_it)
    assert [{**event, "obfuscation": None} for event in without] == [
        {**event, "obfuscation": None} for event in with_it
    ]


def test_hosted_tools_are_accepted_and_never_called() -> None:
    reply = create(Caller(), model="gpt-4.1", tools=[{"type": "web_search"}], tool_choice="required").json
    assert [item["type"] for item in reply["output"]] == ["message"]


def test_a_finished_response_is_replayed_from_a_number_on() -> None:
    caller = Caller()
    events = create(caller, stream=True).events
    response_id = events[-1]["response"]["id"]
    assert caller.send("GET", f"/v1/responses/{response_id}?stream=true&starting_after=4").events == events[5:]
    assert caller.send("POST", f"/v1/responses/{response_id}/cancel").status == 400
    assert caller.send("PUT", f"/v1/responses/{response_id}").status == 405
