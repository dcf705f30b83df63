"""What Messages requests and answers are drawn from."""

from __future__ import annotations

from hypothesis import strategies as st

from pulse_gateway.types.catalog import Capabilities, Model
from pulse_gateway.wire.anthropic_messages import AnthropicMessagesCodec

__all__ = ["CODEC", "MODEL", "json_objects", "json_values", "texts", "tokens"]

CODEC = AnthropicMessagesCodec()
MODEL = Model(provider="anthropic", name="claude-test", capabilities=Capabilities(thinking="adaptive", prefill=True))

texts = st.text(min_size=1, max_size=12)
tokens = st.integers(0, 10_000)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(max_size=5), json_values, max_size=3)
