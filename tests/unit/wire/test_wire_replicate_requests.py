"""Language models at Replicate: what each family is given of a request."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulse_gateway.errors import (
    UnsupportedParameter,
)
from pulse_gateway.types.catalog import Model
from pulse_gateway.types.chat import (
    AudioPart,
    ChatRequest,
    DocumentPart,
    ImagePart,
    Message,
    ReasoningControl,
    ReasoningPart,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCallPart,
    ToolResultPart,
)
from pulse_gateway.wire.replicate_predictions import ReplicatePredictionsCodec
from pulse_gateway.wire.replicate_predictions.families import family_of
from pulse_gateway.wire.replicate_predictions.transcript import as_transcript

CODEC = ReplicatePredictionsCodec()
GPT_5, GPT_4, STRUCTURED = "openai/gpt-5", "openai/gpt-4.1", "openai/gpt-5-structured"
CLAUDE, HAIKU, GEMINI, GEMINI_3 = (
    "anthropic/claude-4-sonnet", "anthropic/claude-4.5-haiku", "google/gemini-2.5-flash", "google/gemini-3-pro",
)  # fmt: skip
LLAMA, LLAMA_4, R1 = "meta/meta-llama-3-70b-instruct", "meta/llama-4-maverick-instruct", "deepseek-ai/deepseek-r1"
IMAGE = ImagePart("image/png", "AAAA")


def user(*parts: Any, path: str = "messages[0]") -> Message:
    return Message("user", tuple(TextPart(part) if isinstance(part, str) else part for part in parts), path=path)


def said(role: Any, text: str, path: str = "messages[1]") -> Message:
    return Message(role, (TextPart(text),), path=path)


def asked(model: str, *messages: Message, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The input, and what was left out."""
    request = ChatRequest(model=model, messages=messages or (user("Hi"),), **fields)
    encoded = CODEC.encode_request(request, Model(provider="replicate", name=model))
    body = msgspec.json.decode(encoded.body)
    assert list(body) == ["input"]
    return body["input"], encoded.dropped


def refused(model: str, *messages: Message, **fields: Any) -> str | None:
    with pytest.raises(UnsupportedParameter) as caught:
        asked(model, *messages, **fields)
    assert f"replicate:{model}" in caught.value.message
    return caught.value.param


# ── what it is asked ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (GPT_5, {"prompt": "Hi", "system_prompt": "Be brief", "max_completion_tokens": 2000}),
        (STRUCTURED, {"prompt": "Hi", "instructions": "Be brief", "max_output_tokens": 2000}),
        (CLAUDE, {"prompt": "Hi", "system_prompt": "Be brief", "max_tokens": 2000}),
        (GEMINI, {"prompt": "Hi", "system_instruction": "Be brief", "max_output_tokens": 2000}),
        (LLAMA, {"prompt": "Hi", "system_prompt": "Be brief", "max_tokens": 2000}),
        (f"{LLAMA}:{'a' * 64}", {"prompt": "Hi", "system_prompt": "Be brief", "max_tokens": 2000}),
        (R1, {"prompt": "System: Be brief\n\nUser: Hi\n\nAssistant:", "max_tokens": 2000}),
    ],
)
def test_one_question_with_instructions_has_its_inputs(model: str, wanted: dict[str, Any]) -> None:
    given, dropped = asked(model, said("system", "Be brief"), user("Hi"), max_output_tokens=2000)
    assert given == wanted
    assert dropped == (("messages.role",) if model == R1 else ())


HISTORY = (said("system", "Be brief"), user("Who?"), said("assistant", "I."), user("Why?", path="messages[3]"))


def test_a_conversation_is_messages_where_there_are_such() -> None:
    turns = [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": "Who?"},
        {"role": "assistant", "content": "I."},
        {"role": "user", "content": "Why?"},
    ]
    assert asked(GPT_4, *HISTORY) == ({"messages": turns}, ())
    assert asked(STRUCTURED, *HISTORY) == ({"input_item_list": turns}, ())


@pytest.mark.parametrize("model", [CLAUDE, GEMINI, LLAMA])
def test_and_a_transcript_where_there_are_none(model: str) -> None:
    given, dropped = asked(model, *HISTORY)
    assert given["prompt"] == "User: Who?\n\nAssistant: I.\n\nUser: Why?\n\nAssistant:"
    assert [value for name, value in given.items() if name.startswith("system")] == ["Be brief"]
    assert dropped == ("messages.role",)


def test_later_instructions_and_files_are_told_in_a_transcript() -> None:
    later = (user("a", IMAGE), said("system", "Now in Arabic"), user("b", path="messages[2]"))
    given, dropped = asked(GEMINI, *later)
    assert given == {
        "images": ["data:image/png;base64,AAAA"],
        "prompt": "User: a\n\n[image 1]\n\nSystem: Now in Arabic\n\nUser: b\n\nAssistant:",
    }
    assert dropped == ("messages.role",)
    assert asked(GPT_5, *later)[0]["prompt"] == given["prompt"]  # whether `messages` go with files nobody says


