"""What Gemini requests and answers are drawn from."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st

from pulse_gateway.types.catalog import Model
from pulse_gateway.wire.gemini import GeminiCodec

__all__ = [
    "CODEC",
    "MODEL",
    "counts",
    "dumps",
    "encoded",
    "json_objects",
    "json_values",
    "keys",
    "names",
    "numbers",
    "quick",
    "some_text",
    "text",
]

CODEC = GeminiCodec()
MODEL = Model(provider="google", name="gemini-2.5-flash")

quick = settings(max_examples=40)
text = st.text(st.characters(codec="utf-8"), max_size=12)
some_text = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
names = st.from_regex(r"[a-z_][a-zA-Z0-9_.:-]{0,9}", fullmatch=True)
keys = st.sampled_from(["a", "a_b", "any_of", "inline_data", "system_instruction", "é"])
numbers = st.integers(-(2**53), 2**53) | st.floats(-1e9, 1e9)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
json_objects = st.dictionaries(keys, json_values, max_size=3)
encoded = st.binary(min_size=1, max_size=12).map(lambda data: base64.b64encode(data).decode())
counts = st.none() | st.integers(0, 10_000)


def dumps(value: Any) -> bytes:
    return msgspec.json.encode(value)
