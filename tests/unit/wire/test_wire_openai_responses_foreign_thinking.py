"""What of a history never reaches a vendor of this dialect, since another vendor has thought it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pulse_gateway.wire.openai_responses.foreign_thinking import without_foreign_thinking

USER = {"role": "user", "content": "q"}
OWN = {"type": "reasoning", "id": "rs_68a1", "summary": [], "encrypted_content": "gAAAA"}
SIGNED = {"type": "reasoning", "id": "rs_68a1", "summary": [], "encrypted_content": "pulse:signature:sig="}
UNSIGNED = {"type": "reasoning", "id": "rs_pulse_1_0", "summary": [], "encrypted_content": None}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"extra_content": 1}'}
GOOGLE = {"extra_content": {"google": {"thought_signature": "s"}}}


@pytest.mark.parametrize(
    ("items", "kept", "gone"),
    [
        ([USER, SIGNED, OWN, UNSIGNED], [USER, OWN], ("input[].summary",)),
        ([USER, CALL | GOOGLE], [USER, CALL], ("input[].extra_content",)),
        ([SIGNED, CALL | GOOGLE], [CALL], ("input[].summary", "input[].extra_content")),
    ],
)
def test_it_is_taken_out_and_named(items: list[Any], kept: list[Any], gone: tuple[str, ...]) -> None:
    body = json.dumps({"model": "m", "input": items, "x": 1.0}).encode()
    shorter, named = without_foreign_thinking(body)
    assert json.loads(shorter) == {"model": "m", "input": kept, "x": 1.0}
    assert named == gone
    assert shorter.endswith(b'"x": 1.0}')


@pytest.mark.parametrize(
    "given",
    ["rs_pulse_1 and pulse: are words", [USER, OWN, CALL], [{"role": "user", "content": '"pulse: said'}], [UNSIGNED | {"type": "x"}]],
)  # fmt: skip
def test_all_else_stays_as_it_is(given: Any) -> None:
    body = json.dumps({"input": given}).encode()
    assert without_foreign_thinking(body) == (body, ())
    assert without_foreign_thinking(body)[0] is body
