"""Nothing that a client writes is lost in silence: each member changes what is sent, or is reported, or is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st
from translation_bodies import BODIES
from translation_harness import PAIRS, deployment, sent, without

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.pipeline.prepare import Prepared

Path = tuple[str | int, ...]

NO_PARAMETERS = {"type": "object", "properties": {}}
# Members that say what their absence would, by dialect: the path, and the values for which that is so (None: any).
SAYS_NOTHING: dict[str, dict[str, tuple[Any, ...] | None]] = {
    "openai.chat": {
        "messages[].content": (None, ""),
        "messages[].content[].image_url.detail": ("auto",),
        "messages[].tool_calls[].function.arguments": ("", "{}"),
        "messages[].tool_calls[].type": ("function",),
        "tools[].function.parameters": (NO_PARAMETERS,),
        "tools[].function.parameters.type": ("object",),
        "tools[].function.strict": (False,),
        "parallel_tool_calls": (True,),
        "response_format": ({"type": "text"},),
        "presence_penalty": (0,),
        "frequency_penalty": (0,),
        "service_tier": ("auto",),
        "store": (False,),
        "stream": (False,),
        "n": (1,),
        "stop": ([],),
    },
    "openai.responses": {
        "input[].type": ("message",),
        "input[].id": None,  # under which the vendor keeps it, which means nothing to another
        "input[].status": ("completed",),
        "input[].content": ("",),
        "input[].content[].annotations": ([],),
        "input[].content[].detail": ("auto",),
        "input[].output[].detail": ("auto",),
        "input[].arguments": ("", "{}"),
        "input[].encrypted_content": None,  # goes with its reasoning, which is reported
        "include": (["reasoning.encrypted_content"],),  # shown in any case
        "tools[].parameters": (NO_PARAMETERS,),
        "tools[].parameters.type": ("object",),
        "tools[].strict": (False, None),
        "parallel_tool_calls": (True,),
        "text.format": ({"type": "text"},),
        "text.format.strict": (False,),
        "text.verbosity": ("medium",),
        "reasoning": ({},),
        "top_logprobs": (0,),
        "truncation": ("disabled",),
        "service_tier": ("auto",),
        "background": (False,),
        "store": (False,),
        "stream": (False,),
    },
    "anthropic.messages": {
        "messages[].content[].is_error": (False,),
        "messages[].content[].signature": None,  # goes with its thinking, which is reported
        "thinking": ({"type": "adaptive"},),
        "thinking.type": ("adaptive",),
        "thinking.display": ("omitted",),
        "tools[].type": ("custom",),
        "tools[].input_schema.type": ("object",),
        "tools[].strict": (False,),
        "tool_choice.disable_parallel_tool_use": (False,),
        "output_config": ({},),
        "service_tier": ("auto",),
        "stop_sequences": ([],),
        "stream": (False,),
    },
    "gemini": {
        "contents[].role": ("user",),
        "contents[].parts[].fileData.mimeType": None,  # others look at the file itself
        "contents[].parts[].functionCall.args": ({},),
        "contents[].parts[].functionResponse.response": ({},),
        "contents[].parts[].functionResponse.id": None,  # the name tells as much, unless two calls share it
        "generationConfig": ({},),
        "generationConfig.candidateCount": (1,),
        "generationConfig.presencePenalty": (0,),
        "generationConfig.frequencyPenalty": (0,),
        "generationConfig.stopSequences": ([],),
        "generationConfig.thinkingConfig": ({},),
        "generationConfig.thinkingConfig.includeThoughts": (False,),
        "generationConfig.thinkingConfig.thinkingBudget": (-1,),  # the model decides, as it would anyway
        "tools[].functionDeclarations[].parameters": (NO_PARAMETERS,),
        "tools[].functionDeclarations[].parameters.type": ("object",),
        "tools[].functionDeclarations[].parametersJsonSchema": (NO_PARAMETERS,),
        "tools[].functionDeclarations[].parametersJsonSchema.type": ("object",),
        "serviceTier": ("standard",),
    },
}


def says_nothing(client: str, name: str, value: Any) -> bool:
    values = SAYS_NOTHING[client].get(name, ())
    if values is None or value in values:
        return True
    return (
        isinstance(value, dict)
        and bool(value)
        and all(says_nothing(client, f"{name}.{k}", v) for k, v in value.items())
    )


def members(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every member of every object."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield (*path, name), member
            yield from members(member, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from members(item, (*path, place))


def spelled(path: Path) -> str:
    return "".join("[]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def is_narrowed_away(body: Any, path: Path) -> bool:
    """A tool that may not be called is not shown where a choice among some is a shorter list."""
    choice = body.get("tool_choice")
    return path[0] == "tools" and isinstance(choice, dict) and choice["type"] == "allowed_tools" and path[1] != 0


def outcome(prepared: Prepared) -> tuple[str, bytes, tuple[str, ...]]:
    return prepared.request.url, prepared.request.body, prepared.dropped


@pytest.mark.parametrize(("client", "upstream"), PAIRS)
@given(data=st.data())
@settings(max_examples=40)
def test_every_member_has_an_effect(client: str, upstream: str, data: st.DataObject) -> None:
    body = data.draw(BODIES[client](anything=data.draw(st.booleans())))
    to = deployment(upstream)
    stream = client == "gemini" and data.draw(st.booleans())
    try:
        whole = sent(client, body, to, stream=stream)
    except InvalidRequest:
        assume(False)
    every = list(members(body))
    for path, value in data.draw(st.lists(st.sampled_from(every), max_size=8, unique_by=lambda one: one[0])):
        try:
            smaller = sent(client, without(body, path), to, stream=stream)
        except InvalidRequest:
            event("was needed")
            continue
        if outcome(smaller) != outcome(whole):
            event("was sent")
            continue
        name = spelled(path)
        reported = any(re.match(re.escape(dropped) + r"(?:\.|\[|$)", name) for dropped in whole.dropped)
        assert reported or is_narrowed_away(body, path) or says_nothing(client, name, value), (
            name,
            value,
            whole.dropped,
        )
        event("was reported" if reported else "said nothing")