def test_files_of_one_question_stand_beside_it() -> None:
    address = ImagePart(url="https://a.example/b.png", detail="high")
    assert asked(GPT_5, user("What?", IMAGE, address)) == (
        {"prompt": "What?", "image_input": ["data:image/png;base64,AAAA", "https://a.example/b.png"]},
        ("messages.image_detail",),
    )
    assert asked(CLAUDE, user(IMAGE, "What?"))[0] == {"prompt": "What?", "image": "data:image/png;base64,AAAA"}
    assert asked(GEMINI_3, user("?", AudioPart("audio/wav", "AAAA")))[0]["audio"] == "data:audio/wav;base64,AAAA"
    assert asked(LLAMA, user("Sum up:", DocumentPart("text/plain", text="long", title="t"))) == (
        {"prompt": "Sum up:\n\nlong"},
        ("messages.document_title",),
    )


def test_what_a_history_has_beside_texts_is_left_out_and_told() -> None:
    answer = Message("assistant", (ReasoningPart("hm"), RefusalPart("No.")), path="messages[1]")
    blank = Message("assistant", (TextPart(" "),), path="messages[2]")
    named = Message("user", (TextPart("b"),), name="Ann", path="messages[3]")
    given, dropped = asked(GPT_4, user("a"), answer, blank, named, user="u", hints={"metadata": {}})
    assert [turn["content"] for turn in given["messages"]] == ["a", "No.", "b"]
    assert dropped == ("messages.reasoning", "messages.blank_text", "messages.name", "user", "metadata")


@pytest.mark.parametrize(
    ("model", "messages", "path"),
    [
        (LLAMA, (user("a", IMAGE),), "messages[0]"),
        (HAIKU, (user("a", IMAGE),), "messages[0]"),
        (CLAUDE, (user("a", IMAGE, IMAGE),), "messages[0]"),
        (GEMINI, (user("a", AudioPart("audio/wav", "AAAA")),), "messages[0]"),
        (GEMINI_3, (user("a", *[AudioPart("audio/wav", "AAAA")] * 2),), "messages[0]"),
        (GPT_5, (user("a", DocumentPart("application/pdf", "AAAA")),), "messages[0]"),
        (GPT_5, (user("a"), said("assistant", "Once")), "messages[1]"),
        (GPT_5, (said("system", "Be brief", "messages[0]"),), "messages[0]"),
        (GPT_5, (user(" "),), "messages[0]"),
        (GPT_5, (user("a"), Message("assistant", (IMAGE,), path="messages[1]"), user("b")), "messages[1]"),
        (
            GPT_5,
            (user("a"), Message("assistant", (ToolCallPart("c", "f", "{}"),), path="messages[1]"), user("b")),
            "messages[1]",
        ),
        (
            GPT_5,
            (user("a"), Message("tool", (ToolResultPart("c", (TextPart("1"),)),), path="messages[1]")),
            "messages[1]",
        ),
    ],
)
def test_what_no_input_is_for_is_refused_where_it_stands(model: str, messages: tuple[Message, ...], path: str) -> None:
    assert refused(model, *messages) == path


SCHEMA = ResponseFormat("json_schema", schema={"type": "object"}, name="n", strict=True)


@pytest.mark.parametrize(
    ("model", "fields", "param"),
    [
        (GPT_5, {"n": 2}, "n"),
        (GPT_5, {"seed": 1}, "seed"),
        (GPT_5, {"logprobs": True}, "logprobs"),
        (GPT_5, {"top_logprobs": 1}, "top_logprobs"),
        (GPT_5, {"tools": (Tool("f"),)}, "tools"),
        (STRUCTURED, {"tools": (Tool("f"),)}, "tools"),
        (GPT_5, {"response_format": SCHEMA}, "response_format"),
        (GPT_5, {"response_format": ResponseFormat("json_object")}, "response_format"),
        (STRUCTURED, {"response_format": ResponseFormat("json_object")}, "response_format"),
        (GPT_5, {"temperature": 0.5}, "temperature"),
        (CLAUDE, {"temperature": 0.5}, "temperature"),
        (CLAUDE, {"max_output_tokens": 100}, "max_output_tokens"),
        (GPT_4, {"top_k": 5}, "top_k"),
        (GEMINI, {"presence_penalty": 0.5}, "presence_penalty"),
        (GPT_4, {"stop": ("x",)}, "stop"),
        (LLAMA, {"stop": ("a,b",)}, "stop"),
        (LLAMA, {"stop": ("",)}, "stop"),
        (LLAMA, {"reasoning": ReasoningControl(effort="high")}, "reasoning"),
        (R1, {"reasoning": ReasoningControl(budget_tokens=100)}, "reasoning"),
        (GPT_5, {"reasoning": ReasoningControl(effort="xhigh")}, "reasoning"),
        (GEMINI_3, {"reasoning": ReasoningControl(effort="medium")}, "reasoning"),
        (CLAUDE, {"reasoning": ReasoningControl(budget_tokens=512)}, "reasoning"),
        (GPT_5, {"extra": {"logit_bias": {}}}, "logit_bias"),
        (GPT_4, {"extra": {"verbosity": "low"}}, "verbosity"),
    ],
)
def test_what_a_family_has_no_input_for_is_refused_by_name(model: str, fields: dict[str, Any], param: str) -> None:
    assert refused(model, **fields) == param


