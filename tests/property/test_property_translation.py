"""A request means the same in every dialect that can say it; what one cannot say is refused by the name the client used."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from translation_bodies import BODIES
from translation_harness import PAIRS, decoded, deployment, has_path, sent
from translation_meaning import conversation, system_texts, tools

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.wire.registry import codec

SCALARS = ("temperature", "top_p", "top_k", "stop", "n", "seed", "presence_penalty", "frequency_penalty", "logprobs",
           "top_logprobs", "parallel_tool_calls", "stream")  # fmt: skip


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(data=st.data())
@settings(max_examples=100)
def test_a_request_is_said_again_or_refused_by_name(client: str, upstream: str, data: st.DataObject) -> None:
    body = data.draw(BODIES[client](anything=data.draw(st.booleans())))
    stream = data.draw(st.booleans()) if client == "gemini" else bool(body.get("stream"))
    try:
        prepared = sent(client, body, deployment(upstream), stream=stream)
    except InvalidRequest as error:
        event(f"refused: {type(error).__name__}")
        assert error.param is not None, error.message
        assert has_path(body, error.param), (error.param, error.message)
        return
    event("sent")
    before = decoded(client, _raw(body), stream=stream)
    after = decoded(upstream, prepared.request.body, stream=stream)
    assert after.extra.items() <= before.extra.items()  # what OpenAI's two dialects share, and no other has
    for name in prepared.dropped:
        assert has_path(body, name), name
    assert system_texts(after) == system_texts(before)
    assert conversation(after) == conversation(before)
    assert tools(after) == tools(before)
    for field in SCALARS:
        assert _set(getattr(after, field)) == _set(getattr(before, field)), field
    if before.max_output_tokens is not None:
        assert after.max_output_tokens == before.max_output_tokens
    if before.response_format is not None:
        assert (after.response_format.kind, after.response_format.schema) == (
            before.response_format.kind,
            before.response_format.schema,
        )
    if before.user is not None and after.user is None:
        assert codec(client).field_paths["user"][0] in prepared.dropped


def _raw(body: dict[str, Any]) -> bytes:
    import msgspec

    return msgspec.json.encode(body)


def _set(value: Any) -> Any:
    return value or None
