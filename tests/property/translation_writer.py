"""What requests of all dialects are drawn from. Each dialect's own module spells them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

__all__ = [
    "GIF", "IMAGES", "PDF", "URLS", "Body", "Draw", "Writer", "arguments", "b64", "call_ids", "json_objects", "said", "schemas",
]  # fmt: skip

Draw = Callable[[st.SearchStrategy[Any]], Any]
Body = dict[str, Any]

_SENTENCES = (
    "What is the weather in Doha?", "ما حالة الطقس في الدوحة؟", "مرحبا 👋🏽", "line one\nline two\ttabbed", '{"json": "inside"}',
    "naïve café — “quoted”", "\u202bنص من اليمين\u202c", "0", "null", "data: [DONE]", "عَرَبِيّ 123",
)  # fmt: skip
_BLANK = (" ", "\n", "\t \n", "\u00a0")
arabic = "".join(chr(code) for code in range(0x0621, 0x064B))
said = st.sampled_from(_SENTENCES) | st.text(st.sampled_from("abcXYZ 09.,!?é\"\\/\n<&" + arabic + "🙂"), min_size=1, max_size=30).filter(
    lambda text: bool(text.strip())
)  # fmt: skip
_maybe_blank = said | st.sampled_from(("", *_BLANK))

_keys = st.sampled_from(("city", "unit", "n_days", "قائمة", "inline_data", "a b", "$x"))
_leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.sampled_from((0.5, -1.25, 1e-3))
    | st.sampled_from(_SENTENCES)
)
some_json = st.recursive(
    _leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3), max_leaves=6
)
json_objects = st.dictionaries(_keys, some_json, max_size=3)
arguments = st.builds(
    lambda value, style: json.dumps(value, **style),
    json_objects,
    st.sampled_from(({"ensure_ascii": False, "separators": (",", ":")}, {}, {"indent": 1, "ensure_ascii": False})),
)
_plain_ids = st.from_regex(r"(call|toolu)_[A-Za-z0-9]{4,12}", fullmatch=True)
call_ids = _plain_ids | st.sampled_from(
    ("functions.get_weather:0", "id with spaces", "نداء-1", "pulse-id_x", "a/b+c=", "call_0_0", "7")
)
tool_names = st.sampled_from(("get_weather", "lookup-2", "f", "_private"))
_properties = st.dictionaries(
    st.sampled_from(("city", "days", "قائمة")),
    st.sampled_from(({"type": "string"}, {"type": "integer", "minimum": 1}, {"type": "array", "items": {"type": "string"}})),
    max_size=2,
)  # fmt: skip
schemas = st.builds(
    lambda properties, more: {"type": "object", "properties": properties, **more},
    _properties,
    st.sampled_from(({}, {"additionalProperties": False}, {"description": "ما تريد"})),
)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


IMAGES = {
    "image/png": b64(b"\x89PNG\r\n\x1a\n" + b"p" * 9),
    "image/jpeg": b64(b"\xff\xd8\xff\xe0" + b"j" * 5),
    "image/webp": b64(b"RIFF\x04\x00\x00\x00WEBPVP8 "),
}
GIF = b64(b"GIF89a" + b"g" * 7)
PDF = b64(b"%PDF-1.7\n%" + b"d" * 4)
URLS = st.sampled_from(("https://example.com/a.png", "https://example.com/صورة.jpg?x=1"))


class Writer:
    """Draws one request. Subclasses spell it. `names` are the tools there are; what was called is answered."""

    def __init__(self, draw: Draw, *, anything: bool) -> None:
        self.draw, self.anything = draw, anything
        self.tools: list[str] = draw(st.lists(tool_names, unique=True, max_size=3)) if draw(st.booleans()) else []
        self._ids: set[str] = set()

    def maybe(self, strategy: st.SearchStrategy[Any], *, wild: bool = False) -> Any:
        """A value, or None; `wild` ones only where anything goes."""
        if wild and not self.anything:
            return None
        return self.draw(st.none() | strategy)

    def flag(self) -> bool:
        return bool(self.draw(st.booleans()))

    def wild(self) -> bool:
        return self.anything and self.draw(st.integers(0, 3)) == 0

    def text(self) -> str:
        return str(self.draw(_maybe_blank if self.anything else said))

    def new_ids(self) -> list[str]:
        """Ids of parallel calls, each new in the conversation."""
        if not self.tools or not self.flag():
            return []
        ids = self.draw(
            st.lists(call_ids.filter(lambda one: one not in self._ids), min_size=1, max_size=3, unique=True)
        )
        self._ids.update(ids)
        return list(ids)

    def some(self, strategy: st.SearchStrategy[Any], *, most: int = 2) -> list[Any]:
        return list(self.draw(st.lists(strategy, min_size=1, max_size=most)))

    def body(self) -> Body:
        raise NotImplementedError

    def given(self, **members: Any) -> Body:
        return {name: value for name, value in members.items() if value is not None}