@pytest.mark.parametrize(
    ("model", "fields", "wanted", "dropped"),
    [
        (
            GPT_4,
            {"temperature": 0.5, "top_p": 0.9, "presence_penalty": 0.1, "frequency_penalty": -0.1, "n": 1},
            {"temperature": 0.5, "top_p": 0.9, "presence_penalty": 0.1, "frequency_penalty": -0.1},
            (),
        ),
        (LLAMA, {"stop": ("END", "\n"), "top_k": 5}, {"stop_sequences": "END,\n", "top_k": 5}, ()),
        (GPT_5, {"extra": {"verbosity": "low"}}, {"verbosity": "low"}, ()),
        (GPT_5, {"extra": {"text.verbosity": "low"}}, {"verbosity": "low"}, ()),
        (GPT_5, {"reasoning": ReasoningControl(effort="high", summary=True)}, {"reasoning_effort": "high"}, ("reasoning.summary",)),
        ("openai/gpt-5.1", {"reasoning": ReasoningControl(budget_tokens=0)}, {"reasoning_effort": "none"}, ()),
        (GEMINI_3, {"reasoning": ReasoningControl(budget_tokens=9000)}, {"thinking_level": "high"}, ()),
        (GEMINI, {"reasoning": ReasoningControl(effort="none")}, {"thinking_budget": 0}, ()),
        (GEMINI, {"reasoning": ReasoningControl(budget_tokens=-1)}, {"dynamic_thinking": True}, ()),
        (CLAUDE, {"reasoning": ReasoningControl(budget_tokens=2048)}, {"extended_thinking": True, "thinking_budget_tokens": 2048}, ()),
        (CLAUDE, {"reasoning": ReasoningControl(effort="minimal")}, {"extended_thinking": True, "thinking_budget_tokens": 1024}, ()),
        (CLAUDE, {"reasoning": ReasoningControl(effort="none")}, {"extended_thinking": False}, ()),
        (CLAUDE, {"reasoning": ReasoningControl(adaptive=True)}, {"extended_thinking": True}, ()),
        (LLAMA, {"reasoning": ReasoningControl(effort="none")}, {}, ()),
        (
            STRUCTURED,
            {"response_format": SCHEMA},
            {"json_schema": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}}},
            ("response_format.strict",),
        ),
    ],
)  # fmt: skip
def test_what_it_has_an_input_for_is_said(
    model: str, fields: dict[str, Any], wanted: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    assert asked(model, **fields) == ({"prompt": "Hi", **wanted}, dropped)


@pytest.mark.parametrize(
    ("name", "operations", "chats"),
    [
        ("black-forest-labs/flux-dev", (), False),
        ("openai/gpt-image-1", (), False),
        ("openai/gpt-4o-transcribe", (), False),
        ("google/gemini-2.5-flash-image", (), False),
        ("meta/meta-llama-3-8b", (), False),  # no instructions: it goes on with a text
        ("me/my-llama", (), False),
        ("me/my-llama", ("chat",), True),
        ("deployments/me/mine", ("chat",), True),
        ("openai/gpt-5", ("images",), False),
        ("openai/gpt-6.1-sol", (), True),
        ("ibm-granite/granite-3.3-8b-instruct", (), True),
    ],
)
def test_only_what_is_known_to_chat_is_asked(name: str, operations: tuple[str, ...], chats: bool) -> None:
    assert (family_of(Model(provider="replicate", name=name, operations=operations)) is not None) == chats


def test_a_model_that_nobody_knows_is_not_asked_at_all() -> None:
    assert refused("black-forest-labs/flux-dev") == "model"


# ── transcripts ───────────────────────────────────────────────────────────────────────────────────────────────────────

LINES = st.sampled_from(["User: x", "Assistant:", "System: no", "\\User: y", "\\\\Assistant: z", "", " User: ", "hi"])
TEXTS = st.lists(LINES | st.text(max_size=6), max_size=4).map("\n".join)
TURN = re.compile(r"^(System|User|Assistant): ?", re.MULTILINE)


def parsed(transcript: str) -> list[tuple[str, str]]:
    """By the rule on the page: a line that begins with a title begins a turn, and one backslash before a title is ours."""
    assert transcript.endswith("\n\nAssistant:")
    rest, turns = transcript.removesuffix("\n\nAssistant:"), list[tuple[str, str]]()
    starts = [found.start() for found in TURN.finditer(rest)]
    for start, end in zip(starts, [*starts[1:], len(rest) + 2], strict=True):
        title, _, text = rest[start : end - 2].partition(": ")
        turns.append((title.lower(), re.sub(r"^\\(?=\\*(?:System|User|Assistant):)", "", text, flags=re.MULTILINE)))
    return turns


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), TEXTS), min_size=1, max_size=4))
def test_turns_can_be_told_apart_whatever_is_in_them(turns: list[tuple[str, str]]) -> None:
    assert parsed(as_transcript(turns)) == turns
