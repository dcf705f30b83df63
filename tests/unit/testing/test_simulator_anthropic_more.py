"""Anthropic's face of the simulator beside plain talk: counts, pages, citations, web search, encrypted thinking."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from simulator_wire import Wire

from pulse_gateway.testing.simulator import Config, Simulator
from pulse_gateway.testing.simulator.application import Application
from pulse_gateway.testing.simulator.vendor import Request

USER: Any = {"role": "user", "content": "hi"}
SEARCH: Any = {"type": "web_search_20260318", "name": "web_search"}
TOOL: Any = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
DOCUMENTS: list[Any] = [
    {"type": "document", "title": "t", "citations": {"enabled": True},
     "source": {"type": "text", "media_type": "text/plain", "data": "The grass is green."}},
    {"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}, "citations": {"enabled": True}},
    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "uncited"}},
    {"type": "document", "citations": {"enabled": True},
     "source": {"type": "content", "content": [{"type": "text", "text": "chunk"}]}},
    {"type": "search_result", "source": "s", "title": "r", "citations": {"enabled": True},
     "content": [{"type": "text", "text": "found"}]},
    {"type": "text", "text": "What colour?"},
]  # fmt: skip


def _plain(message: Any) -> list[Any]:
    """The content; streams hold it in a type of their own."""
    return [block.to_dict(exclude_none=True) for block in message.content]


def _ask(**more: Any) -> Any:
    return {"model": "claude-opus-5", "max_tokens": 400, "messages": [USER], **more}


async def test_what_is_counted_is_what_is_billed(anthropic_client: anthropic.AsyncAnthropic, wire: Wire) -> None:
    asked: Any = {"model": "claude-opus-5", "messages": [USER], "system": "s", "tools": [TOOL]}
    counted = await anthropic_client.messages.count_tokens(**asked)
    answered = await anthropic_client.messages.create(max_tokens=9, **asked)
    assert counted.input_tokens == answered.usage.input_tokens > 0
    assert (await anthropic_client.messages.count_tokens(**{**asked, "model": "sim+input=77"})).input_tokens == 77


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"max_tokens": 5}, 400, "max_tokens: Extra inputs are not permitted"),
        ({"messages": []}, 400, "at least one message is required"),
        ({"model": "gpt-5"}, 404, "model: gpt-5"),
        ({"model": "claude-opus-5-5", "tools": [TOOL], "tool_choice": {"type": "any"}}, 400, "forced tool use"),
        ({"model": "sim+status=529"}, 529, "Overloaded"),
    ],
)
def test_counting_refuses_as_answering_does(body: Any, status: int, words: str) -> None:

    data = json.dumps({"model": "claude-opus-5", "messages": [USER], **body}).encode()
    headers = {"x-api-key": "k", "anthropic-version": "2023-06-01", "content-type": "application/json"}
    delivery = Application(0, Config()).answer(Request("POST", "/v1/messages/count_tokens", {}, headers, data))
    assert (delivery.status, words in delivery.frames[0].data.decode()) == (status, True)


async def test_models_come_in_pages_in_both_directions(anthropic_client: anthropic.AsyncAnthropic) -> None:
    names = [model.id async for model in anthropic_client.models.list(limit=3)]
    assert len(names) == len(set(names)) == 4
    first = await anthropic_client.models.list(limit=3)
    assert (first.has_more, first.first_id, first.last_id) == (True, names[0], names[2])
    before = await anthropic_client.models.list(before_id=names[3], limit=2)
    assert ([model.id for model in before.data], before.has_more) == (names[1:3], True)
    after = await anthropic_client.models.list(after_id=names[2])
    assert ([model.id for model in after.data], after.has_more) == (names[3:], False)
    assert (await anthropic_client.models.list(lifecycle=["retired"])).data == []
    assert (await anthropic_client.models.retrieve(names[0])).capabilities is not None


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=a", "after_id=x", "before_id=x", "lifecycle=old"])
async def test_pages_that_do_not_exist_are_refused(wire: Wire, query: str) -> None:
    headers = {"x-api-key": "k", "anthropic-version": "2026-10-21"}
    assert (await wire.get(f"/v1/models?{query}", **headers)).status_code == 400


async def test_documents_are_cited_where_that_is_wanted(anthropic_client: anthropic.AsyncAnthropic) -> None:
    asked = _ask(messages=[{"role": "user", "content": DOCUMENTS}])
    message = await anthropic_client.messages.create(**asked)
    async with anthropic_client.messages.stream(**asked) as stream:
        kinds = [event.delta.type async for event in stream if event.type == "content_block_delta"]
        streamed = await stream.get_final_message()
    assert _plain(streamed) == _plain(message)
    assert kinds.count("citations_delta") == 4
    block = message.content[-1]
    assert block.type == "text"
    cited = [citation.to_dict() for citation in block.citations or ()]
    assert [citation["type"] for citation in cited] == [
        "char_location",
        "page_location",
        "content_block_location",
        "search_result_location",
    ]
    assert [citation["cited_text"] for citation in cited[::2]] == ["The grass is green.", "chunk"]
    assert [citation.get("document_index") for citation in cited] == [0, 1, 3, None]


async def test_citations_and_a_schema_do_not_go_together(wire: Wire) -> None:
    output = {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    reply = await wire.anthropic(_ask(messages=[{"role": "user", "content": DOCUMENTS}], output_config=output))
    assert (reply.status_code, "citations" in reply.json()["error"]["message"]) == (400, True)


async def test_a_search_is_shown_cited_and_billed(
    anthropic_client: anthropic.AsyncAnthropic, simulator: Simulator
) -> None:
    asked = _ask(tools=[SEARCH])
    message = await anthropic_client.messages.create(**asked)
    async with anthropic_client.messages.stream(**asked) as stream:
        streamed = await stream.get_final_message()
    assert _plain(streamed) == _plain(message)
    assert [block.type for block in message.content] == ["server_tool_use", "web_search_tool_result", "text"]
    use, result, text = message.content
    assert use.type == "server_tool_use"
    assert use.input == {"query": "hi"}
    assert result.type == "web_search_tool_result"
    assert result.tool_use_id == use.id
    assert text.type == "text"
    assert [citation.type for citation in text.citations or ()] == ["web_search_result_location"]
    assert message.usage.server_tool_use is not None
    assert message.usage.server_tool_use.web_search_requests == 1
    assert [record.units for record in simulator.stats().requests] == [{"searches": 1}] * 2
    history: Any = [USER, {"role": "assistant", "content": _plain(message)}, USER]
    assert (await anthropic_client.messages.create(**_ask(tools=[SEARCH], messages=history))).stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("change", "words"),
    [({"tool_use_id": "srvtoolu_x"}, "unexpected `tool_use_id`"), ({"content": [{"type": "web_search_result"}]}, "Invalid `encrypted_content`")],
)  # fmt: skip
async def test_results_that_were_changed_are_noticed(wire: Wire, change: Any, words: str) -> None:
    blocks = (await wire.anthropic(_ask(tools=[SEARCH]))).json()["content"]
    blocks[1].update(change)
    reply = await wire.anthropic(_ask(tools=[SEARCH], messages=[USER, {"role": "assistant", "content": blocks}, USER]))
    assert (reply.status_code, words in reply.json()["error"]["message"]) == (400, True)


async def test_a_turn_that_pauses_is_sent_back_as_it_is(anthropic_client: anthropic.AsyncAnthropic) -> None:
    asked = _ask(model="claude-opus-5+finish=pause_turn", tools=[SEARCH])
    message = await anthropic_client.messages.create(**asked)
    async with anthropic_client.messages.stream(**asked) as stream:
        assert _plain(await stream.get_final_message()) == _plain(message)
    assert message.stop_reason == "pause_turn"
    assert [block.type for block in message.content] == ["text", "server_tool_use", "web_search_tool_result"]
    so_far: Any = [USER, {"role": "assistant", "content": _plain(message)}]
    assert (await anthropic_client.messages.create(**_ask(tools=[SEARCH], messages=so_far))).stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("more", "searches"),
    [
        ({"tool_choice": {"type": "none"}}, False),
        ({"tool_choice": {"type": "tool", "name": "f"}}, False),
        ({"tool_choice": {"type": "tool", "name": "web_search"}}, True),
        ({"tool_choice": {"type": "any"}}, True),
    ],
)
async def test_tool_choice_is_about_searches_too(wire: Wire, more: Any, searches: bool) -> None:
    content = (await wire.anthropic(_ask(tools=[SEARCH, TOOL], **more))).json()["content"]
    assert (content[0]["type"] == "server_tool_use") == searches


async def test_a_search_can_fail(wire: Wire) -> None:
    result = (await wire.anthropic(_ask(model="sim+fail=max_uses_exceeded", tools=[SEARCH]))).json()["content"][1]
    assert result["content"] == {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}


async def test_thinking_may_come_encrypted_and_must_come_back_as_it_was(
    anthropic_client: anthropic.AsyncAnthropic, wire: Wire
) -> None:
    asked = _ask(model="claude-opus-5+redacted", thinking={"type": "adaptive"})
    message = await anthropic_client.messages.create(**asked)
    async with anthropic_client.messages.stream(**asked) as stream:
        assert _plain(await stream.get_final_message()) == _plain(message)
    blocks = _plain(message)
    assert [block["type"] for block in blocks] == ["redacted_thinking", "text"]
    asked["messages"] = [USER, {"role": "assistant", "content": blocks}, USER]
    assert (await wire.anthropic(asked)).status_code == 200
    blocks[0]["data"] = "XX"
    assert "Invalid `data`" in (await wire.anthropic(asked)).json()["error"]["message"]
