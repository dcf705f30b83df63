"""What Chat Completions requests and answers are drawn from."""

from __future__ import annotations

import json

from hypothesis import settings
from hypothesis import strategies as st

from pulse_gateway.types.usage import Usage
from pulse_gateway.wire.openai_chat import OpenAIChatCodec

__all__ = [
    "CODEC",
    "EXAMPLES",
    "arguments",
    "names",
    "object_schemas",
    "scalars",
    "schemas",
    "texts",
    "tokens",
    "usages",
    "values",
]

CODEC = OpenAIChatCodec()
EXAMPLES = settings(max_examples=40)

texts = st.text(min_size=1, max_size=12)
names = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
tokens = st.none() | st.integers(0, 10_000)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
schemas = st.dictionaries(names, values, max_size=3)
object_schemas = schemas.map(lambda schema: {"properties": {}, **schema, "type": "object"})

usages = st.builds(
    Usage,
    input_tokens=st.integers(0, 10_000),
    cached_input_tokens=tokens,
    cache_write_tokens=tokens,
    audio_input_tokens=tokens,
    output_tokens=st.integers(0, 10_000),
    reasoning_tokens=tokens,
    audio_output_tokens=tokens,
    image_output_tokens=tokens,
)


@st.composite
def arguments(draw: st.DrawFn) -> str:
    return json.dumps(draw(schemas), ensure_ascii=draw(st.booleans()))
