"""A history that other vendors have thought in, within the dialect of the vendor that is asked now."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pulse_gateway.errors import InvalidRequest
from pulse_gateway.types.catalog import Model
from pulse_gateway.wire.anthropic_messages.foreign_thinking import without_foreign_thinking as of_anthropics
from pulse_gateway.wire.gemini.foreign_thinking import without_foreign_thinking as of_geminis
from pulse_gateway.wire.gemini.signatures import sealed
from pulse_gateway.wire.openai_chat.extensions import EXTENSIONS, without_extensions

CURRENT = Model(provider="google", name="gemini-3.8-flash")
OLDER = Model(provider="google", name="gemini-2.5-flash")
SEALED = sealed("sig", None)
OWN = base64.b64encode(b"sig").decode()
DUMMY = "skip_thought_signature_validator"


def written(value: Any) -> bytes:
    """With white space, so that a body that was put together again shows."""
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


# ── Anthropic ─────────────────────────────────────────────────────────────────────────────────────────────────────────

TEXT = {"type": "text", "text": "“so”"}
USER = {"role": "user", "content": "thinking"}


def thinking(signature: str) -> dict[str, str]:
    return {"type": "thinking", "thinking": "hm", "signature": signature}


@pytest.mark.parametrize("signature", ["", "gemini:c2ln", "openai:rs_1:gAAA", "detail:e30="])
def test_anthropic_is_not_shown_thinking_that_it_has_not_signed(signature: str) -> None:
    foreign = {"role": "assistant", "content": [thinking(signature), TEXT]}
    alone = {"role": "assistant", "content": [thinking(signature)]}
    own = {"role": "assistant", "content": [thinking("EqMD"), {"type": "redacted_thinking", "data": "x"}, TEXT]}
    body, gone = of_anthropics(written({"messages": [USER, foreign, USER, alone, USER, own], "x": 1.0}))
    assert json.loads(body) == {"messages": [USER, {"role": "assistant", "content": [TEXT]}, USER, USER, own], "x": 1.0}
    assert gone == ("messages[].content[].thinking",)
    assert json.dumps(own, indent=1)[-40:].encode() not in body or b'"x": 1.0' in body


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": [USER, {"role": "assistant", "content": [thinking("EqMD"), TEXT]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": '"thinking" and "signature"'}]}]},
        {"messages": [{"role": "user", "content": [thinking("")]}]},  # no place for it: the vendor says so
        {"messages": [{"role": "assistant", "content": '"thinking": "signature"'}]},
        {"messages": [{"role": "assistant", "content": [{"type": "thinking", "signature": 5, "thinking": 3}]}]},
        {"messages": {"thinking": 1, "signature": 2}},
        {"messages": [USER], "thinking": {"type": "adaptive"}, "tools": [{"name": "signature"}]},
    ],
)
def test_anthropic_is_sent_every_other_byte_as_it_is(request_: dict[str, Any]) -> None:
    body = written(request_)
    assert of_anthropics(body) == (body, ())


def test_a_key_that_stands_twice_in_what_would_change_is_refused() -> None:
    twice = b'{"messages":[{"role":"assistant","content":[],"content":[{"type":"thinking","thinking":"","signature":""},{"type":"text"}]}]}'
    with pytest.raises(InvalidRequest):
        of_anthropics(twice)


# ── Gemini ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def call(name: str, **members: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": {}}, **members}


RESULT = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}
ASKED = {"role": "user", "parts": [{"text": "q"}]}


def model(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "model", "parts": list(parts)}


def test_gemini_is_not_shown_thoughts_that_are_sealed_for_others() -> None:
    sealed_thought = {"text": "hm", "thought": True, "thoughtSignature": SEALED}
    own_thought = {"text": "hm", "thought": True, "thought_signature": OWN}
    contents = [ASKED, model(sealed_thought, {"text": "a"}), ASKED, model(sealed_thought), ASKED, model(own_thought), ASKED]  # fmt: skip
    body, gone = of_geminis(written({"contents": contents, "x": 1.0}), OLDER)
    assert json.loads(body) == {"contents": [ASKED, model({"text": "a"}), ASKED, ASKED, model(own_thought), ASKED], "x": 1.0}  # fmt: skip
    assert gone == ("contents[].parts[].thought",)


def test_calls_of_the_current_turn_that_nobody_signed_are_signed_as_google_allows() -> None:
    contents = [ASKED, model(call("f")), RESULT, model({"text": "a"}), ASKED, model(call("f"), call("g")), RESULT, model(call("f", thought_signature=SEALED)), RESULT, model(call("f", thoughtSignature=OWN)), RESULT]  # fmt: skip
    body, gone = of_geminis(written({"contents": contents}), CURRENT)
    said = json.loads(body)["contents"]
    assert said[1] == contents[1]
    assert said[5] == model(call("f", thoughtSignature=DUMMY), call("g"))
    assert said[7] == model(call("f", thought_signature=DUMMY))
    assert said[9] == contents[9]
    assert gone == ()
    assert of_geminis(written({"contents": contents[:7]}), OLDER) == (written({"contents": contents[:7]}), ())


@pytest.mark.parametrize(
    "request_",
    [
        {"contents": [ASKED, model(call("f", thoughtSignature=OWN)), RESULT]},
        {"contents": [ASKED, model({"function_call": {"name": "f"}, "thought_signature": OWN}), RESULT]},
        {"contents": [{"parts": [{"text": f"what is {SEALED}?"}]}]},
        {"contents": {"parts": [{"text": SEALED}]}},
        {"contents": [{"parts": [{"text": SEALED, "thoughtSignature": 3}]}]},
        {"contents": "functionCall"},
    ],
)
def test_gemini_is_sent_every_other_byte_as_it_is(request_: dict[str, Any]) -> None:
    body = written(request_)
    assert of_geminis(body, CURRENT) == (body, ())


# ── Chat Completions ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_vendor_is_not_shown_the_extensions_that_it_refuses() -> None:
    made = {"id": "c", "type": "function", "function": {"name": "reasoning", "arguments": "{}"}}
    message = {"role": "assistant", "content": "reasoning", "reasoning_content": "hm", "reasoning": "hm", "reasoning_details": [], "tool_calls": [{**made, "extra_content": {"google": {}}}]}  # fmt: skip
    other = {"role": "user", "content": "q", "reasoning": "the client's own mistake"}
    body, gone = without_extensions(written({"messages": [other, message], "reasoning": {"effort": "low"}}), EXTENSIONS)
    assert json.loads(body) == {
        "messages": [other, {"role": "assistant", "content": "reasoning", "tool_calls": [made]}],
        "reasoning": {"effort": "low"},
    }
    assert set(gone) == {
        "messages[].reasoning_content",
        "messages[].reasoning",
        "messages[].reasoning_details",
        "messages[].tool_calls[].extra_content",
    }
    kept, gone = without_extensions(written({"messages": [message]}), EXTENSIONS - {"reasoning"})
    assert json.loads(kept)["messages"][0]["reasoning"] == "hm"
    assert "messages[].reasoning" not in gone


@pytest.mark.parametrize(
    "request_",
    [
        {"messages": [{"role": "user", "content": "reasoning_content"}], "reasoning": {}},
        {"messages": [{"role": "assistant", "content": "say \"reasoning\": and \"extra_content\""}]},
        {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": "{\"reasoning\": 1}"}}]}]},
        {"messages": "reasoning"},
    ],
)  # fmt: skip
def test_a_vendor_is_sent_every_other_byte_as_it_is(request_: dict[str, Any]) -> None:
    body = written(request_)
    assert without_extensions(body, EXTENSIONS) == (body, ())
