"""Another vendor's thinking in a history that passes through to a vendor of this dialect, which would refuse it.

Answers that were translated have it in items of their own: reasoning under an id that says so, or with a marked proof, and Gemini's
signature beside a call. A client sends them back whoever is asked next.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from pulse_gateway.wire.json_splice import remove_member, set_members
from pulse_gateway.wire.openai_responses.output import OWN_REASONING
from pulse_gateway.wire.openai_responses.proofs import PULSE

__all__ = ["without_foreign_thinking"]

_SIGNS = (f'"{OWN_REASONING}_'.encode(), f'"{PULSE}'.encode(), b'"extra_content"')


class _Item(msgspec.Struct):
    type: Any = None
    id: Any = None
    encrypted_content: Any = None
    extra_content: Raw = Raw()

    @property
    def is_foreign(self) -> bool:
        return self.type == "reasoning" and (
            (isinstance(self.id, str) and self.id.startswith(f"{OWN_REASONING}_"))
            or (isinstance(self.encrypted_content, str) and self.encrypted_content.startswith(PULSE))
        )


class _Request(msgspec.Struct):
    input: str | list[Raw] = ""


_request = msgspec.json.Decoder(_Request).decode
_item = msgspec.json.Decoder(_Item).decode


def without_foreign_thinking(body: bytes) -> tuple[bytes, tuple[str, ...]]:
    """`body` without it, and the paths of what is gone; `body` itself when it holds none.

    Raises: InvalidRequest when a key occurs twice in what is changed.
    """
    if not any(sign in body for sign in _SIGNS):
        return body, ()
    gone: dict[str, None] = {}
    kept: list[Raw] = []
    items = _request(body).input
    for raw in items if isinstance(items, list) else ():
        item = _item(raw)
        if item.is_foreign:
            gone["input[].summary"] = None
        elif item.type == "function_call" and bytes(item.extra_content):
            gone["input[].extra_content"] = None
            kept.append(Raw(remove_member(bytes(raw), "extra_content")))
        else:
            kept.append(raw)
    return (set_members(body, input=kept), tuple(gone)) if gone else (body, ())
